"""Waiting for messages, and how long."""

from __future__ import annotations

import threading

import pytest

from django_websocket.connection.receiving import (
    MAX_READ_TIME,
)
from django_websocket.protocols.rfc6455.frames import Opcode

from ..running import Running
from .line import PATIENCE, PING_INTERVAL, START, connect, reading_lock, until

# wait() and its timeout


def test_wait_timeout():
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(3)
    assert line.now == START + 3
    line.say("here", at=START + 4)
    assert ws.wait(3) == "here"
    assert line.now == START + 4


def test_wait_timeout_of_nothing():
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(0)
    with pytest.raises(TimeoutError):
        ws.wait(-1)
    assert line.now == START
    line.say("here")
    assert ws.wait(0) == "here"


def test_wait_timeout_counts_from_the_call_and_not_from_the_last_byte():
    ws, line = connect()
    line.peer.send("a long message")
    for second, byte in enumerate(line.peer.data_to_send()):
        line.feed(bytes([byte]), at=START + second)
    with pytest.raises(TimeoutError):
        ws.wait(5)
    assert START + 5 <= line.now <= START + 6
    assert ws.wait() == "a long message"


def test_wait_timeout_over_the_ping_interval():
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(3 * PING_INTERVAL + 1)
    assert line.now == START + 3 * PING_INTERVAL + 1
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING] * 3
    assert not ws.closed


def test_wait_of_a_closed_connection_does_not_time_out():
    ws, line = connect()
    line.feed(b"", at=START + 1)
    assert ws.wait(5) is None
    assert ws.wait(5) is None
    assert line.now == START + 1


def test_another_thread_waits(live):
    ws, browser = live()
    waiting = Running(ws.wait)
    until(reading_lock(ws).locked)
    with pytest.raises(RuntimeError, match="another thread"):
        ws.wait()
    assert ws.read("nothing") == "nothing"
    assert ws.count_messages() == 0
    browser.send("x")
    assert waiting.result() == "x"
    browser.send("y")
    assert ws.wait() == "y"


def test_a_message_that_another_threads_look_has_queued():
    """Between wait()'s look at its queue and its lock for reading, a thread that sends may have read for it."""
    ws, line = connect()
    line.say("here")
    line.reading.hooks.append(lambda: Running(ws.has_messages).result())
    assert ws.wait(60) == "here"
    assert line.now == START


def test_a_close_that_another_threads_look_has_read():
    ws, line = connect()
    line.peer.close()
    line.feed(line.peer.data_to_send())
    line.reading.hooks.append(lambda: Running(ws.has_messages).result())
    assert ws.wait(60) is None
    assert line.now == START


def test_waiting_while_another_thread_looks():
    """A thread that sends looks for what has come in; the view that begins to wait meanwhile is no second reader."""
    ws, line = connect()
    go_on = threading.Event()

    def slow():
        assert go_on.wait(PATIENCE)
        line.peer.send("here")
        return line.peer.data_to_send()

    line.feed(slow)
    looking = Running(ws.has_messages)
    until(reading_lock(ws).locked)
    waiting = Running(ws.wait, 60)
    try:
        assert line.reading.busy.wait(PATIENCE)
    finally:
        go_on.set()
    looking.result()
    assert waiting.result() == "here"


@pytest.mark.parametrize("timeout", [float("inf"), 1e9])
def test_very_long_waits(timeout):
    """The system's poll() takes 24 days at most."""
    ws, line = connect(ping_interval=None)
    line.say("at last", at=line.now + 10 * MAX_READ_TIME)
    assert ws.wait(timeout) == "at last"
    assert max(line.waits) <= MAX_READ_TIME
