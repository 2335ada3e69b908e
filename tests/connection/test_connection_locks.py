"""Calls that find a lock of the connection taken: by another thread, or by the call that they interrupt."""

from __future__ import annotations

import itertools
import signal
import socket
import struct
from collections import Counter

import pytest

from django_websocket.connection.connection import UNAUTHORIZED
from django_websocket.connection.hooks import Hooks
from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import SendProgress
from django_websocket.websocket import WebSocket

from ..running import Running
from .line import connect, connection_of, reading_lock, until, writing_lock

#: Seconds that a thread waits for another one, in tests of how often it does.
SHORT = 0.01


def close(ws):
    ws.close(4000)


def test_a_close_is_handed_over_to_the_thread_that_sends():
    """The closing thread does not wait for the sending one, and the Close leaves behind the frame."""
    ws, line = connect()
    line.on_send = lambda _: Running(close, ws).result()
    ws.send("x")
    assert line.frames == [(Opcode.TEXT, b"x"), (Opcode.CLOSE, struct.pack("!H", 4000))]


def test_a_close_is_handed_over_to_the_next_thread_that_sends():
    """A thread that passes the lock on to another cannot acquire it again to send the Close."""
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


def test_a_thread_that_waited_is_interrupted_while_it_sends_what_others_have_left():
    """The lock is free afterwards."""
    ws, line = connect()
    line.writing.acquire()
    sending = Running(ws.send, "x")
    writing_lock(ws).busy.wait()
    Running(close, ws).result()

    def on_send(_):
        raise KeyboardInterrupt

    line.on_send = on_send
    line.writing.release()
    with pytest.raises(KeyboardInterrupt):
        sending.result()
    assert not line.writing.locked()
    assert ws.close_code == 1006


def test_the_view_notices_that_its_client_is_gone_when_it_ends_behind_another_thread():
    ws, line = connect(close_timeout=1)
    line.writing.acquire()
    closing = Running(ws.end)
    line.on_send = lambda _: line.shut.append(socket.SHUT_RDWR)
    writing_lock(ws).busy.wait()
    line.writing.release()
    closing.result()
    assert ws.close_code == 1006


@pytest.mark.parametrize("call", ["close", "end"])
def test_the_view_waits_as_long_as_its_client_takes_the_frame_of_another_thread(call):
    ws, line = connect(close_timeout=SHORT)
    taken = itertools.count()
    waited = []

    def progress():
        waited.append(True)
        if len(waited) == 5:
            line.writing.release()
        return SendProgress(next(taken), pending=True)

    line.send_progress = progress
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
    """An exception may have left the lock acquired, if it came just behind the acquisition."""
    ws, line = connect(send_timeout=SHORT)
    for call in (ws.send, ws.ping):
        with writing_lock(ws), pytest.raises(ConnectionClosed):
            call(b"x")
    assert ws.close_code == 1006
    assert line.frames == []


def test_a_thread_waits_for_a_lock_while_the_client_takes_the_frame_of_another():
    ws, line = connect(send_timeout=SHORT)
    taken = itertools.count()
    asked = []
    line.send_progress = lambda: asked.append(next(taken)) or SendProgress(asked[-1], pending=True)
    line.writing.acquire()
    sending = Running(ws.send, "x")
    until(lambda: len(asked) > 3)
    line.writing.release()
    sending.result()
    assert line.heard == ["x"]
    assert connection_of(ws).protocol.close_code is None


# Calls that interrupt another call in the same thread, as those of signal handlers and finalizers do


def interrupting(ws, call):
    """Return a message whose encoding is interrupted by a call."""

    class Message(str):
        __slots__ = ()

        def encode(self, *args):
            call(ws)
            return super().encode(*args)

    return Message("x")


@pytest.mark.parametrize("call", [lambda ws: ws.send("y"), lambda ws: ws.ping(b"y")], ids=["send", "ping"])
def test_sending_that_interrupts_sending_is_an_error(call):
    ws, line = connect()

    def interrupt(ws):
        with pytest.raises(RuntimeError, match="interrupts another call"):
            call(ws)

    ws.send(interrupting(ws, interrupt))
    assert line.frames == [(Opcode.TEXT, b"x")]
    line.on_send = lambda _: interrupt(ws)
    ws.ping(b"z")
    assert line.frames[1:] == [(Opcode.PING, b"z")]


def test_sending_that_interrupts_another_connection_waits():
    """The interrupted call holds the lock of its own connection only, so that waiting for the other lock ends."""
    (ws, line), (other, _) = connect(), connect()
    line.writing.acquire()
    until_busy = Running(writing_lock(ws).busy.wait)

    def interrupt(_):
        releasing = Running(lambda: (until_busy.result(), line.writing.release()))
        ws.send("y")
        releasing.result()

    other.send(interrupting(other, interrupt))
    assert line.heard == ["y"]


def test_close_that_interrupts_sending_is_handed_over(followed):
    ws, line = connect()
    line.answering = False
    ws.send(interrupting(ws, lambda ws: connection_of(ws)._start_closing(4000, "", "normal", wait=True)))
    assert [opcode for opcode, _ in line.frames] == [Opcode.TEXT, Opcode.CLOSE]


def test_close_that_interrupts_waiting_leaves_the_rest_to_the_interrupted_call(followed):
    ws, line = connect()

    def interrupt():
        ws.close(4000)
        assert followed == [connection_of(ws)]
        return b""

    line.feed(interrupt)
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 4000))]


def test_waiting_that_interrupts_looking_is_an_error():
    ws, line = connect()

    def interrupt():
        with pytest.raises(RuntimeError, match="interrupts another call"):
            ws.wait(1)
        # Looking finds nothing.
        assert not ws.has_messages()
        return b""

    line.feed(interrupt)
    assert not ws.has_messages()
    assert line.reads == 1


def test_looking_that_interrupts_the_protocol_finds_messages():
    ws, line = connect()
    line.say("in between")
    protocol = connection_of(ws).protocol
    ping = protocol.ping
    found = []

    def interrupted(data):
        found.append(ws.read())
        ping(data)

    protocol.ping = interrupted
    ws.ping(b"p")
    assert found == ["in between"]


def test_sending_that_interrupts_the_protocol_leaves_its_answers_to_the_interrupted_call():
    ws, line = connect()
    connection = connection_of(ws)
    line.peer.ping(b"p")
    line.feed(line.peer.data_to_send())
    receive = connection.protocol.receive

    def interrupted(data):
        messages = receive(data)
        ws.send("x")
        ws.close(4000)
        assert [opcode for opcode, _ in line.frames] == [Opcode.TEXT]
        return messages

    connection.protocol.receive = interrupted
    assert not ws.has_messages()
    assert [opcode for opcode, _ in line.frames[1:]] == [Opcode.PONG, Opcode.CLOSE]


def test_a_lock_for_reading_that_nobody_releases():
    ws, line = connect(close_timeout=SHORT)
    with reading_lock(ws):
        assert ws.wait() is None
    assert ws.close_code == 1006
    assert not line.reads


# Looking


@pytest.mark.parametrize("look", [WebSocket.read, WebSocket.has_messages, WebSocket.count_messages])
def test_looking_lets_others_run_if_it_finds_nothing(look):
    ws, line = connect()
    turns = []

    line.let_others_run = lambda: turns.append(any(lock.locked() for lock in line.locks))
    look(ws)
    assert turns == [False]
    line.say("x")
    look(ws)
    assert turns == [False]
    connection_of(ws).messages.clear()
    with reading_lock(ws):
        look(ws)
    assert len(turns) == 2


# Over a socket pair


def test_a_signal_handler_sends_while_its_thread_sends(live):
    """It gets an error if it comes in the midst of a frame, and every frame is whole."""
    ws, browser = live()
    results = []

    def handle(*_):
        try:
            ws.send("handler")
            results.append(True)
        except RuntimeError:
            results.append(False)

    sent = 0
    reading = Running(browser.read_to_end)
    previous = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        # On a machine that does nothing else, a frame may be sent before the next signal comes.
        while sent < 300 or (False not in results and sent < 5000):
            ws.send("view" * 20_000)
            sent += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert False in results
    ws.end()
    assert reading.result() == 1000
    assert Counter(map(len, browser.messages)) == Counter({80_000: sent, 7: results.count(True)})


def test_a_revalidation_that_takes_its_time_holds_nobody_up():
    """The view's thread sends, and its queries wait for the database; another thread waits for messages meanwhile."""
    said = []

    class Slow(Hooks):
        revalidate_interval = 60.0

        def revalidate(self):
            if not said:
                line.say("meanwhile")
                said.append(Running(ws.wait, 1).result())

    ws, line = connect(hooks=Slow())
    line.now += 61
    ws.send("tick")
    assert said == ["meanwhile"]
    assert not ws.closed


def test_a_revalidation_that_fails_while_another_thread_begins_to_wait(followed):
    class Failing(Hooks):
        revalidate_interval = 60.0

        def revalidate(self):
            line.reading.acquire()
            return "logged out"

    ws, line = connect(hooks=Failing())
    line.now += 61
    with pytest.raises(ConnectionClosed):
        ws.send("tick")
    line.reading.release()
    assert [opcode for opcode, _ in line.frames] == [Opcode.CLOSE]
    assert followed == [connection_of(ws)]
    assert ws.wait() is None
    assert ws.close_code == UNAUTHORIZED


def test_a_wait_has_its_timeout_while_another_thread_reads():
    ws, _ = connect()
    with reading_lock(ws), pytest.raises(TimeoutError):
        ws.wait(SHORT)
    assert not ws.closed


def test_asking_whether_it_is_closed_switches_no_greenlets():
    """A view may ask for each of many in a loop over a set."""
    ws, line = connect()
    line.let_others_run = None
    line.now += 10
    assert not ws.closed
