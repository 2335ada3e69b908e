"""draft-hixie-thewebsocketprotocol-75: text between 0x00 and 0xFF, and neither keys nor a closing handshake.

What its successor, hixie-76, kept of it stands here; what it changed is a class attribute or a method with a hook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from ..exceptions import HandshakeError, MessageTooBig, ProtocolError, UnsupportedFeature
from .base import CloseCode, Message, Protocol, State, check_close
from .http import MAX_LIST_SIZE, Request, check_upgrade, header_lines, reflectable

#: Bytes the length of a frame may take. The draft sets no bound, and 0x80 for ever is a zero for ever; these are
#: 70 bits.
MAX_LENGTH_SIZE: Final = 10

_TEXT: Final = 0x00
_TERMINATOR: Final = b"\xff"
#: Frame types from here on come with a length, those below with a terminator.
_WITH_LENGTH: Final = 0x80
#: The type of the closing frame of hixie-76; its length is 0.
_CLOSING: Final = 0xFF

_LATER_HEADERS: Final = frozenset(
    {"sec-websocket-key", "sec-websocket-version", "sec-websocket-key1", "sec-websocket-key2"}
)


@dataclass(slots=True)
class _Frame:
    """A frame of which the first byte has come, and the last has not."""

    kind: int
    #: What has come of it, if it ends with a terminator.
    text: bytearray = field(default_factory=bytearray)
    #: Its length so far; once that is known, the bytes still to skip.
    length: int = 0
    length_size: int = 0
    length_known: bool = False


class Hixie75(Protocol):
    """The WebSocket protocol of draft-hixie-thewebsocketprotocol-75, as Chrome 4 and Safari 5.0.0 speak it.

    It carries text only. It has no closing handshake: the end of the stream is the Close, and ``close_code`` is then
    1005, or 1006 where it cuts a frame.
    """

    versions = (75,)

    # What hixie-76 does differently

    #: What the names of the draft's own header fields begin with.
    header_prefix: ClassVar[str] = "WebSocket-"
    #: The reason phrase, without which old browsers do not take the status.
    reason_phrase: ClassVar[str] = "Web Socket Protocol Handshake"
    #: The Content-Length a request may have.
    request_body: ClassVar[str] = ""
    #: The frame that asks for the end and answers to that; empty: there is none.
    closing_frame: ClassVar[bytes] = b""

    _location: str

    # Opening handshake

    @classmethod
    def matches(cls, request: Request) -> bool:
        """Tell whether the request has none of the header fields that later versions brought."""
        return request.is_upgrade and _LATER_HEADERS.isdisjoint(request.headers)

    def _check_request(self) -> None:
        """Check the client's request, above all what the answer repeats (section 5.1)."""
        check_upgrade(self.request, body=self.request_body)
        reflectable(self.origin or "", "Origin header")
        self._location = self.request.location
        name = f"{self.header_prefix}Protocol"
        # One name, not a list, so what looks like a list is a name with a comma.
        subprotocol = self.request.header(name.lower())
        if len(subprotocol) > MAX_LIST_SIZE:
            raise HandshakeError(f"the {name} header is too long")
        self.offered_subprotocols = (reflectable(subprotocol, f"{name} header"),) if subprotocol else ()

    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the connection (section 5.2).

        A client that named a subprotocol gives up by itself if this one does not agree to it.
        """
        self._send_response(subprotocol, headers)
        self.state = State.OPEN

    def _send_response(self, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> None:
        """Answer the client, which compares the first three lines byte by byte (section 4.1)."""
        lines = self._check_accept(subprotocol, headers)
        prefix = self.header_prefix
        if subprotocol is not None:
            lines = f"{prefix}Protocol: {subprotocol}\r\n{lines}"
        self.outgoing.append(
            f"HTTP/1.1 101 {self.reason_phrase}\r\n"
            "Upgrade: WebSocket\r\n"
            "Connection: Upgrade\r\n"
            f"{prefix}Location: {self._location}\r\n"
            f"{prefix}Origin: {self.origin}\r\n"
            f"{lines}\r\n".encode("ascii")
        )

    def connect(self) -> None:
        """Ask for the connection (section 4.1); the Origin is the host's own unless the request names one.

        :raises UnsupportedFeature: more than one subprotocol to offer.
        :raises ValueError: something that a handshake cannot carry.
        """
        self._send_request({})

    def _send_request(self, keys: Mapping[str, str]) -> None:
        """Send the request, with the header fields ``keys`` beside those of every draft."""
        request = self.request
        host = reflectable((request.host or "").lower(), "Host")
        origin = self.origin or f"{'https' if request.secure else 'http'}://{host}"
        headers = {
            "Upgrade": "WebSocket",
            "Connection": "Upgrade",
            "Host": host,
            "Origin": reflectable(origin, "Origin header"),
        }
        if len(self.offered_subprotocols) > 1:
            raise UnsupportedFeature(f"hixie-{self.version} offers one subprotocol, not a list")
        for subprotocol in self.offered_subprotocols:
            headers[f"{self.header_prefix}Protocol"] = reflectable(subprotocol, "subprotocol")
        extra = {name.title(): value for name, value in request.headers.items() if name not in ("host", "origin")}
        header_lines(extra.items())
        headers = {**headers, **extra, **keys}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        target = reflectable(request.target, "request target")
        self.outgoing.append(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii"))
        self.request = replace(request, headers={name.lower(): value for name, value in headers.items()})

    def _check_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Check the server's answer, which repeats what was asked for (section 4.1)."""
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

    def _receive_handshake(self, data: bytes) -> bytes | None:
        """Take bytes while the handshake is incomplete; give what follows it once it is not."""
        rest = self._receive_head(data)
        if rest is not None:
            self.state = State.OPEN
        return rest

    # Frames that come in (sections 4.2 and 5.3)

    #: The frame being read; ``None`` between two.
    _frame: _Frame | None = None

    def receive(self, data: bytes) -> list[Message]:
        """Take bytes from the peer; see :meth:`Protocol.receive`."""
        messages: list[Message] = []
        if self.state is State.CLOSED or self.deferred_error is not None:
            return messages
        if self.state is State.CONNECTING:
            rest = self._receive_handshake(data)
            if not rest:
                return messages
            data = rest
        if not data:
            clean = self._frame is None and not self.closing_frame
            self._finish(CloseCode.NO_STATUS_RECEIVED if clean else CloseCode.ABNORMAL_CLOSURE)
            return messages
        try:
            self._parse(data, messages)
        except ProtocolError as error:
            self._frame = None
            self._fail(error)
        return messages

    def _parse(self, data: bytes, messages: list[Message]) -> None:
        """Parse all frames of ``data``, looking at each byte once; messages go to ``messages``."""
        position, size = 0, len(data)
        while position < size and self.state is not State.CLOSED:
            frame = self._frame
            if frame is None:
                self._frame = _Frame(data[position])
                position += 1
            elif frame.kind < _WITH_LENGTH:
                end = data.find(_TERMINATOR, position)
                stop = size if end < 0 else end
                # Frames of other types are kept as well until they can be dropped: so one limit holds for all.
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
        """Take one byte of a frame's length: seven bits of it, and whether it goes on."""
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
                self._send_closing_frame()
                self._finish(CloseCode.NO_STATUS_RECEIVED)
            else:
                self._count_ignored()

    def _count_ignored(self) -> None:
        """Take note of a frame that says nothing: as many as one likes are as little welcome as pings."""
        self.control_frames += 1
        self.has_events = True

    def _check_size(self, size: int) -> None:
        """:raises MessageTooBig: a frame has ``size`` bytes, and that is too many."""
        if self.max_message_size is not None and size > self.max_message_size:
            raise MessageTooBig("a message is too big")

    # Frames that go out

    def encode(
        self,
        message: str | bytes | bytearray | memoryview,
        compress: bool | None = None,  # noqa: ARG002
    ) -> tuple[bytes, bytes]:
        """Give a text message as the bytes to send; see :meth:`Protocol.encode`.

        :raises UnsupportedFeature: ``message`` is not ``str``.
        """
        if not isinstance(message, str):
            raise UnsupportedFeature(f"hixie-{self.version} carries text only, not {type(message).__name__}")
        self._check_open()
        # UTF-8 never has the terminator's byte.
        return b"\x00%b\xff" % message.encode(), b""

    def ping(self, data: bytes = b"") -> None:  # noqa: ARG002
        """:raises UnsupportedFeature: always."""
        raise UnsupportedFeature(f"hixie-{self.version} has no pings")

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Send nothing more, and tell the peer where the draft has a way to; ``code`` and ``reason`` stay here.

        The state is then ``CLOSING``: messages on their way still come in, until the peer's closing frame or the end
        of its stream. Where there is no closing frame the peer learns of it from the end of ours
        (:attr:`Protocol.eof_to_send`). A handshake that is not complete is given up (1006).

        :raises ValueError: what no version could send, so that a view does not depend on the client it meets.
        """
        check_close(code, reason)
        if self.state is State.OPEN:
            self._send_closing_frame()
            self.eof_to_send = not self.closing_frame
            self.state = State.CLOSING
        elif self.state is State.CONNECTING:
            self._finish(CloseCode.ABNORMAL_CLOSURE)

    def _send_failure(self, error: ProtocolError) -> None:  # noqa: ARG002
        """Send the closing frame, where there is one: it has no room for the reason."""
        self._send_closing_frame()

    def _send_closing_frame(self) -> None:
        """Send the closing frame, where there is one, unless it is sent."""
        if self.state is State.OPEN and self.closing_frame:
            self.outgoing.append(self.closing_frame)
