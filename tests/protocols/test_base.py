"""The contract of the versions: states, errors of the peer, and the bytes to send."""

from __future__ import annotations

import pytest

from django_websocket.exceptions import (
    ConnectionClosed,
    ProtocolError,
)
from django_websocket.protocols import CloseCode, Message, Protocol, base, close_codes
from django_websocket.protocols.base import State
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455

from . import test_hixie75, test_hixie76
from .rfc6455 import peers as rfc6455


def test_the_package_names_the_contract():
    assert (Protocol, State, CloseCode) == (base.Protocol, base.State, close_codes.CloseCode)
    assert Message == str | bytes
    assert Request().target == "/"


# States


def test_states_go_up():
    assert State.CONNECTING < State.OPEN < State.CLOSING < State.CLOSED
    assert list(State) == [0, 1, 2, 3]


@pytest.mark.parametrize("state", [State.CONNECTING, State.OPEN, State.CLOSING])
def test_a_lost_connection_is_closed_and_sends_nothing(state):
    server = RFC6455(rfc6455.make_request())
    if state >= State.OPEN:
        server.accept()
        server.send("a")
    if state >= State.CLOSING:
        server.close()
    assert bool(server.outgoing) is (state >= State.OPEN)
    server.connection_lost()
    assert (server.state, server.close_code, server.close_reason, server.error) == (State.CLOSED, 1006, "", None)
    assert server.data_to_send() == b""
    assert not server.eof_to_send
    assert server.receive(rfc6455.make_frame(rfc6455.TEXT, b"late")) == []
    with pytest.raises(ConnectionClosed) as caught:
        server.send("late")
    assert caught.value.code == 1006


def test_a_closed_connection_keeps_its_code_when_it_is_lost():
    server = rfc6455.open_server()
    server.receive(rfc6455.make_close(3000, b"bye"))
    assert server.outgoing
    server.connection_lost()
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 3000, "bye")
    assert not server.outgoing
    server = rfc6455.open_server()
    server.receive(b"\xff\xff")
    server.connection_lost()
    assert server.close_code == 1002
    assert isinstance(server.error, ProtocolError)


def test_the_error_of_a_closed_connection():
    server = rfc6455.open_server()
    error = server.closed_error()
    assert (error.code, error.reason, str(error)) == (1005, "", "the WebSocket is closed (1005)")
    assert error.source is server
    server.receive(rfc6455.make_close(3000, b"bye"))
    error = server.closed_error()
    assert (error.code, error.reason, str(error)) == (3000, "bye", "the WebSocket is closed (3000, 'bye')")


# An error of the peer


#: For each version a message with an error behind it, and the Close that answers the error.
ERRORS = [
    (rfc6455, rfc6455.make_frame(rfc6455.TEXT, b"a") + b"\xff\xff", b"\x88"),
    (test_hixie76, b"\x00a\xff" + b"\x80" * 12, b"\xff\x00"),
    (test_hixie75, b"\x00a\xff" + b"\x80" * 12, b""),
]


@pytest.mark.parametrize(("version", "data", "close"), ERRORS)
def test_an_error_may_be_deferred_until_the_messages_ahead_of_it_are_answered(version, data, close):
    server = version.open_server()
    server.defers_end = True
    assert server.receive(data) == ["a"]
    error = server.deferred_end
    assert isinstance(error, ProtocolError)
    assert error.__traceback__ is None
    assert (server.state, server.error, server.close_code) == (State.OPEN, None, None)
    assert not server.outgoing
    assert not server.eof_to_send
    # Nothing more is taken, neither good bytes nor the end of the stream.
    for more in (data, b""):
        assert server.receive(more) == []
    assert (server.state, server.deferred_end) == (State.OPEN, error)
    server.send("A")
    answer = server.data_to_send()
    assert b"A" in answer
    server.finish_deferred()
    assert (server.state, server.error, server.deferred_end) == (State.CLOSED, error, None)
    assert (server.close_code, server.close_reason) == (1002, str(error))
    assert server.eof_to_send
    sent = server.data_to_send()
    assert sent.startswith(close)
    assert bool(sent) is bool(close)
    server.finish_deferred()
    assert not server.outgoing
    with pytest.raises(ConnectionClosed):
        server.send("late")


@pytest.mark.parametrize(("version", "data", "close"), ERRORS)
def test_an_error_is_not_deferred_behind_our_close(version, data, close):
    """Nothing can be answered any more."""
    server = version.open_server()
    server.defers_end = True
    server.close()
    server.data_to_send()
    assert server.receive(data) == ["a"]
    assert (server.state, server.close_code, server.deferred_end) == (State.CLOSED, 1002, None)
    assert not server.outgoing


def test_a_connection_may_be_lost_while_an_error_is_deferred():
    server = rfc6455.open_server()
    server.defers_end = True
    server.receive(b"\xff\xff")
    server.connection_lost()
    server.finish_deferred()
    assert (server.state, server.close_code, server.error, server.deferred_end) == (State.CLOSED, 1006, None, None)
    assert not server.outgoing


# A Close of the peer


#: For each version a message with a Close behind it, in the pieces in which a stream may deliver them at best, the
#: close code, and the answer to the Close. The Close of hixie-75 is the end of the stream.
CLOSES = [
    (rfc6455, [rfc6455.make_frame(rfc6455.TEXT, b"a") + rfc6455.make_close(3000, b"bye")], 3000, b"\x88\x02\x0b\xb8"),
    (rfc6455, [rfc6455.make_frame(rfc6455.TEXT, b"a") + rfc6455.make_frame(rfc6455.CLOSE, b"")], 1005, b"\x88\x00"),
    (test_hixie76, [b"\x00a\xff\xff\x00"], 1005, b"\xff\x00"),
    (test_hixie75, [b"\x00a\xff", b""], 1005, b""),
]


def deliveries(pieces):
    """Yield the pieces whole, byte by byte, and cut at each place."""
    yield pieces
    first, *rest = pieces
    yield [first[index : index + 1] for index in range(len(first))] + rest
    for place in range(1, len(first)):
        yield [first[:place], first[place:], *rest]


@pytest.mark.parametrize(("version", "pieces", "code", "answer"), CLOSES)
def test_a_close_may_be_deferred_until_the_messages_ahead_of_it_are_answered(version, pieces, code, answer):
    for delivery in deliveries(pieces):
        server = version.open_server()
        server.defers_end = True
        assert [message for piece in delivery for message in server.receive(piece)] == ["a"]
        assert server.has_events
        assert (server.state, server.close_code, server.deferred_end.code) == (State.OPEN, None, code)
        assert not server.outgoing
        # Nothing more is taken, neither bytes nor the end of the stream.
        for more in (*pieces, b""):
            assert server.receive(more) == []
        server.send("A")
        assert b"A" in server.data_to_send()
        server.finish_deferred()
        assert (server.state, server.close_code, server.error, server.deferred_end) == (State.CLOSED, code, None, None)
        assert server.data_to_send() == answer
        server.finish_deferred()
        assert not server.outgoing
        with pytest.raises(ConnectionClosed):
            server.send("late")


@pytest.mark.parametrize(("version", "pieces", "code", "answer"), CLOSES)
def test_a_close_is_not_deferred_behind_our_close(version, pieces, code, answer):
    server = version.open_server()
    server.defers_end = True
    server.close()
    server.data_to_send()
    assert [message for piece in pieces for message in server.receive(piece)] == ["a"]
    assert (server.state, server.close_code, server.deferred_end) == (State.CLOSED, code, None)
    assert not server.outgoing


def test_a_connection_that_is_lost_behind_a_deferred_close_has_the_code_of_the_close():
    server = rfc6455.open_server()
    server.defers_end = True
    server.receive(rfc6455.make_close(3000, b"bye"))
    server.connection_lost()
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 3000, "bye")
    assert not server.outgoing


def test_a_deferred_close_is_not_overtaken_by_an_error():
    server = rfc6455.open_server()
    server.defers_end = True
    server.receive(rfc6455.make_close(3000))
    server.fail(ProtocolError("too late"))
    assert server.state is State.OPEN
    server.finish_deferred()
    assert (server.close_code, server.error) == (3000, None)


# Bytes to send


def test_sent_chunks_are_forgotten():
    server = rfc6455.open_server()
    assert server.data_to_send() == b""
    server.send("a")
    chunk = server.outgoing[0]
    assert server.data_to_send() is chunk
    assert server.data_to_send() == b""
    outgoing = server.outgoing
    server.send("a")
    server.send("b")
    assert server.data_to_send() == b"\x81\x01a\x81\x01b"
    assert server.data_to_send() == b""
    assert server.outgoing is outgoing
    assert not outgoing


class Counting(RFC6455):
    """A version whose frames depend on the connection."""

    frame_key = Protocol.frame_key
    encode_shared = Protocol.encode_shared


def test_a_version_that_cannot_share_its_frames():
    """They are made for each connection."""
    server = Counting(rfc6455.make_request())
    server.accept()
    assert server.frame_key is None
    assert server.encode_shared("é") == (b"".join(server.encode("é")), 2, 1)
