"""Messages that do not come whole: in several frames, or in one that takes several reads (RFC 6455 section 5.4)."""

from __future__ import annotations

import codecs
from typing import Final

from ...exceptions import InvalidData, MessageTooBig
from ..base import Message
from .deflate import Deflate
from .masking import apply_mask

#: Bytes of payload that are kept as they came; fewer are put together, as each object takes some dozens more.
_LARGE: Final = 4096


class PartialMessage:
    """A message of which a part has come."""

    def __init__(self, *, text: bool, limit: int | None, deflate: Deflate | None) -> None:
        """Begin a message without a frame; ``limit`` is in bytes, ``deflate`` inflates it where it is compressed."""
        self.compressed = deflate is not None
        #: Frames that have begun.
        self.frames = 0
        #: Payload bytes that the frame being read still lacks.
        self.missing = 0
        #: Bytes that have come, unmasked and inflated.
        self.size = 0
        self._limit = limit
        self._deflate = deflate
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None
        #: Whether the text so far ends between two characters.
        self._between = True
        #: The payload: large pieces, and what has come since the last of them.
        self._pieces: list[bytes | bytearray] = []
        self._tail = bytearray()
        self._mask = b""
        self._final = False

    def begin_frame(self, mask: bytes, length: int, *, final: bool) -> None:
        """Begin a frame with ``length`` bytes of payload; ``mask`` is empty where there is none."""
        self.frames += 1
        self.missing = length
        self._mask = mask
        self._final = final

    def extend(self, data: bytes | memoryview) -> None:
        """Take payload of the frame that was begun: unmask and inflate it, and validate it where it is text.

        :raises InvalidData: it is not UTF-8 (section 8.1), or not DEFLATE.
        :raises MessageTooBig: it inflates to more than the limit.
        """
        self.missing -= len(data)
        mask = self._mask
        payload = apply_mask(data, mask) if mask else bytes(data)
        # Turned to where the next byte comes.
        turn = len(data) % 4
        self._mask = mask[turn:] + mask[:turn]
        if self._deflate is not None:
            payload = self._inflate(payload, self._deflate)
        if self._decoder is not None and not (self._between and payload.isascii()):
            self._validate(payload, self._decoder)
        self.size += len(payload)
        if len(payload) < _LARGE:
            self._tail += payload
        else:
            self._pieces += (self._tail, payload)
            self._tail = bytearray()
        # After what is within the limit was found good or bad, so that it is no matter in which pieces it came.
        if self.compressed and self._limit is not None and self.size > self._limit:
            raise MessageTooBig("a message is too big")

    def _inflate(self, payload: bytes, deflate: Deflate) -> bytes:
        """Inflate payload, as far as the limit goes and one byte further."""
        room = None if self._limit is None else self._limit - self.size
        return deflate.inflate(payload, room, final=self._final and not self.missing)

    def _validate(self, payload: bytes, decoder: codecs.IncrementalDecoder) -> None:
        decoder.decode(payload)
        pending = decoder.getstate()[0]
        self._between = not pending
        # The one thing that is certain before Python's decoder says so: half a surrogate.
        if len(pending) == 2 and pending[0] == 0xED and pending[1] >= 0xA0:
            raise InvalidData("a text message is not UTF-8")

    def end_frame(self) -> Message | None:
        """Finish the frame; gives the message if it was the last, and nothing can follow.

        :raises UnicodeDecodeError: the text ends within a character.
        """
        if not self._final:
            return None
        payload = b"".join((*self._pieces, self._tail))
        self._pieces.clear()
        self._tail.clear()
        return payload if self._decoder is None else payload.decode()
