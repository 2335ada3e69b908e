"""An end for closings that nobody waits for."""

import threading
import time

from django_websocket.process import closer as module
from django_websocket.process.closer import Reaper

#: Seconds for what has to happen, and takes no time unless it is broken.
PATIENCE = 20


class Closing:
    """A connection that is done after a number of looks at it."""

    def __init__(self, looks=1):
        self.left = looks
        self.over = threading.Event()

    def hurry(self):
        self.left -= 1
        if self.left:
            return False
        self.over.set()
        return True


def test_connections_are_seen_through():
    reaper = Reaper()
    connections = [Closing(looks) for looks in (1, 3, 2, 1)]
    for connection in connections:
        reaper.add(connection)
    for connection in connections:
        assert connection.over.wait(PATIENCE)
        assert not connection.left
    # Its thread ends with them, and another begins with the next.
    deadline = time.monotonic() + PATIENCE
    while reaper._running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not reaper._running
    again = Closing()
    reaper.add(again)
    assert again.over.wait(PATIENCE)


def test_one_that_comes_when_the_thread_is_about_to_end():
    reaper, late = Reaper(), Closing()
    first = Closing()

    class Rest(set):
        def __bool__(self):
            # Between the thread's last look and its word that it does not run any more.
            if first.over.is_set() and not late.over.is_set() and len(self) == 0:
                reaper._running = True
                self.add(late)
                return False
            return len(self) > 0

    reaper._closing = Rest()
    reaper.add(first)
    assert late.over.wait(PATIENCE)


def test_the_interpreter_takes_no_more_threads(monkeypatch):
    def refuse(*args):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(module, "start_thread", refuse)
    Reaper().add(Closing())


def test_a_forked_child_starts_anew():
    reaper = Reaper()
    reaper._running = True
    reaper._closing.add(Closing())
    reaper.forget()
    assert not reaper._running
    assert not reaper._closing
