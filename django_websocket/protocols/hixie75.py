"""draft-hixie-thewebsocketprotocol-75: text between 0x00 and 0xFF, and neither keys nor a closing handshake.

Its successor, hixie-76, shares this code. The differences between the two are class attributes and overridden methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from ..exceptions import HandshakeError, MessageTooBig, ProtocolError, UnsupportedFeature
from .base import Message, PeerClose, Protocol, Shared, State
from .close_codes import CloseCode, check_close
from .http import MAX_LIST_SIZE, Request, check_reflected, check_upgrade, further_headers, write_request

#: Bytes that the length of a frame may take; they hold 70 bits. The draft sets no limit, and an endless run of 0x80
#: encodes zero.
MAX_LENGTH_SIZE: Final = 10

_TEXT: Final = 0x00
_TERMINATOR: Final = b"\xff"
#: Frame types from this one on have a length, those below have a terminator.
_WITH_LENGTH: Final = 0x80
#: The type of the closing frame of hixie-76; its length is 0.
_CLOSING: Final = 0xFF

#: The header fields that later versions introduced. A request of hixie-75 has none of them.
_HEADERS_OF_LATER_VERSIONS: Final = frozenset(
    {"sec-websocket-key", "sec-websocket-version", "sec-websocket-key1", "sec-websocket-key2"}
)


@dataclass(slots=True)
class _Frame:
    """A frame that is partly received."""

    #: The frame type, its first byte.
    kind: int
    #: The payload so far, if the frame has a terminator.
    text: bytearray = field(default_factory=bytearray)
    #: The length as far as it was read, if the frame has one; once :attr:`length_known` is set, the number of bytes
    #: that are still to be skipped.
    length: int = 0
    #: The number of bytes of the length that were read.
    length_size: int = 0
    #: Whether the last byte of the length was read.
    length_known: bool = False


class Hixie75(Protocol):
    """The WebSocket protocol of draft-hixie-thewebsocketprotocol-75, as Chrome 4 and Safari 5.0.0 speak it.

    It has text messages only. It has no closing handshake: the end of the stream is the Close, and ``close_code`` is
    then 1005, or 1006 if the stream ends inside a frame.
    """

    versions = (75,)

    # The attributes that hixie-76 overrides

    #: The prefix of the names of the draft's own header fields.
    header_prefix: ClassVar[str] = "WebSocket-"
    #: The reason phrase of the answer. Old browsers do not accept the status without it.
    reason_phrase: ClassVar[str] = "Web Socket Protocol Handshake"
    #: A Content-Length that a request may have; empty for none.
    request_body: ClassVar[str] = ""
    #: The frame that begins the closing handshake and answers it; empty if there is none.
    closing_frame: ClassVar[bytes] = b""

    # Opening handshake

    @classmethod
    def matches(cls, request: Request) -> bool:
        """Return whether the request has none of the header fields that later versions introduced."""
        return request.is_upgrade and _HEADERS_OF_LATER_VERSIONS.isdisjoint(request.headers)

    def _check_request(self) -> None:
        """Check the client's request, above all the values that the answer repeats (section 5.1)."""
        check_upgrade(self.request, body=self.request_body)
        check_reflected(self.origin or "", "Origin header")
        if self.request.host is not None:
            # The property raises an error for a location that the answer must not repeat. Without a host there is no
            # location, and whoever drives the connection refuses the handshake.
            _ = self.request.location
        name = f"{self.header_prefix}Protocol"
        # The draft has one name here and no list, so that a comma is a part of the name.
        subprotocol = self.request.header(name.lower())
        if len(subprotocol) > MAX_LIST_SIZE:
            raise HandshakeError(f"the {name} header is too long")
        self.offered_subprotocols = (check_reflected(subprotocol, f"{name} header"),) if subprotocol else ()

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the connection (section 5.2); it is open at once.

        A client that named a subprotocol closes the connection if ``subprotocol`` is another one.
        """
        self._send_response(subprotocol, headers)
        self.state = State.OPEN

    def _send_response(self, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> None:
        """Send the answer; the client compares its first three lines byte by byte (section 4.1)."""
        lines = self.check_accept(subprotocol, headers)
        prefix = self.header_prefix
        if subprotocol is not None:
            lines = f"{prefix}Protocol: {subprotocol}\r\n{lines}"
        self.outgoing.append(
            f"HTTP/1.1 101 {self.reason_phrase}\r\n"
            "Upgrade: WebSocket\r\n"
            "Connection: Upgrade\r\n"
            f"{prefix}Location: {self.request.location}\r\n"
            f"{prefix}Origin: {self.origin}\r\n"
            f"{lines}\r\n".encode("ascii")
        )

    def connect(self) -> None:
        """Send the request (section 4.1); the Origin is made from the host unless the request has one.

        :raises UnsupportedFeature: there is more than one subprotocol to offer.
        :raises ValueError: a handshake cannot carry the host, the target, a header field or the subprotocol.
        """
        self._send_request({})

    def _send_request(self, keys: Mapping[str, str]) -> None:
        """Send the request with the header fields that both drafts have, and with ``keys``.

        The errors are those of :meth:`connect`.
        """
        request = self.request
        host = check_reflected((request.host or "").lower(), "Host")
        origin = self.origin or f"{'https' if request.secure else 'http'}://{host}"
        headers = {
            "Upgrade": "WebSocket",
            "Connection": "Upgrade",
            "Host": host,
            "Origin": check_reflected(origin, "Origin header"),
        }
        if len(self.offered_subprotocols) > 1:
            raise UnsupportedFeature(f"hixie-{self.version} offers one subprotocol, not a list")
        for subprotocol in self.offered_subprotocols:
            headers[f"{self.header_prefix}Protocol"] = check_reflected(subprotocol, "subprotocol")
        extra = further_headers(request, without=("host", "origin"))
        head, self.request = write_request(request, {**headers, **extra, **keys})
        self.outgoing.append(head)

    def _check_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Check the server's answer, which has to repeat values of the request (section 4.1)."""
        if status != 101:
            raise HandshakeError(f"the server refused with status {status}", status=status)
        subprotocol = next(iter(self.offered_subprotocols), None)
        expected = {
            "Upgrade": "WebSocket",
            "Connection": "Upgrade",
            f"{self.header_prefix}Location": self.request.location,
            f"{self.header_prefix}Origin": self.origin,
            f"{self.header_prefix}Protocol": subprotocol,
        }
        for name, value in expected.items():
            if headers.get(name.lower()) != value:
                raise HandshakeError(f"the server's {name} is not what it has to be")
        self.subprotocol = subprotocol

    # Frames from the peer (sections 4.2 and 5.3)

    #: The frame that is partly received; ``None`` between two frames.
    _frame: _Frame | None = None

    def _receive_eof(self) -> None:
        """Take the end of the stream, which is a Close between two frames if the draft has no closing handshake."""
        if self._frame is None and not self.closing_frame:
            self._receive_close(CloseCode.NO_STATUS_RECEIVED)
        else:
            self._finish(CloseCode.ABNORMAL_CLOSURE)

    def _fail(self, error: ProtocolError) -> None:
        self._frame = None
        super()._fail(error)

    def _parse(self, data: bytes, messages: list[Message]) -> None:
        """Parse all frames of ``data``, each byte once; see :meth:`Protocol._parse`."""
        position, size = 0, len(data)
        while position < size and self.state is not State.CLOSED and self.deferred_end is None:
            frame = self._frame
            if frame is None:
                self._frame = _Frame(data[position])
                position += 1
            elif frame.kind < _WITH_LENGTH:
                end = data.find(_TERMINATOR, position)
                stop = size if end < 0 else end
                # The payload of the other types, which are ignored, is kept too until the frame ends, so that one limit
                # holds for all of them.
                self._check_size(len(frame.text) + stop - position)
                frame.text += data[position:stop]
                position = stop + 1
                if end >= 0:
                    self._frame = None
                    if frame.kind == _TEXT:
                        messages.append(frame.text.decode("utf-8", "replace"))
                    else:
                        self._count_ignored()
            elif not frame.length_known:
                self._read_length(frame, data[position])
                position += 1
            else:
                skipped = min(frame.length, size - position)
                position += skipped
                frame.length -= skipped
                if not frame.length:
                    self._frame = None
                    self._count_ignored()

    def _read_length(self, frame: _Frame, byte: int) -> None:
        """Take one byte of a frame's length: seven bits of the number, and a bit that is set if more bytes follow.

        :raises MessageTooBig: the length is over :attr:`max_message_size`.
        :raises ProtocolError: the length takes more than :data:`MAX_LENGTH_SIZE` bytes.
        """
        frame.length = frame.length << 7 | byte & 0x7F
        frame.length_size += 1
        self._check_size(frame.length)
        if byte & 0x80:
            if frame.length_size == MAX_LENGTH_SIZE:
                raise ProtocolError("the length of a frame has no end")
            return
        frame.length_known = True
        if not frame.length:
            self._frame = None
            if self.closing_frame and frame.kind == _CLOSING:
                self._receive_close(CloseCode.NO_STATUS_RECEIVED)
            else:
                self._count_ignored()

    def _count_ignored(self) -> None:
        """Count a frame that is ignored, so that the driver can limit the rate of such frames like that of pings."""
        self.control_frames += 1
        self.has_events = True

    def _check_size(self, size: int) -> None:
        """Check the size of a frame.

        :raises MessageTooBig: ``size`` is over :attr:`max_message_size`.
        """
        if self.max_message_size is not None and size > self.max_message_size:
            raise MessageTooBig("a message is too big")

    # Frames to the peer

    def encode(
        self,
        message: str | bytes | bytearray | memoryview,
        compress: bool | None = None,  # noqa: ARG002
    ) -> tuple[bytes, bytes]:
        """Return the bytes to send for a text message; see :meth:`Protocol.encode`.

        :raises UnsupportedFeature: ``message`` is not ``str``.
        :raises ConnectionClosed: the state is not ``OPEN``.
        """
        payload = self._encode_text(message)
        self._check_open()
        return b"\x00%b\xff" % payload, b""

    @property
    def frame_key(self) -> str:
        """The same for all connections of hixie-75 and hixie-76."""
        return "hixie"

    def encode_shared(self, message: str | bytes) -> Shared:
        """Return what to send for a text message; see :meth:`Protocol.encode_shared`.

        :raises UnsupportedFeature: ``message`` is not ``str``.
        """
        payload = self._encode_text(message)
        return Shared(b"\x00%b\xff" % payload, len(payload))

    def _encode_text(self, message: object) -> bytes:
        """Return a message as UTF-8, in which the byte of the terminator never occurs.

        :raises UnsupportedFeature: ``message`` is not ``str``.
        """
        if not isinstance(message, str):
            raise UnsupportedFeature(f"hixie-{self.version} carries text only, not {type(message).__name__}")
        return message.encode()

    def ping(self, data: bytes = b"") -> None:  # noqa: ARG002
        """Refuse to send a ping, which the draft does not have.

        :raises UnsupportedFeature: always.
        """
        raise UnsupportedFeature(f"hixie-{self.version} has no pings")

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Start the closing handshake, if the draft has one; ``code`` and ``reason`` are checked, but not sent.

        The state becomes ``CLOSING``: messages still arrive, until the peer's closing frame or the end of its stream.
        Without a closing frame the end of our stream is the Close (:attr:`Protocol.eof_to_send`). An incomplete
        opening handshake is given up, with the close code 1006.

        :raises ValueError: RFC 6455 would not allow ``code`` or ``reason``. They are checked alike in all versions, so
            that a view does not depend on the version of its client.
        """
        check_close(code, reason)
        if self.state is State.OPEN:
            self._send_closing_frame()
            self.eof_to_send = not self.closing_frame
            self.state = State.CLOSING
        elif self.state is State.CONNECTING:
            self._finish(CloseCode.ABNORMAL_CLOSURE)

    def _send_failure(self, error: ProtocolError) -> None:  # noqa: ARG002
        """Send the closing frame, if the draft has one; it cannot carry the reason."""
        self._send_closing_frame()

    def _answer_close(self, close: PeerClose) -> None:  # noqa: ARG002
        """Send the closing frame, if the draft has one."""
        self._send_closing_frame()

    def _send_closing_frame(self) -> None:
        """Send the closing frame, if the draft has one and it was not sent yet."""
        if self.state is State.OPEN and self.closing_frame:
            self.outgoing.append(self.closing_frame)
