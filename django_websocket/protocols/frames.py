"""Frames of RFC 6455: their constants, and the parts of them that need no connection (section 5)."""

from __future__ import annotations

import enum
import os
from typing import Final

from ..exceptions import InvalidData, ProtocolError
from .base import CloseCode, is_close_code
from .masking import apply_mask

#: Section 5.5: bytes of payload in a control frame.
MAX_CONTROL_SIZE: Final = 125


class Opcode(enum.IntEnum):
    """Opcodes (section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


#: Bit of a frame's first byte.
FIN: Final = 0x80
#: Others of it: the reserved ones, and the first of them.
RSV: Final = 0x70
RSV1: Final = 0x40
#: Bit of its second byte.
MASKED: Final = 0x80
DATA_OPCODES: Final = frozenset({Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY})
CONTROL_OPCODES: Final = frozenset({Opcode.CLOSE, Opcode.PING, Opcode.PONG})


def build_frame(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    """Give a whole frame, with a fresh key where it is ``masked`` (section 5.3)."""
    size = len(payload)
    bit, mask = 0, b""
    if masked:
        bit, mask = MASKED, os.urandom(4)
        payload = apply_mask(payload, mask)
    if size <= MAX_CONTROL_SIZE:
        return b"%c%c%b%b" % (FIN | opcode, bit | size, mask, payload)
    if size < 1 << 16:
        return b"%c%c%b%b%b" % (FIN | opcode, bit | 126, size.to_bytes(2, "big"), mask, payload)
    return b"%c%c%b%b%b" % (FIN | opcode, bit | 127, size.to_bytes(8, "big"), mask, payload)


def extended_length(data: bytes) -> int:
    """Give an extended payload length of 2 or 8 bytes (section 5.2)."""
    length = int.from_bytes(data, "big")
    if length >> 63:
        raise ProtocolError("the most significant bit of a length is set")
    if length < (126 if len(data) == 2 else 1 << 16):
        raise ProtocolError("a length is not in its shortest form")
    return length


def parse_close(payload: bytes) -> tuple[int, str]:
    """Give the code and reason of a Close frame, 1005 where it has none (section 5.5.1)."""
    if not payload:
        return CloseCode.NO_STATUS_RECEIVED, ""
    code = int.from_bytes(payload[:2], "big")
    # A single byte is no code either.
    if not is_close_code(code):
        raise ProtocolError("a close code is not valid")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise InvalidData("a close reason is not UTF-8") from None
