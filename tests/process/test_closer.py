"""Closings that no view waits for are finished."""

import threading
import time

import pytest

from django_websocket.process import closer as module
from django_websocket.process.closer import Closer

#: Seconds for what has to happen, and takes no time unless it is broken.
PATIENCE = 20


class Closing:
    """A connection that is done after a number of looks at it."""

    def __init__(self, looks=1):
        self.left = looks
        self.over = threading.Event()

    def finish_if_due(self):
        self.left -= 1
        if self.left:
            return False
        self.over.set()
        return True


def test_connections_are_followed_to_their_end():
    closer = Closer()
    connections = [Closing(looks) for looks in (1, 3, 2, 1)]
    for connection in connections:
        closer.add(connection.finish_if_due)
    for connection in connections:
        assert connection.over.wait(PATIENCE)
        assert not connection.left
    # Its thread ends with them, and another begins with the next.
    deadline = time.monotonic() + PATIENCE
    while closer._running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not closer._running
    again = Closing()
    closer.add(again.finish_if_due)
    assert again.over.wait(PATIENCE)


def test_one_that_comes_when_the_thread_is_about_to_end():
    closer, late = Closer(), Closing()
    first = Closing()

    class Rest(set):
        def __bool__(self):
            # Between the thread's last look and its word that it does not run any more.
            if first.over.is_set() and not late.over.is_set() and len(self) == 0:
                closer._running = True
                self.add(late.finish_if_due)
                return False
            return len(self) > 0

    closer._closings = Rest()
    closer.add(first.finish_if_due)
    assert late.over.wait(PATIENCE)


def test_a_thread_that_cannot_be_started(monkeypatch):
    """The next closing tries again, and the ones before it are finished too."""
    closer, early, late = Closer(), Closing(), Closing()
    with monkeypatch.context() as patch:
        patch.setattr(module, "start_thread", lambda *_: False)
        closer.add(early.finish_if_due)
    assert not early.over.is_set()
    closer.add(late.finish_if_due)
    for connection in (early, late):
        assert connection.over.wait(PATIENCE)


def test_a_closing_that_is_over_is_forgotten(monkeypatch):
    """The view of its connection has ended. The thread that would notice that may never be started."""
    closer, closing = Closer(), Closing()
    monkeypatch.setattr(module, "start_thread", lambda *_: False)
    closer.add(closing.finish_if_due)
    closer.discard(closing.finish_if_due)
    closer.discard(closing.finish_if_due)
    assert not closer._closings


def test_an_error_of_one_closing():
    """The others are finished, and the one with the error is not tried again."""
    closer, good = Closer(), Closing(looks=3)
    errors = []

    def fail():
        errors.append(ZeroDivisionError())
        raise errors[-1]

    closer.add(fail)
    closer.add(good.finish_if_due)
    assert good.over.wait(PATIENCE)
    assert len(errors) == 1


def test_an_error_of_the_thread(monkeypatch):
    """Another thread is started for the next closing."""

    def fail(_):
        raise MemoryError

    closer = Closer()
    closer._closings.add(Closing(looks=100).finish_if_due)
    with monkeypatch.context() as patch:
        patch.setattr(module, "pause", fail)
        closer._running = True
        with pytest.raises(MemoryError):
            closer._run()
    again = Closing()
    closer.add(again.finish_if_due)
    assert again.over.wait(PATIENCE)


def test_a_forked_child_starts_anew():
    closer = Closer()
    closer._running = True
    closer._closings.add(Closing().finish_if_due)
    closer.reset()
    assert not closer._running
    assert not closer._closings
