"""The frames of the clients."""

import pytest

from django_websocket.protocols.rfc6455.frames import Opcode
from lab.groups import frames


def server(first, payload):
    size = len(payload)
    if size <= 125:
        return bytes([first, size]) + payload
    if size < 1 << 16:
        return bytes([first, 126]) + size.to_bytes(2, "big") + payload
    return bytes([first, 127]) + size.to_bytes(8, "big") + payload


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536])
def test_whole_frames(size):
    data = server(frames.TEXT, b"x" * size) + server(frames.PING, b"ping")
    assert frames.split(data) == ([(frames.TEXT, b"x" * size), (frames.PING, b"ping")], b"")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65536])
def test_a_part_is_left(size):
    whole, second = server(frames.TEXT, b"first"), server(frames.BINARY, b"x" * size)
    for end in {0, 1, 2, 3, 9, len(second) - 1}:
        if end < len(second):
            assert frames.split(whole + second[:end]) == ([(frames.TEXT, b"first")], second[:end])


@pytest.mark.parametrize("data", [b"HTTP/1.1 400", b"\x01\x01a", b"\x81\x81\0\0\0\0a", b"\xc1\x01a"])
def test_no_frame(data):
    with pytest.raises(ValueError, match="not a frame of a server"):
        frames.split(data)


def test_a_frame_of_a_client():
    assert frames.answer(b"ping") == bytes([0x80 | Opcode.PONG, 0x84, 0, 0, 0, 0]) + b"ping"
    with pytest.raises(ValueError, match="short"):
        frames.make(frames.TEXT, b"x" * 126)
