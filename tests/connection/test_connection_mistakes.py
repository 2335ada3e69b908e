"""A peer that breaks the protocol."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct

import pytest

from django_websocket.connection.sending import POLL_INTERVAL
from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import READ_SIZE
from django_websocket.websocket import WebSocket

from ..running import Running
from .line import CLOSE_TIMEOUT, PING_INTERVAL, START, connect, connection_of, records

# A peer that breaks the protocol


BAD_FRAME = b"\x81\x85\0\0\0\0\xff\xff\xff\xff\xff"


def test_a_failed_connection():
    ws, line = connect()
    line.answering = False
    line.say("good")
    line.feed(line.incoming.pop()[1] + BAD_FRAME)
    assert ws.wait() == "good"
    assert ws.wait() is None
    assert ws.close_code == 1007
    assert "UTF-8" in ws.close_reason
    [(opcode, payload)] = line.frames
    assert opcode == Opcode.CLOSE
    assert payload[:2] == struct.pack("!H", 1007)
    # Our half is ended, and the other read to its end, so that the peer gets to see the Close.
    assert line.shut == [socket.SHUT_WR]
    rest = [b"x" * 100, b"y" * 100, b""]
    for data in rest:
        line.feed(data)
    reads = line.reads
    ws.end()
    assert line.reads == reads + len(rest)
    assert line.shut == [socket.SHUT_WR, socket.SHUT_RDWR]


#: For each version what it does not allow, and the code that says so.
FAULTS = {
    RFC6455: (BAD_FRAME, 1007),
    Hixie76: (b"\x80" * 12, 1002),
    Hixie75: (b"\x80" * 12, 1002),
}


def faulty(kind=RFC6455, messages=("a", "b"), **options):
    """Return a WebSocket to which messages and a mistake come at once, and its line."""
    ws, line = connect(kind, **options)
    line.answering = False
    for message in messages:
        line.peer.send(message)
    line.feed(line.peer.data_to_send() + FAULTS[kind][0])
    return ws, line


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("use", ["wait", "iteration", "read"])
def test_what_came_ahead_of_a_mistake_is_answered(kind, use):
    ws, line = faulty(kind)
    taken = {"wait": iter(ws.wait, None), "iteration": iter(ws), "read": iter(ws.read, None)}[use]
    for message in taken:
        assert not ws.closed
        assert ws.close_code is None
        assert line.shut == []
        ws.send(message.upper())
        ws.send("more")
    assert line.heard == ["A", "more", "B", "more"]
    assert ws.closed
    assert ws.close_code == FAULTS[kind][1]
    assert ws.close_reason
    # The oldest version says it by the end of the stream alone.
    assert line.peer.state is (State.OPEN if kind is Hixie75 else State.CLOSED)
    assert line.shut == [socket.SHUT_WR]
    with pytest.raises(ConnectionClosed):
        ws.send("late")


def test_nothing_is_read_behind_a_mistake():
    ws, line = faulty()
    assert ws.wait() == "a"
    line.say("behind")
    reads = line.reads
    line.now += POLL_INTERVAL + 1
    ws.send("A")
    assert ws.count_messages() == 1
    assert [ws.wait(), ws.wait()] == ["b", None]
    assert line.reads == reads


def test_a_mistake_that_a_view_finds_while_it_answers():
    """It came in another segment than the message, which makes no difference."""
    ws, line = connect()
    line.answering = False
    line.say("a")
    assert ws.wait() == "a"
    line.feed(BAD_FRAME)
    line.now += POLL_INTERVAL + 1
    ws.send("A")
    ws.send("more")
    assert line.heard == ["A", "more"]
    assert not ws.has_messages()
    assert ws.close_code == 1007


def test_a_mistake_behind_no_message_is_answered_at_once():
    ws, line = faulty(messages=())
    assert not ws.has_messages()
    assert [opcode for opcode, _ in line.frames] == [Opcode.CLOSE]
    assert ws.close_code == 1007


def test_a_mistake_waits_for_the_close_timeout_at_most(caplog):
    """A view that sends, and does not take its messages, is not to keep the peer for ever."""
    ws, line = faulty()
    assert ws.has_messages()
    began = line.now
    with contextlib.suppress(ConnectionClosed):
        while True:
            ws.send("tick")
            line.now += 0.25
    assert began + CLOSE_TIMEOUT <= line.now <= began + CLOSE_TIMEOUT + POLL_INTERVAL + 0.25
    assert ws.close_code == line.peer.close_code == 1007
    assert {opcode for opcode, _ in line.frames[:-1]} == {Opcode.TEXT}
    assert line.frames[-1][0] == Opcode.CLOSE
    assert list(ws) == ["a", "b"]
    assert len(records(caplog)) == 1


def test_a_peer_that_made_a_mistake_is_not_pinged():
    ws, line = faulty(close_timeout=3 * PING_INTERVAL)
    assert ws.count_messages() == 2
    line.now += 2 * PING_INTERVAL
    assert ws.count_messages() == 2
    assert line.frames == []


@pytest.mark.parametrize(
    "close",
    [
        WebSocket.close,
        lambda ws: ws.close(4000, "enough"),
        lambda ws: Running(ws.close).result(),
        lambda ws: connection_of(ws).request_close(1012),
        WebSocket.end,
        lambda ws: ws.end(wait=False),
    ],
    ids=["close", "with a reason", "another thread", "signal", "end", "stop"],
)
def test_a_closing_tells_of_the_mistake(close):
    ws, line = faulty()
    assert ws.wait() == "a"
    close(ws)
    [(opcode, payload)] = line.frames
    assert opcode == Opcode.CLOSE
    assert payload[:2] == struct.pack("!H", 1007)
    assert ws.close_code == 1007
    assert line.shut[0] == socket.SHUT_WR
    assert list(ws) == ["b"]


def test_a_peer_that_goes_away_behind_its_mistake():
    ws, line = faulty()
    assert ws.wait() == "a"
    line.shut.append(socket.SHUT_RDWR)
    reads = line.reads
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("A")
    assert caught.value.code == ws.close_code == 1006
    assert list(ws) == ["b"]
    assert line.reads == reads


def test_a_failed_connection_is_logged(caplog):
    ws, line = connect()
    line.feed(BAD_FRAME)
    assert ws.wait() is None
    ws.end()
    [(level, text)] = records(caplog)
    assert level == logging.WARNING
    assert text.startswith("WebSocket /echo/ failed with 1007: ")


def test_the_log_has_one_line_and_nothing_of_the_peers(caplog):
    caplog.set_level(logging.DEBUG)
    attack = "\r\nWARNING forged \x1b[31m"
    for data in (
        BAD_FRAME + attack.encode(),
        frame(Opcode.CLOSE, struct.pack("!H", 5000) + attack.encode()),
        frame(Opcode.PING, attack.encode()) + b"\xff" * 20,
        attack.encode(),
    ):
        ws, line = connect()
        line.feed(data)
        ws.wait()
        ws.end()
    assert records(caplog)
    for _, text in records(caplog):
        assert "forged" not in text
        assert text.isprintable()


def frame(opcode, payload):
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def test_a_failed_connection_that_floods_is_read_no_longer_than_the_close_timeout():
    ws, line = connect()

    def more():
        line.feed(more, at=line.now + 0.5)
        return b"x" * READ_SIZE

    line.feed(BAD_FRAME)
    line.feed(more)
    assert ws.wait() is None
    ws.end()
    assert line.now == START + CLOSE_TIMEOUT
    assert line.shut[-1] == socket.SHUT_RDWR


def test_a_failed_connection_that_stays_open_is_given_up():
    ws, line = connect()
    line.feed(BAD_FRAME)
    assert ws.wait() is None
    ws.end()
    assert line.now == START + CLOSE_TIMEOUT


def test_a_failure_while_another_thread_sends():
    """The Close comes behind that thread's frame, and the end of the stream behind the Close."""
    ws, line = connect()
    line.feed(BAD_FRAME)
    seen = []

    def on_send(data):
        if not seen:
            seen.append(Running(ws.wait).result())

    line.on_send = on_send
    with contextlib.suppress(ConnectionClosed):
        ws.send("y")
    assert seen == [None]
    assert line.heard == ["y"]
    assert [opcode for opcode, _ in line.frames] == [Opcode.TEXT, Opcode.CLOSE]
    assert line.shut == [socket.SHUT_WR]


@pytest.mark.parametrize("size", [100, 4 * READ_SIZE])
def test_the_peer_sees_why_it_failed(live, size):
    ws, browser = live()
    browser.sock.sendall(BAD_FRAME)
    late = Running(browser.sock.sendall, b"\x82" * size)
    assert ws.wait() is None
    ending = Running(ws.end)
    with contextlib.suppress(OSError):
        late.result()
    while browser.protocol.state is not State.CLOSED:
        assert browser.read(), "no Close came"
    browser.sock.shutdown(socket.SHUT_WR)
    ending.result()
    assert browser.protocol.close_code == 1007


def test_a_failed_connection_that_another_thread_still_reads():
    """The socket is not read by two at once."""
    ws, line = connect(close_timeout=0.05)
    line.peer = None
    line.feed(b"\xff\xff")
    assert ws.wait() is None
    line.reading.acquire()
    reads = line.reads
    ws.end()
    assert line.reads == reads
    line.reading.release()
