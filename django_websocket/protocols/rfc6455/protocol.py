"""A connection of RFC 6455: its opening handshake, then messages as frames in both directions (sections 4 to 7)."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Mapping, MutableSequence
from typing import Any, ClassVar, Final

from ...exceptions import MessageTooBig, PolicyViolation, ProtocolError, WebSocketError
from ...speedups import load
from ..base import Message, PeerClose, Protocol, Shared, State
from ..close_codes import CloseCode, check_close
from ..http import Request
from . import handshake
from .deflate import Deflate, choose_offer
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
from .messages import MessageAssembler

_compiled: Final = load("frames")

# These constants save the look-up of a member in its enumeration, which takes longer than the comparison.
_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)
_CONTINUATION: Final = int(Opcode.CONTINUATION)
_CLOSE: Final = int(Opcode.CLOSE)
_PONG: Final = int(Opcode.PONG)
_WHOLE_TEXT: Final = FIN | int(Opcode.TEXT)
_WHOLE_BINARY: Final = FIN | int(Opcode.BINARY)
_OPEN: Final = State.OPEN

#: Bytes of payload from which a frame is sent in two pieces.
LARGE: Final = 1 << 14
#: The number of outgoing chunks from which a further pong replaces the pong ahead of it. Of a flood of pings in one
#: read only the first ones and the latest are answered, as section 5.5.3 allows.
MAX_PONGS: Final = 256


class RFC6455(Protocol):
    """The WebSocket protocol of RFC 6455.

    Versions 8 and 7 are the drafts hybi-08 to hybi-12 and hybi-07, whose clients send their origin in
    Sec-WebSocket-Origin, and some of them a key of fewer bytes.
    """

    versions = (13, 8, 7)
    version_headers: ClassVar[tuple[tuple[str, str], ...]] = (("Sec-WebSocket-Version", "13, 8, 7"),)
    can_ping = True

    def __init__(self, request: Request, **options: Any) -> None:
        """Begin a connection; the arguments are those of :class:`Protocol`."""
        #: Received bytes of an incomplete frame header or control frame.
        self._rest = b""
        #: Assembles the message of which a part was received; ``None`` between messages.
        self._assembler: MessageAssembler | None = None
        #: The compression that was agreed on (RFC 7692), or ``None``.
        self._deflate: Deflate | None = None
        super().__init__(request, **options)

    # Opening handshake (section 4)

    @classmethod
    def matches(cls, request: Request) -> bool:
        """Return whether the request has Sec-WebSocket-Version or Sec-WebSocket-Key."""
        return "sec-websocket-version" in request.headers or "sec-websocket-key" in request.headers

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that the client sent, unchecked: before version 13 from Sec-WebSocket-Origin and Origin."""
        return handshake.find_origins(self.request, self.version)

    @property
    def inflates(self) -> bool:
        """Whether compression was agreed on."""
        return self._deflate is not None

    @property
    def is_plain(self) -> bool:
        """Whether this is a server's side without compression; see :attr:`Protocol.is_plain`."""
        return self._deflate is None and not self.client

    def _check_request(self) -> None:
        """Check the client's request (section 4.2.1)."""
        self.version, self.offered_subprotocols = handshake.check_request(
            self.request, self.versions, self.version_headers
        )

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the connection (section 4.2.2); it is open at once."""
        lines = self.check_accept(subprotocol, headers)
        agreed = None
        if self.compression is not None:
            agreed = choose_offer(self.request.header("sec-websocket-extensions"), self.compression)
            if agreed is not None:
                self._deflate = Deflate(agreed, self.compression, client=False)
        self.outgoing.append(handshake.write_answer(self.request, subprotocol, agreed, lines))
        self.state = State.OPEN

    def connect(self) -> None:
        """Send the request that opens the connection (section 4.1).

        :raises ValueError: a handshake cannot carry the host, the target, a header field or a subprotocol.
        """
        head, self.request = handshake.write_request(
            self.request, self.version, self.offered_subprotocols, self.compression
        )
        self.outgoing.append(head)

    def _check_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Check the server's answer (section 4.1)."""
        self.subprotocol, agreed = handshake.check_answer(
            self.request, status, headers, self.offered_subprotocols, self.compression
        )
        if agreed is not None:
            assert self.compression is not None
            self._deflate = Deflate(agreed, self.compression, client=True)

    # Frames from the peer

    def take_whole_messages(self, data: bytes, messages: MutableSequence[Message], position: int = 0) -> int:
        """Append the unfragmented messages that ``data`` holds whole; nearly all that a server receives are such.

        A frame that may be invalid, or that depends on the state of the connection, is left to :meth:`receive`. See
        :meth:`Protocol.take_whole_messages`.
        """
        if _compiled is not None:
            return _compiled.take_whole_messages(bytes(data), messages, position, self.whole_limit)  # type: ignore[no-any-return]
        size, limit = len(data), self.whole_limit
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

    def _parse(self, data: bytes, messages: list[Message]) -> None:
        """Parse all frames of ``data``; see :meth:`Protocol._parse`."""
        limit = sys.maxsize if self.max_message_size is None else min(self.max_message_size, sys.maxsize)
        self.whole_limit, position = -1, 0
        if self._assembler is not None and self._assembler.missing:
            position = self._extend(data, 0, messages)
        elif self._rest:
            data = self._rest + data
        while position < len(data):
            if self._assembler is None and not self.client:
                self.whole_limit = limit
                position = self.take_whole_messages(data, messages, position)
                self.whole_limit = -1
            start, position = position, self._parse_frame(data, position, messages)
            if self.state is State.CLOSED or self.deferred_end is not None:
                return
            if position == start:
                break
        self._rest = data[position:]
        if self._assembler is None and not self._rest and not self.client:
            self.whole_limit = limit

    def _parse_frame(self, data: bytes, position: int, messages: list[Message]) -> int:
        """Parse the frame at ``position``, or the received part of a data frame.

        Return the position behind the parsed bytes, which is ``position`` if too few bytes were received.
        """
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
        """Check the first two bytes of a frame, before any of its payload is kept (section 5.2).

        :raises ProtocolError: the bytes break a rule, or do not fit the frames before.
        """
        opcode = first & 0x0F
        # Compression marks the first frame of a message by RSV1 (RFC 7692 section 6.1).
        if first & RSV and (self._deflate is None or first & RSV != RSV1 or opcode not in (_TEXT, _BINARY)):
            raise ProtocolError("reserved bits are set")
        if opcode in CONTROL_OPCODES:
            if not first & FIN or second & 0x7F > MAX_CONTROL_SIZE:
                raise ProtocolError("a control frame is fragmented or too long")
        elif opcode not in DATA_OPCODES:
            raise ProtocolError("an unknown opcode")
        elif (opcode == _CONTINUATION) is (self._assembler is None):
            raise ProtocolError("a continuation frame is out of place, or one is missing")
        # A client has to mask every frame, and a server none (section 5.1).
        if bool(second & MASKED) is self.client:
            raise ProtocolError("a server's frame is masked" if self.client else "a client's frame is not masked")

    def _check_limits(self, first: int, length: int) -> None:
        """Check a data frame of ``length`` bytes, and the message so far, against the limits (section 10.4).

        :raises MessageTooBig: the message is over :attr:`max_message_size`.
        :raises PolicyViolation: the message is over :attr:`max_fragments`.
        """
        compressed, assembler = bool(first & RSV1), self._assembler
        if assembler is not None:
            compressed, length = assembler.compressed, length + assembler.size
            if self.max_fragments is not None and assembler.frames >= self.max_fragments:
                raise PolicyViolation("a message has too many fragments")
        # The size of a compressed message is known only when it is inflated, and the assembler checks the size then.
        if self.max_message_size is not None and length > self.max_message_size and not compressed:
            raise MessageTooBig("a message is too big")

    def _begin_frame(self, first: int, mask: bytes, length: int) -> None:
        """Begin a data frame that :meth:`take_whole_messages` did not take."""
        if self._assembler is None:
            self._assembler = MessageAssembler(
                text=first & 0x0F == _TEXT,
                limit=self.max_message_size,
                deflate=self._deflate if first & RSV1 else None,
            )
        self._assembler.begin_frame(mask, length, final=bool(first & FIN))

    def _extend(self, data: bytes, start: int, messages: list[Message]) -> int:
        """Take payload of the data frame that was begun, and append the message if it is complete.

        Return the position behind the payload in ``data``.

        :raises ProtocolError: the message is not UTF-8, not DEFLATE, or too big.
        """
        assembler = self._assembler
        assert assembler is not None
        stop = min(start + assembler.missing, len(data))
        assembler.extend(data if stop - start == len(data) else memoryview(data)[start:stop])
        if not assembler.missing and (message := assembler.end_frame()) is not None:
            self._assembler = None
            messages.append(message)
        return stop

    def _receive_control(self, opcode: int, payload: bytes) -> None:
        """Take a control frame, and answer a Close or a ping (section 5.5).

        :raises ProtocolError: the payload of a Close is malformed.
        """
        self.has_events = True
        self.control_frames += 1
        if opcode == _PONG:
            self.pong = payload
        elif opcode == _CLOSE:
            self._receive_close(*parse_close(payload))
        elif self.state is _OPEN:
            # Section 5.5.2 asks for pongs until the peer's Close is received. We depart from that: no pong follows our
            # own Close, because that is the last frame that the peer gets from us.
            if len(self.outgoing) >= MAX_PONGS and self.outgoing[-1][0] == FIN | _PONG:
                self.outgoing.pop()
            self._queue(_PONG, payload)

    def _answer_close(self, close: PeerClose) -> None:
        """Send Close with the status code of the peer's, as is typical, and without its reason (section 5.5.1)."""
        has_code = close.code != CloseCode.NO_STATUS_RECEIVED
        self._queue(_CLOSE, close.code.to_bytes(2, "big") if has_code else b"")

    def _send_failure(self, error: ProtocolError) -> None:
        """Send the Close that reports ``error`` to the peer (section 7.1.7)."""
        self._queue(_CLOSE, error.code.to_bytes(2, "big") + str(error).encode())

    def _finish(self, code: int, reason: str = "", error: WebSocketError | None = None) -> None:
        super()._finish(code, reason, error)
        self._rest, self.whole_limit, self._assembler, self._deflate = b"", -1, None, None

    # Frames to the peer

    def encode(
        self, message: str | bytes | bytearray | memoryview, compress: bool | None = None
    ) -> tuple[bytes, bytes]:
        """Return a message as one frame; see :meth:`Protocol.encode`."""
        if isinstance(message, str):
            opcode, payload = _TEXT, message.encode()
        elif isinstance(message, (bytes, bytearray, memoryview)):
            opcode, payload = _BINARY, bytes(message)
        else:
            raise TypeError(f"send() takes str or bytes, not {type(message).__name__}")
        if self.state is not _OPEN:
            raise self.closed_error()
        # The attribute is read only once, because another thread that receives the end of the connection sets it to
        # None.
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

    @property
    def frame_key(self) -> Hashable:
        """The parameters of the compression, or the same for all connections whose messages are sent uncompressed."""
        key = None if self._deflate is None else self._deflate.shared_key
        return key or "uncompressed"

    def encode_shared(self, message: str | bytes) -> Shared:
        """Return a message as one frame; see :meth:`Protocol.encode_shared`.

        With context takeover the frame is not compressed: a message that another connection has compressed would
        decode, but would shift the references of all later messages (RFC 7692 section 7.1.1).
        """
        opcode, payload = (_TEXT, message.encode()) if isinstance(message, str) else (_BINARY, message)
        size = len(payload)
        if (deflate := self._deflate) is not None and deflate.shared_key is not None:
            compressed = deflate.compress(payload)
            if compressed is not None:
                opcode, payload = opcode | RSV1, compressed
        return Shared(build_frame(opcode, payload, self.client), size)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping (section 5.5.2).

        :raises TypeError: ``data`` is not bytes-like.
        :raises ValueError: ``data`` is over 125 bytes.
        :raises ConnectionClosed: the state is not ``OPEN``.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("ping() takes bytes")
        if len(data := bytes(data)) > MAX_CONTROL_SIZE:
            raise ValueError(f"a ping has at most {MAX_CONTROL_SIZE} bytes")
        self._check_open()
        self._queue(Opcode.PING, data)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Start the closing handshake (section 7.1.2); see :meth:`Protocol.close`."""
        payload = check_close(code, reason)
        if self.state is State.OPEN:
            self._queue(_CLOSE, code.to_bytes(2, "big") + payload)
            self.state = State.CLOSING
        elif self.state is State.CONNECTING:
            self._finish(CloseCode.ABNORMAL_CLOSURE)

    def _queue(self, opcode: int, payload: bytes) -> None:
        self.outgoing.append(build_frame(opcode, payload, self.client))
