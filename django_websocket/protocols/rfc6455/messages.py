"""Messages that arrive in several frames, or in a frame that takes several reads (RFC 6455 section 5.4)."""

from __future__ import annotations

import codecs
from typing import Final

from ...exceptions import InvalidData, MessageTooBig
from ..base import Message
from .deflate import Deflate
from .masking import apply_mask

#: Bytes of payload from which a piece is kept as it is. Smaller pieces are joined, because each object has an overhead
#: of several dozen bytes.
_LARGE: Final = 4096
_NOT_UTF_8: Final = "a text message is not UTF-8"


class MessageAssembler:
    """Puts one message together from the payload of its frames."""

    def __init__(self, *, text: bool, limit: int | None, deflate: Deflate | None) -> None:
        """Begin a message, ahead of its first frame.

        ``limit`` is in bytes, ``None`` for no limit. ``deflate`` inflates the message; ``None`` if it is uncompressed.
        """
        self.compressed = deflate is not None
        #: Number of frames begun.
        self.frames = 0
        #: Payload bytes of the current frame that are yet to be received.
        self.missing = 0
        #: Size of the message so far, unmasked and inflated, in bytes.
        self.size = 0
        self._limit = limit
        self._deflate = deflate
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None
        #: Whether the text so far ends at the end of a character.
        self._at_boundary = True
        #: The payload: large pieces, and the bytes received since the last of them.
        self._pieces: list[bytes | bytearray] = []
        self._tail = bytearray()
        self._mask = b""
        self._final = False

    def begin_frame(self, mask: bytes, length: int, *, final: bool) -> None:
        """Begin a frame with ``length`` bytes of payload; ``mask`` is empty if the frame is not masked."""
        self.frames += 1
        self.missing = length
        self._mask = mask
        self._final = final

    def extend(self, data: bytes | memoryview) -> None:
        """Take payload of the current frame: unmask and inflate it, and validate it if it is text.

        :raises InvalidData: the payload is not UTF-8 (section 8.1), or not DEFLATE.
        :raises MessageTooBig: the message inflates to more than the limit.
        :raises PolicyViolation: too many DEFLATE streams end in the message.
        """
        self.missing -= len(data)
        mask = self._mask
        payload = apply_mask(data, mask) if mask else bytes(data)
        # The key is rotated, so that it begins with the byte for the next byte of payload.
        turn = len(data) % 4
        self._mask = mask[turn:] + mask[:turn]
        if self._deflate is not None:
            payload = self._inflate(payload, self._deflate)
        if self._decoder is not None and not (self._at_boundary and payload.isascii()):
            self._validate(payload, self._decoder)
        self.size += len(payload)
        if len(payload) < _LARGE:
            self._tail += payload
        else:
            self._pieces += (self._tail, payload)
            self._tail = bytearray()
        # The size is checked last, so that invalid UTF-8 within the limit is always reported first, whatever the pieces
        # in which the payload arrives.
        if self.compressed and self._limit is not None and self.size > self._limit:
            raise MessageTooBig("a message is too big")

    def _inflate(self, payload: bytes, deflate: Deflate) -> bytes:
        """Return ``payload`` inflated, up to one byte over the limit."""
        room = None if self._limit is None else self._limit - self.size
        return deflate.inflate(payload, room, final=self._final and not self.missing)

    def _validate(self, payload: bytes, decoder: codecs.IncrementalDecoder) -> None:
        """Check that ``payload`` continues the text in valid UTF-8.

        :raises InvalidData: ``payload`` does not (section 8.1).
        """
        try:
            decoder.decode(payload)
        except UnicodeDecodeError:
            raise InvalidData(_NOT_UTF_8) from None
        pending = decoder.getstate()[0]
        self._at_boundary = not pending
        # Python's decoder waits for the third byte of an encoded surrogate, though the second byte already makes the
        # text invalid.
        if len(pending) == 2 and pending[0] == 0xED and pending[1] >= 0xA0:
            raise InvalidData(_NOT_UTF_8)

    def end_frame(self) -> Message | None:
        """Finish the current frame; return the message if it was the last one, else ``None``.

        An assembler cannot be used again after it has returned its message.

        :raises InvalidData: the text ends within a character.
        """
        if not self._final:
            return None
        payload = b"".join((*self._pieces, self._tail))
        self._pieces.clear()
        self._tail.clear()
        if self._decoder is None:
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise InvalidData(_NOT_UTF_8) from None
