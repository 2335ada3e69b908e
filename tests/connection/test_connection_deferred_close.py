"""A Close of the peer that arrives behind messages: the view answers the messages, then the Close is answered."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct

import pytest

from django_websocket.connection.sending import POLL_INTERVAL
from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.websocket import WebSocket

from ..running import Running
from .line import CLOSE_TIMEOUT, PING_INTERVAL, connect, connection_of, records

VERSIONS = [RFC6455, Hixie76, Hixie75]
#: The close code and reason of each version's Close, as the view sees them.
SEEN = {RFC6455: (4001, "bye"), Hixie76: (1005, ""), Hixie75: (1005, "")}


def leaving(kind=RFC6455, messages=("a", "b", "c"), **options):
    """Return a WebSocket to which messages and a Close come in one segment, and its line."""
    ws, line = connect(kind, **options)
    line.answering = False
    for message in messages:
        line.peer.send(message)
    line.peer.close(4001, "bye")
    line.feed(line.peer.data_to_send())
    if kind is Hixie75:
        # The end of the stream is its Close.
        line.feed(b"")
    return ws, line


def closes(line):
    return [payload for opcode, payload in line.frames if opcode == Opcode.CLOSE]


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("use", ["wait", "iteration", "read", "has_messages"])
def test_a_view_answers_every_message_ahead_of_the_close(kind, use):
    ws, line = leaving(kind)
    ways = {
        "wait": lambda: iter(ws.wait, None),
        "iteration": lambda: iter(ws),
        "read": lambda: iter(ws.read, None),
        "has_messages": lambda: iter(lambda: ws.read() if ws.has_messages() else None, None),
    }
    for message in ways[use]():
        assert not ws.closed
        assert ws.close_code is None
        ws.send(message.upper())
        ws.send("more")
    assert line.heard == ["A", "more", "B", "more", "C", "more"]
    assert ws.closed
    assert (ws.close_code, ws.close_reason) == SEEN[kind]
    with pytest.raises(ConnectionClosed):
        ws.send("late")


def test_the_close_is_answered_behind_the_answers():
    ws, line = leaving()
    for message in ws:
        ws.send(message)
    assert [opcode for opcode, _ in line.frames] == [Opcode.TEXT] * 3 + [Opcode.CLOSE]
    assert closes(line) == [struct.pack("!H", 4001)]


def test_a_close_without_a_code_is_answered_without_a_code():
    ws, line = connect()
    line.answering = False
    line.say("a")
    line.feed(line.incoming.pop()[1] + bytes([0x88, 0x80, 0, 0, 0, 0]))
    assert ws.wait() == "a"
    ws.send("A")
    assert ws.wait() is None
    assert ws.close_code == 1005
    assert closes(line) == [b""]


def test_nothing_is_taken_behind_a_close():
    ws, line = leaving()
    line.feed(line.incoming.pop()[1] + b"\x81\x81\0\0\0\0x" + b"\xff" * 20)
    line.feed(b"\x81\x81\0\0\0\0y")
    assert list(ws) == ["a", "b", "c"]
    assert ws.close_code == 4001


def test_the_view_may_take_its_time_for_the_last_message():
    """The Close has been read already, and the queue is empty; the view still answers."""
    ws, line = leaving(messages=["a"])
    assert ws.wait() == "a"
    line.now += POLL_INTERVAL + 1
    ws.send("A")
    ws.send("more")
    assert line.heard == ["A", "more"]
    assert ws.wait() is None


def test_a_close_that_a_view_finds_while_it_answers():
    """The Close came in another segment than the message."""
    ws, line = connect()
    line.answering = False
    line.say("a")
    assert ws.wait() == "a"
    line.peer.close(4001)
    line.feed(line.peer.data_to_send())
    line.now += POLL_INTERVAL + 1
    ws.send("A")
    ws.send("more")
    assert line.heard == ["A", "more"]
    assert not ws.has_messages()
    assert ws.close_code == 4001


@pytest.mark.parametrize("where", ["ahead of the handshake", "found by a send"])
def test_a_message_that_came_without_a_wait_is_answered_too(where):
    client_said = "a"
    if where == "found by a send":
        ws, line = connect()
        line.say(client_said)
        line.now += POLL_INTERVAL + 1
        ws.send("tick")
    else:
        ws, line = connect(received=bytes([0x81, 0x81, 0, 0, 0, 0]) + client_said.encode())
    line.answering = False
    line.peer.close(4001)
    line.feed(line.peer.data_to_send())
    assert ws.wait() == client_said
    line.now += POLL_INTERVAL + 1
    ws.send("A")
    ws.send("more")
    assert line.heard[-2:] == ["A", "more"]
    assert ws.wait() is None


def wait_in_vain(ws):
    with pytest.raises(TimeoutError):
        ws.wait(0.5)


@pytest.mark.parametrize(
    "ask",
    [lambda _: None, WebSocket.read, wait_in_vain],
    ids=["never asked", "read in vain", "waited in vain"],
)
def test_a_view_without_a_message_to_answer_notices_the_close_when_it_sends(ask):
    ws, line = connect()
    line.answering = False
    ask(ws)
    line.peer.close(4001)
    line.feed(line.peer.data_to_send())
    line.now += POLL_INTERVAL + 1
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("tick")
    assert caught.value.code == 4001
    assert closes(line) == [struct.pack("!H", 4001)]


def test_the_close_waits_for_the_close_timeout_at_most(caplog):
    """A view that sends, and does not take its messages, must not keep the peer for ever."""
    ws, line = leaving()
    assert ws.has_messages()
    began = line.now
    with contextlib.suppress(ConnectionClosed):
        while True:
            ws.send("tick")
            line.now += 0.25
    assert began + CLOSE_TIMEOUT <= line.now <= began + CLOSE_TIMEOUT + POLL_INTERVAL + 0.25
    assert ws.close_code == 4001
    assert closes(line) == [struct.pack("!H", 4001)]
    assert list(ws) == ["a", "b", "c"]
    assert records(caplog) == []


def test_a_peer_that_has_sent_its_close_is_not_pinged():
    ws, line = leaving(close_timeout=3 * PING_INTERVAL)
    assert ws.count_messages() == 3
    line.now += 2 * PING_INTERVAL
    assert ws.count_messages() == 3
    assert line.frames == []


@pytest.mark.parametrize("kind", [RFC6455, Hixie76])
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
def test_a_view_that_closes_answers_the_close(kind, close):
    ws, line = leaving(kind)
    assert ws.wait() == "a"
    close(ws)
    if kind is RFC6455:
        assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 4001))]
    assert ws.closed
    assert (ws.close_code, ws.close_reason) == SEEN[kind]
    assert list(ws) == ["b", "c"]


def test_a_peer_that_goes_away_behind_its_close(caplog):
    """Its Close was received, so the code is the one in it, and nothing was lost."""
    caplog.set_level(logging.INFO)
    ws, line = leaving()
    assert ws.wait() == "a"
    line.shut.append(socket.SHUT_RDWR)
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("A")
    assert (caught.value.code, caught.value.reason) == (4001, "bye")
    assert (ws.close_code, ws.close_reason) == (4001, "bye")
    assert list(ws) == ["b", "c"]
    assert records(caplog) == []


def test_a_late_pong_does_not_leave_a_deadline_behind():
    """A thread was sending when a ping came; minutes later another message is on its way at the process's end."""
    ws, line = connect()
    line.answering = False
    line.sends_now = False
    line.peer.ping(b"p")
    line.feed(line.peer.data_to_send())
    assert ws.read() is None
    line.sends_now = True
    assert ws.read() is None
    assert line.peer.pong == b"p"
    line.now += 100 * CLOSE_TIMEOUT

    def on_send(_data):
        line.on_send = None
        connection_of(ws).request_close(1012)
        assert not connection_of(ws).finish_if_due()

    line.on_send = on_send
    ws.send("whole")
    assert line.heard[-1] == "whole"
    assert line.shut == []
    assert [opcode for opcode, _ in line.frames][-2:] == [Opcode.TEXT, Opcode.CLOSE]
    line.now += CLOSE_TIMEOUT
    assert connection_of(ws).finish_if_due()
    assert line.shut == [socket.SHUT_RDWR]
