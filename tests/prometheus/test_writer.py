"""The thread that writes the metrics while WebSockets are open."""

import atexit
import logging
import threading
import time

import pytest

from django_websocket.prometheus import writer as module
from django_websocket.prometheus.writer import Writer

from ..observing import records

#: Seconds for what has to happen, and takes no time unless it is broken.
PATIENCE = 20


class Ended(BaseException):
    """Ends the thread of a test, as a greenlet is ended."""


@pytest.fixture
def at_exit(monkeypatch):
    """Return the functions that would be called when the process ends."""
    functions = []
    monkeypatch.setattr(atexit, "register", functions.append)
    return functions


@pytest.fixture
def starts(monkeypatch, at_exit):
    """Return the functions that would run in threads."""
    functions = []
    monkeypatch.setattr(module, "start_worker", lambda function, name: functions.append(function) or True)
    return functions


def test_it_writes_again_and_again(starts, monkeypatch):
    events = []

    def pause():
        if len(events) == 6:
            raise Ended
        events.append("pause")

    monkeypatch.setattr(module, "_pause", pause)
    Writer(lambda: events.append("write")).on_accepted(sender=None, signal=None, request=None, websocket=None)
    with pytest.raises(Ended):
        starts[0]()
    assert events == ["pause", "write"] * 3


def test_its_thread_does_not_keep_the_process_from_ending(monkeypatch, at_exit):
    begun, seen = threading.Event(), []

    def run(_):
        seen.append((threading.current_thread().name, threading.current_thread().daemon))
        begun.set()

    monkeypatch.setattr(Writer, "_run", run)
    Writer(pytest.fail).on_accepted()
    assert begun.wait(PATIENCE)
    assert seen == [("websocket-metrics", True)]


def test_the_pause_between_two_writes(monkeypatch):
    """Guards processes on greenlets: the sleep is looked up when it begins, as it may be replaced before."""
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    module._pause()
    assert pauses == [module.INTERVAL]


def test_one_thread_is_enough(starts):
    writer = Writer(pytest.fail)
    for _ in range(3):
        writer.on_accepted()
    assert len(starts) == 1


def test_threads_start_one_thread(starts):
    """Guards the first WebSockets, when many come at once."""
    writer = Writer(pytest.fail)
    begin = threading.Barrier(8)

    def accept():
        begin.wait(PATIENCE)
        writer.on_accepted()

    threads = [threading.Thread(target=accept) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(starts) == 1


def test_no_room_for_a_thread(monkeypatch, at_exit):
    attempts = []
    monkeypatch.setattr(module, "start_worker", lambda *arguments: attempts.append(arguments))
    writer = Writer(pytest.fail)
    for _ in range(2):
        writer.on_accepted()
    assert len(attempts) == 2


def test_a_thread_that_was_ended_is_started_anew(starts, monkeypatch):
    writer = Writer(pytest.fail)
    writer.on_accepted()

    def pause():
        raise Ended

    monkeypatch.setattr(module, "_pause", pause)
    with pytest.raises(Ended):
        starts[0]()
    writer.on_accepted()
    assert len(starts) == 2


def test_a_forked_child_starts_its_own(starts):
    writer = Writer(pytest.fail)
    writer.on_accepted()
    writer.reset()
    writer.on_accepted()
    assert len(starts) == 2


def test_the_last_write_is_at_the_end_of_the_process(starts, at_exit):
    written = []
    writer = Writer(lambda: written.append(1))
    assert at_exit == []
    for _ in range(2):
        writer.on_accepted()
        writer.reset()
    (write,) = at_exit
    write()
    assert written == [1]


def test_an_error_stops_nothing(starts, monkeypatch, caplog):
    """Guards the metrics against a disk that is full for a while."""
    calls = []

    def write():
        calls.append(1)
        if len(calls) == 1:
            raise OSError("No space left on device")

    def pause():
        if len(calls) == 2:
            raise Ended

    monkeypatch.setattr(module, "_pause", pause)
    writer = Writer(write)
    writer.on_accepted()
    with pytest.raises(Ended):
        starts[0]()
    assert len(calls) == 2
    (record,) = records(caplog, "django_websocket.prometheus")
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "The metrics of WebSockets could not be written: see whether the directory PROMETHEUS_MULTIPROC_DIR is there, "
        "belongs to the user of the server, and has room"
    )
    assert "No space left on device" in str(record.exc_info[1])
