"""What goes over an open connection of RFC 6455: messages as frames, both ways (sections 5 to 7)."""

from __future__ import annotations

import sys
from collections.abc import MutableSequence
from typing import Any, Final

from ...exceptions import InvalidData, MessageTooBig, PolicyViolation, ProtocolError, WebSocketError
from ..base import CloseCode, Message, Protocol, State, check_close
from ..http import Request
from .deflate import Deflate
from .frames import (
    CONTROL_OPCODES,
    DATA_OPCODES,
    FIN,
    MASKED,
    MAX_CONTROL_SIZE,
    NOT_SHORTEST,
    RSV,
    RSV1,
    SHORT_HEADERS,
    Opcode,
    build_frame,
    build_header,
    long_length,
    parse_close,
)
from .masking import apply_mask
from .messages import PartialMessage

# Plain numbers: looking one up in its enumeration takes longer than to compare it.
_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)
_WHOLE_TEXT: Final = FIN | int(Opcode.TEXT)
_WHOLE_BINARY: Final = FIN | int(Opcode.BINARY)
_OPEN: Final = State.OPEN

#: Bytes of payload from which on a frame is sent in two pieces.
LARGE: Final = 1 << 14
#: Pongs that may wait to be sent. More pings than this in one read are a flood, and only the latest of them is
#: answered, as section 5.5.3 allows.
MAX_PONGS: Final = 256


class FramedProtocol(Protocol):
    """A protocol with RFC 6455's frames, once its handshake is complete."""

    can_ping = True

    def __init__(self, request: Request, **options: Any) -> None:
        """Begin a connection; see :class:`Protocol`."""
        #: Bytes of an unfinished frame header or control frame.
        self._rest = b""
        #: Bytes that a message may have which comes whole; -1 where none can come, or a frame needs a closer look.
        self._whole_limit = -1
        #: The message being read, when a part of it has come.
        self._partial: PartialMessage | None = None
        #: What compresses, and inflates, where it was agreed on (RFC 7692).
        self._deflate: Deflate | None = None
        super().__init__(request, **options)

    # Frames that come in

    @property
    def inflates(self) -> bool:
        """Whether compression was agreed on."""
        return self._deflate is not None

    def take_whole_messages(self, data: bytes, messages: MutableSequence[Message], position: int = 0) -> int:
        """Take the messages that have come whole, as nearly all do that a server gets.

        Whatever could be wrong with a frame, or needs a look at the connection, is left to :meth:`receive`.
        """
        size, limit = len(data), self._whole_limit
        try:
            while size - position >= 6:
                first, length = data[position], data[position + 1] - MASKED
                if length <= MAX_CONTROL_SIZE:
                    start = position + 6
                elif length == 126:
                    start = position + 8
                    length = data[position + 2] << 8 | data[position + 3]
                    if length <= MAX_CONTROL_SIZE:
                        break
                else:
                    start = position + 14
                    length = int.from_bytes(data[position + 2 : position + 10], "big")
                    if length < 1 << 16:
                        break
                stop = start + length
                if length < 0 or stop > size or length > limit:
                    break
                if first == _WHOLE_TEXT:
                    messages.append(apply_mask(data, None, start, stop).decode())
                elif first == _WHOLE_BINARY:
                    messages.append(apply_mask(data, None, start, stop))
                else:
                    break
                position = stop
        except UnicodeDecodeError:
            pass
        return position

    def receive(self, data: bytes) -> list[Message]:
        """Take bytes from the peer; see :meth:`Protocol.receive`."""
        messages: list[Message] = []
        if self.state is State.CLOSED:
            return messages
        if self.state is State.CONNECTING:
            rest = self._receive_head(data)
            if not rest:
                return messages
            data = rest
        if self.deferred_error is not None:
            return messages
        if not data:
            self._finish(CloseCode.ABNORMAL_CLOSURE)
            return messages
        try:
            self._parse(data, messages)
        except UnicodeDecodeError:
            self._fail(InvalidData("a text message is not UTF-8"))
        except ProtocolError as error:
            self._fail(error)
        return messages

    def _parse(self, data: bytes, messages: list[Message]) -> None:
        """Parse all frames of ``data``; messages go to ``messages``."""
        limit = sys.maxsize if self.max_message_size is None else self.max_message_size
        self._whole_limit, position = -1, 0
        if self._partial is not None and self._partial.missing:
            position = self._extend(data, 0, messages)
        elif self._rest:
            data = self._rest + data
        while position < len(data):
            if self._partial is None and not self.client:
                self._whole_limit = limit
                position = self.take_whole_messages(data, messages, position)
                self._whole_limit = -1
            start, position = position, self._parse_frame(data, position, messages)
            if self.state is State.CLOSED:
                return
            if position == start:
                break
        self._rest = data[position:]
        if self._partial is None and not self._rest and not self.client:
            self._whole_limit = limit

    def _parse_frame(self, data: bytes, position: int, messages: list[Message]) -> int:
        """Parse a frame, or what has come of its payload; gives where that ends, ``position`` if it was too little."""
        size = len(data)
        if size - position < 2:
            return position
        first, second = data[position], data[position + 1]
        self._check_header(first, second)
        start, length = position + 2, second & 0x7F
        if length > MAX_CONTROL_SIZE:
            start += 2 if length == 126 else 8
            if start > size:
                return position
            if length == 126:
                length = data[position + 2] << 8 | data[position + 3]
                if length <= MAX_CONTROL_SIZE:
                    raise ProtocolError(NOT_SHORTEST)
            else:
                length = long_length(data[position + 2 : start])
        is_data = first & 0x0F <= _BINARY
        if is_data:
            self._check_limits(first, length)
        mask = b""
        if not self.client:
            start += 4
            if start > size:
                return position
            mask = data[start - 4 : start]
        if is_data:
            self._begin_frame(first, mask, length)
            return self._extend(data, start, messages)
        stop = start + length
        if stop > size:
            return position
        self._receive_control(first & 0x0F, apply_mask(data, mask, start, stop) if mask else data[start:stop])
        return stop

    def _check_header(self, first: int, second: int) -> None:
        """Check the first two bytes of a frame, before anything of its payload is kept (section 5.2)."""
        opcode = first & 0x0F
        # RFC 7692 section 6.1: RSV1 is for the first frame of a message.
        if first & RSV and (self._deflate is None or first & RSV != RSV1 or opcode not in (_TEXT, _BINARY)):
            raise ProtocolError("reserved bits are set")
        if opcode in CONTROL_OPCODES:
            if not first & FIN or second & 0x7F > MAX_CONTROL_SIZE:
                raise ProtocolError("a control frame is fragmented or too long")
        elif opcode not in DATA_OPCODES:
            raise ProtocolError("an unknown opcode")
        elif (opcode == Opcode.CONTINUATION) is (self._partial is None):
            raise ProtocolError("a continuation frame is out of place, or one is missing")
        # Section 5.1
        if bool(second & MASKED) is self.client:
            raise ProtocolError("a server's frame is masked" if self.client else "a client's frame is not masked")

    def _check_limits(self, first: int, length: int) -> None:
        """Check a data frame's ``length``, and its message with it, against the limits (section 10.4)."""
        compressed, partial = bool(first & RSV1), self._partial
        if partial is not None:
            compressed, length = partial.compressed, length + partial.size
            if self.max_fragments is not None and partial.frames >= self.max_fragments:
                raise PolicyViolation("a message has too many fragments")
        # How long a compressed message is shows when it is inflated.
        if self.max_message_size is not None and length > self.max_message_size and not compressed:
            raise MessageTooBig("a message is too big")

    def _begin_frame(self, first: int, mask: bytes, length: int) -> None:
        """Begin a data frame that is not a whole message, or has not come whole."""
        if self._partial is None:
            self._partial = PartialMessage(
                text=first & 0x0F == _TEXT,
                limit=self.max_message_size,
                deflate=self._deflate if first & RSV1 else None,
            )
        self._partial.begin_frame(mask, length, final=bool(first & FIN))

    def _extend(self, data: bytes, start: int, messages: list[Message]) -> int:
        """Take payload of the data frame that was begun, and the message if that was the last of it; gives its end."""
        partial = self._partial
        assert partial is not None
        stop = min(start + partial.missing, len(data))
        partial.extend(data if stop - start == len(data) else memoryview(data)[start:stop])
        if not partial.missing and (message := partial.end_frame()) is not None:
            self._partial = None
            messages.append(message)
        return stop

    def _receive_control(self, opcode: int, payload: bytes) -> None:
        """Take a control frame (section 5.5)."""
        self.has_events = True
        self.control_frames += 1
        if opcode == Opcode.PONG:
            self.pong = payload
        elif opcode == Opcode.CLOSE:
            code, reason = parse_close(payload)
            if self.state is State.OPEN:
                # Section 5.5.1: the status code is typically echoed; a reason is not.
                self._queue(Opcode.CLOSE, payload[:2])
            self._finish(code, reason)
        elif self.state is State.OPEN:
            # Section 5.5.2 wants pongs until the peer's Close has come. Once ours is sent none goes out: it is
            # the last frame that a peer gets from us.
            if len(self.outgoing) >= MAX_PONGS and self.outgoing[-1][0] == FIN | Opcode.PONG:
                self.outgoing.pop()
            self._queue(Opcode.PONG, payload)

    def _send_failure(self, error: ProtocolError) -> None:
        """Send Close (section 7.1.7)."""
        self._queue(Opcode.CLOSE, error.code.to_bytes(2, "big") + str(error).encode())

    def _finish(self, code: int, reason: str = "", error: WebSocketError | None = None) -> None:
        super()._finish(code, reason, error)
        self._rest, self._whole_limit, self._partial, self._deflate = b"", -1, None, None

    # Frames that go out

    def encode(
        self, message: str | bytes | bytearray | memoryview, compress: bool | None = None
    ) -> tuple[bytes, bytes]:
        """Give a message as one frame; see :meth:`Protocol.encode`."""
        if isinstance(message, str):
            opcode, payload = _TEXT, message.encode()
        elif isinstance(message, (bytes, bytearray, memoryview)):
            opcode, payload = _BINARY, bytes(message)
        else:
            raise TypeError(f"send() takes str or bytes, not {type(message).__name__}")
        if self.state is not _OPEN:
            raise self.closed_error()
        # Another thread may be receiving the end of the connection, which drops it.
        if (deflate := self._deflate) is not None:
            compressed = deflate.compress(payload, compress)
            if compressed is not None:
                opcode, payload = opcode | RSV1, compressed
        if self.client:
            return build_frame(opcode, payload, True), b""
        size = len(payload)
        if size <= MAX_CONTROL_SIZE:
            return SHORT_HEADERS[opcode][size] + payload, b""
        if size < LARGE:
            return build_header(opcode, size) + payload, b""
        return build_header(opcode, size), payload

    def ping(self, data: bytes = b"") -> None:
        """Send a ping (section 5.5.2).

        :raises TypeError: ``data`` is not bytes.
        :raises ValueError: over 125 bytes.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("ping() takes bytes")
        if len(data := bytes(data)) > MAX_CONTROL_SIZE:
            raise ValueError(f"a ping has at most {MAX_CONTROL_SIZE} bytes")
        self._check_open()
        self._queue(Opcode.PING, data)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Start the closing handshake (section 7.1.2)."""
        payload = check_close(code, reason)
        if self.state is State.OPEN:
            self._queue(Opcode.CLOSE, code.to_bytes(2, "big") + payload)
            self.state = State.CLOSING
        elif self.state is State.CONNECTING:
            self._finish(CloseCode.ABNORMAL_CLOSURE)

    def _queue(self, opcode: int, payload: bytes) -> None:
        self.outgoing.append(build_frame(opcode, payload, self.client))
