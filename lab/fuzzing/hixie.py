"""Frames of hixie-75 and hixie-76, for both sides."""

from __future__ import annotations

from typing import Final

from django_websocket.protocols.hixie75 import Hixie75

from .peers import KEY3, hixie_client, hixie_server
from .streams import check_splits

LIMITS: Final = (None, 0, 16, 2000)
_CLIENT: Final = 0x01
_CLOSING: Final = 0x02
#: The part of the stream after the end of the handshake is repeated.
_LONG: Final = 0x04

STREAMS: Final = (
    b"\x00Hello\xff\x00\xff\x00\xf0\x9f\x98\x80\xff",
    b"\x00\xc3(\xff\x01other\xff\x00after\xff",
    b"\x80\x05Hello\x00after\xff\x81\x80\x80\x01x\xff\x00",
    b"\xff\x80\x00\xff\x00\x00late\xff",
    b"\x80" + b"\x80" * 12 + b"\x00a\xff",
    b"\x80\xff\xff\x7f" + b"\x00unfinished",
)


def seeds(opening: bytes = b"") -> list[bytes]:
    """Return the streams for every option; ``opening`` ends the handshake of a client."""
    return [
        bytes([options, 7]) + (b"" if options & _CLIENT else opening) + stream
        for options in range(0x20)
        for stream in STREAMS
    ]


def check(data: bytes, version: int) -> str:
    """Check one side with a stream of frames, and return the kind of its outcome.

    The first two bytes of ``data`` choose the side, the limit, and the places where the stream is cut.
    """
    if len(data) < 2:
        return "nothing"
    options, seed, stream = data[0], data[1], data[2:]
    limit = LIMITS[options >> 3 & 3]
    if options & _LONG:
        stream = stream[: len(KEY3)] + stream[len(KEY3) :] * 40

    def make() -> Hixie75:
        protocol = (hixie_client if options & _CLIENT else hixie_server)(version, limit)
        # A protocol that is closed before it is open reads no frames, so the handshake is completed first.
        if options & _CLOSING:
            if version == 76 and not options & _CLIENT:
                protocol.receive(KEY3)
                protocol.data_to_send()
            protocol.close(1001)
        return protocol

    return check_splits(make, stream, seed, limit=limit)
