"""Frames of RFC 6455: constants, headers and the payload of a Close (section 5)."""

from __future__ import annotations

import enum
import os
import struct
from typing import Final

from ...exceptions import InvalidData, ProtocolError
from ..close_codes import CloseCode, is_close_code
from .masking import apply_mask

#: The most bytes of payload in a control frame (section 5.5), and in a frame without an extended payload length
#: (section 5.2).
MAX_CONTROL_SIZE: Final = 125
NOT_SHORTEST: Final = "a length is not in its shortest form"


class Opcode(enum.IntEnum):
    """Opcodes (section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


#: The bit of the first byte of a frame that marks the last frame of a message (section 5.2).
FIN: Final = 0x80
#: The reserved bits of the first byte.
RSV: Final = 0x70
#: The first of the reserved bits; it marks a compressed message (RFC 7692 section 6).
RSV1: Final = 0x40
#: The bit of the second byte that marks a masked frame.
MASKED: Final = 0x80
_pack_header: Final = struct.Struct("!BB").pack
_pack_header_2: Final = struct.Struct("!BBH").pack
_pack_header_8: Final = struct.Struct("!BBQ").pack
DATA_OPCODES: Final = frozenset({Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY})
CONTROL_OPCODES: Final = frozenset({Opcode.CLOSE, Opcode.PING, Opcode.PONG})


def build_header(opcode: int, size: int, masked: int = 0) -> bytes:
    """Return the header of a frame with FIN and ``size`` bytes of payload, without the masking key.

    ``masked`` is 0 or :data:`MASKED`.
    """
    if size <= MAX_CONTROL_SIZE:
        return _pack_header(FIN | opcode, masked | size)
    if size < 1 << 16:
        return _pack_header_2(FIN | opcode, masked | 126, size)
    return _pack_header_8(FIN | opcode, masked | 127, size)


#: The headers of whole messages of up to 125 bytes, by opcode (with :data:`RSV1` or without) and by size. A look-up is
#: faster than :func:`build_header`.
SHORT_HEADERS: Final = {
    bit | opcode: tuple(build_header(bit | opcode, size) for size in range(MAX_CONTROL_SIZE + 1))
    for bit in (0, RSV1)
    for opcode in (int(Opcode.TEXT), int(Opcode.BINARY))
}


def build_frame(opcode: int, payload: bytes, masked: bool) -> bytes:
    """Return a whole frame, with a fresh key if it is ``masked`` (section 5.3)."""
    size = len(payload)
    if masked:
        mask = os.urandom(4)
        return build_header(opcode, size, MASKED) + mask + apply_mask(payload, mask)
    return build_header(opcode, size) + payload


def long_length(data: bytes) -> int:
    """Return the payload length that the 8 bytes of ``data`` encode (section 5.2).

    :raises ProtocolError: the most significant bit is set, or fewer bytes would do.
    """
    length = int.from_bytes(data, "big")
    if length >> 63:
        raise ProtocolError("the most significant bit of a length is set")
    if length < 1 << 16:
        raise ProtocolError(NOT_SHORTEST)
    return length


def parse_close(payload: bytes) -> tuple[int, str]:
    """Return the code and reason of a Close frame; the code is 1005 if the frame has none (section 5.5.1).

    :raises ProtocolError: the code must not stand in a Close frame.
    :raises InvalidData: the reason is not UTF-8.
    """
    if not payload:
        return CloseCode.NO_STATUS_RECEIVED, ""
    code = int.from_bytes(payload[:2], "big")
    # The check refuses a payload of a single byte too, because its code is a number below 256.
    if not is_close_code(code):
        raise ProtocolError("a close code is not valid")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise InvalidData("a close reason is not UTF-8") from None
