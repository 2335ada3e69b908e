"""hixie-76: the challenge of its handshake, and its closing handshake. Its frames are those of hixie-75."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.exceptions import ConnectionClosed, HandshakeError, UnsupportedFeature
from django_websocket.protocols import hixie76
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie76 import MAX_DIGITS, Hixie76
from django_websocket.protocols.http import MAX_LIST_SIZE, Request

from .inputs import UNCLEAN, feed
from .test_hixie75 import FRAMES, ORIGIN, UPGRADE

#: The draft's own examples: both keys, the eight bytes behind the head, the response.
VECTORS = [
    ("4 @1  46546xW%0l 1 5", "12998 5 Y3 1  .P00", b"^n:ds[4U", b"8jKS'y:G*Co,Wxa-"),
    (
        "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
        "1_ tx7X d  <  nw  334J702) 7]o}` 0",
        b"Tm[K T2u",
        b"fQJ,fN/4F4!~K~MH",
    ),
]
KEY1, KEY2, KEY3, RESPONSE = VECTORS[0]


def make_request(headers=None, key1=KEY1, key2=KEY2, **options):
    options = {"host": "example.com", "target": "/demo"} | options
    keys = {"sec-websocket-key1": key1, "sec-websocket-key2": key2}
    return Request(UPGRADE | ORIGIN | keys | (headers or {}), **options)


def accepted(**options):
    server = Hixie76(make_request(), **options)
    server.accept()
    server.data_to_send()
    return server


def open_server(**options):
    server = accepted(**options)
    server.receive(KEY3)
    server.data_to_send()
    return server


# The server's handshake


def test_matches_by_either_key():
    assert Hixie76.matches(Request({"sec-websocket-key1": ""}))
    assert Hixie76.matches(Request({"sec-websocket-key2": ""}))
    assert not Hixie76.matches(Request(UPGRADE | ORIGIN))


@pytest.mark.parametrize(("key1", "key2", "key3", "response"), VECTORS)
def test_answers_the_drafts_examples_byte_for_byte(key1, key2, key3, response):
    server = Hixie76(make_request({"sec-websocket-protocol": "sample"}, key1, key2))
    assert server.version == 76
    assert server.offered_subprotocols == ("sample",)
    server.accept("sample")
    assert server.state is State.CONNECTING
    assert server.data_to_send() == (
        b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
        b"Upgrade: WebSocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Location: ws://example.com/demo\r\n"
        b"Sec-WebSocket-Origin: http://example.com\r\n"
        b"Sec-WebSocket-Protocol: sample\r\n"
        b"\r\n"
    )
    assert server.receive(key3) == []
    assert server.state is State.OPEN
    assert server.data_to_send() == response


@given(st.lists(FRAMES.filter(lambda frame: frame[0][0] != 0xFF)), st.lists(st.integers(0, 1000)))
def test_the_eight_bytes_and_the_frames_may_arrive_in_any_pieces(frames, cuts):
    data = KEY3 + b"".join(frame for frame, _ in frames)
    messages = [message for _, messages in frames for message in messages]
    for pieces in ([], cuts, range(len(data))):
        server = accepted()
        assert feed(server, data, *pieces) == messages
        assert server.state is State.OPEN
        assert server.data_to_send() == RESPONSE


def test_opens_with_the_eighth_byte():
    server = accepted()
    server.receive(KEY3[:7])
    assert server.state is State.CONNECTING
    assert not server.outgoing
    with pytest.raises(ConnectionClosed):
        server.send("too early")
    server.receive(KEY3[7:])
    assert server.state is State.OPEN


@pytest.mark.parametrize("size", range(8))
def test_the_client_may_hang_up_before_the_eighth_byte(size):
    server = accepted()
    feed(server, KEY3[:size])
    assert server.receive(b"") == []
    assert (server.state, server.close_code) == (State.CLOSED, 1006)
    assert isinstance(server.error, HandshakeError)
    assert not server.outgoing
    assert server.receive(KEY3) == []
    assert not server.outgoing


@pytest.mark.parametrize(
    "key",
    [
        "",
        "12345",
        " ",
        "no digit",
        # These are digits and spaces to str.isdigit() and str.isspace(), but not to the draft.
        "\xb2 \xb3",
        "\u0661 \u0662",
        "1\xa02",
        "1\t2",
        # The number is not a multiple of the spaces.
        "1  1",
        # The number needs 33 bits.
        "4294967296 ",
        "1288 490 188 8",
        "1" * MAX_DIGITS + "0 ",
        # int() refuses to parse so many digits.
        "1 " + "0" * 5000,
    ],
)
@pytest.mark.parametrize("which", ["key1", "key2"])
def test_refuses_a_malformed_key(which, key):
    with pytest.raises(HandshakeError, match=f"Sec-WebSocket-K{which[1:]}") as caught:
        Hixie76(make_request(**{which: key}))
    assert caught.value.status == 400


@pytest.mark.parametrize("which", ["key1", "key2"])
def test_refuses_a_missing_key(which):
    headers = dict(make_request().headers)
    del headers[f"sec-websocket-{which}"]
    with pytest.raises(HandshakeError, match=f"Sec-WebSocket-K{which[1:]}"):
        Hixie76(Request(headers, host="example.com"))


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("4294967295 ", 0xFFFFFFFF),
        (" 0", 0),
        # Spaces at the end count, if the WSGI server does not strip them.
        ("8 ", 8),
        ("8    ", 2),
        ("0" * (MAX_DIGITS - 1) + "8 ", 8),
        ("~" * 5000 + " 7", 7),
        ("\xe9 7\xb2", 7),
    ],
)
def test_takes_a_key_to_the_letter(key, number):
    server = Hixie76(make_request(key2=key))
    server.accept()
    server.data_to_send()
    server.receive(KEY3)
    assert (
        server.data_to_send() == hashlib.md5((829309203).to_bytes(4, "big") + number.to_bytes(4, "big") + KEY3).digest()
    )


@pytest.mark.parametrize("value", UNCLEAN)
@pytest.mark.parametrize("where", ["origin", "sec-websocket-protocol", "host", "target"])
def test_refuses_to_repeat_an_unclean_value(where, value):
    with pytest.raises(HandshakeError) as caught:
        Hixie76(make_request(**{where: value}) if where in ("host", "target") else make_request({where: value}))
    assert value not in str(caught.value)


@pytest.mark.parametrize("length", ["", "0", "8", " 8 "])
def test_the_eight_bytes_may_be_announced(length):
    server = Hixie76(make_request({"content-length": length}))
    server.accept()
    server.receive(KEY3)
    assert server.state is State.OPEN


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": "7"},
        {"content-length": "9"},
        {"content-length": "08"},
        {"content-length": "8, 8"},
        {"transfer-encoding": "chunked"},
        {"origin": ""},
        {"sec-websocket-protocol": "a" * (MAX_LIST_SIZE + 1)},
    ],
)
def test_refuses_a_malformed_request(headers):
    with pytest.raises(HandshakeError):
        Hixie76(make_request(headers))


@pytest.mark.parametrize(("draft", "known"), [("", True), ("0", True), (" 0\t", True), ("1", False), ("3", False)])
def test_refuses_drafts_with_other_frames(draft, known):
    request = make_request({"sec-websocket-draft": draft})
    if known:
        Hixie76(request)
    else:
        with pytest.raises(HandshakeError, match="Draft"):
            Hixie76(request)


def test_accept_refuses_unclean_arguments_before_it_writes_a_byte():
    server = Hixie76(make_request())
    with pytest.raises(ValueError, match="subprotocol"):
        server.accept("sample")
    assert not server.outgoing


# The client's handshake


def test_makes_keys_that_hide_their_number():
    for _ in range(500):
        key, number = hixie76._make_key()
        assert hixie76._solve(key, "key") == number.to_bytes(4, "big")
        assert key == key.strip(" ")
        assert all("\x20" <= character <= "\x7e" for character in key)
        assert 1 <= key.count(" ") <= 12
        assert 1 <= sum(not (character == " " or character.isdigit()) for character in key) <= 12


@pytest.mark.parametrize(
    ("pick", "expected", "number"),
    [(0, "! 0", 0), (-1, "4294967292" + "~" * 11 + " " * 12 + "~", 0xFFFFFFFF // 12)],
)
def test_keys_at_both_ends_of_what_the_draft_allows(monkeypatch, pick, expected, number):
    class Random:
        randint = staticmethod(lambda *bounds: bounds[pick])
        choice = staticmethod(lambda characters: characters[pick])

    monkeypatch.setattr(hixie76, "_RANDOM", Random)
    assert hixie76._make_key() == (expected, number)
    assert hixie76._solve(expected, "key") == number.to_bytes(4, "big")


def test_keys_hide_their_digits_among_all_visible_characters():
    visible = map(chr, range(0x21, 0x7F))
    assert set(hixie76._JUNK) == {character for character in visible if not character.isdigit()}


def make_client(**options):
    return Hixie76(Request({"cookie": "a=b"}, host="example.com", target="/demo"), client=True, **options)


def connected(**options):
    client = make_client(**options)
    client.connect()
    return client, client.data_to_send()


def answer_to(client, sent, subprotocol=None):
    server = Hixie76(client.request)
    server.accept(subprotocol)
    assert server.receive(sent[-8:]) == []
    return server, server.data_to_send()


def test_asks_like_the_draft():
    client, sent = connected(subprotocols=["sample"])
    head, _, key3 = sent.partition(b"\r\n\r\n")
    assert len(key3) == 8
    first, *lines = head.decode("ascii").split("\r\n")
    assert first == "GET /demo HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines)
    assert list(headers) == [
        "Upgrade",
        "Connection",
        "Host",
        "Origin",
        "Sec-WebSocket-Protocol",
        "Cookie",
        "Sec-WebSocket-Key1",
        "Sec-WebSocket-Key2",
    ]
    assert client.request.headers == {name.lower(): value for name, value in headers.items()}
    assert headers["Sec-WebSocket-Key1"] != headers["Sec-WebSocket-Key2"]
    assert connected()[1][-8:] != key3


def test_offers_one_subprotocol_at_most():
    client = make_client(subprotocols=["a", "b"])
    with pytest.raises(UnsupportedFeature, match="hixie-76"):
        client.connect()
    assert not client.outgoing


@given(st.lists(st.integers(0, 300)))
def test_takes_the_answer_in_any_pieces(cuts):
    client, sent = connected(subprotocols=["sample"])
    server, answer = answer_to(client, sent, "sample")
    server.send("hi")
    assert feed(client, answer + server.data_to_send(), *cuts) == ["hi"]
    assert client.state is server.state is State.OPEN
    assert client.subprotocol == "sample"


def test_opens_with_the_sixteenth_byte():
    client, sent = connected()
    _, answer = answer_to(client, sent)
    head = answer[:-16]
    assert head.endswith(b"\r\n\r\n")
    assert client.receive(head) == []
    assert client.receive(answer[-16:-1]) == []
    assert client.state is State.CONNECTING
    assert client.receive(answer[-1:]) == []
    assert client.state is State.OPEN


@pytest.mark.parametrize("position", [-1, -8, -16])
def test_refuses_a_wrong_response(position):
    client, sent = connected()
    _, answer = answer_to(client, sent)
    wrong = bytearray(answer + b"\x00hi\xff")
    wrong[len(answer) + position] ^= 1
    assert client.receive(bytes(wrong)) == []
    assert (client.state, client.close_code) == (State.CLOSED, 1006)
    assert isinstance(client.error, HandshakeError)
    assert client.receive(b"\x00hi\xff") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" 101 ", b" 200 "),
        (b"Upgrade: WebSocket", b"Upgrade: h2c"),
        (b"Connection: Upgrade", b"Connection: close"),
        (b"Location: ws:", b"Location: wss:"),
        (b"Sec-WebSocket-Origin", b"WebSocket-Origin"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: sample\r\n\r\n"),
    ],
)
def test_refuses_another_answer(old, new):
    client, sent = connected()
    _, answer = answer_to(client, sent)
    assert old in answer
    assert client.receive(answer.replace(old, new)) == []
    assert (client.state, client.close_code) == (State.CLOSED, 1006)
    assert isinstance(client.error, HandshakeError)


def test_takes_an_answer_that_a_proxy_has_written():
    client, sent = connected()
    _, answer = answer_to(client, sent)
    start = b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
    rest = answer.removeprefix(start).replace(b"Connection: Upgrade", b"Connection: upgrade")
    client.receive(start + b"Server: nginx\r\n" + rest)
    assert client.state is State.OPEN


@pytest.mark.parametrize("missing", [1, 16, 17])
def test_the_server_may_hang_up_in_the_handshake(missing):
    client, sent = connected()
    _, answer = answer_to(client, sent)
    client.receive(answer[:-missing])
    assert client.receive(b"") == []
    assert (client.state, client.close_code) == (State.CLOSED, 1006)
    assert isinstance(client.error, HandshakeError)


# The end


@pytest.mark.parametrize("closing_frame", [b"\xff\x00", b"\xff\x80\x80\x00"])
@pytest.mark.parametrize("dribbled", [False, True])
def test_answers_the_closing_frame_once(closing_frame, dribbled):
    server = open_server()
    data = b"\x00a\xff" + closing_frame + b"\x00ignored\xff\xff\x00"
    assert feed(server, data, *range(len(data)) if dribbled else ()) == ["a"]
    assert (server.state, server.close_code, server.error) == (State.CLOSED, 1005, None)
    assert server.data_to_send() == b"\xff\x00"
    assert server.receive(b"\xff\x00") == server.receive(b"") == []
    server.close()
    assert not server.outgoing
    assert server.close_code == 1005


def test_closes_and_waits_for_the_answer():
    server = open_server()
    server.close(3000, "not sent")
    assert server.state is State.CLOSING
    assert server.data_to_send() == b"\xff\x00"
    assert not server.eof_to_send
    server.close()
    assert not server.outgoing
    with pytest.raises(ConnectionClosed):
        server.send("b")
    assert server.receive(b"\x00a\xff") == ["a"]
    assert server.state is State.CLOSING
    assert server.receive(b"\xff\x00\x00ignored\xff") == []
    assert (server.state, server.close_code) == (State.CLOSED, 1005)
    assert not server.outgoing


@pytest.mark.parametrize("code", [0, 1004, 1006, 1010, 1015, 2999, 5000])
def test_close_checks_arguments_that_it_does_not_send(code):
    server = open_server()
    with pytest.raises(ValueError, match="close code"):
        server.close(code)
    assert server.state is State.OPEN
    assert not server.outgoing


def test_other_frames_with_a_length_close_nothing():
    server = open_server()
    assert server.receive(b"\x80\x00\xfe\x00\xff\x01a\x00b\xff") == ["b"]
    assert server.state is State.OPEN
    assert not server.outgoing


@pytest.mark.parametrize("data", [b"", b"\x00a\xff", b"\x00a", b"\xff", b"\xff\x80"])
@pytest.mark.parametrize("closing", [False, True])
def test_an_end_without_the_closing_frame_is_a_loss(data, closing):
    server = open_server()
    if closing:
        server.close()
    server.data_to_send()
    feed(server, data)
    assert server.receive(b"") == []
    assert (server.state, server.close_code, server.error) == (State.CLOSED, 1006, None)
    assert not server.outgoing


def test_close_gives_up_an_incomplete_handshake():
    server = accepted()
    server.close()
    assert (server.state, server.close_code) == (State.CLOSED, 1006)
    assert server.receive(KEY3) == []
    assert not server.outgoing


@pytest.mark.parametrize(
    ("data", "code"), [(b"\x00toolong", 1009), (b"\x80\x05", 1009), (b"\x80" + b"\x80" * 10, 1002)]
)
def test_a_failed_connection_sends_one_closing_frame(data, code):
    for closing in (False, True):
        server = open_server(max_message_size=4)
        if closing:
            server.close()
        assert server.receive(b"\x00a\xff" + data) == ["a"]
        assert (server.state, server.close_code) == (State.CLOSED, code)
        assert server.error is not None
        assert server.data_to_send() == b"\xff\x00"
        assert server.eof_to_send
        assert server.receive(b"\xff\x00") == []
        assert not server.outgoing


def test_carries_text_only():
    server = open_server()
    for refused in (lambda: server.send(b"a"), server.ping):
        with pytest.raises(UnsupportedFeature, match="hixie-76"):
            refused()
    assert not server.outgoing


@given(st.lists(st.text()), st.lists(st.text()), st.lists(st.integers(0, 400)), st.booleans())
def test_both_sides_understand_each_other(to_server, to_client, cuts, client_closes):
    client, sent = connected()
    server = Hixie76(client.request)
    server.accept()
    # The head of the answer is sent before the eight bytes are received.
    assert feed(client, server.data_to_send(), *cuts) == []
    assert feed(server, sent[-8:], *cuts) == []
    for message in to_client:
        server.send(message)
    assert feed(client, server.data_to_send(), *cuts) == to_client
    for message in to_server:
        client.send(message)
    first, second = (client, server) if client_closes else (server, client)
    first.close()
    assert feed(server, client.data_to_send(), *cuts) == to_server
    assert feed(client, server.data_to_send(), *cuts) == []
    assert feed(server, client.data_to_send(), *cuts) == []
    for side in (first, second):
        assert (side.state, side.close_code, side.outgoing) == (State.CLOSED, 1005, [])
