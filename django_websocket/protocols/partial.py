"""Messages that do not come whole: in several frames, or in one that takes several reads (RFC 6455 section 5.4)."""

from __future__ import annotations

import codecs

from ..exceptions import InvalidData, MessageTooBig
from .base import Message
from .deflate import Deflate
from .masking import apply_mask


class PartialMessage:
    """A message of which a part has come."""

    def __init__(self, *, text: bool, limit: int | None, deflate: Deflate | None) -> None:
        """Begin a message without a frame; ``limit`` is in bytes, ``deflate`` inflates it where it is compressed."""
        self.compressed = deflate is not None
        #: Frames that have begun.
        self.frames = 0
        #: Payload bytes that the frame being read still lacks.
        self.missing = 0
        self._limit = limit
        self._deflate = deflate
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None
        #: Whether the text so far ends between two characters.
        self._between = True
        self._payload = bytearray()
        #: What has come of the frame being read where nobody asks for it before its end: as it came.
        self._masked = bytearray()
        self._mask = b""
        self._final = False

    def __len__(self) -> int:
        """Give the bytes of the frames that have come whole."""
        return len(self._payload)

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
        if self._decoder is None and self._deflate is None:
            self._masked += data
            return
        mask = self._mask
        payload = apply_mask(data, mask) if mask else bytes(data)
        # Turned to where the next byte comes.
        turn = len(data) % 4
        self._mask = mask[turn:] + mask[:turn]
        if self._deflate is not None:
            payload = self._inflate(payload, self._deflate)
        if self._decoder is not None and not (self._between and payload.isascii()):
            self._validate(payload, self._decoder)
        self._payload += payload
        # After what is within the limit was found good or bad, so that it is no matter in which pieces it came.
        if self.compressed and self._limit is not None and len(self._payload) > self._limit:
            raise MessageTooBig("a message is too big")

    def _inflate(self, payload: bytes, deflate: Deflate) -> bytes:
        """Inflate payload, as far as the limit goes and one byte further."""
        room = None if self._limit is None else self._limit - len(self._payload)
        return deflate.inflate(payload, room, final=self._final and not self.missing)

    def _validate(self, payload: bytes, decoder: codecs.IncrementalDecoder) -> None:
        decoder.decode(payload)
        pending = decoder.getstate()[0]
        self._between = not pending
        # The one thing that is certain before Python's decoder says so: half a surrogate.
        if len(pending) == 2 and pending[0] == 0xED and pending[1] >= 0xA0:
            raise InvalidData("a text message is not UTF-8")

    def end_frame(self) -> Message | None:
        """Finish the frame; gives the message if it was the last.

        :raises UnicodeDecodeError: the text ends within a character.
        """
        if self._masked:
            payload = apply_mask(self._masked, self._mask) if self._mask else bytes(self._masked)
            self._masked = bytearray()
            if self._final and not self._payload:
                return payload
            self._payload += payload
        if not self._final:
            return None
        return bytes(self._payload) if self._decoder is None else str(self._payload, "utf-8")
