"""Frames of RFC 6455 that are built from arbitrary bytes, so that most are valid and the others nearly so."""

from __future__ import annotations

import zlib
from typing import Final

from django_websocket.protocols.base import Compression
from django_websocket.protocols.rfc6455 import RFC6455

from .peers import rfc6455_client, rfc6455_server
from .streams import Outcome, check_splits

LIMITS: Final = (None, 16, 125, 2000)
#: The number of bytes before the stream, which choose the options and the cuts.
OPTIONS: Final = 2
#: The greatest size of a stream of built frames, which can be much longer than the bytes it is built from.
MAX_STREAM: Final = 1 << 17

# The first byte of the options
_COMPRESSED: Final = 0x01
_TAKEOVER: Final = 0x02
_CLOSING: Final = 0x04
_BUILT: Final = 0x08
_FEW_FRAGMENTS: Final = 0x40

# The bits of the second byte of a frame's description
_DEFLATED: Final = 0x01
_FINAL_BLOCK: Final = 0x02
_LONG: Final = 0x04
_MASK: Final = 0x08
_CUT: Final = 0x10
_WIDE: Final = 0x20
_WRONG_MASK: Final = 0x40
_TAILED: Final = 0x80

_COMPRESSED_MISTAKES: Final = (
    "('a text message is not UTF-8')",
    "('a compressed message is malformed')",
    "('a compressed message has too many final blocks')",
)

#: Seeds from which streams are built; see :func:`build`.
BUILT_SEEDS: Final = (
    b"\x81\x00\x05Hello\x82\x08\x03abc\x88\x00\x05\x03\xe8bye",
    b"\x01\x00\x03Hel\x89\x00\x01!\x80\x00\x02lo\x8a\x00\x01?",
    b"\xc1\x01\x05Hello\xc1\x01\x05Hello\x41\x11\x05Hello\x80\x00\x02\x00\x00",
    b"\xc2\x05\x04\0\0\0\0\xc2\x03\x05Hello\xc2\x83\x05Hello\xc1\x01\x00",
    b"\x82\x04\xff" + bytes(255) + b"\x82\x24\x7f" + bytes(127) + b"\x81\x20\x02ok",
    b"\x81\x00\x04\xf0\x9f\x98\x80\x01\x00\x02\xf0\x9f\x80\x00\x02\x98\x80\x81\x00\x03\xed\xa0\x80",
    b"\x81\x40\x02no",
    b"\x88\x00\x00\x81\x00\x01a",
)
OPTION_SEEDS: Final = (0x00, 0x01, 0x03, 0x04, 0x10, 0x21, 0x33, 0x41)


def seeds(*, masked: bool) -> list[bytes]:
    """Return seeds for one side: each stream as a description, and as the bytes built from it."""
    found = []
    for options in OPTION_SEEDS:
        for built in BUILT_SEEDS:
            found.append(bytes([options | _BUILT, 7]) + built)
            wire = build(built, masked=masked)
            if len(wire) < 1000:
                found.append(bytes([options, 7]) + wire)
    return found


def build(data: bytes, *, masked: bool) -> bytes:
    """Build frames from descriptions: the first byte of a frame, a byte of flags, the size of the payload, the payload.

    By the flags, a payload is repeated, deflated, with a final block or with the tail that a message leaves out, and
    cut short after that; a length is wider than necessary; a frame is masked, or not, against the rules.
    """
    stream, position = b"", 0
    while position + 2 < len(data) and len(stream) < MAX_STREAM:
        first, how, size = data[position : position + 3]
        payload = data[position + 3 : position + 3 + size]
        position += 3 + size
        if how & _LONG:
            payload *= 600
        if how & _DEFLATED:
            compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
            payload = compressor.compress(payload)
            payload += compressor.flush(zlib.Z_FINISH if how & _FINAL_BLOCK else zlib.Z_SYNC_FLUSH)
            payload = payload if how & _TAILED else payload.removesuffix(b"\x00\x00\xff\xff")
        if how & _CUT:
            payload = payload[:-1]
        stream += frame(first, payload, masked=masked is not bool(how & _WRONG_MASK), how=how)
    return stream


def frame(first: int, payload: bytes, *, masked: bool, how: int) -> bytes:
    """Return one frame."""
    size = len(payload)
    width = 0 if size < 126 else 2 if size < 1 << 16 else 8
    if how & _WIDE:
        width = 8 if width else 2
    short = {0: size, 2: 126, 8: 127}[width]
    head = bytes([first, masked << 7 | short]) + (size.to_bytes(width, "big") if width else b"")
    if not masked:
        return head + payload
    # With a masking key of zeros a fuzzer can recognize the payload.
    mask = b"\x37\xfa\x21\x3d" if how & _MASK else bytes(4)
    if how & _MASK:
        payload = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
    return head + mask + payload


def check(data: bytes, *, client: bool) -> str:
    """Check one side with a stream of frames, and return the kind of its outcome.

    The first two bytes of ``data`` choose the options, and the places where the stream is cut.
    """
    if len(data) < OPTIONS:
        return "nothing"
    options, seed = data[0], data[1]
    limit = LIMITS[options >> 4 & 3]
    stream = data[OPTIONS:]
    if options & _BUILT:
        stream = build(stream, masked=not client)
    takeover = bool(options & _TAKEOVER)
    compression = Compression(window_bits=15, context_takeover=takeover) if options & _COMPRESSED else None
    extensions = "permessage-deflate"
    if not takeover:
        extensions += "; server_no_context_takeover; client_no_context_takeover"

    def make() -> RFC6455:
        start = rfc6455_client if client else rfc6455_server
        fragments = 3 if options & _FEW_FRAGMENTS else None
        protocol = start(compression, limit, fragments, extensions if compression else "")
        if options & _CLOSING:
            protocol.close(1001)
        return protocol

    return check_splits(make, stream, seed, limit=limit, essence=one_mistake if compression else None)


def one_mistake(outcome: Outcome) -> Outcome:
    """Return the outcome without the name of the mistake, if it is one of a compressed message.

    zlib returns nothing of what it has inflated before an error. So if a message has two mistakes, the first is named
    if it comes in a piece of its own, and else the second.
    """
    if not outcome.error.endswith(_COMPRESSED_MISTAKES):
        return outcome
    return outcome._replace(sent=outcome.sent[:-1], code=None, reason="", error="a mistake")
