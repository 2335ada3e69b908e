"""hixie-75: the handshake of the draft, its frames, and the end of a connection without a closing handshake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.exceptions import (
    ConnectionClosed,
    HandshakeError,
    MessageTooBig,
    ProtocolError,
    UnsupportedFeature,
)
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie75 import MAX_LENGTH_SIZE, Hixie75
from django_websocket.protocols.http import MAX_LIST_SIZE, Request

from .inputs import UNCLEAN, feed

UPGRADE = {"upgrade": "WebSocket", "connection": "Upgrade"}
ORIGIN = {"origin": "http://example.com"}


def make_request(headers=None, **options):
    options = {"host": "example.com", "target": "/demo"} | options
    return Request(UPGRADE | ORIGIN | (headers or {}), **options)


def open_server(**options):
    server = Hixie75(make_request(), **options)
    server.accept()
    server.data_to_send()
    return server


# The server's handshake


def test_matches_a_request_without_headers_of_later_versions():
    assert Hixie75.matches(make_request())
    assert not Hixie75.matches(Request({"connection": "Upgrade", "origin": "http://example.com"}))


@pytest.mark.parametrize("name", ["key", "version", "key1", "key2"])
def test_does_not_match_a_later_version(name):
    assert not Hixie75.matches(make_request({f"sec-websocket-{name}": ""}))


def test_answers_byte_for_byte():
    server = Hixie75(make_request())
    assert (server.version, server.state, server.offered_subprotocols) == (75, State.CONNECTING, ())
    server.accept()
    assert server.state is State.OPEN
    assert server.subprotocol is None
    (answer,) = server.outgoing
    assert server.data_to_send() == answer
    assert answer == (
        b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
        b"Upgrade: WebSocket\r\n"
        b"Connection: Upgrade\r\n"
        b"WebSocket-Location: ws://example.com/demo\r\n"
        b"WebSocket-Origin: http://example.com\r\n"
        b"\r\n"
    )
    # WebKit compares these lines byte by byte.
    assert answer.index(b"WebSocket-Location") == 85


def test_answers_with_the_subprotocol_and_further_headers():
    server = Hixie75(make_request({"websocket-protocol": "sample"}))
    assert server.offered_subprotocols == ("sample",)
    server.accept("sample", [("Set-Cookie", "a=b; Path=/")])
    assert server.subprotocol == "sample"
    assert server.data_to_send().endswith(
        b"WebSocket-Origin: http://example.com\r\nWebSocket-Protocol: sample\r\nSet-Cookie: a=b; Path=/\r\n\r\n"
    )


def test_a_subprotocol_may_be_left_unanswered():
    server = Hixie75(make_request({"websocket-protocol": "sample"}))
    server.accept()
    assert b"WebSocket-Protocol" not in server.data_to_send()


@pytest.mark.parametrize("arguments", [("other",), (None, [("X", "a\r\nb")]), (None, [("Upgrade", "x")])])
def test_accept_refuses_unclean_arguments_before_it_writes_a_byte(arguments):
    server = Hixie75(make_request({"websocket-protocol": "sample"}))
    with pytest.raises(ValueError, match=r"subprotocol|header|value"):
        server.accept(*arguments)
    assert not server.outgoing
    assert server.state is State.CONNECTING


@pytest.mark.parametrize(
    ("options", "location"),
    [
        ({"secure": True}, b"wss://example.com/demo"),
        ({"host": "EXAMPLE.com:8000"}, b"ws://example.com:8000/demo"),
        ({"host": "example.com:80"}, b"ws://example.com/demo"),
        ({"host": "example.com:443", "secure": True}, b"wss://example.com/demo"),
        ({"target": "/chat?room=%C3%A9&x=1"}, b"ws://example.com/chat?room=%C3%A9&x=1"),
    ],
)
def test_repeats_the_location_as_the_client_spells_it(options, location):
    server = Hixie75(make_request(**options))
    server.accept()
    assert b"\r\nWebSocket-Location: " + location + b"\r\n" in server.data_to_send()


@pytest.mark.parametrize("value", UNCLEAN)
@pytest.mark.parametrize("where", ["origin", "websocket-protocol", "host", "target"])
def test_refuses_to_repeat_an_unclean_value(where, value):
    with pytest.raises(HandshakeError) as caught:
        Hixie75(make_request(**{where: value}) if where in ("host", "target") else make_request({where: value}))
    assert caught.value.status == 400
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "request_",
    [
        Request(UPGRADE, host="example.com"),
        make_request({"origin": ""}),
        make_request(method="POST"),
        make_request({"connection": "keep-alive"}),
        make_request({"content-length": "8"}),
        make_request({"transfer-encoding": "chunked"}),
    ],
)
def test_refuses_a_malformed_request(request_):
    with pytest.raises(HandshakeError):
        Hixie75(request_)


def test_accepts_nothing_without_a_host():
    """Whoever drives the connection refuses such a request; were it accepted, the answer would have no location."""
    server = Hixie75(make_request(host=None))
    with pytest.raises(HandshakeError, match="the Host is missing"):
        server.accept()
    assert not server.outgoing
    assert server.state is State.CONNECTING


def test_takes_one_subprotocol_of_bounded_size():
    name = "a" * MAX_LIST_SIZE
    assert Hixie75(make_request({"websocket-protocol": name})).offered_subprotocols == (name,)
    assert Hixie75(make_request({"websocket-protocol": "a,b"})).offered_subprotocols == ("a,b",)
    assert Hixie75(make_request({"websocket-protocol": ""})).offered_subprotocols == ()
    with pytest.raises(HandshakeError, match="too long"):
        Hixie75(make_request({"websocket-protocol": name + "a"}))


# The client's handshake

ANSWER = (
    b"HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    b"WebSocket-Origin: http://example.com\r\nWebSocket-Location: ws://example.com/demo\r\n"
    b"WebSocket-Protocol: sample\r\n\r\n"
)


def make_client(headers=None, subprotocols=("sample",), **options):
    options = {"host": "example.com", "target": "/demo"} | options
    return Hixie75(Request(headers or {}, **options), client=True, subprotocols=subprotocols)


def test_asks_like_the_draft():
    client = make_client()
    client.connect()
    assert client.state is State.CONNECTING
    assert client.data_to_send() == (
        b"GET /demo HTTP/1.1\r\n"
        b"Upgrade: WebSocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Host: example.com\r\n"
        b"Origin: http://example.com\r\n"
        b"WebSocket-Protocol: sample\r\n"
        b"\r\n"
    )
    assert client.request.headers == UPGRADE | ORIGIN | {"host": "example.com", "websocket-protocol": "sample"}


def test_asks_with_headers_of_its_own():
    headers = {"cookie": "a=b", "origin": "https://elsewhere.example", "user-agent": "test"}
    client = make_client(headers, subprotocols=(), host="Example.com:8000", secure=True)
    client.connect()
    assert client.data_to_send() == (
        b"GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: example.com:8000\r\n"
        b"Origin: https://elsewhere.example\r\nCookie: a=b\r\nUser-Agent: test\r\n\r\n"
    )
    assert client.request.headers == UPGRADE | headers | {"host": "example.com:8000"}


def test_names_the_origin_by_its_host():
    client = make_client({"host": "other.example", "origin": ""}, host="example.com:8000", secure=True)
    client.connect()
    assert client.origin == "https://example.com:8000"
    assert client.request.header("host") == "example.com:8000"


@pytest.mark.parametrize("value", ["a b", "a\r\nX: 1", "é"])
@pytest.mark.parametrize("where", ["origin", "cookie", "subprotocols", "host", "target"])
def test_does_not_send_an_unclean_request(where, value):
    if where == "cookie":
        value = value.replace("a b", " a")
    options = {"subprotocols": [value]} if where == "subprotocols" else {where: value}
    client = make_client({where: value}) if where in ("origin", "cookie") else make_client(**options)
    with pytest.raises(ValueError, match=r"malformed|visible"):
        client.connect()
    assert not client.outgoing


@pytest.mark.parametrize("name", ["upgrade", "content-length", "transfer-encoding", "sec-websocket-key", "a b"])
def test_does_not_ask_with_a_header_of_the_handshake(name):
    client = make_client({name: "8"})
    with pytest.raises(ValueError, match="not a header"):
        client.connect()
    assert not client.outgoing


def test_offers_one_subprotocol_at_most():
    client = make_client(subprotocols=["a", "b"])
    with pytest.raises(UnsupportedFeature, match="hixie-75"):
        client.connect()


def connected(**options):
    client = make_client(**options)
    client.connect()
    client.data_to_send()
    return client


@given(st.lists(st.integers(1, len(ANSWER) + 4)))
def test_takes_the_answer_in_any_pieces(cuts):
    client = connected()
    assert feed(client, ANSWER + b"\x00hi\xff", *cuts) == ["hi"]
    assert client.state is State.OPEN
    assert client.subprotocol == "sample"


def test_takes_an_answer_without_a_frame_behind_it():
    client = connected()
    assert client.receive(ANSWER) == []
    assert client.state is State.OPEN


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" 101 ", b" 403 "),
        (b"HTTP/1.1", b"ICY"),
        (b"Upgrade: WebSocket", b"Upgrade: websocket"),
        (b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"),
        (b"Origin: http:", b"Origin: https:"),
        (b"ws://example.com/demo", b"ws://example.com/"),
        (b"WebSocket-Location: ws://example.com/demo\r\n", b""),
        (b"Protocol: sample", b"Protocol: other"),
        (b"WebSocket-Protocol: sample\r\n", b""),
        (b"WebSocket-Protocol: sample\r\n", b"WebSocket-Protocol: sample\r\nWebSocket-Protocol: sample\r\n"),
    ],
)
def test_refuses_another_answer(old, new):
    assert old in ANSWER
    client = connected()
    assert client.receive(ANSWER.replace(old, new) + b"\x00hi\xff") == []
    assert (client.state, client.close_code) == (State.CLOSED, 1006)
    assert isinstance(client.error, HandshakeError)
    assert client.receive(ANSWER) == []


def test_refuses_a_subprotocol_it_did_not_offer():
    client = connected(subprotocols=())
    client.receive(ANSWER)
    assert client.state is State.CLOSED
    assert "Protocol" in str(client.error)


def test_the_error_has_the_status_of_a_refusal():
    client = connected()
    client.receive(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(client.error, HandshakeError)
    assert client.error.status == 403


def test_the_server_may_hang_up_in_the_handshake():
    client = connected()
    client.receive(ANSWER[:-1])
    assert client.receive(b"") == []
    assert (client.state, client.close_code) == (State.CLOSED, 1006)


# Frames


def encode_length(length):
    """Return a length as high-bit frames carry it: seven bits a byte, the most significant first."""
    data = [length & 0x7F]
    while length := length >> 7:
        data.append(length & 0x7F | 0x80)
    return bytes(reversed(data))


FRAMES = st.one_of(
    st.text().map(lambda text: (b"\x00" + text.encode() + b"\xff", [text])),
    st.tuples(st.integers(0x01, 0x7F), st.binary().map(lambda data: data.replace(b"\xff", b""))).map(
        lambda frame: (bytes([frame[0]]) + frame[1] + b"\xff", [])
    ),
    st.tuples(st.integers(0x80, 0xFF), st.integers(0, 3), st.binary(max_size=300)).map(
        lambda frame: (bytes([frame[0]]) + b"\x80" * frame[1] + encode_length(len(frame[2])) + frame[2], [])
    ),
)


@given(st.lists(FRAMES), st.lists(st.integers(0, 1000)))
def test_messages_do_not_depend_on_how_their_bytes_arrive(frames, cuts):
    data = b"".join(frame for frame, _ in frames)
    messages = [message for _, messages in frames for message in messages]
    for pieces in ([], cuts, range(len(data))):
        server = open_server()
        assert feed(server, data, *pieces) == messages
        assert server.state is State.OPEN
        assert not server.outgoing
        server.receive(b"")
        assert server.close_code == 1005


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)), st.sampled_from([None, 0, 20]))
def test_no_bytes_raise_an_exception(data, cuts, limit):
    whole, pieces = open_server(max_message_size=limit), open_server(max_message_size=limit)
    assert feed(whole, data) == feed(pieces, data, *cuts)
    for server in (whole, pieces):
        server.receive(b"")
        assert server.state is State.CLOSED
        assert not server.outgoing
    assert whole.close_code == pieces.close_code
    assert str(whole.error) == str(pieces.error)


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        (b"\x00\xff", [""]),
        (b"\x00hello\xff", ["hello"]),
        ("\x00snowman: \u2603\U0001f603".encode() + b"\xff\x00\xff", ["snowman: \u2603\U0001f603", ""]),
        # Frames inside a text are text.
        (b"\x00\x00\x80\xff", ["\x00\ufffd"]),
        (b"\x00a\xc3\xff", ["a\ufffd"]),
        (b"\x00\xed\xa0\x80\xfe\xff", ["\ufffd\ufffd\ufffd\ufffd"]),
        # Other types are dropped.
        (b"\x01binary\xff\x7f\xff\x00a\xff", ["a"]),
        (b"\x80\x03\x00\xff\x00\x00a\xff", ["a"]),
        (b"\x80\x81\x00" + b"\xff" * 128 + b"\x00a\xff", ["a"]),
        (b"\x80" + encode_length(20_000) + b"\x00" * 20_000 + b"\x00a\xff", ["a"]),
        (b"\x80\x80\x80\x00\x00a\xff", ["a"]),
        # There is no closing handshake, so that this is an empty frame of an unknown type.
        (b"\xff\x00\x00a\xff", ["a"]),
    ],
)
def test_frames(data, messages):
    assert feed(open_server(), data) == messages
    assert feed(open_server(), data, *range(len(data))) == messages


@pytest.mark.parametrize("kind", [b"\x00", b"\x01"])
def test_a_frame_may_be_as_big_as_the_limit(kind):
    server = open_server(max_message_size=4)
    messages = server.receive(kind + "\u2603a".encode() + b"\xff" + b"\x80\x04abcd" + b"\x00ok\xff")
    assert messages[-1] == "ok"
    assert server.state is State.OPEN


@pytest.mark.parametrize("data", [b"\x00abcde", b"\x00abcde\xff", "\x00\u2603ab".encode(), b"\x01abcde", b"\x80\x05"])
@pytest.mark.parametrize("dribbled", [False, True])
def test_a_frame_fails_the_connection_at_the_byte_over_the_limit(data, dribbled):
    server = open_server(max_message_size=4)
    assert feed(server, b"\x00one\xff" + data, *range(100) if dribbled else ()) == ["one"]
    assert (server.state, server.close_code) == (State.CLOSED, 1009)
    assert isinstance(server.error, MessageTooBig)
    assert server.close_reason == str(server.error)
    assert not server.outgoing
    assert server.eof_to_send
    assert server.receive(b"\xff\x00two\xff") == []
    assert server.receive(b"") == []
    assert server.close_code == 1009


def test_a_text_without_end_is_not_kept():
    server = open_server(max_message_size=1000)
    server.receive(b"\x00")
    for _ in range(10):
        server.receive(b"a" * 100)
        assert len(server._frame.text) <= 1000
    server.receive(b"a" * 10_000_000)
    assert server._frame is None
    assert server.close_code == 1009


def test_a_text_over_the_limit_is_refused_before_it_is_kept():
    server = open_server(max_message_size=1000)
    kept = server.receive(b"\x00") or server._frame.text
    server.receive(b"a" * 10_000_000 + b"\xff")
    assert len(kept) == 0


def test_without_a_limit_everything_is_taken():
    server = open_server(max_message_size=None)
    text = "a" * 2_000_000
    assert server.receive(b"\x00" + text.encode() + b"\xff") == [text]
    server.receive(b"\x80" + b"\xff" * (MAX_LENGTH_SIZE - 1) + b"\x7f")
    assert server.state is State.OPEN
    assert server.receive(b"\x00a\xff") == []
    assert server.receive(b"") == []
    assert server.close_code == 1006


@pytest.mark.parametrize(("byte", "limit"), [(b"\x80", 1024), (b"\x80", None), (b"\xff", None)])
def test_a_length_without_end_fails_the_connection(byte, limit):
    server = open_server(max_message_size=limit)
    server.receive(b"\x80" + byte * (MAX_LENGTH_SIZE - 1))
    assert server.state is State.OPEN
    server.receive(byte)
    assert (server.state, server.close_code) == (State.CLOSED, 1002)
    assert type(server.error) is ProtocolError


def test_a_huge_length_fails_the_connection_before_it_is_whole():
    server = open_server()
    server.receive(b"\x80\xff\xff")
    assert server.state is State.OPEN
    server.receive(b"\xff")
    assert server.close_code == 1009


class CountingBuffer(bytearray):
    """A buffer that counts the bytes that are read."""

    looked_at = 0

    def decode(self, *arguments):
        self.looked_at += len(self)
        return super().decode(*arguments)

    #: A search in it raises a TypeError.
    find = index = count = split = partition = startswith = endswith = __contains__ = __getitem__ = __iter__ = None


def test_received_text_is_searched_once():
    server = open_server()
    server.receive(b"\x00")
    server._frame.text = buffer = CountingBuffer()
    size = 20_000
    for _ in range(size):
        server.receive(b"a")
    assert server._frame.text is buffer
    assert server.receive(b"\xff") == ["a" * size]
    assert buffer.looked_at == size
    assert server._frame is None


# The end


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", 1005),
        (b"\x00a\xff", 1005),
        (b"\x80\x01a", 1005),
        (b"\xff\x00", 1005),
        (b"\x00", 1006),
        (b"\x00a", 1006),
        (b"\x01", 1006),
        (b"\xff", 1006),
        (b"\x80\x80", 1006),
        (b"\x80\x02a", 1006),
    ],
)
@pytest.mark.parametrize("closing", [False, True])
def test_the_end_of_the_stream_is_the_close(data, code, closing):
    server = open_server()
    if closing:
        server.close()
    feed(server, data)
    assert server.receive(b"") == []
    assert (server.state, server.close_code, server.close_reason, server.error) == (State.CLOSED, code, "", None)
    assert server.receive(b"") == server.receive(b"\x00a\xff") == []
    assert not server.outgoing


def test_messages_still_come_after_close():
    server = open_server()
    assert not server.eof_to_send
    server.close(3000, "bye")
    assert server.state is State.CLOSING
    assert not server.outgoing
    assert server.eof_to_send
    server.close()
    assert server.receive(b"\x00a\xff") == ["a"]
    with pytest.raises(ConnectionClosed):
        server.send("b")
    server.receive(b"")
    assert server.close_code == 1005
    server.close()
    assert server.state is State.CLOSED


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((999,), ValueError),
        ((1005,), ValueError),
        ((1010,), ValueError),
        ((1000, "a" * 124), ValueError),
        (("1000",), TypeError),
        ((1000, b"bye"), TypeError),
    ],
)
def test_close_checks_arguments_that_it_does_not_send(arguments, error):
    server = open_server()
    with pytest.raises(error):
        server.close(*arguments)
    assert server.state is State.OPEN


def test_close_gives_up_an_incomplete_handshake():
    client = connected()
    client.close()
    assert (client.state, client.close_code, client.error) == (State.CLOSED, 1006, None)
    assert client.receive(ANSWER) == []


# What goes out


def test_sends_text():
    server = open_server()
    server.send("a\u2603")
    server.send("")
    assert server.data_to_send() == b"\x00a\xe2\x98\x83\xff\x00\xff"


@pytest.mark.parametrize("message", [b"a", bytearray(b"a"), memoryview(b"a"), 1, None])
def test_sends_nothing_but_text(message):
    server = open_server()
    with pytest.raises(UnsupportedFeature, match=f"hixie-75 .*{type(message).__name__}"):
        server.send(message)
    assert not server.outgoing


def test_sends_no_half_of_a_character():
    server = open_server()
    with pytest.raises(UnicodeEncodeError):
        server.send("\ud800")
    assert not server.outgoing


def test_has_no_pings():
    assert not Hixie75.can_ping
    with pytest.raises(UnsupportedFeature, match="hixie-75"):
        open_server().ping()


def test_sends_nothing_before_it_is_open():
    with pytest.raises(ConnectionClosed):
        Hixie75(make_request()).send("a")


@given(st.lists(st.text()), st.lists(st.text()), st.lists(st.integers(0, 400)))
def test_both_sides_understand_each_other(to_server, to_client, cuts):
    client = make_client({"cookie": "a=b"}, target="/demo?x=1")
    client.connect()
    assert client.data_to_send()
    assert Hixie75.matches(client.request)
    server = Hixie75(client.request)
    server.accept("sample")
    for message in to_client:
        server.send(message)
    assert feed(client, server.data_to_send(), *cuts) == to_client
    assert client.subprotocol == server.subprotocol == "sample"
    for message in to_server:
        client.send(message)
    assert feed(server, client.data_to_send(), *cuts) == to_server
    for side in (client, server):
        side.close()
        side.receive(b"")
        assert (side.state, side.close_code) == (State.CLOSED, 1005)


@pytest.mark.parametrize("message", ["", "x", "é" * 200])
def test_a_frame_for_all_connections(message):
    """It is the same in both versions, and does not depend on the state."""
    server = Hixie75(make_request())
    assert server.frame_key == "hixie"
    assert server.encode_shared(message) == (b"\x00%b\xff" % message.encode(), len(message.encode()), 1)


def test_a_frame_of_bytes_for_all_connections():
    with pytest.raises(UnsupportedFeature, match="hixie-75 carries text only, not bytes"):
        Hixie75(make_request()).encode_shared(b"x")
