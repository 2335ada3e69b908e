"""Frames leave whole and in order, whoever sends them."""

from __future__ import annotations

import errno
import logging
import socket
import struct

import pytest

from django_websocket.connection.sending import POLL_INTERVAL
from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import TimedOut
from django_websocket.websocket import WebSocket

from ..running import Running
from .line import START, connect, connection_of, protocol_of, reading_lock, records

# Sending


def test_a_view_that_only_sends_answers_pings():
    ws, line = connect()
    line.peer.ping(b"alive?")
    line.feed(line.peer.data_to_send())
    ws.send("at once")
    assert line.reads == 0
    line.now += POLL_INTERVAL
    ws.send("not yet")
    assert line.reads == 0
    line.now += 0.125
    ws.send("now")
    assert line.peer.pong == b"alive?"
    assert line.heard == ["at once", "not yet", "now"]
    # Not again, while nothing comes, before the next second is over.
    line.feed(AssertionError("looked"))
    ws.send("later")


def test_a_view_that_only_sends_notices_the_close():
    ws, line = connect()
    line.peer.close(4001, "bye")
    line.feed(line.peer.data_to_send())
    line.now += 2 * POLL_INTERVAL
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert (caught.value.code, caught.value.reason) == (4001, "bye")
    assert line.heard == []


def test_a_view_that_only_sends_keeps_what_it_finds():
    ws, line = connect()
    line.say("for later")
    line.now += 2 * POLL_INTERVAL
    ws.send("x")
    assert ws.wait() == "for later"


def test_send_after_close():
    ws, line = connect()
    line.answering = False
    Running(ws.close).result()
    assert ws.closed
    for call in (ws.send, ws.send_json):
        with pytest.raises(ConnectionClosed) as caught:
            call("x")
        assert caught.value.code == 1005
    with pytest.raises(ConnectionClosed):
        ws.ping()
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1000))]


def test_a_client_that_does_not_read(caplog):
    caplog.set_level(logging.INFO)
    ws, line = connect(send_timeout=7)

    def on_send(data):
        raise TimedOut

    line.on_send = on_send
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == ws.close_code == 1006
    assert caught.value.source is protocol_of(ws)
    assert ws.closed
    assert line.shut == [socket.SHUT_RDWR]
    assert records(caplog) == [(logging.INFO, "WebSocket /echo/ lost: the client does not read")]
    assert ws.wait() is None


def test_a_client_that_is_gone():
    ws, line = connect()
    line.shut.append(socket.SHUT_RDWR)
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == 1006
    assert ws.close_code == 1006


def test_the_last_words_of_a_client_that_is_gone():
    ws, line = connect()
    line.say("last")
    line.peer.close(4002)
    line.feed(line.peer.data_to_send())
    first, second = line.incoming
    line.incoming = [(START, first[1] + second[1])]

    def on_send(data):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    line.on_send = on_send
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == ws.close_code == 4002
    assert ws.wait() == "last"
    assert ws.wait() is None


def test_a_client_that_is_gone_while_another_thread_reads():
    """The thread that sends leaves the rest to the other, which may find a Close there."""
    ws, line = connect()
    with reading_lock(ws):
        line.shut.append(socket.SHUT_WR)
        with pytest.raises(ConnectionClosed):
            ws.send("x")
    line.peer.close(4003)
    line.feed(line.peer.data_to_send())
    assert ws.wait() is None
    assert ws.close_code == 4003


@pytest.mark.parametrize(
    "interruption", [KeyboardInterrupt, SystemExit, GeneratorExit, TimeoutError("the view's own"), OSError("its own")]
)
def test_interrupted_in_the_midst_of_a_frame(interruption):
    ws, line = connect()

    def on_send(data):
        line.sent += data[:1]
        raise interruption

    line.on_send = on_send
    with pytest.raises(interruption if isinstance(interruption, type) else type(interruption)):
        ws.send("x")
    assert ws.close_code == 1006
    assert line.shut == [socket.SHUT_RDWR]
    assert not line.writing.locked()
    with pytest.raises(ConnectionClosed):
        ws.send("y")
    sent = len(line.sent)
    ws.end()
    assert len(line.sent) == sent


def test_interrupted_while_answering():
    ws, line = connect()
    line.peer.ping(b"x")
    line.feed(line.peer.data_to_send())

    def on_send(data):
        raise KeyboardInterrupt

    line.on_send = on_send
    with pytest.raises(KeyboardInterrupt):
        ws.wait()
    assert ws.close_code == 1006
    assert not any(lock.locked() for lock in line.locks)
    assert ws.wait() is None


@pytest.mark.parametrize("timeout", [None, 5])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), TimeoutError("the view's own"), OSError("its own")])
def test_interrupted_while_waiting(interruption, timeout):
    """A timer of the view, or a signal handler, may raise the very exceptions that the system has."""
    ws, line = connect()
    line.feed(interruption)
    line.say("x")
    with pytest.raises(type(interruption)) as caught:
        ws.wait(timeout)
    assert caught.value is interruption
    assert not ws.closed
    assert ws.wait() == "x"


def test_threads_that_send_at_once(live):
    ws, browser = live()
    count, size = 8, 30_000

    def send(number):
        for _ in range(20):
            ws.send(f"{number}" * size)

    senders = [Running(send, number) for number in range(count)]
    got = [browser.wait() for _ in range(20 * count)]
    for sender in senders:
        sender.result()
    assert sorted(got) == sorted(str(number) * size for number in range(count) for _ in range(20))


def test_what_the_protocol_says_waits_for_the_frame_that_is_being_sent():
    """A pong for a ping that comes while another thread sends leaves with that thread."""
    ws, line = connect()
    line.peer.ping(b"now")
    line.feed(line.peer.data_to_send())
    line.say("x")
    seen = []

    def on_send(data):
        if not seen:
            seen.append(Running(ws.wait).result())
            seen.append(line.peer.pong)

    line.on_send = on_send
    ws.send("y")
    assert seen == ["x", None]
    assert line.heard == ["y"]
    assert line.peer.pong == b"now"


# Looking never waits


@pytest.mark.parametrize("look", [WebSocket.read, WebSocket.has_messages, WebSocket.count_messages])
def test_looking_does_not_wait_for_a_client_that_does_not_read(look):
    ws, line = connect()
    line.peer.ping(b"hello")
    line.feed(line.peer.data_to_send())
    line.sends_now = False
    line.on_send = lambda data: pytest.fail("it may wait")
    look(ws)
    assert line.frames == []
    line.on_send = None
    line.say("x")
    assert ws.wait() == "x"
    assert line.frames == [(Opcode.PONG, b"hello")]


def test_what_another_thread_has_left_goes_out_after_a_mistake():
    ws, line = connect()
    line.peer.ping(b"hello")
    ping = line.peer.data_to_send()

    class Message(str):
        def encode(self, *args):
            # The other thread's part: a ping comes in while this one holds the lock for writing.
            connection_of(ws)._take_and_answer(ping)
            return super().encode(*args)

    with pytest.raises(UnicodeEncodeError):
        ws.send(Message("\ud800"))
    assert line.frames == [(Opcode.PONG, b"hello")]


def test_what_another_thread_has_left_goes_out_after_a_wrong_ping(monkeypatch):
    ws, line = connect()
    connection = connection_of(ws)
    line.peer.ping(b"hello")
    data = line.peer.data_to_send()
    mutex = connection._mutex
    entered = iter([True])

    class Mutex:
        """Lets the other thread's ping come in before this one has the mutex, and while it has the lock for writing."""

        def __enter__(self):
            if next(entered, False):
                connection_of(ws)._take_and_answer(data)
            mutex.acquire()

        def __exit__(self, *_):
            mutex.release()

        def _is_owned(self):
            return mutex._is_owned()

    monkeypatch.setattr(connection, "_mutex", Mutex())
    with pytest.raises(ValueError, match="125"):
        ws.ping(b"x" * 126)
    assert line.frames == [(Opcode.PONG, b"hello")]


def test_the_rest_of_a_frame_goes_ahead_of_what_is_sent_next():
    ws, line = connect()
    line.sends_now = 3
    line.feed(b"\x89\x85\0\0\0\0hello")
    assert ws.read() is None
    assert line.sent.endswith(b"\r\n\r\n\x8a\x05h")
    ws.send("x")
    assert line.frames == [(Opcode.PONG, b"hello"), (Opcode.TEXT, b"x")]
