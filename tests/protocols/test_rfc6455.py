"""RFC 6455: the handshake, frames, limits and closing of versions 13, 8 and 7, on both sides."""

from __future__ import annotations

import base64
import codecs
import gc
import hashlib
import itertools
import operator
import tracemalloc
from array import array
from collections import deque
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_websocket.exceptions import (
    ConnectionClosed,
    HandshakeError,
    InvalidData,
    MessageTooBig,
    PolicyViolation,
    ProtocolError,
)
from django_websocket.protocols.base import State
from django_websocket.protocols.http import MAX_HEAD_SIZE, MAX_LIST_SIZE, Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455 import frames as framing
from django_websocket.protocols.rfc6455 import handshake as rfc6455
from django_websocket.protocols.rfc6455 import messages as assembling
from django_websocket.protocols.rfc6455.protocol import MAX_PONGS

from .test_hixie75 import feed

# Section 1.3
NONCE = b"the sample nonce"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#: The masking key of the examples of section 5.7.
MASK = b"\x37\xfa\x21\x3d"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONTROL = [CLOSE, PING, PONG]
UNKNOWN = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]

UPGRADE = {
    "host": "example.com",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}


def make_request(headers=None, **options):
    """Make a request with ``headers`` beside the handshake's own, ``None`` taking one away."""
    merged = UPGRADE | (headers or {})
    options = {"host": "example.com", "http_version": (1, 1)} | options
    return Request({name: value for name, value in merged.items() if value is not None}, **options)


def open_server(**options):
    server = RFC6455(make_request(), **options)
    server.accept()
    server.data_to_send()
    return server


def make_client(headers=None, *, target="/", host="example.com", **options):
    client = RFC6455(Request(headers or {}, target=target, host=host), client=True, **options)
    client.connect()
    return client


def make_answer(client, headers=None, status="101 Switching Protocols"):
    """Make a server's answer with the header fields of a good one, ``None`` taking one away."""
    digest = hashlib.sha1(client.request.headers["sec-websocket-key"].encode() + rfc6455.GUID).digest()
    good = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
    }
    fields = [(name, value) for name, value in (good | (headers or {})).items() if value is not None]
    return "".join([f"HTTP/1.1 {status}\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n"]).encode()


def open_client(**options):
    client = make_client(**options)
    client.data_to_send()
    assert client.receive(make_answer(client)) == []
    assert client.state is State.OPEN
    return client


def naive_mask(data, mask):
    """Mask as section 5.3 says it."""
    return bytes(map(operator.xor, data, itertools.cycle(mask)))


def make_length(length, width=None):
    """Give the low seven bits of a frame's second byte, and the extended length in ``width`` bytes."""
    if width is None:
        width = 0 if length < 126 else 2 if length < 1 << 16 else 8
    if not width:
        return length, b""
    return {2: 126, 8: 127}[width], length.to_bytes(width, "big")


def make_frame(opcode, payload=b"", *, fin=True, rsv=0, mask=MASK, width=None, length=None):
    """Make a frame, a client's unless ``mask`` is ``None``; ``width`` and ``length`` may lie."""
    short, extended = make_length(len(payload) if length is None else length, width)
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short]) + extended
    return head + payload if mask is None else head + mask + naive_mask(payload, mask)


def make_close(code=None, reason=b"", **options):
    return make_frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason, **options)


def split_frames(data):
    """Give what whole frames say: the first byte and the payload of each."""
    frames = []
    while data:
        short, start = data[1] & 0x7F, 2
        if short >= 126:
            start = 4 if short == 126 else 10
            short = int.from_bytes(data[2:start], "big")
        mask = data[start : start + 4] if data[1] & 0x80 else b""
        start += len(mask)
        payload, rest = data[start : start + short], data[start + short :]
        assert len(payload) == short
        frames.append((data[0], naive_mask(payload, mask) if mask else payload))
        data = rest
    return frames


def assert_failed(protocol, code, kind=ProtocolError):
    """Check that a connection was failed as section 7.1.7 says: Close, the end of the stream, and deafness."""
    assert (protocol.state, protocol.close_code) == (State.CLOSED, code)
    assert type(protocol.error) is kind
    assert protocol.error.code == code
    assert protocol.close_reason == str(protocol.error)
    *_, last = split_frames(protocol.data_to_send())
    assert last == (0x80 | CLOSE, code.to_bytes(2, "big") + protocol.close_reason.encode())
    assert protocol.eof_to_send
    mask = None if protocol.client else MASK
    for data in (make_frame(TEXT, b"late", mask=mask), make_frame(PING, mask=mask), make_close(1000, mask=mask), b""):
        assert protocol.receive(data) == []
    assert not protocol.outgoing
    assert protocol.close_code == code
    with pytest.raises(ConnectionClosed) as caught:
        protocol.send("late")
    assert (caught.value.code, caught.value.reason) == (code, protocol.close_reason)


def measure(scenario, *arguments):
    """Give what ``scenario`` gives, which gets a function for the bytes held now, and at most, since it began.

    It runs twice, and the first time does not count: a tool that traces lines allocates when it sees new ones.
    """
    for _ in range(2):
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            base, _ = tracemalloc.get_traced_memory()
            result = scenario(lambda base=base: [size - base for size in tracemalloc.get_traced_memory()], *arguments)
        finally:
            tracemalloc.stop()
            gc.enable()
    return result


# The server's handshake (section 4.2)


@pytest.mark.parametrize("name", ["sec-websocket-version", "sec-websocket-key"])
def test_matches_by_either_header(name):
    assert RFC6455.matches(Request({name: ""}))
    assert not RFC6455.matches(make_request({"sec-websocket-version": None, "sec-websocket-key": None}))


def test_answers_byte_for_byte():
    server = RFC6455(make_request())
    assert (server.version, server.state, server.offered_subprotocols) == (13, State.CONNECTING, ())
    assert not server.outgoing
    server.accept()
    assert server.state is State.OPEN
    assert server.subprotocol is None
    assert server.data_to_send() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n"
    )
    assert not server.eof_to_send


def test_answers_with_the_subprotocol_and_further_headers():
    # Section 1.3's request.
    server = RFC6455(make_request({"sec-websocket-protocol": "chat, superchat", "origin": "http://example.com"}))
    assert server.offered_subprotocols == ("chat", "superchat")
    server.accept("superchat", [("Set-Cookie", "a=b; Path=/"), ("X-Empty", "")])
    assert server.subprotocol == "superchat"
    assert server.data_to_send() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: superchat\r\n"
        b"Set-Cookie: a=b; Path=/\r\n"
        b"X-Empty: \r\n"
        b"\r\n"
    )


def test_names_no_subprotocol_and_no_extension_unless_agreed():
    server = RFC6455(make_request({"sec-websocket-protocol": "chat", "sec-websocket-extensions": "permessage-deflate"}))
    server.accept()
    assert server.subprotocol is None
    answer = server.data_to_send().lower()
    assert b"sec-websocket-protocol" not in answer
    assert b"sec-websocket-extensions" not in answer


@pytest.mark.parametrize(
    ("subprotocol", "headers"),
    [
        ("other", []),
        ("CHAT", []),
        ("", []),
        ("chat, superchat", []),
        ("chat\r\nX: 1", []),
        ("chat", [("X", "1"), ("X", "a\r\nb")]),
        ("chat", [("X", "a\rb")]),
        ("chat", [("X", "a\nb")]),
        ("chat", [("X", "é")]),
        ("chat", [("X", "\0")]),
        ("chat", [("X Y", "1")]),
        ("chat", [("X:", "1")]),
        ("chat", [("", "1")]),
        ("chat", [("X\r\nY", "1")]),
        ("chat", [("Upgrade", "h2c")]),
        ("chat", [("connection", "close")]),
        ("chat", [("Content-Length", "1")]),
        ("chat", [("Transfer-Encoding", "chunked")]),
        ("chat", [("Sec-WebSocket-Accept", ACCEPT)]),
        ("chat", [("SEC-WEBSOCKET-EXTENSIONS", "permessage-deflate")]),
        ("chat", [("sec-websocket-protocol", "other")]),
    ],
)
def test_accept_refuses_what_is_not_clean_before_a_byte_is_written(subprotocol, headers):
    server = RFC6455(make_request({"sec-websocket-protocol": "chat, superchat"}))
    with pytest.raises(ValueError, match=r"subprotocol|header|value"):
        server.accept(subprotocol, headers)
    assert not server.outgoing
    assert server.state is State.CONNECTING
    assert server.subprotocol is None
    server.accept("chat")
    assert server.state is State.OPEN


@pytest.mark.parametrize("headers", [{"upgrade": "h2c, WebSocket"}, {"connection": "keep-alive,\tUPGRADE"}])
def test_takes_every_spelling_of_an_upgrade(headers):
    server = RFC6455(make_request(headers))
    server.accept()
    assert b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" in server.data_to_send()


@pytest.mark.parametrize("http_version", [None, (1, 1), (2, 0)])
def test_takes_http_from_one_point_one(http_version):
    assert RFC6455(make_request(http_version=http_version)).state is State.CONNECTING


@pytest.mark.parametrize(
    ("headers", "options", "reason"),
    [
        ({}, {"method": "POST"}, "GET"),
        ({}, {"method": "CONNECT"}, "GET"),
        ({}, {"http_version": (1, 0)}, r"HTTP/1\.1"),
        ({}, {"http_version": (0, 9)}, r"HTTP/1\.1"),
        ({"upgrade": None}, {}, "Upgrade"),
        ({"upgrade": "h2c"}, {}, "Upgrade"),
        ({"upgrade": "websockets"}, {}, "Upgrade"),
        ({"connection": None}, {}, "Connection"),
        ({"connection": "keep-alive"}, {}, "Connection"),
        ({"connection": "notupgrade"}, {}, "Connection"),
        ({"content-length": "8"}, {}, "body"),
        ({"transfer-encoding": "chunked"}, {}, "body"),
        ({"sec-websocket-key": None}, {}, "Key"),
        ({"sec-websocket-version": None}, {}, "Version"),
    ],
)
def test_refuses_a_malformed_request(headers, options, reason):
    with pytest.raises(HandshakeError, match=reason) as caught:
        RFC6455(make_request(headers, **options))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "version",
    ["", "0", "6", "9", "12", "14", "013", "+13", "13.0", "13, 8", "13,13", "13;", "x", "\u0661\u0663", "13\n"],
)
def test_names_its_versions_where_it_does_not_speak_the_client_s(version):
    with pytest.raises(HandshakeError, match="Sec-WebSocket-Version") as caught:
        RFC6455(make_request({"sec-websocket-version": version}))
    assert caught.value.status == 400
    assert caught.value.headers == (("Sec-WebSocket-Version", "13, 8, 7"),)


@pytest.mark.parametrize("version", [13, 8, 7])
@pytest.mark.parametrize("space", ["{}", " {}\t"])
def test_speaks_three_versions(version, space):
    headers = {"sec-websocket-version": space.format(version), "sec-websocket-key": space.format(KEY)}
    server = RFC6455(make_request(headers))
    assert server.version == version
    server.accept()
    assert f"\r\nSec-WebSocket-Accept: {ACCEPT}\r\n".encode() in server.data_to_send()
    assert server.receive(make_frame(TEXT, b"hi")) == ["hi"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "=" * 24,
        "a" * 24,
        KEY[:-1],
        KEY[:-2],
        KEY + "=",
        "=" + KEY[:-1],
        KEY[:10] + " " + KEY[11:],
        KEY[:10] + "\n" + KEY[11:],
        KEY[:10] + "-" + KEY[11:],
        KEY[:10] + "=" + KEY[11:],
        KEY[:10] + "é" + KEY[11:],
        KEY[:10] + "\ud800" + KEY[11:],
        KEY + "\n",
        f"{KEY},{KEY}",
        base64.b64encode(bytes(15)).decode(),
        base64.b64encode(bytes(17)).decode(),
        base64.b64encode(bytes(18)).decode(),
    ],
)
def test_a_key_is_sixteen_bytes_in_base64(key):
    with pytest.raises(HandshakeError, match="the Sec-WebSocket-Key is missing or malformed"):
        RFC6455(make_request({"sec-websocket-key": key}))


@given(st.binary(min_size=16, max_size=16))
def test_takes_every_key(nonce):
    key = base64.b64encode(nonce).decode()
    server = RFC6455(make_request({"sec-websocket-key": key}))
    server.accept()
    client = SimpleNamespace(request=Request({"sec-websocket-key": key}))
    assert server.data_to_send() == make_answer(client)


@pytest.mark.parametrize(
    ("version", "headers", "origin"),
    [
        (13, {}, None),
        (13, {"origin": "http://a"}, "http://a"),
        (13, {"sec-websocket-origin": "http://b"}, None),
        (13, {"origin": "http://a", "sec-websocket-origin": "http://b"}, "http://a"),
        (8, {}, None),
        (8, {"origin": "http://a"}, "http://a"),
        (8, {"sec-websocket-origin": "http://b"}, "http://b"),
        (8, {"origin": "http://a", "sec-websocket-origin": "http://a"}, "http://a"),
        (7, {"sec-websocket-origin": "http://b"}, "http://b"),
        (7, {"sec-websocket-origin": "", "origin": ""}, ""),
    ],
)
def test_finds_the_origin_where_the_version_has_it(version, headers, origin):
    assert RFC6455(make_request(headers | {"sec-websocket-version": str(version)})).origin == origin


@pytest.mark.parametrize("version", ["8", "7"])
@pytest.mark.parametrize("origins", [("http://a", "http://b"), ("http://a", ""), ("", "http://b"), ("null", "Null")])
def test_refuses_two_origins_that_differ(version, origins):
    headers = dict(zip(("origin", "sec-websocket-origin"), origins, strict=True))
    with pytest.raises(HandshakeError, match="Origin and Sec-WebSocket-Origin differ"):
        RFC6455(make_request(headers | {"sec-websocket-version": version}))


def test_takes_subprotocols_up_to_the_greatest_size():
    name = "a" * MAX_LIST_SIZE
    assert RFC6455(make_request({"sec-websocket-protocol": name})).offered_subprotocols == (name,)
    assert RFC6455(make_request({"sec-websocket-protocol": " b ,,\ta"})).offered_subprotocols == ("b", "a")
    assert RFC6455(make_request({"sec-websocket-protocol": ""})).offered_subprotocols == ()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a" * (MAX_LIST_SIZE + 1), "too long"),
        (" " * (MAX_LIST_SIZE + 1), "too long"),
        (",".join(map(str, range(33))), "too many"),
        ("chat, chat", "malformed"),
        ("chat superchat", "malformed"),
        ("chat/1", "malformed"),
        ("chat\x0b", "malformed"),
        ("chat\r\n X: 1", "malformed"),
        ("ch\xe4t", "malformed"),
        ('"chat"', "malformed"),
    ],
)
def test_refuses_malformed_subprotocols(value, reason):
    with pytest.raises(HandshakeError, match=f"the Sec-WebSocket-Protocol header .*{reason}") as caught:
        RFC6455(make_request({"sec-websocket-protocol": value}))
    assert caught.value.status == 400


@pytest.mark.parametrize("value", ["permessage-deflate; client_max_window_bits, foo", 'x; a="b"', "constructor", ""])
def test_takes_extensions_and_uses_none(value):
    server = RFC6455(make_request({"sec-websocket-extensions": value}))
    server.accept()
    assert b"Extensions" not in server.data_to_send()
    server.receive(make_frame(TEXT, b"hi", rsv=4))
    assert_failed(server, 1002)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("foo;", "malformed"),
        ('a; b="' + "\\c" * 2000, "malformed"),
        ("a" * (MAX_LIST_SIZE + 1), "too long"),
        ("," * 32, "too long"),
    ],
)
def test_refuses_malformed_extensions(value, reason):
    with pytest.raises(HandshakeError, match=f"the Sec-WebSocket-Extensions header .*{reason}") as caught:
        RFC6455(make_request({"sec-websocket-extensions": value}))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "name",
    ["sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions", "connection"],
)
def test_a_refusal_does_not_repeat_what_was_sent(name):
    with pytest.raises(HandshakeError) as caught:
        RFC6455(make_request({name: "s3cr3t\r\nX: 1"}))
    assert "s3cr3t" not in str(caught.value)
    assert "\n" not in str(caught.value)


# Frames as the RFC shows them (section 5.7)


def test_the_frames_of_the_rfc_from_a_client():
    server = open_server()
    assert server.receive(bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")) == ["Hello"]
    server.receive(bytes.fromhex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"))
    assert server.pong == b"Hello"
    assert not server.outgoing


def test_the_frames_of_the_rfc_from_a_server(monkeypatch):
    client = open_client()
    assert client.receive(bytes.fromhex("81 05 48 65 6c 6c 6f")) == ["Hello"]
    assert client.receive(bytes.fromhex("01 03 48 65 6c")) == []
    assert client.receive(bytes.fromhex("80 02 6c 6f")) == ["Hello"]
    data = bytes(range(256))
    assert client.receive(bytes.fromhex("82 7E 0100") + data) == [data]
    assert client.receive(bytes.fromhex("82 7F 0000000000010000") + data * 256) == [data * 256]
    monkeypatch.setattr(framing, "os", SimpleNamespace(urandom={4: MASK}.get))
    assert client.receive(bytes.fromhex("89 05 48 65 6c 6c 6f")) == []
    assert client.data_to_send() == bytes.fromhex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")


def test_sends_the_frames_of_the_rfc(monkeypatch):
    server = open_server()
    server.send("Hello")
    server.ping(b"Hello")
    assert server.data_to_send() == bytes.fromhex("81 05 48 65 6c 6c 6f 89 05 48 65 6c 6c 6f")
    data = bytes(range(256))
    server.send(data)
    assert server.data_to_send() == bytes.fromhex("82 7E 0100") + data
    server.send(data * 256)
    assert server.data_to_send() == bytes.fromhex("82 7F 0000000000010000") + data * 256
    client = open_client()
    monkeypatch.setattr(framing, "os", SimpleNamespace(urandom={4: MASK}.get))
    client.send("Hello")
    assert client.data_to_send() == bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")


# Frames that come in (sections 5.1 to 5.4)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 124, 125, 126, 127, 511, 512, 513, 65535, 65536, 65537, 2**20])
@pytest.mark.parametrize("kind", [str, bytes])
@pytest.mark.parametrize("make_receiver", [open_server, open_client])
def test_messages_of_every_width_of_length(make_receiver, kind, size):
    receiver = make_receiver()
    mask = None if receiver.client else MASK
    pattern = bytes(index % 127 for index in range(size))
    message = pattern.decode() if kind is str else pattern
    data = make_frame(TEXT if kind is str else BINARY, pattern, mask=mask)
    assert receiver.receive(data) == [message]
    assert feed(receiver, data, 1, 2, 3, 9, 13, 14, 15, size // 2, size) == [message]
    # Given, not lent: the types are what they are said to be.
    assert type(receiver.receive(data)[0]) is kind
    assert type(feed(receiver, data, 4)[0]) is kind
    assert receiver.state is State.OPEN


def begun():
    """Give a server that has taken a message, from when on whole ones can be taken."""
    server = open_server(max_message_size=70_000)
    assert server.receive(make_frame(TEXT, b"first")) == ["first"]
    return server


WHOLE = [(TEXT, b""), (TEXT, "é".encode() * 60), (BINARY, b"\0" * 126), (TEXT, b"x" * 65535), (BINARY, b"x" * 70_000)]


def test_takes_whole_messages_and_leaves_what_follows():
    server, messages = begun(), deque(["earlier"])
    frames = [make_frame(opcode, payload) for opcode, payload in WHOLE]
    data = b"".join([b"before", *frames, make_frame(PING, b"1"), make_frame(TEXT, b"behind it")])
    assert server.take_whole_messages(data, messages, 6) == 6 + sum(map(len, frames))
    assert list(messages) == ["earlier", "", "é" * 60, b"\0" * 126, "x" * 65535, b"x" * 70_000]
    assert server.take_whole_messages(frames[1], messages) == len(frames[1])


@pytest.mark.parametrize(
    "frame",
    [
        make_frame(TEXT, b"no more", fin=False),
        make_frame(TEXT, b"compressed", rsv=4),
        make_frame(TEXT, b"not masked", mask=None),
        make_frame(TEXT, b"\xff"),
        make_frame(BINARY, b"x" * 70_001),
        make_frame(BINARY, b"x" * 125, width=2),
        make_frame(BINARY, b"x" * 65535, width=8),
        make_frame(BINARY, b"", length=1 << 63, width=8),
        *(make_frame(opcode) for opcode in CONTROL),
        make_frame(CONTINUATION, b"?"),
        *(make_frame(TEXT, b"x" * 70_000)[:size] for size in (0, 1, 5, 6, 9, 13, 14, 70_013)),
        *(make_frame(TEXT, b"x" * 126)[:size] for size in (2, 3, 4, 7, 8, 133)),
        make_frame(TEXT, b"x")[:6],
    ],
)
def test_leaves_whatever_is_no_whole_message(frame):
    server, messages = begun(), []
    data = make_frame(TEXT, b"whole")
    assert server.take_whole_messages(data + frame, messages) == len(data)
    assert messages == ["whole"]
    # It has forgotten nothing, and knows nothing of it.
    assert server.take_whole_messages(data, messages) == len(data)


def closed():
    server = begun()
    server.connection_lost()
    return server


def faulty():
    server = begun()
    server.defers_errors = True
    server.receive(make_frame(0x3))
    assert server.deferred_error is not None
    return server


def partway(data):
    server = begun()
    server.receive(data)
    return server


@pytest.mark.parametrize(
    "make",
    [
        closed,
        faulty,
        open_client,
        lambda: partway(make_frame(TEXT, b"a part", fin=False)),
        lambda: partway(make_frame(TEXT, b"a part")[:9]),
        lambda: partway(make_frame(TEXT, b"nothing")[:6]),
        lambda: partway(make_frame(TEXT, b"nothing")[:1]),
    ],
)
def test_takes_nothing_whole_where_nothing_can_be(make):
    protocol, messages = make(), []
    assert (
        protocol.take_whole_messages(make_frame(TEXT, b"whole", mask=None if protocol.client else MASK), messages) == 0
    )
    assert messages == []


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, *CONTROL])
def test_refuses_an_unmasked_frame_of_a_client(opcode):
    server = open_server()
    assert server.receive(make_frame(opcode, b"", mask=None)) == []
    assert_failed(server, 1002)


def test_a_masked_frame_fits_no_client():
    client = open_client()
    assert client.receive(make_frame(TEXT, b"hi", mask=None) + make_frame(TEXT, b"hi")) == ["hi"]
    assert_failed(client, 1002)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, *CONTROL])
def test_refuses_reserved_bits(opcode, rsv):
    server = open_server()
    if opcode == CONTINUATION:
        server.receive(make_frame(TEXT, b"hi", fin=False))
    server.receive(make_frame(opcode, rsv=rsv)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize("opcode", UNKNOWN)
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_refuses_unknown_opcodes_before_their_payload(opcode, fin, inside):
    server = open_server()
    if inside:
        server.receive(make_frame(TEXT, b"hi", fin=False))
    server.receive(make_frame(opcode, fin=fin, length=100)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize(
    ("length", "width", "shortest"),
    [
        (0, 2, False),
        (1, 2, False),
        (125, 2, False),
        (126, 2, True),
        (0, 8, False),
        (125, 8, False),
        (126, 8, False),
        (65535, 8, False),
        (65536, 8, True),
    ],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_length_is_in_its_shortest_form(opcode, length, width, shortest):
    server = open_server()
    header = make_frame(opcode, length=length, width=width)[: 2 + width]
    server.receive(header[:-1])
    assert server.state is State.OPEN
    server.receive(header[-1:])
    if shortest:
        assert server.receive(bytes(4 + length))
        assert server.state is State.OPEN
    else:
        assert_failed(server, 1002)


@pytest.mark.parametrize("length", [1 << 63, (1 << 63) + 5, (1 << 64) - 1])
@pytest.mark.parametrize("limit", [None, 10])
def test_the_most_significant_bit_of_a_length_is_zero(length, limit):
    server = open_server(max_message_size=limit)
    server.receive(make_frame(BINARY, length=length)[:10])
    assert_failed(server, 1002)


@pytest.mark.parametrize("opcode", CONTROL)
@pytest.mark.parametrize("width", [2, 8])
def test_a_control_frame_is_short(opcode, width):
    server = open_server()
    assert server.receive(make_frame(opcode, bytes(2) + b"a" * 123, width=width)[:2]) == []
    assert_failed(server, 1002)


@pytest.mark.parametrize("opcode", CONTROL)
@pytest.mark.parametrize("inside", [True, False])
def test_a_control_frame_is_whole(opcode, inside):
    server = open_server()
    if inside:
        server.receive(make_frame(TEXT, b"hi", fin=False))
    server.receive(make_frame(opcode, fin=False)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("before", [b"", make_frame(TEXT, b"a"), make_frame(TEXT, fin=False) + make_frame(0)])
def test_a_continuation_has_a_beginning(before, fin):
    server = open_server()
    feed(server, before)
    assert server.state is State.OPEN
    server.receive(make_frame(CONTINUATION, b"hi", fin=fin)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize("first", [TEXT, BINARY])
@pytest.mark.parametrize("second", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_messages_do_not_interleave(first, second, fin):
    server = open_server()
    server.receive(make_frame(first, b"hi", fin=False) + make_frame(CONTINUATION, b"hi", fin=False))
    server.receive(make_frame(second, b"hi", fin=fin)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize(
    ("opcode", "pieces", "message"),
    [
        (TEXT, [b"", b""], ""),
        (TEXT, [b"a", b"", b"b", b""], "ab"),
        (TEXT, [b"\xe2", b"", b"\x98", b"\x83"], "\u2603"),
        (TEXT, [b"a\xf0\x9f", b"\x98\x83b"], "a\U0001f603b"),
        (BINARY, [b"", b""], b""),
        (BINARY, [b"\xe2", b"\x98"], b"\xe2\x98"),
        (BINARY, [b"a" * 1000, b"b" * 70000, b"c"], b"a" * 1000 + b"b" * 70000 + b"c"),
    ],
)
def test_fragments_make_a_message(opcode, pieces, message, dribbled):
    server = open_server()
    data = b""
    for index, piece in enumerate(pieces):
        # Each with a mask of its own, and a control frame behind each.
        mask = bytes([index, 1, 2, 3])
        data += make_frame(0 if index else opcode, piece, fin=index == len(pieces) - 1, mask=mask)
        data += make_frame(PING, b"%d" % index)
        data += make_frame(PONG, b"%d" % index)
    messages = feed(server, data + data, *range(len(data)) if dribbled else ())
    assert messages == [message, message]
    assert type(messages[0]) is type(message)
    pings = [(0x80 | PONG, b"%d" % index) for index in range(len(pieces))]
    assert split_frames(server.data_to_send()) == pings + pings
    assert server.pong == b"%d" % (len(pieces) - 1)


def test_a_close_ends_an_unfinished_message():
    server = open_server()
    assert server.receive(make_frame(TEXT, b"never", fin=False) + make_close(1001)) == []
    assert (server.state, server.close_code, server.error) == (State.CLOSED, 1001, None)


# Limits (section 10.4)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("limit", [0, 4, 125, 126, 65535, 65536])
@pytest.mark.parametrize("beyond", [1, 2, 100_000])
def test_a_frame_over_the_limit_is_refused_by_its_header(opcode, fin, limit, beyond):
    server = open_server(max_message_size=limit)
    assert server.receive(make_frame(opcode, b"a" * limit))
    # Not even the mask has come.
    header = make_frame(opcode, fin=fin, length=limit + beyond)[:-4]
    server.receive(header[:-1])
    assert server.state is State.OPEN
    server.receive(header[-1:])
    assert_failed(server, 1009, MessageTooBig)


@pytest.mark.parametrize("dribbled", [False, True])
def test_the_limit_is_for_all_fragments_together(dribbled):
    cuts = range(100) if dribbled else ()
    server = open_server(max_message_size=4)
    data = make_frame(TEXT, b"ab", fin=False) + make_frame(0, b"", fin=False) + make_frame(0, b"cd")
    assert feed(server, data, *cuts) == ["abcd"]
    # The next message begins with nothing.
    assert feed(server, data, *cuts) == ["abcd"]
    data = make_frame(TEXT, b"ab", fin=False) + make_frame(0, b"c", fin=False) + make_frame(0, length=2)[:2]
    assert feed(server, data[:-1], *cuts) == []
    assert server.state is State.OPEN
    server.receive(data[-1:])
    assert_failed(server, 1009, MessageTooBig)


def test_the_limit_counts_bytes_of_utf_8():
    server = open_server(max_message_size=4)
    assert server.receive(make_frame(TEXT, "éé".encode()) + make_frame(TEXT, "\U0001f603".encode())) == [
        "éé",
        "\U0001f603",
    ]
    server.receive(make_frame(TEXT, "ééa".encode()))
    assert_failed(server, 1009, MessageTooBig)


def test_the_limit_is_not_for_control_frames():
    server = open_server(max_message_size=0, max_fragments=1)
    payload = bytes(range(125))
    server.receive(make_frame(TEXT, fin=False) + make_frame(PING, payload) * 3 + make_frame(PONG, payload))
    assert (server.state, server.pong) == (State.OPEN, payload)
    assert split_frames(server.data_to_send()) == [(0x80 | PONG, payload)] * 3


def test_the_limits_may_be_changed_until_the_connection_is_open():
    server = RFC6455(make_request())
    assert (server.max_message_size, server.max_fragments) == (2**20, 1024)
    server.max_message_size, server.max_fragments = 2, 1
    server.accept()
    server.data_to_send()
    assert server.receive(make_frame(TEXT, b"ab")) == ["ab"]
    server.receive(make_frame(TEXT, b"abc"))
    assert_failed(server, 1009, MessageTooBig)


@pytest.mark.parametrize("payload", [b"a", b""])
@pytest.mark.parametrize("limit", [1, 2, 3, 1024])
def test_the_fragments_of_a_message_are_counted(payload, limit):
    server = open_server(max_fragments=limit)
    beginning = make_frame(TEXT, payload, fin=False) + make_frame(0, payload, fin=False) * (limit - 2)
    if limit > 1:
        for _ in range(2):
            assert server.receive(beginning + make_frame(PING) + make_frame(0, payload)) == [
                (payload * limit).decode(),
            ]
        beginning += make_frame(0, payload, fin=False)
    assert server.receive(make_frame(TEXT, payload) + beginning + make_frame(PONG)) == [payload.decode()]
    assert server.state is State.OPEN
    # A frame too many is refused by its header, be it the last of its message or not.
    server.receive(make_frame(0, payload)[:2])
    assert_failed(server, 1008, PolicyViolation)


def test_a_frame_in_many_pieces_is_one_fragment():
    server = open_server(max_fragments=2)
    data = make_frame(BINARY, b"a" * 1000, fin=False) + make_frame(0, b"b" * 1000)
    assert feed(server, data, *range(len(data))) == [b"a" * 1000 + b"b" * 1000]


def test_without_limits_everything_is_taken():
    server = open_server(max_message_size=None, max_fragments=None)
    size = 3 * 2**20
    assert server.receive(make_frame(BINARY, length=size) + bytes(size)) == [naive_mask(bytes(4), MASK) * (size // 4)]
    fragments = make_frame(TEXT, fin=False) + make_frame(0, b"a", fin=False) * 5000
    assert server.receive(fragments + make_frame(0)) == ["a" * 5000]


# Memory


@pytest.mark.parametrize("length", [2**20, 2**32, 2**62, 2**63 - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_nothing_is_allocated_for_a_length_that_is_only_declared(opcode, length):
    def scenario(memory):
        server = open_server(max_message_size=None)
        server.receive(make_frame(opcode, length=length, mask=bytes(4)))
        for _ in range(100):
            server.receive(b"a" * 50)
        assert server.state is State.OPEN
        return memory()

    _, peak = measure(scenario)
    assert 5000 < peak < 64 * 1024


@pytest.mark.parametrize("fin", [True, False])
def test_a_payload_over_the_limit_is_not_kept(fin):
    def scenario(memory, data):
        server = open_server(max_message_size=1000)
        server.receive(data)
        assert server.close_code == 1009
        return memory()

    held, peak = measure(scenario, make_frame(BINARY, length=2**20, fin=fin) + bytes(2**20))
    assert held < 16 * 1024
    assert peak < 64 * 1024


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize(
    ("limit", "piece", "fragments"),
    [(2**15, 1, 1), (2**17, 7, 1), (2**20, 509, 1), (2**20, 4096, 1), (2**20, 509, 1024)],
)
def test_an_unfinished_message_holds_little_more_than_its_limit(opcode, limit, piece, fragments):
    size = limit // fragments
    # All but the last byte of a frame.
    pieces = [b"a" * min(piece, size - 1 - start) for start in range(0, size - 1, piece)]

    def scenario(memory):
        server = open_server(max_message_size=limit)
        for index in range(fragments):
            if index:
                server.receive(b"a")
            server.receive(make_frame(CONTINUATION if index else opcode, length=size, fin=False, mask=bytes(4)))
            for data in pieces:
                server.receive(data)
        assert server.state is State.OPEN
        return memory()

    held, peak = measure(scenario)
    assert limit - 1 <= held <= peak <= 1.3 * limit + 64 * 1024


@pytest.mark.parametrize("end", ["close", "eof", "lose", "failure"])
def test_the_end_lets_go_of_an_unfinished_message(end):
    def scenario(memory, beginning):
        server = open_server()
        server.receive(beginning)
        before, _ = memory()
        if end == "lose":
            server.connection_lost()
        else:
            server.receive({"close": make_close(1000), "eof": b"", "failure": make_frame(TEXT)}[end])
        assert server.state is State.CLOSED
        return before, memory()[0]

    before, after = measure(scenario, make_frame(BINARY, length=2**19, fin=False, mask=bytes(4)) + b"a" * 2**19)
    assert before > 2**19
    assert after < 16 * 1024


@pytest.mark.parametrize("holds", [False, True])
@pytest.mark.parametrize("bad", [make_frame(3), make_frame(TEXT, b"\xff"), make_close(1000, b"\xff")])
def test_a_failure_lets_go_of_what_came_before_it(bad, holds):
    def scenario(memory):
        server = open_server()
        server.defers_errors = holds
        assert server.receive(make_frame(BINARY, bytes(2**16)) + bad) == [bytes(2**16)]
        assert server.state is (State.OPEN if holds else State.CLOSED)
        return memory()

    held, peak = measure(scenario)
    assert peak > 2**16
    assert held < 16 * 1024


class CountingDecoder(codecs.getincrementaldecoder("utf-8")):
    """A decoder that counts the bytes it is given."""

    total = 0

    def decode(self, data, final=False):
        type(self).total += len(data)
        return super().decode(data, final)


def test_what_was_kept_is_validated_once(monkeypatch):
    monkeypatch.setattr(CountingDecoder, "total", 0)
    monkeypatch.setattr(
        assembling, "codecs", SimpleNamespace(getincrementaldecoder={"utf-8": CountingDecoder}.__getitem__)
    )
    server = open_server()
    text = "\u00e9" * 10_000
    data = make_frame(TEXT, text.encode())
    assert feed(server, data, *range(len(data))) == [text]
    assert CountingDecoder.total == len(text.encode())


# Text (section 8.1)

#: What is not UTF-8, and by which of its bytes that is certain.
INVALID_UTF_8 = [
    # Lone continuations
    (b"\x80", 1),
    (b"\xbf", 1),
    # Never in UTF-8
    (b"\xc0\x80", 1),
    (b"\xc1\xbf", 1),
    (b"\xf5\x80\x80\x80", 1),
    (b"\xf8\x88\x80\x80\x80", 1),
    (b"\xfc\x84\x80\x80\x80\x80", 1),
    (b"\xfe", 1),
    (b"\xff", 1),
    # Overlong
    (b"\xe0\x80\x80", 2),
    (b"\xe0\x9f\xbf", 2),
    (b"\xf0\x80\x80\x80", 2),
    (b"\xf0\x8f\xbf\xbf", 2),
    # Beyond U+10FFFF
    (b"\xf4\x90\x80\x80", 2),
    (b"\xf4\xbf\xbf\xbf", 2),
    # Cut short by something else
    (b"\xc3\x28", 2),
    (b"\xc3\xc3", 2),
    (b"\xe2\x28\xa1", 2),
    (b"\xe2\x98\x28", 3),
    (b"\xe2\x98\xe2", 3),
    (b"\xf0\x28\x8c\xbc", 2),
    (b"\xf0\x9f\x28\xbc", 3),
    (b"\xf0\x9f\x98\x28", 4),
    (b"\xf0\x9f\x98\xff", 4),
]
SURROGATES = [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x83"]
BEFORE_INVALID = ["", "a", "\u03ba\u1f79\u03c3\u03bc\u03b5", "\ud7ff\ue000\U0010ffff"]


@pytest.mark.parametrize(("data", "certain"), INVALID_UTF_8)
@pytest.mark.parametrize("before", BEFORE_INVALID)
@pytest.mark.parametrize("fragmented", [False, True])
def test_text_fails_at_the_byte_that_makes_it_certain(data, certain, before, fragmented):
    assert_fails_at(data, certain, before, fragmented=fragmented)


@pytest.mark.parametrize("data", SURROGATES)
@pytest.mark.parametrize("fragmented", [False, True])
def test_text_fails_at_the_second_byte_of_a_surrogate(data, fragmented):
    assert_fails_at(data, 2, "a", fragmented=fragmented)


def assert_fails_at(data, certain, before, *, fragmented):
    server = open_server()
    payload = before.encode() + data
    certain += len(before.encode())
    if fragmented:
        chunks = [
            make_frame(CONTINUATION if index else TEXT, payload[index : index + 1], fin=False)
            for index in range(len(payload))
        ]
    else:
        masked = naive_mask(payload, MASK)
        chunks = [masked[index : index + 1] for index in range(len(masked))]
        assert server.receive(make_frame(TEXT, length=1000)) == []
    for chunk in chunks[: certain - 1]:
        assert server.receive(chunk) == []
    assert server.state is State.OPEN
    server.receive(chunks[certain - 1])
    assert_failed(server, 1007, InvalidData)


@pytest.mark.parametrize("data", [*(data for data, _ in INVALID_UTF_8), *SURROGATES])
@pytest.mark.parametrize("after", ["", "a", "\u2603"])
@pytest.mark.parametrize("dribbled", [False, True])
def test_text_is_utf_8(data, after, dribbled):
    server = open_server()
    frame = make_frame(TEXT, b"ok") + make_frame(TEXT, b"a" + data + after.encode()) + make_frame(TEXT, b"late")
    assert feed(server, frame, *range(len(frame)) if dribbled else ()) == ["ok"]
    assert_failed(server, 1007, InvalidData)
    assert open_server().receive(make_frame(BINARY, data)) == [data]


@pytest.mark.parametrize("data", [b"\xc3", b"\xe2", b"\xe2\x98", b"\xed\xa0", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98"])
@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize("fragmented", [False, True])
def test_text_does_not_end_within_a_character(data, fragmented, dribbled):
    server = open_server()
    frame = make_frame(TEXT, b"a" + data, fin=not fragmented)
    if fragmented:
        frame += make_frame(CONTINUATION)
    assert feed(server, frame, *range(len(frame)) if dribbled else ()) == []
    assert_failed(server, 1007, InvalidData)


def test_the_next_text_begins_anew():
    server = open_server()
    text = make_frame(TEXT, b"a\xe2\x98", fin=False) + make_frame(CONTINUATION, b"\x83")
    assert server.receive(text + text + make_frame(BINARY, b"\xe2", fin=False)) == ["a\u2603", "a\u2603"]
    assert server.receive(make_frame(CONTINUATION, b"\xff") + make_frame(TEXT, b"b")) == [b"\xe2\xff", "b"]


@given(st.text(), st.text(), st.integers(0, 1000), st.integers(0, 1000))
def test_a_character_may_be_split_over_fragments(first, second, cut, chunk):
    payload = first.encode() + second.encode()
    cut = min(cut, len(payload))
    data = make_frame(TEXT, payload[:cut], fin=False) + make_frame(CONTINUATION, payload[cut:])
    assert feed(open_server(), data, chunk) == [first + second]


@pytest.mark.parametrize(
    "character", ["\0", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufeff", "\ufffe"]
)
def test_text_may_have_every_character(character):
    assert open_server().receive(make_frame(TEXT, character.encode())) == [character]
    data = make_frame(TEXT, f"{character}\U00010000{character}\U0010ffff".encode())
    assert feed(open_server(), data, *range(100)) == [f"{character}\U00010000{character}\U0010ffff"]


# Close (sections 5.5.1 and 7)

VALID_CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("closing", [False, True])
@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize("code", VALID_CODES)
@pytest.mark.parametrize("reason", ["", "bye \u2603", "a" * 123])
def test_the_code_of_a_close_is_echoed(code, reason, dribbled, closing):
    server = open_server()
    if closing:
        server.close(3001)
        server.data_to_send()
    data = make_close(code, reason.encode())
    assert feed(server, data, *range(len(data)) if dribbled else ()) == []
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, code, reason)
    assert server.error is None
    assert not server.eof_to_send
    assert server.data_to_send() == (b"" if closing else make_close(code, mask=None))


@pytest.mark.parametrize("closing", [False, True])
def test_a_close_without_a_code(closing):
    server = open_server()
    if closing:
        server.close()
        server.data_to_send()
    server.receive(make_close())
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 1005, "")
    assert server.data_to_send() == (b"" if closing else make_close(mask=None))


def test_every_code_is_valid_or_not():
    defined = {*range(1000, 1016)} - {1004, 1005, 1006, 1015}
    for code in [*range(5100), *range(5100, 2**16, 499)]:
        server = open_server()
        server.receive(make_close(code))
        valid = code in defined or 3000 <= code < 5000
        assert (server.close_code, server.error is None) == (code if valid else 1002, valid)


@pytest.mark.parametrize("code", INVALID_CODES)
@pytest.mark.parametrize("reason", [b"", b"bye", b"\xff"])
def test_refuses_a_close_with_another_code(code, reason):
    server = open_server()
    server.receive(make_close(code, reason))
    assert_failed(server, 1002)


@pytest.mark.parametrize("payload", [b"\0", b"\x03", b"\xff"])
def test_refuses_a_close_with_half_a_code(payload):
    server = open_server()
    server.receive(make_frame(CLOSE, payload))
    assert_failed(server, 1002)


@pytest.mark.parametrize("data", [*(data for data, _ in INVALID_UTF_8), *SURROGATES, b"\xe2\x98"])
def test_refuses_a_close_with_a_reason_that_is_not_utf_8(data):
    server = open_server()
    server.receive(make_close(1000, b"a" + data))
    assert_failed(server, 1007, InvalidData)


@pytest.mark.parametrize(
    "late", [make_frame(TEXT, b"late"), make_frame(PING), make_close(1001), make_frame(3), b"\xff" * 1000]
)
@pytest.mark.parametrize("apart", [False, True])
def test_data_after_a_close_is_ignored(late, apart):
    server = open_server()
    data = make_frame(TEXT, b"a") + make_frame(PING, b"1") + make_close(3000, b"bye")
    assert feed(server, data + late, *[len(data)] if apart else ()) == ["a"]
    assert server.receive(late) == []
    assert server.receive(b"") == []
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 3000, "bye")
    assert server.error is None
    assert server.data_to_send() == make_frame(PONG, b"1", mask=None) + make_close(3000, mask=None)


def test_our_close():
    server = open_server()
    server.close()
    assert (server.state, server.close_code) == (State.CLOSING, None)
    assert server.data_to_send() == make_close(1000, mask=None)
    # What is on its way still comes; pings are not answered any more.
    assert server.receive(make_frame(TEXT, b"a") + make_frame(PING, b"1") + make_frame(PONG, b"2")) == ["a"]
    assert server.pong == b"2"
    server.close(1001, "again")
    assert not server.outgoing
    server.receive(make_close(4000, b"bye"))
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 4000, "bye")
    server.close()
    assert server.state is State.CLOSED
    assert not server.outgoing
    assert not server.eof_to_send


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye \u2603"), (4999, "a" * 123), (1014, "\0")])
def test_our_close_has_a_code_and_a_reason(code, reason):
    server = open_server()
    server.close(code, reason)
    assert server.data_to_send() == make_close(code, reason.encode(), mask=None)


@pytest.mark.parametrize(
    ("data", "code"),
    [(make_frame(3), 1002), (make_frame(TEXT, b"\xff"), 1007), (make_close(1005), 1002), (make_frame(0), 1002)],
)
def test_a_failure_while_closing_sends_no_second_close(data, code):
    server = open_server()
    server.close(1001)
    assert server.data_to_send() == make_close(1001, mask=None)
    assert server.receive(make_frame(TEXT, b"a") + data + make_close(1001)) == ["a"]
    assert (server.state, server.close_code) == (State.CLOSED, code)
    assert server.error is not None
    assert server.eof_to_send
    assert not server.outgoing


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((999,), ValueError),
        ((1004,), ValueError),
        ((1005,), ValueError),
        ((1006,), ValueError),
        ((1010,), ValueError),
        ((1015,), ValueError),
        ((5000,), ValueError),
        ((1000, "a" * 124), ValueError),
        ((1000, "\u2603" * 42), ValueError),
        ((1000, "\ud800"), ValueError),
        (("1000",), TypeError),
        ((1000.0,), TypeError),
        ((True,), TypeError),
        ((None,), TypeError),
        ((1000, b"bye"), TypeError),
        ((1000, None), TypeError),
    ],
)
@pytest.mark.parametrize("state", [State.OPEN, State.CLOSING, State.CLOSED])
def test_close_checks_its_arguments(arguments, error, state):
    server = open_server()
    if state is State.CLOSING:
        server.close()
    elif state is State.CLOSED:
        server.receive(b"")
    server.data_to_send()
    with pytest.raises(error):
        server.close(*arguments)
    assert server.state is state
    assert not server.outgoing


def test_close_gives_up_an_incomplete_handshake():
    client = make_client()
    answer = make_answer(client)
    client.close()
    assert (client.state, client.close_code, client.error) == (State.CLOSED, 1006, None)
    assert client.receive(answer) == []
    assert client.state is State.CLOSED


# Pings and pongs (sections 5.5.2 and 5.5.3)


@pytest.mark.parametrize("payload", [b"", b"a", b"\xff\0", bytes(range(125))])
@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize("make_receiver", [open_server, open_client])
def test_a_ping_is_answered_with_its_payload(make_receiver, payload, dribbled):
    receiver = make_receiver()
    data = make_frame(PING, payload, mask=None if receiver.client else MASK)
    assert feed(receiver, data, *range(len(data)) if dribbled else ()) == []
    sent = receiver.data_to_send()
    assert split_frames(sent) == [(0x80 | PONG, payload)]
    assert bool(sent[1] & 0x80) is receiver.client
    assert receiver.pong is None


def test_pongs_leave_in_the_order_of_their_pings():
    server = open_server()
    server.receive(b"".join(make_frame(PING, b"%d" % index) for index in range(MAX_PONGS)))
    assert split_frames(server.data_to_send()) == [(0x80 | PONG, b"%d" % index) for index in range(MAX_PONGS)]


@pytest.mark.parametrize("make_receiver", [open_server, open_client])
def test_of_a_flood_of_pings_the_latest_is_answered(make_receiver):
    receiver = make_receiver()
    mask = None if receiver.client else MASK
    pings = [b"%d" % index for index in range(10 * MAX_PONGS)]
    flood = b"".join(make_frame(PING, ping, mask=mask) for ping in pings)
    assert receiver.receive(flood + make_frame(TEXT, b"a", mask=mask)) == ["a"]
    assert len(receiver.outgoing) == MAX_PONGS
    answered = [payload for _, payload in split_frames(receiver.data_to_send())]
    assert answered == [*pings[: MAX_PONGS - 1], pings[-1]]
    # Once they are sent, the next are answered again.
    receiver.receive(make_frame(PING, b"next", mask=mask))
    assert split_frames(receiver.data_to_send()) == [(0x80 | PONG, b"next")]


def test_a_flood_of_pings_takes_nothing_away_but_pongs():
    server = open_server()
    for index in range(2 * MAX_PONGS):
        server.send(f"{index}")
    server.receive(b"".join(make_frame(PING, b"%d" % index) for index in range(2 * MAX_PONGS)))
    server.send("last")
    server.receive(make_frame(PING, b"a") + make_frame(PING, b"b"))
    texts = [(0x80 | TEXT, b"%d" % index) for index in range(2 * MAX_PONGS)]
    latest = (0x80 | PONG, b"%d" % (2 * MAX_PONGS - 1))
    assert split_frames(server.data_to_send()) == [*texts, latest, (0x80 | TEXT, b"last"), (0x80 | PONG, b"b")]


@pytest.mark.parametrize("payload", [b"", b"unasked", bytes(125)])
def test_a_pong_is_not_answered(payload):
    server = open_server()
    assert server.pong is None
    server.receive(make_frame(PONG, b"first") + make_frame(PONG, payload))
    assert server.pong == payload
    assert type(server.pong) is bytes
    assert server.state is State.OPEN
    assert not server.outgoing


# The end of the stream (section 7.1.5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        make_frame(TEXT)[:1],
        make_frame(TEXT, length=1000)[:3],
        make_frame(TEXT)[:-1],
        make_frame(TEXT, b"abc")[:-1],
        make_frame(TEXT, b"abc", fin=False),
        make_frame(PING, b"abc")[:-1],
        make_close(1000, b"abc")[:-1],
        make_frame(TEXT, b"abc", fin=False) + make_frame(PONG),
    ],
)
@pytest.mark.parametrize("closing", [False, True])
def test_the_end_of_the_stream_without_a_close(data, closing):
    server = open_server()
    if closing:
        server.close()
        server.data_to_send()
    if data:
        assert server.receive(data) == []
    assert server.receive(b"") == []
    assert (server.state, server.close_code, server.close_reason, server.error) == (State.CLOSED, 1006, "", None)
    assert not server.outgoing
    assert not server.eof_to_send
    assert server.receive(b"") == server.receive(make_frame(TEXT, b"late")) == []


def test_the_end_of_the_stream_behind_a_close():
    server = open_server()
    server.receive(make_close(1001, b"bye"))
    server.receive(b"")
    assert (server.close_code, server.close_reason) == (1001, "bye")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (make_frame(TEXT, b"b", mask=None), 1002),
        (make_frame(TEXT, b"b", rsv=4), 1002),
        (make_frame(7, b"b"), 1002),
        (make_frame(TEXT, b"b", width=2), 1002),
        (make_frame(TEXT, b"b\xff"), 1007),
        (make_frame(BINARY, b"b" * 101), 1009),
        (make_frame(BINARY, b"b", fin=False) + make_frame(0, b"b", fin=False) * 4, 1008),
    ],
)
@pytest.mark.parametrize("dribbled", [False, True])
def test_what_was_complete_before_a_failure_is_given(bad, code, dribbled):
    server = open_server(max_message_size=100, max_fragments=4)
    data = make_frame(TEXT, b"a") + make_frame(PING, b"1") + make_frame(BINARY, b"b") + bad + make_frame(TEXT, b"late")
    assert feed(server, data, *range(len(data)) if dribbled else ()) == ["a", b"b"]
    pong, close = split_frames(b"".join(server.outgoing))
    assert pong == (0x80 | PONG, b"1")
    assert close[0] == 0x80 | CLOSE
    assert_failed(server, code, type(server.error))


# What goes out

BYTES_LIKE = [
    (b"abc", b"abc"),
    (bytearray(b"abc"), b"abc"),
    (memoryview(b"abc"), b"abc"),
    (memoryview(b"abcdef")[::2], b"ace"),
    (memoryview(b"abc")[::-1], b"cba"),
    (memoryview(array("H", [0x6161, 0x6262])), b"aabb"),
    (b"", b""),
    (memoryview(b""), b""),
]


@pytest.mark.parametrize(("message", "payload"), BYTES_LIKE)
@pytest.mark.parametrize("make_sender", [open_server, open_client])
def test_sends_what_is_like_bytes(make_sender, message, payload):
    sender = make_sender()
    sender.send(message)
    sender.ping(message)
    assert split_frames(sender.data_to_send()) == [(0x80 | BINARY, payload), (0x80 | PING, payload)]


def test_sends_what_a_buffer_holds_now():
    server = open_server()
    message = bytearray(b"abc")
    server.send(message)
    server.ping(message)
    message[:] = b"xyz"
    assert server.data_to_send() == b"\x82\x03abc\x89\x03abc"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 2**20])
@pytest.mark.parametrize("kind", [str, bytes])
def test_sends_every_width_of_length(kind, size):
    payload = bytes(index % 127 for index in range(size))
    server, client = open_server(), open_client()
    for sender in (server, client):
        sender.send(payload.decode() if kind is str else payload)
    opcode = TEXT if kind is str else BINARY
    assert server.data_to_send() == make_frame(opcode, payload, mask=None)
    sent = client.data_to_send()
    assert split_frames(sent) == [(0x80 | opcode, payload)]
    assert sent[1] & 0x80


@pytest.mark.parametrize("message", [0, 3, True, 1.5, None, [1, 2], (3,), {}, object(), range(3)])
def test_sends_nothing_else(message):
    server = open_server()
    with pytest.raises(TypeError):
        server.send(message)
    with pytest.raises(TypeError):
        server.ping(message)
    assert not server.outgoing


def test_sends_no_half_of_a_character():
    server = open_server()
    with pytest.raises(UnicodeEncodeError):
        server.send("a\ud800")
    assert not server.outgoing
    server.send("a")
    assert server.data_to_send() == b"\x81\x01a"


@pytest.mark.parametrize(
    ("data", "error"),
    [(bytes(126), ValueError), (memoryview(array("I", range(32))), ValueError), ("", TypeError), ("a", TypeError)],
)
def test_a_ping_takes_few_bytes(data, error):
    server = open_server()
    assert RFC6455.can_ping
    with pytest.raises(error, match=r"^(a ping has at most 125 bytes|ping\(\) takes bytes)$"):
        server.ping(data)
    assert not server.outgoing


def test_a_ping_takes_so_many_bytes_and_no_more():
    server = open_server()
    server.ping()
    server.ping(bytes(125))
    assert server.data_to_send() == make_frame(PING, mask=None) + make_frame(PING, bytes(125), mask=None)


def test_nothing_can_be_sent_before_it_is_open():
    for protocol in (RFC6455(make_request()), make_client()):
        protocol.data_to_send()
        for call in (lambda: protocol.send("a"), protocol.ping):  # noqa: B023 - called at once
            with pytest.raises(ConnectionClosed) as caught:
                call()
            assert caught.value.code == 1005
        assert not protocol.outgoing


def test_nothing_can_be_sent_after_our_close():
    server = open_server()
    server.close()
    server.data_to_send()
    for call in (lambda: server.send("a"), lambda: server.send(b"a"), server.ping):
        with pytest.raises(ConnectionClosed) as caught:
            call()
        # The peer's code is yet to come.
        assert caught.value.code == 1005
    server.receive(make_close(3000, b"bye"))
    for call in (lambda: server.send("a"), server.ping):
        with pytest.raises(ConnectionClosed) as caught:
            call()
        assert (caught.value.code, caught.value.reason) == (3000, "bye")
    assert not server.outgoing


def test_a_client_masks_each_frame_with_a_key_of_its_own(monkeypatch):
    masks = [b"\1\2\3\4", b"\5\6\7\x08", b"\x09\x0a\x0b\x0c", b"\xfd\xfe\xff\0"]
    left = iter(masks)

    def urandom(size):
        assert size == 4
        return next(left)

    client = open_client()
    monkeypatch.setattr(framing, "os", SimpleNamespace(urandom=urandom))
    client.send("Hello")
    client.ping(b"Hello")
    client.receive(make_frame(PING, b"Hello", mask=None))
    client.close()
    frames = [(TEXT, b"Hello"), (PING, b"Hello"), (PONG, b"Hello"), (CLOSE, b"\x03\xe8")]
    assert client.outgoing == [
        make_frame(opcode, payload, mask=mask) for (opcode, payload), mask in zip(frames, masks, strict=True)
    ]


# The client's handshake (section 4.1)


def test_asks_byte_for_byte(monkeypatch):
    monkeypatch.setattr(rfc6455, "os", SimpleNamespace(urandom={16: NONCE}.get))
    client = make_client(
        {"origin": "http://example.com"}, target="/chat", host="server.example.com", subprotocols=["chat", "superchat"]
    )
    assert (client.state, client.version, client.client) == (State.CONNECTING, 13, True)
    assert client.data_to_send() == (
        b"GET /chat HTTP/1.1\r\n"
        b"Host: server.example.com\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: chat, superchat\r\n"
        b"Origin: http://example.com\r\n"
        b"\r\n"
    )
    assert make_answer(client, {"Sec-WebSocket-Protocol": "chat"}).count(ACCEPT.encode()) == 1
    assert client.receive(make_answer(client, {"Sec-WebSocket-Protocol": "chat"})) == []
    assert (client.state, client.subprotocol) == (State.OPEN, "chat")


def test_asks_with_headers_of_its_own():
    client = make_client({"cookie": "a=b", "user-agent": "test", "host": "elsewhere.example"}, host=None)
    lines = client.data_to_send().split(b"\r\n")
    assert lines[0] == b"GET / HTTP/1.1"
    assert lines.count(b"Host: elsewhere.example") == 1
    assert b"Cookie: a=b" in lines
    assert b"User-Agent: test" in lines
    assert sum(line.lower().startswith(b"host:") for line in lines) == 1


@pytest.mark.parametrize(
    ("version", "name"), [(13, b"Origin"), (8, b"Sec-WebSocket-Origin"), (7, b"Sec-WebSocket-Origin")]
)
def test_asks_in_its_version(version, name):
    client = make_client({"origin": "http://example.com"}, version=version)
    assert client.version == version
    assert client.origin == "http://example.com"
    lines = client.data_to_send().split(b"\r\n")
    assert b"Sec-WebSocket-Version: %d" % version in lines
    assert [line for line in lines if b"rigin" in line] == [name + b": http://example.com"]
    server = RFC6455(client.request)
    assert (server.version, server.origin) == (version, "http://example.com")


def test_each_client_has_a_key_of_its_own():
    keys = {make_client().request.headers["sec-websocket-key"] for _ in range(10)}
    assert len(keys) == 10


@pytest.mark.parametrize("value", [" a", "a\r\nX: 1", "a\nb", "é", "a\0"])
@pytest.mark.parametrize("where", ["origin", "cookie", "subprotocols", "host", "target"])
def test_does_not_ask_for_what_is_not_clean(where, value):
    headers = {where: value} if where in ("origin", "cookie") else {}
    options = {"host": "example.com"} | ({where: value} if where in ("host", "target") else {})
    subprotocols = ["chat", value] if where == "subprotocols" else ()
    client = RFC6455(Request(headers, **options), client=True, subprotocols=subprotocols)
    with pytest.raises(ValueError, match=r"malformed|visible"):
        client.connect()
    assert not client.outgoing


@pytest.mark.parametrize("subprotocols", [["chat", "chat"], ["a b"], [""], ["chat", ""], ["a,b"], list("aA!/")])
def test_does_not_offer_what_is_no_subprotocol(subprotocols):
    client = RFC6455(Request(host="example.com"), client=True, subprotocols=subprotocols)
    with pytest.raises(ValueError, match=r"malformed"):
        client.connect()
    assert not client.outgoing


@pytest.mark.parametrize("host", [None, ""])
def test_does_not_ask_without_a_host(host):
    client = RFC6455(Request(host=host), client=True)
    with pytest.raises(ValueError, match="the Host is missing or malformed"):
        client.connect()
    assert not client.outgoing


@pytest.mark.parametrize("name", ["upgrade", "content-length", "transfer-encoding", "sec-websocket-key", "a b"])
def test_does_not_ask_with_a_header_of_the_handshake(name):
    client = RFC6455(Request({name: "8"}, host="example.com"), client=True)
    with pytest.raises(ValueError, match="not a header"):
        client.connect()
    assert not client.outgoing


GOOD = {"Sec-WebSocket-Protocol": "chat"}


@given(st.lists(st.integers(1, 300)))
@example(range(1, 300))
def test_takes_the_answer_in_any_pieces(cuts):
    client = make_client(subprotocols=["chat"])
    client.data_to_send()
    frames = make_frame(TEXT, b"hi", mask=None) + make_frame(PING, b"1", mask=None)
    assert feed(client, make_answer(client, GOOD) + frames, *cuts) == ["hi"]
    assert (client.state, client.subprotocol) == (State.OPEN, "chat")
    assert split_frames(client.data_to_send()) == [(0x80 | PONG, b"1")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upgrade": "WebSocket"},
        {"Connection": "keep-alive, upgrade"},
        {"Sec-WebSocket-Protocol": "superchat"},
        {"Set-Cookie": "a=b"},
        {"X-Long": "a" * 10_000},
    ],
)
def test_takes_every_good_answer(headers):
    client = make_client(subprotocols=["chat", "superchat"])
    assert client.response_headers == {}
    assert client.receive(make_answer(client, headers)) == []
    assert client.state is State.OPEN
    assert {name.lower(): value for name, value in headers.items()}.items() <= client.response_headers.items()
    assert client.subprotocol == headers.get("Sec-WebSocket-Protocol")


def assert_refused(client):
    assert (client.state, client.close_code, client.close_reason) == (State.CLOSED, 1006, "")
    assert isinstance(client.error, HandshakeError)
    assert not client.outgoing
    assert client.receive(make_frame(TEXT, b"late", mask=None)) == client.receive(b"") == []
    assert client.subprotocol is None


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Upgrade": None}, "no upgrade"),
        ({"Upgrade": "h2c"}, "no upgrade"),
        ({"Upgrade": "websocket, h2c"}, "no upgrade"),
        ({"Connection": None}, "no upgrade"),
        ({"Connection": "keep-alive"}, "no upgrade"),
        ({"Connection": "notupgrade"}, "no upgrade"),
        ({"Sec-WebSocket-Accept": None}, "Accept"),
        ({"Sec-WebSocket-Accept": ""}, "Accept"),
        ({"Sec-WebSocket-Accept": ACCEPT}, "Accept"),
        ({"Sec-WebSocket-Accept": "\xe9"}, "Accept"),
        ({"Sec-WebSocket-Extensions": "permessage-deflate"}, "extension"),
        ({"Sec-WebSocket-Extensions": ""}, "extension"),
        ({"Sec-WebSocket-Protocol": "other"}, "subprotocol"),
        ({"Sec-WebSocket-Protocol": "CHAT"}, "subprotocol"),
        ({"Sec-WebSocket-Protocol": ""}, "subprotocol"),
        ({"Sec-WebSocket-Protocol": "chat, chat"}, "subprotocol"),
        ({"Upgrade ": "websocket"}, "malformed header"),
        ({" folded": "x"}, "malformed header"),
    ],
)
def test_refuses_another_answer(headers, reason):
    client = make_client(subprotocols=["chat"])
    client.data_to_send()
    answer = make_answer(client, GOOD | headers) + make_frame(TEXT, b"hi", mask=None)
    assert client.receive(answer) == []
    assert reason in str(client.error)
    assert_refused(client)


@pytest.mark.parametrize("name", [b"Sec-WebSocket-Accept", b"Sec-WebSocket-Protocol"])
def test_refuses_an_answer_with_a_doubled_header(name):
    client = make_client(subprotocols=["chat"])
    client.data_to_send()
    answer = make_answer(client, GOOD)
    line = next(line for line in answer.split(b"\r\n") if line.startswith(name))
    client.receive(answer.replace(line, line + b"\r\n" + line))
    assert_refused(client)


def test_refuses_a_subprotocol_where_none_was_offered():
    client = make_client()
    client.data_to_send()
    client.receive(make_answer(client, GOOD))
    assert_refused(client)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 426, 500, 503, 100, 102])
def test_tells_the_status_of_a_refusal(status):
    client = make_client()
    client.data_to_send()
    client.receive(make_answer(client, status=f"{status} Whatever"))
    assert client.error.status == status
    assert_refused(client)


@pytest.mark.parametrize("data", [b"ICY 200 OK\r\n\r\n", b"\r\n\r\n", b"HTTP/2 101 X\r\n\r\n", b"\x81\x02hi\r\n\r\n"])
def test_refuses_an_answer_that_is_not_http(data):
    client = make_client()
    client.data_to_send()
    client.receive(data)
    assert client.error.status == 400
    assert_refused(client)


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_the_server_may_hang_up_in_the_handshake(cut):
    client = make_client()
    client.data_to_send()
    feed(client, make_answer(client)[:cut])
    assert client.state is State.CONNECTING
    assert client.receive(b"") == []
    assert "hung up" in str(client.error)
    assert_refused(client)


def padded_answer(client, size):
    """Make a good answer whose head, up to the empty line, has ``size`` bytes."""
    size -= len(make_answer(client, {"X": ""})) - 4
    return make_answer(client, {"X": "a" * size})


@pytest.mark.parametrize("cuts", [(), range(0, MAX_HEAD_SIZE + 10, 1000), (MAX_HEAD_SIZE,), (MAX_HEAD_SIZE + 2,)])
def test_the_head_of_an_answer_has_a_bounded_size(cuts):
    client = make_client()
    answer = padded_answer(client, MAX_HEAD_SIZE - 4)
    assert answer.index(b"\r\n\r\n") == MAX_HEAD_SIZE - 4
    assert feed(client, answer + make_frame(TEXT, b"hi", mask=None), *cuts) == ["hi"]
    client = make_client()
    client.data_to_send()
    assert feed(client, padded_answer(client, MAX_HEAD_SIZE + 1) + make_frame(TEXT, b"hi", mask=None), *cuts) == []
    assert "no end" in str(client.error)
    assert_refused(client)


@pytest.mark.parametrize("size", range(MAX_HEAD_SIZE - 6, MAX_HEAD_SIZE + 3))
@pytest.mark.parametrize("dribbled", [False, True])
def test_the_end_of_a_head_counts_however_it_comes(size, dribbled):
    client = make_client()
    client.data_to_send()
    answer = padded_answer(client, size)
    feed(client, answer, *(range(MAX_HEAD_SIZE - 8, len(answer)) if dribbled else ()))
    assert client.state is (State.OPEN if size + 4 <= MAX_HEAD_SIZE else State.CLOSED)


def test_an_answer_without_end_is_not_read_for_ever():
    client = make_client()
    client.data_to_send()
    for _ in range(MAX_HEAD_SIZE):
        client.receive(b"a")
    assert client.state is State.CONNECTING
    client.receive(b"a")
    assert_refused(client)


# Whole, and in pieces

PAYLOADS = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([125, 126, 127, 300]).map(lambda size: b"a" * size),
    st.sampled_from([data for data, _ in INVALID_UTF_8]),
)
MASKS = st.binary(min_size=4, max_size=4)
CONTROL_FRAMES = st.builds(
    make_frame, st.sampled_from([PING, PONG]), st.one_of(st.binary(max_size=20), st.just(b"a" * 125)), mask=MASKS
)
CLOSE_FRAMES = st.builds(
    make_close,
    st.sampled_from([None, *VALID_CODES, *INVALID_CODES]),
    st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=10)),
    mask=MASKS,
).filter(lambda frame: frame[1] & 0x7F <= 125)


@st.composite
def messages_in_frames(draw, payloads=PAYLOADS):
    """Make a message in one frame or many, with control frames between them."""
    payload = draw(payloads)
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=5)))
    data = b""
    for index, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
        fin = index == len(cuts)
        data += make_frame(opcode, payload[start:stop], fin=fin, mask=draw(MASKS))
        opcode = CONTINUATION
        data += b"".join(draw(st.lists(CONTROL_FRAMES, max_size=2)))
    return data


BAD_FRAMES = st.one_of(
    st.builds(make_frame, st.sampled_from(UNKNOWN), PAYLOADS, mask=MASKS),
    st.builds(make_frame, st.sampled_from([TEXT, *CONTROL]), rsv=st.integers(1, 7), mask=MASKS),
    st.builds(make_frame, st.sampled_from([0, TEXT, BINARY, *CONTROL]), mask=st.none()),
    st.builds(make_frame, st.sampled_from([0, TEXT, *CONTROL]), st.binary(max_size=5), width=st.sampled_from([2, 8])),
    st.builds(make_frame, st.sampled_from(CONTROL), fin=st.just(False)),
    st.builds(make_frame, st.sampled_from([TEXT, BINARY]), length=st.integers(0, 2**64 - 1), width=st.just(8)),
    st.builds(make_frame, st.sampled_from([0, TEXT, BINARY]), PAYLOADS, fin=st.booleans()),
)
STREAMS = st.one_of(
    st.lists(st.one_of(messages_in_frames(), CONTROL_FRAMES), max_size=8).map(b"".join),
    st.tuples(
        st.lists(messages_in_frames(), max_size=3).map(b"".join),
        st.one_of(CLOSE_FRAMES, BAD_FRAMES, PAYLOADS),
        st.binary(max_size=20),
    ).map(b"".join),
    st.binary(max_size=100),
)


#: Not among the others, as other readers look at a surrogate's third byte before they refuse it.
SURROGATE_STREAMS = st.lists(messages_in_frames(st.sampled_from(SURROGATES)), max_size=3).map(b"".join)


def outcome(server):
    return server.state, server.close_code, server.close_reason, str(server.error), server.eof_to_send, server.pong


@given(
    st.one_of(STREAMS, SURROGATE_STREAMS),
    st.lists(st.integers(0, 1000)),
    st.sampled_from([None, 3, 100]),
    st.booleans(),
)
def test_nothing_depends_on_how_bytes_arrive(data, cuts, limit, closing):
    servers = [open_server(max_message_size=limit, max_fragments=limit) for _ in range(3)]
    if closing:
        for server in servers:
            server.close()
    received = [
        feed(server, data, *pieces) for server, pieces in zip(servers, [(), cuts, range(len(data))], strict=True)
    ]
    assert received[0] == received[1] == received[2]
    assert outcome(servers[0]) == outcome(servers[1]) == outcome(servers[2])
    sent = [server.data_to_send() for server in servers]
    assert sent[0] == sent[1] == sent[2]
    # At most one Close, and nothing behind it.
    assert [first for first, _ in split_frames(sent[0])].count(0x80 | CLOSE) <= 1
    if servers[0].state is not State.OPEN:
        assert split_frames(sent[0])[-1][0] == 0x80 | CLOSE
    for server in servers:
        server.receive(b"")
        assert server.state is State.CLOSED
        assert not server.outgoing
    assert outcome(servers[0]) == outcome(servers[1]) == outcome(servers[2])


MESSAGES = st.one_of(st.text(max_size=100), st.binary(max_size=100), st.sampled_from([126, 65536]).map(bytes))


@given(st.lists(MESSAGES, max_size=5), st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=5), st.data())
def test_fragmented_messages_arrive_whole(messages, all_cuts, data):
    stream = b""
    for message, wanted in itertools.zip_longest(messages, all_cuts[: len(messages)], fillvalue=()):
        payload = message.encode() if isinstance(message, str) else message
        cuts = sorted(min(cut, len(payload)) for cut in wanted)
        opcode = TEXT if isinstance(message, str) else BINARY
        for start, stop in zip([0, *cuts], [*cuts, None], strict=True):
            stream += make_frame(opcode, payload[start:stop], fin=stop is None, mask=data.draw(MASKS))
            opcode = CONTINUATION
    server = open_server()
    assert feed(server, stream, *data.draw(st.lists(st.integers(0, len(stream))))) == messages
    assert server.state is State.OPEN
    assert not server.outgoing


# Both sides


@given(st.lists(MESSAGES), st.lists(MESSAGES), st.sampled_from([13, 8, 7]), st.lists(st.integers(0, 1000)))
def test_both_sides_understand_each_other(to_server, to_client, version, cuts):
    client = make_client({"cookie": "a=b", "origin": "http://example.com"}, version=version, subprotocols=["a", "chat"])
    head = client.data_to_send().decode().split("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
    assert headers == client.request.headers
    server = RFC6455(Request(headers, http_version=(1, 1)))
    assert (server.version, server.origin) == (version, "http://example.com")
    server.accept("chat", [("Set-Cookie", "c=d")])
    for message in to_client:
        server.send(message)
    server.ping(b"to client")
    assert feed(client, server.data_to_send(), *cuts) == to_client
    assert client.subprotocol == server.subprotocol == "chat"
    for message in to_server:
        client.send(message)
    client.ping(b"to server")
    assert feed(server, client.data_to_send(), *cuts) == to_server
    assert server.pong == b"to client"
    client.receive(server.data_to_send())
    assert client.pong == b"to server"
    client.close(3000, "bye")
    server.receive(client.data_to_send())
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 3000, "bye")
    client.receive(server.data_to_send())
    assert (client.state, client.close_code, client.close_reason) == (State.CLOSED, 3000, "")
    assert client.error is server.error is None


def test_both_sides_may_close_at_once():
    server, client = open_server(), open_client()
    server.close(1001, "server")
    client.close(1000, "client")
    to_client, to_server = server.data_to_send(), client.data_to_send()
    server.receive(to_server)
    client.receive(to_client)
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 1000, "client")
    assert (client.state, client.close_code, client.close_reason) == (State.CLOSED, 1001, "server")
    assert not server.outgoing
    assert not client.outgoing


@pytest.mark.parametrize("data", [make_frame(3, mask=None), make_frame(TEXT, b"\xff", mask=None), make_frame(TEXT)])
def test_a_client_fails_a_server_as_a_server_fails_a_client(data):
    client = open_client()
    client.receive(data)
    code = client.close_code
    (sent,) = client.outgoing
    assert sent[1] & 0x80
    server = open_server()
    server.receive(sent)
    assert (server.close_code, server.close_reason) == (code, client.close_reason)
    assert_failed(client, code, type(client.error))
