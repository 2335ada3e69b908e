"""What the versions share: choosing one, states, close codes, and what waits to be sent."""

from __future__ import annotations

import pytest

from django_websocket.exceptions import ConnectionClosed, HandshakeError, ProtocolError
from django_websocket.protocols import CloseCode, Message, Protocol, Request, State, choose
from django_websocket.protocols import base as base_module
from django_websocket.protocols.base import MAX_CLOSE_REASON, check_close, is_close_code
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455

from . import test_hixie75, test_hixie76, test_rfc6455

ALL = [RFC6455, Hixie76, Hixie75]
REQUESTS = {
    RFC6455: test_rfc6455.make_request,
    Hixie76: test_hixie76.make_request,
    Hixie75: test_hixie75.make_request,
}
#: RFC 6455 section 7.4.1, less what is reserved or never sent, and what IANA added.
DEFINED = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}


def test_the_package_names_the_contract():
    assert (Protocol, State, CloseCode) == (base_module.Protocol, base_module.State, base_module.CloseCode)
    assert Message == str | bytes
    assert Request().target == "/"


# Choosing a version


@pytest.mark.parametrize("protocols", [ALL, ALL[::-1], [Hixie76, RFC6455, Hixie75]])
@pytest.mark.parametrize("protocol", ALL)
def test_chooses_the_version_of_the_request(protocol, protocols):
    request = REQUESTS[protocol]()
    chosen = choose(request, iter(protocols))
    assert type(chosen) is protocol
    assert chosen.request is request
    assert chosen.version == protocol.versions[0]
    assert not chosen.client
    assert chosen.state is State.CONNECTING
    assert (chosen.max_message_size, chosen.max_fragments) == (1024 * 1024, 1024)


@pytest.mark.parametrize("protocol", ALL)
def test_does_not_choose_a_version_that_is_disabled(protocol):
    with pytest.raises(HandshakeError, match="of no version that is spoken here") as caught:
        choose(REQUESTS[protocol](), [other for other in ALL if other is not protocol])
    assert caught.value.status == 400
    # Only a client that could speak another version is told which.
    assert caught.value.headers == (() if protocol is RFC6455 else RFC6455.version_headers)


@pytest.mark.parametrize("protocol", ALL)
def test_chooses_nothing_of_nothing(protocol):
    with pytest.raises(HandshakeError) as caught:
        choose(REQUESTS[protocol](), [])
    assert caught.value.headers == ()


class First(RFC6455):
    version_headers = (("X-First", "1"),)


class Second(First):
    version_headers = (("X-Second", "1"), ("X-Second", "2"))


class Never(Second):
    @classmethod
    def matches(cls, request):
        return False


def test_the_order_is_the_order_of_preference():
    request = test_rfc6455.make_request()
    assert type(choose(request, [First, Second])) is First
    assert type(choose(request, [Second, First])) is Second
    assert type(choose(request, [Never, First, Second])) is First


def test_all_versions_tell_what_they_speak():
    with pytest.raises(HandshakeError) as caught:
        choose(test_hixie75.make_request(), [First, Hixie76, Second])
    assert caught.value.headers == (("X-First", "1"), ("X-Second", "1"), ("X-Second", "2"))


def test_a_malformed_request_of_a_version_is_no_other_version_s():
    # With the later versions' headers it would be hixie-75's, if they did not count.
    request = test_rfc6455.make_request({"sec-websocket-key": "bad", "origin": "http://example.com"})
    for protocols in (ALL, ALL[::-1]):
        with pytest.raises(HandshakeError, match="Sec-WebSocket-Key"):
            choose(request, protocols)
    request = test_rfc6455.make_request({"sec-websocket-version": "99"})
    with pytest.raises(HandshakeError) as caught:
        choose(request, [First])
    assert caught.value.headers == First.version_headers


# States


def test_states_go_up():
    assert State.CONNECTING < State.OPEN < State.CLOSING < State.CLOSED
    assert list(State) == [0, 1, 2, 3]


@pytest.mark.parametrize("state", [State.CONNECTING, State.OPEN, State.CLOSING])
def test_a_lost_connection_is_closed_and_says_nothing(state):
    server = RFC6455(test_rfc6455.make_request())
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
    assert server.receive(test_rfc6455.make_frame(test_rfc6455.TEXT, b"late")) == []
    with pytest.raises(ConnectionClosed) as caught:
        server.send("late")
    assert caught.value.code == 1006


def test_a_closed_connection_keeps_its_code_when_it_is_lost():
    server = test_rfc6455.open_server()
    server.receive(test_rfc6455.make_close(3000, b"bye"))
    assert server.outgoing
    server.connection_lost()
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 3000, "bye")
    assert not server.outgoing
    server = test_rfc6455.open_server()
    server.receive(b"\xff\xff")
    server.connection_lost()
    assert server.close_code == 1002
    assert isinstance(server.error, ProtocolError)


def test_the_error_of_a_closed_connection():
    server = test_rfc6455.open_server()
    error = server.closed_error()
    assert (error.code, error.reason, str(error)) == (1005, "", "the WebSocket is closed (1005)")
    server.receive(test_rfc6455.make_close(3000, b"bye"))
    error = server.closed_error()
    assert (error.code, error.reason, str(error)) == (3000, "bye", "the WebSocket is closed (3000, 'bye')")


# A mistake of the peer's

#: For each version a message and a mistake behind it, and the Close that answers that.
MISTAKES = [
    (test_rfc6455, test_rfc6455.make_frame(test_rfc6455.TEXT, b"a") + b"\xff\xff", b"\x88"),
    (test_hixie76, b"\x00a\xff" + b"\x80" * 12, b"\xff\x00"),
    (test_hixie75, b"\x00a\xff" + b"\x80" * 12, b""),
]


@pytest.mark.parametrize(("version", "data", "close"), MISTAKES)
def test_a_mistake_may_wait_until_the_messages_ahead_of_it_are_answered(version, data, close):
    server = version.open_server()
    server.defers_errors = True
    assert server.receive(data) == ["a"]
    fault = server.deferred_error
    assert isinstance(fault, ProtocolError)
    assert fault.__traceback__ is None
    assert (server.state, server.error, server.close_code) == (State.OPEN, None, None)
    assert not server.outgoing
    assert not server.eof_to_send
    # Nothing more is taken, be it good or the end of the stream.
    for more in (data, b""):
        assert server.receive(more) == []
    assert (server.state, server.deferred_error) == (State.OPEN, fault)
    server.send("A")
    answer = server.data_to_send()
    assert b"A" in answer
    server.fail()
    assert (server.state, server.error, server.deferred_error) == (State.CLOSED, fault, None)
    assert (server.close_code, server.close_reason) == (1002, str(fault))
    assert server.eof_to_send
    sent = server.data_to_send()
    assert sent.startswith(close)
    assert bool(sent) is bool(close)
    server.fail()
    assert not server.outgoing
    with pytest.raises(ConnectionClosed):
        server.send("late")


@pytest.mark.parametrize(("version", "data", "close"), MISTAKES)
def test_a_mistake_does_not_wait_behind_our_close(version, data, close):
    """There is nothing that could be answered."""
    server = version.open_server()
    server.defers_errors = True
    server.close()
    server.data_to_send()
    assert server.receive(data) == ["a"]
    assert (server.state, server.close_code, server.deferred_error) == (State.CLOSED, 1002, None)
    assert not server.outgoing


def test_a_connection_may_be_lost_while_a_mistake_waits():
    server = test_rfc6455.open_server()
    server.defers_errors = True
    server.receive(b"\xff\xff")
    server.connection_lost()
    server.fail()
    assert (server.state, server.close_code, server.error, server.deferred_error) == (State.CLOSED, 1006, None, None)
    assert not server.outgoing


# What waits to be sent


def test_what_is_sent_is_forgotten():
    server = test_rfc6455.open_server()
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


# Close codes


def test_the_codes_that_may_stand_in_a_close_frame():
    assert {code for code in range(-10, 70000) if is_close_code(code)} == DEFINED | set(range(3000, 5000))


def test_the_codes_have_names():
    never_sent = {CloseCode.NO_STATUS_RECEIVED, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}
    assert set(CloseCode) - never_sent == DEFINED
    assert not any(map(is_close_code, never_sent))


def is_sent(code):
    try:
        return check_close(code, "") == b""
    except ValueError as error:
        assert str(error) == f"not a close code that may be sent: {code}"  # noqa: PT017 - there are many of them
        return False


def test_a_close_may_carry_every_code_but_the_client_s_own():
    sent = DEFINED - {CloseCode.MANDATORY_EXTENSION} | set(range(3000, 5000))
    assert {code for code in range(-10, 70000) if is_sent(code)} == sent


@pytest.mark.parametrize("reason", ["", "bye", "\u2603", "\0", "a" * MAX_CLOSE_REASON, "\u2603" * 41, "é" * 61 + "a"])
def test_a_reason_becomes_utf_8(reason):
    assert check_close(CloseCode.NORMAL_CLOSURE, reason) == reason.encode()


@pytest.mark.parametrize("reason", ["a" * 124, "\u2603" * 41 + "a", "é" * 62, "\U0001f603" * 31, "a" * 10**6])
def test_a_reason_has_a_bounded_size(reason):
    with pytest.raises(ValueError, match="at most 123 bytes"):
        check_close(1000, reason)


@pytest.mark.parametrize("reason", ["\ud800", "a\udfff"])
def test_a_reason_has_no_half_of_a_character(reason):
    with pytest.raises(UnicodeEncodeError):
        check_close(1000, reason)


@pytest.mark.parametrize("code", ["1000", b"\x03\xe8", 1000.0, None, True, False, [1000]])
def test_a_code_is_an_int(code):
    with pytest.raises(TypeError):
        check_close(code, "")


@pytest.mark.parametrize("reason", [b"bye", bytearray(b"bye"), memoryview(b"bye"), None, 1, ["bye"]])
def test_a_reason_is_a_str(reason):
    with pytest.raises(TypeError):
        check_close(1000, reason)
