"""The errors of the package: their tree, what they carry, and that their text is safe to log."""

from __future__ import annotations

import pytest

import django_websocket
from django_websocket import exceptions
from django_websocket.exceptions import (
    ConnectionClosed,
    GroupConfigurationError,
    GroupError,
    GroupUnavailable,
    HandshakeError,
    InvalidData,
    MalformedWebSocket,
    MessageTooBig,
    PolicyViolation,
    ProtocolError,
    SocketNotFound,
    UnsupportedFeature,
    WebSocketError,
)
from django_websocket.protocols import CloseCode

BASES = {
    WebSocketError: (Exception,),
    HandshakeError: (WebSocketError, ValueError),
    SocketNotFound: (WebSocketError,),
    ConnectionClosed: (WebSocketError,),
    ProtocolError: (WebSocketError,),
    InvalidData: (ProtocolError,),
    MessageTooBig: (ProtocolError,),
    PolicyViolation: (ProtocolError,),
    UnsupportedFeature: (WebSocketError, TypeError),
    GroupError: (WebSocketError,),
    GroupUnavailable: (GroupError,),
    GroupConfigurationError: (GroupError,),
}


def test_the_tree():
    defined = {error for error in vars(exceptions).values() if isinstance(error, type) and issubclass(error, Exception)}
    assert defined == BASES.keys()
    assert {error: error.__bases__ for error in BASES} == BASES


def test_the_docstring_shows_the_tree():
    """Each error is in it once, and deeper than its base."""
    columns = {}
    tree = exceptions.__doc__.partition("::\n\n")[2].partition("\n\n")[0]
    for line in tree.splitlines():
        name = line.strip("│├└─ ").split()[0]
        assert name not in columns
        columns[name] = line.index(name)
    assert columns.keys() == {error.__name__ for error in BASES}
    for error, (base, *_) in BASES.items():
        assert base is Exception or columns[error.__name__] == columns[base.__name__] + 4


def test_the_package_has_the_public_errors():
    for error in BASES:
        assert getattr(django_websocket, error.__name__, error) is error


def test_the_name_of_the_handshake_error_in_0_3():
    assert MalformedWebSocket is HandshakeError
    with pytest.raises(ValueError, match="no good"):
        raise MalformedWebSocket("no good")


def test_a_handshake_error_has_a_status():
    error = HandshakeError("no good")
    assert (str(error), error.status, error.headers, error.detail) == ("no good", 400, (), "")
    headers = iter([("Retry-After", "5")])
    error = HandshakeError("too many", status=503, headers=headers, detail="\r\n")
    assert (str(error), error.status, error.headers, error.detail) == (
        "too many",
        503,
        (("Retry-After", "5"),),
        "\r\n",
    )


@pytest.mark.parametrize(
    ("error", "code"), [(ProtocolError, 1002), (InvalidData, 1007), (MessageTooBig, 1009), (PolicyViolation, 1008)]
)
def test_an_error_of_the_peer_has_a_close_code(error, code):
    assert error.code == error("text").code == code


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("", "the WebSocket is closed (1001)"),
        ("bye", "the WebSocket is closed (1001, 'bye')"),
        ("a\r\nb", r"the WebSocket is closed (1001, 'a\r\nb')"),
        ("\x1b[31m\u2603", r"the WebSocket is closed (1001, '\x1b[31m\u2603')"),
    ],
)
def test_the_text_of_a_closed_connection_escapes_the_reason_of_the_peer(reason, text):
    error = ConnectionClosed(1001, reason)
    assert str(error) == text
    assert (error.code, error.reason, error.source) == (1001, reason, None)


def test_the_text_of_a_closed_connection_has_the_number_of_its_code():
    assert str(ConnectionClosed(CloseCode.ABNORMAL_CLOSURE)) == "the WebSocket is closed (1006)"


def test_a_group_that_is_unavailable_says_whether_the_message_may_be_sent():
    assert not GroupUnavailable("Redis is away").maybe_sent
    error = GroupUnavailable("Redis does not answer", maybe_sent=True)
    assert error.maybe_sent
    assert str(error) == "Redis does not answer"
