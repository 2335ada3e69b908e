"""RFC 6455: versions 13, 8 and 7, which share their frames."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from ..exceptions import HandshakeError, InvalidData, MessageTooBig, PolicyViolation, ProtocolError, WebSocketError
from .base import CloseCode, Message, Protocol, State, check_close
from .deflate import Deflate, check_answer, choose_offer, make_offer
from .frames import (
    CONTROL_OPCODES,
    DATA_OPCODES,
    FIN,
    MASKED,
    MAX_CONTROL_SIZE,
    NOT_SHORTEST,
    RSV,
    RSV1,
    Opcode,
    build_frame,
    long_length,
    parse_close,
)
from .http import Request, check_extensions, check_upgrade, header_lines, parse_tokens, reflectable, tokens
from .masking import apply_mask
from .partial import PartialMessage

# Plain numbers: looking one up in its enumeration takes longer than to compare it.
_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)
_WHOLE_TEXT: Final = FIN | int(Opcode.TEXT)
_WHOLE_BINARY: Final = FIN | int(Opcode.BINARY)
_OPEN: Final = State.OPEN

#: Section 1.3
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: Pongs that may wait to be sent. More pings than this in one read are a flood, and only the latest of them is
#: answered, as section 5.5.3 allows.
MAX_PONGS: Final = 256


class RFC6455(Protocol):
    """The WebSocket protocol of RFC 6455.

    Versions 8 and 7 are the drafts hybi-08 to hybi-12 and hybi-07, whose clients name their origin in
    Sec-WebSocket-Origin.
    """

    versions = (13, 8, 7)
    version_headers: ClassVar[tuple[tuple[str, str], ...]] = (("Sec-WebSocket-Version", "13, 8, 7"),)
    can_ping = True

    def __init__(self, request: Request, **options: Any) -> None:
        """Begin a connection; see :class:`Protocol`."""
        #: Bytes of an unfinished frame header or control frame.
        self._rest = b""
        #: Whether nothing of the next message has come, on a server's side.
        self._between = False
        #: The message being read, when a part of it has come.
        self._partial: PartialMessage | None = None
        #: What compresses, and inflates, where it was agreed on (RFC 7692).
        self._deflate: Deflate | None = None
        super().__init__(request, **options)

    # Opening handshake (section 4)

    @classmethod
    def matches(cls, request: Request) -> bool:
        """Tell whether the request has Sec-WebSocket-Version or Sec-WebSocket-Key."""
        return "sec-websocket-version" in request.headers or "sec-websocket-key" in request.headers

    @property
    def origin(self) -> str | None:
        """The Origin the client has named: before version 13 in Sec-WebSocket-Origin, by some clients in both."""
        origin = super().origin
        return self.request.headers.get("sec-websocket-origin", origin) if self.version < 13 else origin

    def _check_request(self) -> None:
        """Check the client's request (section 4.2.1)."""
        request = self.request
        check_upgrade(request)
        version = request.header("sec-websocket-version").strip(" \t")
        if version not in map(str, self.versions):
            raise HandshakeError("the Sec-WebSocket-Version is missing or unsupported", headers=self.version_headers)
        self.version = int(version)
        if self.version < 13 and "origin" in request.headers and self.origin != request.headers["origin"]:
            raise HandshakeError("Origin and Sec-WebSocket-Origin differ")
        _check_key(request.header("sec-websocket-key").strip(" \t"))
        check_extensions(request.header("sec-websocket-extensions"))
        self.offered_subprotocols = parse_tokens(request.header("sec-websocket-protocol"), "Sec-WebSocket-Protocol")

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the connection (section 4.2.2)."""
        lines = self._check_accept(subprotocol, headers)
        accept = _accept_value(self.request.header("sec-websocket-key").strip(" \t"))
        if self.compression is not None:
            agreed = choose_offer(self.request.header("sec-websocket-extensions"), self.compression)
            if agreed is not None:
                self._deflate = Deflate(agreed, self.compression, client=False)
                lines = f"Sec-WebSocket-Extensions: {agreed}\r\n{lines}"
        if subprotocol is not None:
            lines = f"Sec-WebSocket-Protocol: {subprotocol}\r\n{lines}"
        self.outgoing.append(
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n"
            f"{lines}\r\n".encode("ascii")
        )
        self.state = State.OPEN

    def connect(self) -> None:
        """Ask for the connection (section 4.1).

        :raises ValueError: something that a handshake cannot carry.
        """
        request = self.request
        extra = {name.title(): value for name, value in request.headers.items()}
        header_lines(extra.items())
        headers = {
            "Host": reflectable(extra.pop("Host", request.host or ""), "Host"),
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": str(self.version),
        }
        if self.offered_subprotocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(self.offered_subprotocols)
            if parse_tokens(headers["Sec-WebSocket-Protocol"], "Sec-WebSocket-Protocol") != self.offered_subprotocols:
                raise HandshakeError("the subprotocols to offer are malformed")
        if self.compression is not None:
            headers["Sec-WebSocket-Extensions"] = str(make_offer(self.compression))
        if self.version < 13 and "Origin" in extra:
            extra["Sec-WebSocket-Origin"] = extra.pop("Origin")
        headers |= extra
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        target = reflectable(request.target, "request target")
        self.outgoing.append(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii"))
        self.request = replace(request, headers={name.lower(): value for name, value in headers.items()})

    def _check_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Check the server's answer (section 4.1)."""
        if status != 101:
            raise HandshakeError(f"the server refused with status {status}", status=status)
        if tokens(headers.get("upgrade", "")) != {"websocket"} or "upgrade" not in tokens(
            headers.get("connection", "")
        ):
            raise HandshakeError("the server's answer is no upgrade to WebSocket")
        expected = _accept_value(self.request.header("sec-websocket-key"))
        if not hmac.compare_digest(headers.get("sec-websocket-accept", "").encode(), expected.encode()):
            raise HandshakeError("the server's Sec-WebSocket-Accept is wrong")
        if "sec-websocket-extensions" in headers:
            if self.compression is None:
                raise HandshakeError("the server uses an extension that was not offered")
            agreed = check_answer(headers["sec-websocket-extensions"], make_offer(self.compression))
            self._deflate = Deflate(agreed, self.compression, client=True)
        subprotocol = headers.get("sec-websocket-protocol")
        if subprotocol is not None and subprotocol not in self.offered_subprotocols:
            raise HandshakeError("the server uses a subprotocol that was not offered")
        self.subprotocol = subprotocol
        self.state = State.OPEN

    # Frames that come in (section 5)

    @property
    def inflates(self) -> bool:
        """Whether compression was agreed on."""
        return self._deflate is not None

    def receive(self, data: bytes) -> list[Message]:
        """Take bytes from the peer; see :meth:`Protocol.receive`."""
        messages: list[Message] = []
        if self._between and self.state is _OPEN:
            try:
                rest = self._receive_whole(data, messages)
            except UnicodeDecodeError:
                self._between = False
                self._fail(InvalidData("a text message is not UTF-8"))
                return messages
            if data and not rest:
                return messages
            data = rest
        self._receive_any(data, messages)
        self._between = not (self.client or self._rest) and self._partial is None and self.fault is None
        return messages

    def _receive_whole(self, data: bytes, messages: list[Message]) -> bytes:
        """Take messages that came whole, as nearly all do that a server gets; give what follows them."""
        position, size, limit = 0, len(data), self.max_message_size
        while size - position >= 6:
            first, length = data[position], data[position + 1] - MASKED
            if length <= MAX_CONTROL_SIZE:
                start = position + 6
            elif length == 126 and size - position >= 8:
                start = position + 8
                length = data[position + 2] << 8 | data[position + 3]
                if length <= MAX_CONTROL_SIZE:
                    break
            else:
                break
            stop = start + length
            if length < 0 or stop > size or (limit is not None and length > limit):
                break
            if first == _WHOLE_TEXT:
                messages.append(apply_mask(data[start:stop], data[start - 4 : start]).decode())
            elif first == _WHOLE_BINARY:
                messages.append(apply_mask(data[start:stop], data[start - 4 : start]))
            else:
                break
            position = stop
        return data[position:]

    def _receive_any(self, data: bytes, messages: list[Message]) -> None:
        """Take whatever comes."""
        if self.state is State.CLOSED:
            return
        if self.state is State.CONNECTING:
            rest = self._receive_head(data)
            if not rest:
                return
            data = rest
        if self.fault is not None:
            return
        if not data:
            self._finish(CloseCode.ABNORMAL_CLOSURE)
            return
        try:
            self._parse(data, messages)
        except UnicodeDecodeError:
            self._fail(InvalidData("a text message is not UTF-8"))
        except ProtocolError as error:
            self._fail(error)

    def _parse(self, data: bytes, messages: list[Message]) -> None:
        """Parse all frames of ``data``; messages go to ``messages``."""
        position, client, limit = 0, self.client, self.max_message_size
        if limit is None:
            limit = sys.maxsize
        if self._partial is not None and self._partial.missing:
            position = min(self._partial.missing, len(data))
            self._extend(data if position == len(data) else data[:position], messages)
        elif self._rest:
            data = self._rest + data
        size = len(data)
        while size - position >= 2:
            first, second = data[position], data[position + 1]
            whole = first == _WHOLE_TEXT or first == _WHOLE_BINARY  # noqa: PLR1714 - takes a third of the time
            # A whole message has nothing in its header that could be wrong but its mask.
            if not whole or self._partial is not None or (second < MASKED) is not client:
                self._check_header(first, second)
            start, length = position + 2, second & 0x7F
            if length > MAX_CONTROL_SIZE:
                start += 2 if length == 126 else 8
                if start > size:
                    break
                if length == 126:
                    length = data[position + 2] << 8 | data[position + 3]
                    if length <= MAX_CONTROL_SIZE:
                        raise ProtocolError(NOT_SHORTEST)
                else:
                    length = long_length(data[position + 2 : start])
            opcode = first & 0x0F
            if opcode <= _BINARY and (not whole or length > limit):
                self._check_limits(first, length)
            if not client:
                start += 4
                if start > size:
                    break
            stop = start + length
            if stop > size:
                if opcode > _BINARY:
                    break
                self._begin_frame(first, b"" if client else data[start - 4 : start], length)
                self._extend(memoryview(data)[start:], messages)
                position = size
                break
            position = stop
            payload = data[start:stop] if client else apply_mask(memoryview(data)[start:stop], data[start - 4 : start])
            if first == _WHOLE_TEXT:
                messages.append(payload.decode())
            elif first == _WHOLE_BINARY:
                messages.append(payload)
            elif opcode <= _BINARY:
                self._begin_frame(first, b"", length)
                self._extend(payload, messages)
            else:
                self._receive_control(opcode, payload)
                if self.state is State.CLOSED:
                    return
        self._rest = data[position:]

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

    def _extend(self, payload: bytes | memoryview, messages: list[Message]) -> None:
        """Take payload of the data frame that was begun, and the message if that was the last of it."""
        partial = self._partial
        assert partial is not None
        partial.extend(payload)
        if not partial.missing and (message := partial.end_frame()) is not None:
            self._partial = None
            messages.append(message)

    def _receive_control(self, opcode: int, payload: bytes) -> None:
        """Take a control frame (section 5.5)."""
        self.attention = True
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
        self._rest, self._partial, self._deflate = b"", None, None

    # Frames that go out

    def encode(self, message: str | bytes | bytearray | memoryview, compress: bool | None = None) -> bytes:
        """Give a message as one frame."""
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
        return build_frame(opcode, payload, self.client)

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


def _check_key(key: str) -> None:
    """Check Sec-WebSocket-Key: 16 bytes in base64 (section 4.2.1).

    :raises HandshakeError: it is something else.
    """
    try:
        valid = len(key) == 24 and len(base64.b64decode(key.encode("ascii"), validate=True)) == 16
    except (UnicodeEncodeError, binascii.Error):
        valid = False
    if not valid:
        raise HandshakeError("the Sec-WebSocket-Key is missing or malformed")


def _accept_value(key: str) -> str:
    """Give the Sec-WebSocket-Accept for a key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()).decode()
