"""Frames of RFC 6455: those that are received and those that are sent."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

import pytest

from django_websocket.exceptions import (
    ConnectionClosed,
)
from django_websocket.protocols.base import State
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455 import frames as frames_module

from ..inputs import feed
from .peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROL,
    MASK,
    PING,
    PONG,
    TEXT,
    UNKNOWN,
    assert_failed,
    make_client,
    make_close,
    make_frame,
    make_request,
    open_client,
    open_server,
    split_frames,
)

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
    monkeypatch.setattr(frames_module, "os", SimpleNamespace(urandom={4: MASK}.get))
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
    monkeypatch.setattr(frames_module, "os", SimpleNamespace(urandom={4: MASK}.get))
    client.send("Hello")
    assert client.data_to_send() == bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")


# Received frames (sections 5.1 to 5.4)


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
    # A message is an object of its own, not a view of the received data.
    assert type(receiver.receive(data)[0]) is kind
    assert type(feed(receiver, data, 4)[0]) is kind
    assert receiver.state is State.OPEN


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, *CONTROL])
def test_refuses_an_unmasked_frame_of_a_client(opcode):
    server = open_server()
    assert server.receive(make_frame(opcode, b"", mask=None)) == []
    assert_failed(server, 1002)


def test_a_client_refuses_a_masked_frame():
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


# Sent frames


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
def test_sends_bytes_like_objects(make_sender, message, payload):
    sender = make_sender()
    sender.send(message)
    sender.ping(message)
    assert split_frames(sender.data_to_send()) == [(0x80 | BINARY, payload), (0x80 | PING, payload)]


def test_copies_the_content_of_a_buffer():
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
def test_sends_nothing_but_text_and_bytes(message):
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
def test_a_ping_refuses_other_types_and_more_than_125_bytes(data, error):
    server = open_server()
    assert RFC6455.can_ping
    with pytest.raises(error, match=r"^(a ping has at most 125 bytes|ping\(\) takes bytes)$"):
        server.ping(data)
    assert not server.outgoing


def test_a_ping_may_have_125_bytes():
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
        # The code of the peer is not received yet.
        assert caught.value.code == 1005
    server.receive(make_close(3000, b"bye"))
    for call in (lambda: server.send("a"), server.ping):
        with pytest.raises(ConnectionClosed) as caught:
            call()
        assert (caught.value.code, caught.value.reason) == (3000, "bye")
    assert not server.outgoing


def test_a_client_masks_each_frame_with_another_key(monkeypatch):
    masks = [b"\1\2\3\4", b"\5\6\7\x08", b"\x09\x0a\x0b\x0c", b"\xfd\xfe\xff\0"]
    left = iter(masks)

    def urandom(size):
        assert size == 4
        return next(left)

    client = open_client()
    monkeypatch.setattr(frames_module, "os", SimpleNamespace(urandom=urandom))
    client.send("Hello")
    client.ping(b"Hello")
    client.receive(make_frame(PING, b"Hello", mask=None))
    client.close()
    frames = [(TEXT, b"Hello"), (PING, b"Hello"), (PONG, b"Hello"), (CLOSE, b"\x03\xe8")]
    assert client.outgoing == [
        make_frame(opcode, payload, mask=mask) for (opcode, payload), mask in zip(frames, masks, strict=True)
    ]
