"""The bytes that the load client sends and expects, built once before anything is timed (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Final

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
FIN: Final = 0x80
MASKED: Final = 0x80

#: One masking key for all frames. A server cannot know that it is always the same, and unmasks each frame.
MASK: Final = bytes.fromhex("37fa213d")
KEY: Final = base64.b64encode(b"the sample nonce")
ACCEPT: Final = base64.b64encode(
    hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
)


def text(size: int) -> bytes:
    """Return ``size`` bytes of ASCII that look like JSON."""
    items = (
        b'{"id": %d, "user": "user-%d", "text": "lorem ipsum %x", "ok": true},' % (n * 7919, n, n * 104729)
        for n in range(size // 50 + 1)
    )
    return b"".join(items)[:size]


def header(size: int, opcode: int = TEXT, *, masked: bool) -> bytes:
    """Return the header of a frame with a payload of ``size`` bytes, without the masking key (section 5.2)."""
    bit = MASKED if masked else 0
    if size < 126:
        return bytes((FIN | opcode, bit | size))
    if size < 1 << 16:
        return struct.pack("!BBH", FIN | opcode, bit | 126, size)
    return struct.pack("!BBQ", FIN | opcode, bit | 127, size)


def apply_mask(payload: bytes) -> bytes:
    """Mask, or unmask, a payload with :data:`MASK`."""
    size = len(payload)
    key = (MASK * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return the masked frame that a client sends."""
    return header(len(payload), opcode, masked=True) + MASK + apply_mask(payload)


def server_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return the frame that a server answers with."""
    return header(len(payload), opcode, masked=False) + payload


#: The Close frame by which a client begins the closing handshake.
CLOSE_FRAME: Final = client_frame((1000).to_bytes(2, "big"), CLOSE)


def frame_size(data: bytes) -> int | None:
    """Return the size in bytes of the frame that ``data`` begins with; ``None``: its header is not complete."""
    if len(data) < 2:
        return None
    length, start = data[1] & 0x7F, 2
    if length > 125:
        start += 2 if length == 126 else 8
        if len(data) < start:
            return None
        length = int.from_bytes(data[2:start], "big")
    return start + (4 if data[1] & MASKED else 0) + length


def handshake(host: str, port: int, path: str) -> bytes:
    """Return the request that opens a connection (section 4.1)."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Origin: http://{host}:{port}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY.decode()}\r\n\r\n"
    ).encode("ascii")


def after_handshake(data: bytes) -> bytes | None:
    """Return the bytes that follow the server's answer; ``None``: the answer is not complete.

    :raises ValueError: the answer does not accept the connection.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    if not head.startswith(b"HTTP/1.1 101 ") or ACCEPT not in head:
        raise ValueError(f"the handshake was refused: {head.partition(bytes((13,)))[0].decode('latin-1')}")
    return rest


class Reader:
    """A parser of the frames of a server, for answers that are not just the expected bytes."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes, and return the first byte (FIN and opcode) and the payload of each frame that is complete."""
        self.data += data
        frames = []
        while (size := frame_size(self.data)) is not None and len(self.data) >= size:
            start = 2 + {126: 2, 127: 8}.get(self.data[1], 0)
            frames.append((self.data[0], self.data[start:size]))
            self.data = self.data[size:]
        return frames
