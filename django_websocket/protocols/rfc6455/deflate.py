"""permessage-deflate (RFC 7692): the parameters in a handshake, and the compression of messages.

Without context takeover no state is kept between messages, so that an idle connection needs no memory for compression.
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
#: The last bytes of a sync flush, which a message leaves out (section 7.2.1).
TAIL: Final = b"\x00\x00\xff\xff"
#: Window bits if no others are agreed on (section 7.1.2).
MAX_BITS: Final = 15
#: The fewest window bits with which zlib can compress. It can inflate with eight too.
MIN_BITS: Final = 9
#: The most DEFLATE streams that may end in one message. A peer needs only two bytes to end a stream, and the next one
#: takes a new decompressor.
MAX_STREAMS: Final = 1024
#: Idle compressors with the same parameters that are kept, for all connections of the process. More are in use while
#: more threads compress at the same time.
MAX_IDLE: Final = 8

_BITS: Final = re.compile("[89]|1[0-5]")


# Opening handshake (section 7.1)


@dataclass(frozen=True)
class Parameters:
    """The parameters of an offer, or of the answer to it; ``False`` or ``None`` for one that is absent."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    #: An offer without a value means the same as 15, and is kept as 15 here. An answer of ours omits 15.
    client_max_window_bits: int | None = None

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str | None]], *, offer: bool) -> Parameters:
        """Return the parameters of an offer, or of the answer to one, from names and values.

        :raises ValueError: a parameter is unknown, is there twice, or has a value that it cannot have.
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
    """Return the offer of a client."""
    bits = compression.window_bits
    return Parameters(
        server_no_context_takeover=not compression.context_takeover,
        client_no_context_takeover=not compression.context_takeover,
        server_max_window_bits=bits if bits < MAX_BITS else None,
        client_max_window_bits=bits,
    )


def choose_offer(header: str, compression: Compression) -> Parameters | None:
    """Return the answer of a server to the first good offer of a Sec-WebSocket-Extensions, ``None`` if there is none.

    An offer that is not understood is declined (section 7.1): the connection is not compressed then.

    :raises HandshakeError: ``header`` is malformed.
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
            # A server may ask for no context takeover even if the client has not offered it (section 7.1.1.2), but not
            # for fewer window bits (section 7.1.2.2).
            client_no_context_takeover=offer.client_no_context_takeover or not compression.context_takeover,
            server_max_window_bits=server_bits if offer.server_max_window_bits or server_bits < MAX_BITS else None,
            client_max_window_bits=client_bits if offer.client_max_window_bits and client_bits < MAX_BITS else None,
        )
    return None


def check_answer(header: str, offer: Parameters) -> Parameters:
    """Return the answer of the server, from its Sec-WebSocket-Extensions, to a client's ``offer``.

    :raises HandshakeError: ``header`` is malformed, or no answer to this offer.
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

# Idle compressors by level, window bits and memory level. The lists need no lock: pop() is atomic, so that no two
# threads get the same one.
_idle: Final[dict[tuple[int, int, int], list[Compressor]]] = {}


class Deflate:
    """The compression of one connection; not thread-safe."""

    __slots__ = (
        "_begun",
        "_compressors",
        "_decompressor",
        "_flush",
        "_peer_bits",
        "_peer_takeover",
        "_settings",
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
        self._settings = compression.level, bits, compression.memory_level
        # A full flush clears the window of the compressor, for a fraction of the cost of a new compressor, so that it
        # can serve any connection. With context takeover the window is kept, and each compressor belongs to one
        # connection.
        self._flush = zlib.Z_SYNC_FLUSH if self._takeover else zlib.Z_FULL_FLUSH
        self._compressors: list[Compressor] = [] if self._takeover else _idle.setdefault(self._settings, [])
        self._peer_takeover = not peer[0]
        self._peer_bits = peer[1] or MAX_BITS
        self._decompressor: Decompressor | None = None
        #: Whether a byte of the current message from the peer was received.
        self._begun = False
        #: The number of DEFLATE streams that have ended in the current message from the peer.
        self._streams = 0

    @property
    def shared_key(self) -> tuple[int, ...] | None:
        """The parameters that connections have to share for a compressed message to be right for all of them.

        ``None``: with context takeover, no message of another connection is right.
        """
        return None if self._takeover else (*self._settings, self._threshold)

    def compress(self, payload: bytes, wanted: bool | None = None) -> bytes | None:
        """Return a message compressed (section 7.2.1), or ``None`` if it is to be sent uncompressed.

        ``wanted`` overrides the threshold: ``True`` asks for compression, ``False`` for none; ``None`` leaves it to the
        threshold.
        """
        level, bits, memory_level = self._settings
        threshold = self._threshold if wanted is None else 1
        # A server may demand eight window bits of a client. zlib cannot compress with so few, so nothing is compressed.
        if wanted is False or len(payload) < max(1, threshold) or bits < MIN_BITS:
            return None
        try:
            compressor = self._compressors.pop()
        except IndexError:
            compressor = zlib.compressobj(level, zlib.DEFLATED, -bits, memory_level)
        data = compressor.compress(payload) + compressor.flush(self._flush)
        # There is no "finally" here: a compressor that was interrupted holds half a message, and has to be dropped.
        if len(self._compressors) < MAX_IDLE:
            self._compressors.append(compressor)
        # With context takeover the message is sent compressed even if it grew, because later ones may refer to it.
        return data[:-4] if self._takeover or len(data) - 4 < len(payload) else None

    def inflate(self, data: bytes, room: int | None, *, final: bool) -> bytes:
        """Return a part of a message inflated; ``final`` marks the last part (section 7.2.2).

        At most ``room`` bytes and one more are returned; ``None`` is no limit. After a part with one byte more the
        message is over its limit, and no more of it can be inflated.

        :raises InvalidData: ``data`` is not DEFLATE.
        :raises PolicyViolation: more than :data:`MAX_STREAMS` DEFLATE streams end in the message.
        """
        self._begun = self._begun or bool(data)
        # The tail is not added to an empty message, nor to one whose last byte ended its last stream: such messages do
        # not need the tail, which would disturb a stream that continues in the next message.
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
                # A max_length of zero would mean no limit.
                if not max_length:
                    break
            if not decompressor.eof:
                break
            # A final block ended the stream, and another stream follows (section 7.2.3.4).
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
