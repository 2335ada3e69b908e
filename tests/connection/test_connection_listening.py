"""A wait that something else than a message may end. ``tests/groups/test_listening.py`` has the views that use it."""

from __future__ import annotations

import pytest

from django_websocket.transports import TimedOut

from ..running import Running
from .line import CLOSE_TIMEOUT, PING_INTERVAL, START, connect, connection_of, reading_lock


@pytest.fixture
def line():
    ws, line = connect()
    line.connection = connection_of(ws)
    line.bell = line.connection.bell()
    return line


def rung(line):
    line.bell.ring()
    return TimedOut()


def test_a_message(line):
    line.say("hello", START + 1)
    assert line.connection.fetch_unless_rung(line.bell, None)
    assert list(line.connection.messages) == ["hello"]
    assert line.connection.fetch_unless_rung(line.bell, None), "nothing is read as long as there is one"
    assert line.now == START + 1


def test_a_ring(line):
    line.feed(lambda: rung(line), START + 2 * PING_INTERVAL + 1)
    assert line.connection.fetch_unless_rung(line.bell, None)
    assert not line.connection.messages
    assert line.bell.rung
    assert line.now == START + 2 * PING_INTERVAL + 1


def test_a_ring_before(line):
    """What has come in is taken, and nothing is waited for."""
    line.say("hello")
    line.bell.ring()
    assert line.connection.fetch_unless_rung(line.bell, None)
    assert list(line.connection.messages) == ["hello"]
    line.connection.messages.clear()
    assert line.connection.fetch_unless_rung(line.bell, 10)
    assert line.now == START


def test_the_time_is_over(line):
    assert line.connection.fetch_unless_rung(line.bell, 1.5)
    assert not line.connection.messages
    assert not line.bell.rung
    assert line.now == START + 1.5


def test_the_end(line):
    line.feed(b"", START + 1)
    assert not line.connection.fetch_unless_rung(line.bell, None)
    assert not line.connection.is_open


def test_a_thread_that_polls_meanwhile(line):
    """It lets go soon; if not, the connection is aborted, as by fetch()."""
    lock = reading_lock(type("ws", (), {"_connection": line.connection}))
    lock.acquire()
    assert line.connection.fetch_unless_rung(line.bell, 0.01), "the time is over"
    lock.busy.clear()
    waiting = Running(line.connection.fetch_unless_rung, line.bell, None)
    assert lock.busy.wait(CLOSE_TIMEOUT)
    line.say("hello")
    lock.release()
    assert waiting.result()


def test_is_open(line):
    assert line.connection.is_open
    line.answering = False
    line.connection.request_close(1000)
    assert not line.connection.is_open
