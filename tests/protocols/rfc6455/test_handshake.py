"""The opening handshake of RFC 6455, versions 13, 8 and 7, on both sides."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_websocket.exceptions import (
    HandshakeError,
)
from django_websocket.protocols.base import State
from django_websocket.protocols.http import MAX_HEAD_SIZE, MAX_LIST_SIZE, Request
from django_websocket.protocols.rfc6455 import RFC6455, handshake
from django_websocket.protocols.rfc6455.handshake import MAX_DRAFT_KEY_SIZE

from ..inputs import feed
from .peers import (
    ACCEPT,
    KEY,
    NONCE,
    PING,
    PONG,
    TEXT,
    assert_failed,
    assert_refused,
    make_answer,
    make_client,
    make_frame,
    make_request,
    split_frames,
)

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
    # This is the request of section 1.3.
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
def test_accept_refuses_unclean_arguments_before_it_writes_a_byte(subprotocol, headers):
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
def test_names_its_versions_to_a_client_of_another_version(version):
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


@pytest.mark.parametrize("version", ["8", "7"])
@pytest.mark.parametrize(
    "key", ["OC0xNzk1ODM2MDU4OTgz", KEY, "a", "+/==", "a" * MAX_DRAFT_KEY_SIZE, base64.b64encode(bytes(48)).decode()]
)
def test_a_key_of_the_drafts_is_any_base64_of_bounded_size(version, key):
    """Servers hash it as it came: some clients of that time sent fewer than sixteen bytes."""
    server = RFC6455(make_request({"sec-websocket-version": version, "sec-websocket-key": key}))
    server.accept()
    assert server.data_to_send() == make_answer(SimpleNamespace(request=Request({"sec-websocket-key": key})))
    with pytest.raises(HandshakeError, match="the Sec-WebSocket-Key is missing or malformed"):
        RFC6455(make_request({"sec-websocket-key": key[:20]}))


@pytest.mark.parametrize("version", ["8", "7"])
@pytest.mark.parametrize(
    "key",
    ["", "=", "a===", "a=a", "a b", "a\nb", "a\n", "a-", "é", "\ud800", "a,b", "a" * (MAX_DRAFT_KEY_SIZE + 1)],
)
def test_refuses_a_key_of_the_drafts_that_is_no_base64(version, key):
    with pytest.raises(HandshakeError, match="the Sec-WebSocket-Key is missing or malformed"):
        RFC6455(make_request({"sec-websocket-version": version, "sec-websocket-key": key}))


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
        (8, {"origin": "http://a", "sec-websocket-origin": "http://b"}, "http://b"),
        (7, {"sec-websocket-origin": "http://b"}, "http://b"),
        (7, {"sec-websocket-origin": "", "origin": ""}, ""),
    ],
)
def test_finds_the_origin_in_the_header_of_the_version(version, headers, origin):
    assert RFC6455(make_request(headers | {"sec-websocket-version": str(version)})).origin == origin


@pytest.mark.parametrize(
    ("version", "headers", "origins"),
    [
        (13, {}, ()),
        (13, {"origin": "http://a", "sec-websocket-origin": "http://b"}, ("http://a",)),
        (13, {"sec-websocket-origin": "http://b"}, ()),
        (8, {"origin": "http://a", "sec-websocket-origin": "http://b"}, ("http://b", "http://a")),
        (8, {"origin": "", "sec-websocket-origin": ""}, ("", "")),
        (7, {"origin": "http://a"}, ("http://a",)),
    ],
)
def test_finds_all_origins_that_have_to_be_allowed(version, headers, origins):
    assert RFC6455(make_request(headers | {"sec-websocket-version": str(version)})).origins == origins


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


# The client's handshake (section 4.1)


def test_asks_byte_for_byte(monkeypatch):
    monkeypatch.setattr(handshake, "os", SimpleNamespace(urandom={16: NONCE}.get))
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
def test_does_not_send_an_unclean_request(where, value):
    headers = {where: value} if where in ("origin", "cookie") else {}
    options = {"host": "example.com"} | ({where: value} if where in ("host", "target") else {})
    subprotocols = ["chat", value] if where == "subprotocols" else ()
    client = RFC6455(Request(headers, **options), client=True, subprotocols=subprotocols)
    with pytest.raises(ValueError, match=r"malformed|visible"):
        client.connect()
    assert not client.outgoing


@pytest.mark.parametrize("subprotocols", [["chat", "chat"], ["a b"], [""], ["chat", ""], ["a,b"], list("aA!/")])
def test_does_not_offer_malformed_subprotocols(subprotocols):
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
def test_the_error_has_the_status_of_a_refusal(status):
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
    """Return a good answer whose head has ``size`` bytes up to the empty line."""
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
def test_the_end_of_a_head_counts_in_whatever_pieces_it_arrives(size, dribbled):
    client = make_client()
    client.data_to_send()
    answer = padded_answer(client, size)
    feed(client, answer, *(range(MAX_HEAD_SIZE - 8, len(answer)) if dribbled else ()))
    assert client.state is (State.OPEN if size + 4 <= MAX_HEAD_SIZE else State.CLOSED)


def test_an_answer_without_end_is_refused():
    client = make_client()
    client.data_to_send()
    for _ in range(MAX_HEAD_SIZE):
        client.receive(b"a")
    assert client.state is State.CONNECTING
    client.receive(b"a")
    assert_refused(client)
