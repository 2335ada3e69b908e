"""Opening: the handshake is sent on first use, once, and nothing is lost behind it."""

from __future__ import annotations

import contextlib
import logging
import socket

import pytest

from django_websocket.connection.hooks import Hooks
from django_websocket.exceptions import ConnectionClosed
from django_websocket.process.registry import registry
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.websocket import WebSocket

from ..options import make_options
from .line import PING_INTERVAL, PING_TIMEOUT, START, Line, connect, connection_of, pair, protocol_of, records

# The handshake


def test_nothing_is_sent_before_first_use():
    ws, line = connect(accept=False)
    assert not ws.handshake_sent
    assert not line.sent
    assert not ws.closed
    assert ws.close_code is None
    assert ws.close_reason == ""
    assert ws.latency is None
    assert len(registry) == 0


USES = {
    "accept": lambda ws: ws.accept(),
    "send_handshake": lambda ws: ws.send_handshake(),
    "send": lambda ws: ws.send("x"),
    "send_json": lambda ws: ws.send_json(1),
    "ping": lambda ws: ws.ping(),
    "read": lambda ws: ws.read(),
    "has_messages": lambda ws: ws.has_messages(),
    "count_messages": lambda ws: ws.count_messages(),
    "close": lambda ws: ws.close(),
    "wait": lambda ws: ws.wait(0),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_first_use_sends_the_handshake_once(use):
    ws, line = connect(accept=False)
    with contextlib.suppress(TimeoutError):
        use(ws)
    assert ws.handshake_sent
    ws.read()
    assert line.sent.count(b"HTTP/1.1 101 ") == 1
    assert line.peer.error is None
    assert connection_of(ws) in registry._open


def test_iteration_sends_the_handshake():
    ws, line = connect(accept=False)
    line.feed(b"")
    assert list(ws) == []
    assert line.sent.startswith(b"HTTP/1.1 101 ")


def test_what_the_server_has_read_comes_first():
    client, server, _ = pair()
    client.state = State.OPEN  # it does not wait for the answer
    line = Line()
    client.send("early")
    early = client.data_to_send()
    client.send("late")
    ws = WebSocket(server, lambda: (line, early), make_options())
    line.feed(client.data_to_send())
    assert ws.wait() == "early"
    assert ws.wait() == "late"


def test_the_first_of_the_views_subprotocols_that_is_offered():
    ws, line = connect(offered=("a", "b", "c"), subprotocols=("x", "c", "a"), accept=False)
    assert ws.offered_subprotocols == ("a", "b", "c")
    assert ws.subprotocol == ws.protocol == "c"
    ws.accept()
    assert ws.subprotocol == line.peer.subprotocol == "c"


def test_no_subprotocol_in_common():
    ws, line = connect(offered=("a",), subprotocols=("x",))
    assert ws.subprotocol is None
    assert line.peer.state is State.OPEN


@pytest.mark.parametrize("subprotocol", ["a", None])
def test_another_subprotocol_than_the_negotiated_one(subprotocol):
    ws, line = connect(offered=("a", "b"), subprotocols=("b",), accept=False)
    ws.accept(subprotocol)
    assert ws.subprotocol == line.peer.subprotocol == subprotocol


@pytest.mark.parametrize(
    "headers", [{"Set-Cookie": "a=1"}, [("Set-Cookie", "a=1")], iter([("Set-Cookie", "a=1")])], ids=type
)
def test_more_headers(headers):
    ws, line = connect(accept=False)
    ws.accept(headers=headers)
    assert b"\r\nSet-Cookie: a=1\r\n" in line.sent


class CountingHooks(Hooks):
    """Hooks that count the handshakes that are about to be sent."""

    calls = 0

    def before_handshake(self):
        self.calls += 1
        return ()


@pytest.mark.parametrize(
    "arguments",
    [
        {"subprotocol": "z"},
        {"headers": {"X-Bad": "a\r\nb"}},
        {"headers": [("Bad Name", "a")]},
        {"headers": {"Upgrade": "h2c"}},
        {"headers": {"Sec-WebSocket-Accept": "x"}},
    ],
    ids=str,
)
def test_a_bad_handshake_is_not_sent(arguments):
    hooks = CountingHooks()
    ws, line = connect(accept=False, offered=("a",), hooks=hooks)
    with pytest.raises(ValueError, match=r"."):
        ws.accept(**arguments)
    assert not line.sent
    assert not ws.handshake_sent
    assert hooks.calls == 0, "they might save what can be saved only once"
    ws.accept("a")  # the view may do better
    assert line.peer.state is State.OPEN
    assert hooks.calls == 1


def test_accept_twice():
    ws, line = connect(offered=("a",))
    ws.accept()
    ws.accept(headers={})
    for arguments in ({"subprotocol": None}, {"subprotocol": "a"}, {"headers": {"A": "b"}}):
        with pytest.raises(RuntimeError, match="already"):
            ws.accept(**arguments)
    assert line.sent.count(b"101") == 1


def test_a_client_that_is_gone_before_the_handshake():
    ws, line = connect(accept=False)
    line.shut.append(socket.SHUT_RDWR)
    ws.accept()
    assert ws.handshake_sent
    assert ws.closed
    assert ws.close_code == 1006
    assert ws.wait() is None
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == 1006


def test_no_handshake_after_the_end():
    ws, line = connect(accept=False)
    ws.end()
    assert not line.sent
    assert not ws.handshake_sent
    with pytest.raises(ConnectionClosed):
        ws.send("x")
    assert not line.sent


def test_a_server_that_has_no_socket_after_all():
    def take_over():
        raise OSError("gone")

    ws = WebSocket(pair()[1], take_over, make_options())
    with pytest.raises(OSError, match="gone"):
        ws.accept()
    assert not ws.handshake_sent
    ws.end()


def test_old_versions_are_watched_by_the_system():
    assert connect()[1].watched is None
    assert connect(Hixie76)[1].watched == (PING_INTERVAL, PING_TIMEOUT)
    assert connect(Hixie75, ping_timeout=None)[1].watched == (PING_INTERVAL, PING_INTERVAL)
    assert connect(Hixie75, ping_interval=None)[1].watched is None


@pytest.mark.parametrize("kind", [RFC6455, Hixie75])
def test_the_request_is_let_go_of_after_the_handshake(kind):
    ws, _ = connect(kind, accept=False)
    assert protocol_of(ws).request.header("upgrade")
    ws.accept()
    assert not protocol_of(ws).request.headers
    assert ws.version == kind.versions[0]


# hixie-76's handshake


def test_eight_bytes_after_the_head():
    line = Line()
    ws, _ = connect(Hixie76, line=line, accept=False, received=b"1234")
    line.feed(b"5678\x00hi\xff", at=START + 4)
    ws.accept()
    assert protocol_of(ws).state is State.OPEN
    assert ws.wait() == "hi"


def test_the_head_goes_out_before_the_eight_bytes_have_come():
    line = Line()
    ws, _ = connect(Hixie76, line=line, accept=False, received=b"")

    def rest():
        assert line.sent.endswith(b"\r\n\r\n")
        return b"12345678"

    line.feed(rest)
    ws.accept()
    assert not line.sent.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("trickle", [False, True])
def test_eight_bytes_that_do_not_come(caplog, trickle):
    line = Line()
    ws, _ = connect(Hixie76, line=line, accept=False, received=b"", handshake_timeout=5)
    for second in range(1, 9 * trickle):
        line.feed(b"k", at=START + second)
    ws.accept()
    assert line.now == START + 5
    assert ws.closed
    assert ws.close_code == 1006
    assert socket.SHUT_RDWR in line.shut
    assert ws.wait() is None
    assert [level for level, _ in records(caplog)] == [logging.WARNING]
    assert "rest of the handshake" in caplog.text
    assert "/echo/" in caplog.text


def test_a_client_that_hangs_up_in_the_handshake(caplog):
    line = Line()
    line.feed(b"")
    ws, _ = connect(Hixie76, line=line, received=b"1234")
    assert ws.close_code == 1006
    assert ws.wait() is None
    assert "hung up" in caplog.text
    ws.end()


def test_the_first_use_from_two_threads():
    refused = []

    def take_over():
        with pytest.raises(RuntimeError, match="another thread is sending the handshake") as caught:
            ws.accept()
        refused.append(caught.value)
        return line, b""

    client, server, _ = pair()
    line = Line(client)
    ws = WebSocket(server, take_over, make_options())
    ws.send("x")
    assert line.heard == ["x"]
    assert len(refused) == 1
    assert line.sent.count(b"HTTP/1.1 101 ") == 1


def test_a_second_try_after_a_mistake():
    ws, line = connect(accept=False)
    with pytest.raises(ValueError, match="did not offer"):
        ws.accept("nothing")
    ws.accept()
    assert bytes(line.sent).startswith(b"HTTP/1.1 101")


def test_a_thread_that_comes_when_another_has_just_sent_the_handshake():
    """It has found no connection, and finds the handshake sent when it is about to send it."""
    ws, line = connect()
    assert ws._open(None) is connection_of(ws)
    assert line.sent.count(b"HTTP/1.1 101 ") == 1
    ws.end()
    unopened, _ = connect(accept=False)
    unopened.end()
    with pytest.raises(ConnectionClosed):
        unopened._open(None)
