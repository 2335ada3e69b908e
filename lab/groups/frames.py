"""The frames of a client that holds a thousand connections, with as little work for each as will do."""

from __future__ import annotations

from typing import Final

#: The first bytes of the frames that a server may send to these clients: whole messages and control frames.
TEXT: Final = 0x81
BINARY: Final = 0x82
CLOSE: Final = 0x88
PING: Final = 0x89
_KNOWN: Final = frozenset({TEXT, BINARY, CLOSE, PING})
_PONG: Final = 0x8A


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the frames that are whole, each as its first byte and its payload, and the bytes that are left.

    :raises ValueError: these are not the frames of a server, or a message is fragmented.
    """
    frames = []
    at, end = 0, len(data)
    while end - at >= 2:
        first, size = data[at], data[at + 1]
        if first not in _KNOWN or size > 127:
            raise ValueError(f"not a frame of a server: {data[at : at + 20]!r}")
        start = at + 2
        if size > 125:
            start += 2 if size == 126 else 8
            if start > end:
                break
            size = int.from_bytes(data[at + 2 : start], "big")
        if start + size > end:
            break
        frames.append((first, data[start : start + size]))
        at = start + size
    return frames, data[at:]


def make(first: int, payload: bytes) -> bytes:
    """Return a short frame of a client. Its mask is zero, which changes nothing in the payload."""
    if len(payload) > 125:
        raise ValueError("these clients send short frames only")
    return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def answer(ping: bytes) -> bytes:
    """Return the frame that answers a ping."""
    return make(_PONG, ping)
