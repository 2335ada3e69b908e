"""Threads that want to send, or to close, while another one is sending."""

from __future__ import annotations

import itertools
import struct

import pytest

from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.rfc6455.frames import Opcode

from ..running import Running
from .line import connect, connection_of, until, writing_lock

#: Seconds that a thread waits for another one, in tests of how often it does.
SHORT = 0.01


def close(ws):
    ws.close(4000)


def test_a_close_is_handed_over_to_the_thread_that_sends():
    """The closing thread does not wait for it, and the Close leaves behind the frame."""
    ws, line = connect()
    line.on_send = lambda _: Running(close, ws).result()
    ws.send("x")
    assert line.frames == [(Opcode.TEXT, b"x"), (Opcode.CLOSE, struct.pack("!H", 4000))]


def test_a_close_is_handed_over_to_the_next_thread_that_sends():
    """Threads that pass the lock on from one to the other would never release it."""
    ws, line = connect()
    refused = []

    def send():
        with pytest.raises(ConnectionClosed):
            ws.send("y")
        refused.append(True)

    def on_send(_):
        line.on_send = None
        sending = Running(send)
        writing_lock(ws).busy.wait()
        Running(close, ws).result()
        # The lock is passed on to the other thread.
        line.writing.release()
        sending.result()
        line.writing.acquire()

    line.on_send = on_send
    ws.send("x")
    assert refused
    # The line notes the frame of the first thread when that thread goes on.
    assert [opcode for opcode, _ in line.frames] == [Opcode.CLOSE, Opcode.TEXT]


@pytest.mark.parametrize("call", ["close", "end"])
def test_the_view_waits_as_long_as_its_client_takes_the_frame_of_another_thread(call):
    ws, line = connect(close_timeout=SHORT)
    taken = itertools.count()
    waited = []

    def progress():
        waited.append(True)
        if len(waited) == 5:
            line.writing.release()
        return next(taken)

    line.progress = progress
    line.writing.acquire()
    getattr(ws, call)()
    assert len(waited) >= 5
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1000))]
    assert ws.close_code == 1000


@pytest.mark.parametrize("call", ["close", "end"])
def test_the_view_does_not_wait_for_a_client_that_takes_nothing(call):
    ws, line = connect(close_timeout=SHORT)
    with writing_lock(ws):
        if call == "close":
            ws.close()
        else:
            line.reading.hooks.append(line.writing.release)
            ws.end()
            line.writing.acquire()
    assert ws.close_code == 1006
    assert line.frames == []


def test_a_thread_does_not_wait_for_a_lock_that_nobody_releases():
    """An exception may have come between its acquisition and the frame."""
    ws, line = connect(send_timeout=SHORT)
    for call in (ws.send, ws.ping):
        with writing_lock(ws), pytest.raises(ConnectionClosed):
            call(b"x")
    assert ws.close_code == 1006
    assert line.frames == []


def test_a_thread_waits_for_a_lock_while_the_client_takes_the_frame_of_another():
    ws, line = connect(send_timeout=SHORT)
    taken = itertools.count()
    line.progress = lambda: next(taken)
    line.writing.acquire()
    sending = Running(ws.send, "x")
    until(lambda: next(taken) > 3)
    line.writing.release()
    sending.result()
    assert line.heard == ["x"]
    assert connection_of(ws).protocol.close_code is None
