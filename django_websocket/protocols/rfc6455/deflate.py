"""permessage-deflate (RFC 7692): what a handshake agrees on, and messages compressed and inflated.

Whoever does without context takeover keeps nothing from one message to the next, so that an idle connection costs no
memory for it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, TypeAlias

from ...exceptions import HandshakeError, InvalidData, PolicyViolation
from ..base import Compression
from ..http import parse_extensions

if TYPE_CHECKING:
    Compressor: TypeAlias = zlib._Compress  # noqa: SLF001 - they have no other name
    Decompressor: TypeAlias = zlib._Decompress  # noqa: SLF001

NAME: Final = "permessage-deflate"
#: What a sync flush ends with, and a message leaves out (section 7.2.1).
TAIL: Final = b"\x00\x00\xff\xff"
#: Window bits where nothing else is agreed on (section 7.1.2).
MAX_BITS: Final = 15
#: zlib compresses with no fewer; it inflates eight.
MIN_BITS: Final = 9
#: DEFLATE streams that a message may end before its own end. Each costs a new decompressor, for two bytes of a peer.
MAX_STREAMS: Final = 1024
#: Compressors of a kind that wait for a message, for all connections of the process; more are used when more threads
#: compress at the same time.
MAX_IDLE: Final = 8

_BITS: Final = re.compile("[89]|1[0-5]")


# Opening handshake (section 7.1)


@dataclass(frozen=True)
class Parameters:
    """The parameters of an offer, or of the agreement; ``None``: absent."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    #: 15 in an offer stands for one without a value, which says the same; an agreement of ours leaves 15 out.
    client_max_window_bits: int | None = None

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str | None]], *, offer: bool) -> Parameters:
        """Parse the parameters of an offer or of an answer to one.

        :raises ValueError: one is unknown, doubled, or has a value it cannot have.
        """
        given: dict[str, int] = {}
        for name, value in pairs:
            if name in given:
                raise ValueError("a parameter is there twice")
            if name in ("server_no_context_takeover", "client_no_context_takeover") and value is None:
                given[name] = True
            elif name == "client_max_window_bits" and value is None and offer:
                given[name] = MAX_BITS
            elif name in ("server_max_window_bits", "client_max_window_bits") and _BITS.fullmatch(value or ""):
                given[name] = int(value or "")
            else:
                raise ValueError("a parameter is unknown or has a value it cannot have")
        return cls(**given)  # type: ignore[arg-type]

    def __str__(self) -> str:
        parts = [NAME]
        for field in fields(self):
            value = getattr(self, field.name)
            if value is True or (value == MAX_BITS and field.name == "client_max_window_bits"):
                parts.append(field.name)
            elif value:
                parts.append(f"{field.name}={value}")
        return "; ".join(parts)


def make_offer(compression: Compression) -> Parameters:
    """Give what a client offers."""
    bits = compression.window_bits
    return Parameters(
        server_no_context_takeover=not compression.context_takeover,
        client_no_context_takeover=not compression.context_takeover,
        server_max_window_bits=bits if bits < MAX_BITS else None,
        client_max_window_bits=bits,
    )


def choose_offer(header: str, compression: Compression) -> Parameters | None:
    """Give what a server agrees to: the first good offer of a Sec-WebSocket-Extensions, ``None`` where there is none.

    An offer that is not understood is declined (section 7.1); the connection does without.
    """
    for name, pairs in parse_extensions(header):
        if name != NAME:
            continue
        try:
            offer = Parameters.parse(pairs, offer=True)
        except ValueError:
            continue
        bits = compression.window_bits
        server_bits = min(bits, offer.server_max_window_bits or MAX_BITS)
        if server_bits < MIN_BITS:
            continue
        client_bits = min(bits, offer.client_max_window_bits or MAX_BITS)
        return Parameters(
            server_no_context_takeover=offer.server_no_context_takeover or not compression.context_takeover,
            # Section 7.1.1.2 lets a server ask for this where the client has not offered it, but for fewer bits not
            # (7.1.2.2).
            client_no_context_takeover=offer.client_no_context_takeover or not compression.context_takeover,
            server_max_window_bits=server_bits if offer.server_max_window_bits or server_bits < MAX_BITS else None,
            client_max_window_bits=client_bits if offer.client_max_window_bits and client_bits < MAX_BITS else None,
        )
    return None


def check_answer(header: str, offer: Parameters) -> Parameters:
    """Give what a server has agreed to of a client's ``offer``.

    :raises HandshakeError: the answer is not one to this offer.
    """
    try:
        ((name, pairs),) = parse_extensions(header)
        answer = Parameters.parse(pairs, offer=False)
    except ValueError:
        raise HandshakeError("the server's Sec-WebSocket-Extensions is not understood") from None
    if (
        name != NAME
        or offer.server_no_context_takeover > answer.server_no_context_takeover
        or (offer.server_max_window_bits or MAX_BITS) < (answer.server_max_window_bits or MAX_BITS)
        or (offer.client_max_window_bits or 0) < (answer.client_max_window_bits or 0)
    ):
        raise HandshakeError("the server agrees to an extension that was not offered")
    return answer


# Messages (section 7.2)

# By level, window bits and memory level. Lists hand their last element to one thread only.
_idle: Final[dict[tuple[int, int, int], list[Compressor]]] = {}


class Deflate:
    """The compression of one connection; not thread-safe."""

    __slots__ = (
        "_begun",
        "_compressors",
        "_decompressor",
        "_flush",
        "_kind",
        "_peer_bits",
        "_peer_takeover",
        "_streams",
        "_takeover",
        "_threshold",
    )

    def __init__(self, agreed: Parameters, compression: Compression, *, client: bool) -> None:
        own = agreed.server_no_context_takeover, agreed.server_max_window_bits
        peer = agreed.client_no_context_takeover, agreed.client_max_window_bits
        if client:
            own, peer = peer, own
        self._threshold = compression.threshold
        self._takeover = compression.context_takeover and not own[0]
        bits = min(compression.window_bits, own[1] or MAX_BITS)
        self._kind = compression.level, bits, compression.memory_level
        # A full flush makes the compressor forget, at a fraction of what a new one costs. One that forgets nothing
        # stays with its connection.
        self._flush = zlib.Z_SYNC_FLUSH if self._takeover else zlib.Z_FULL_FLUSH
        self._compressors: list[Compressor] = [] if self._takeover else _idle.setdefault(self._kind, [])
        self._peer_takeover = not peer[0]
        self._peer_bits = peer[1] or MAX_BITS
        self._decompressor: Decompressor | None = None
        #: Whether the message that comes in has had a byte; how many streams it has ended.
        self._begun = False
        self._streams = 0

    def compress(self, payload: bytes, wanted: bool | None = None) -> bytes | None:
        """Compress a message (section 7.2.1), or give ``None`` where it is to be sent as it is.

        ``wanted`` is ``None`` for what the threshold says.
        """
        level, bits, memory_level = self._kind
        threshold = self._threshold if wanted is None else 1
        # A server may demand eight bits of a client, which zlib cannot do: it does not compress then.
        if wanted is False or len(payload) < max(1, threshold) or bits < MIN_BITS:
            return None
        try:
            compressor = self._compressors.pop()
        except IndexError:
            compressor = zlib.compressobj(level, zlib.DEFLATED, -bits, memory_level)
        data = compressor.compress(payload) + compressor.flush(self._flush)
        # Not in a "finally": a compressor that was interrupted holds half a message.
        if len(self._compressors) < MAX_IDLE:
            self._compressors.append(compressor)
        # With context takeover the peer has to know what later messages refer to.
        return data[:-4] if self._takeover or len(data) - 4 < len(payload) else None

    def inflate(self, data: bytes, room: int | None, *, final: bool) -> bytes:
        """Inflate a part of a message, the last when it is ``final`` (section 7.2.2).

        Gives at most one byte more than ``room``, which is then over the limit, and nothing can follow; ``None`` is no
        limit.

        :raises InvalidData: it is not DEFLATE.
        :raises PolicyViolation: it ends over a thousand DEFLATE streams.
        """
        self._begun = self._begun or bool(data)
        # What is empty but for the tail, or ended its last stream with its last byte, has no use for it; but to those
        # that go on in the next message it would do harm.
        if final and self._begun and (data or self._decompressor is not None):
            data = data + TAIL
        max_length = 0 if room is None else room + 1
        pieces = []
        while data:
            decompressor = self._decompressor = self._decompressor or zlib.decompressobj(-self._peer_bits)
            try:
                piece = decompressor.decompress(data, max_length)
            except zlib.error:
                raise InvalidData("a compressed message is malformed") from None
            pieces.append(piece)
            if room is not None:
                max_length -= len(piece)
                # Zero would be no limit.
                if not max_length:
                    break
            if not decompressor.eof:
                break
            # Section 7.2.3.4: a block was a stream's last. What follows is another stream.
            self._decompressor = None
            self._streams += 1
            if self._streams > MAX_STREAMS:
                raise PolicyViolation("a compressed message has too many final blocks")
            data = decompressor.unused_data
            if final and data == TAIL:
                break
        if final:
            self._begun, self._streams = False, 0
            if not self._peer_takeover:
                self._decompressor = None
        return b"".join(pieces)
