"""The contract that every protocol version fulfils.

A :class:`Protocol` turns bytes into messages and messages into bytes, and does nothing else: it has no socket, no
clock, no thread and no log. Its caller, named the driver below, passes received bytes to
:meth:`Protocol.receive`, where ``b""`` is the end of the stream, and sends the bytes that :meth:`Protocol.data_to_send`
returns. The protocol itself answers pings and Close frames, and fails the connection of a peer that breaks the rules.
The driver therefore sees no opcode, and needs no branch for a version.

A protocol is not thread-safe: the driver serializes its calls.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, TypeAlias

from ..exceptions import ConnectionClosed, HandshakeError, ProtocolError, WebSocketError
from .close_codes import CloseCode
from .http import MAX_HEAD_SIZE, Request, header_lines, parse_head

#: A message as the application sees it: ``str`` for text, ``bytes`` for binary.
Message: TypeAlias = str | bytes

#: Bytes of a message, after decompression.
DEFAULT_MAX_MESSAGE_SIZE: Final = 1024 * 1024
#: Frames of a message.
DEFAULT_MAX_FRAGMENTS: Final = 1024


class State(enum.IntEnum):
    """The state of a connection. Its number never decreases."""

    #: The opening handshake is not complete.
    CONNECTING = 0
    #: Messages flow both ways.
    OPEN = 1
    #: Our Close is sent and the peer's is awaited: nothing more can be sent, messages may still arrive.
    CLOSING = 2
    #: Nothing more is received. Only the bytes that :meth:`Protocol.data_to_send` still holds are left to send.
    CLOSED = 3


@dataclass(frozen=True)
class Compression:
    """The options of compression, which is used if the version has compression and the peer agrees to it."""

    #: The level of zlib: 1 is the fastest, 9 yields the smallest result.
    level: int = 6
    #: The distance at which repetitions are found, as a power of two: 9 to 15. The peer is asked for the same.
    window_bits: int = 12
    #: The ``memLevel`` of zlib, 1 to 9: the memory for the internal state of a compressor.
    memory_level: int = 5
    #: In bytes; shorter messages are sent uncompressed.
    threshold: int = 1024
    #: Whether repetitions of earlier messages are found too, at the cost of memory for each connection.
    context_takeover: bool = False


#: Takes the place of the request of a connection whose handshake is complete.
_NO_REQUEST: Final = Request()


class Shared(NamedTuple):
    """Messages that were encoded for many connections."""

    #: The bytes to send.
    data: bytes
    #: The bytes of the messages, before compression.
    size: int
    #: The number of messages.
    messages: int = 1


class PeerClose(NamedTuple):
    """The Close of the peer."""

    #: The close code; 1005 if the Close has none.
    code: int
    reason: str


class Protocol(ABC):
    """One connection of one protocol version, server or client side.

    It is constructed from the request that opens the connection; the constructor of a server checks that request in
    full (:exc:`HandshakeError`). Then, before anything is received, :meth:`accept` (server) or :meth:`connect` (client)
    makes the handshake ready to send. :attr:`state` becomes ``OPEN`` at once, or in :meth:`receive` for handshakes that
    need more bytes. Methods that send only append to :attr:`outgoing`; the driver sends from there.
    """

    #: The versions this class speaks, best first: of 75, 76, 13, 8, 7.
    versions: ClassVar[tuple[int, ...]]
    #: Header fields of a refusal that list the supported versions for the client.
    version_headers: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: Whether the version has pings.
    can_ping: ClassVar[bool] = False

    #: The size in bytes up to which :meth:`take_whole_messages` may take a message. It is -1 while none may be taken:
    #: inside a frame or a message, after an error, and on a closed connection.
    whole_limit: int = -1

    #: One of :attr:`versions`.
    version: int
    #: The subprotocols that the client offered, in its order.
    offered_subprotocols: tuple[str, ...]

    def __init__(
        self,
        request: Request,
        *,
        client: bool = False,
        version: int | None = None,
        subprotocols: Sequence[str] = (),
        max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
        max_fragments: int | None = DEFAULT_MAX_FRAGMENTS,
        compression: Compression | None = None,
    ) -> None:
        """Begin a connection.

        A client asks for ``version`` (``None`` is the best) and offers ``subprotocols``. ``max_message_size`` (bytes,
        after decompression) and ``max_fragments`` (frames of one message) limit the messages of the peer; ``None`` is
        no limit. A client offers ``compression``, and a server agrees to it; ``None`` is no compression. The last
        three may be changed until the handshake is complete.

        :raises HandshakeError: the request is not a handshake of this version (server side).
        """
        self.request = request
        self.client = client
        self.max_message_size = max_message_size
        self.max_fragments = max_fragments
        self.compression = compression
        self.state = State.CONNECTING
        self.version = version or self.versions[0]
        #: The negotiated subprotocol, or ``None``.
        self.subprotocol: str | None = None
        self.offered_subprotocols = tuple(subprotocols)
        #: The close code of the peer, or ours if the connection was failed. 1005: the Close had no code. 1006: the
        #: connection ended without a Close.
        self.close_code: int | None = None
        self.close_reason = ""
        #: The reason why the connection was failed; ``None`` if it was not.
        self.error: WebSocketError | None = None
        #: Whether the peer's Close, or its error, is kept until :meth:`finish_deferred` is called, so that the messages
        #: ahead of it can be answered first (RFC 6455 section 5.5.1).
        self.defers_end = False
        #: The peer's Close or error that is kept until :meth:`finish_deferred` is called; ``None`` if there is none.
        self.deferred_end: PeerClose | ProtocolError | None = None
        #: The header fields of the server's answer, by lower-case name (client side).
        self.response_headers: dict[str, str] = {}
        #: The payload of the last pong that was received.
        self.pong: bytes | None = None
        #: The number of received frames that carry no message: control frames, and the frames that hixie-75 and
        #: hixie-76 ignore. The driver, which limits the rate of such frames, resets the number.
        self.control_frames = 0
        #: Whether there is any other event than a message: a control frame, an error, the end of the connection. The
        #: driver checks this one flag instead of each kind of event, and resets the flag.
        self.has_events = False
        #: Chunks to send; true while :meth:`data_to_send` would return bytes.
        self.outgoing: list[bytes] = []
        #: Whether the driver has to end our stream once the outgoing bytes are sent: the connection was failed, or the
        #: version closes by the end of the stream. The driver resets the flag.
        self.eof_to_send = False
        self._head = bytearray()
        if not client:
            self._check_request()

    # The handshake, server side

    @classmethod
    @abstractmethod
    def matches(cls, request: Request) -> bool:
        """Return whether an upgrade request, well-formed or not, is one of this version."""

    @abstractmethod
    def _check_request(self) -> None:
        """Check the client's request in full and set :attr:`version` and :attr:`offered_subprotocols`.

        :raises HandshakeError: the request is malformed, or its version is unsupported.
        """

    @abstractmethod
    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the connection (server side).

        :raises ValueError: the client did not offer ``subprotocol``, or one of ``headers`` must not be added.
        :raises ConnectionClosed: the connection was accepted already, is closed, or is a client's.
        """

    def forget_request(self) -> None:
        """Drop the request, which takes memory and is not needed once the handshake is complete."""
        self.request = _NO_REQUEST

    @property
    def inflates(self) -> bool:
        """Whether received messages may be compressed, so that few bytes can become many."""
        return False

    @property
    def is_plain(self) -> bool:
        """Whether messages are sent and received as uncompressed frames of RFC 6455, as a server's and to one.

        The code that drives the protocol may then read and write whole messages without it.
        """
        return False

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins that the client sent, unchecked and in order of importance; each of them has to be allowed."""
        origin = self.request.headers.get("origin")
        return () if origin is None else (origin,)

    @property
    def origin(self) -> str | None:
        """The origin that the client sent, unchecked, or ``None``: the first of :attr:`origins`."""
        return next(iter(self.origins), None)

    # The handshake, client side

    @abstractmethod
    def connect(self) -> None:
        """Send the request that opens the connection (client side); the answer arrives through :meth:`receive`."""

    @abstractmethod
    def _check_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Check the head of the server's answer (client side).

        :raises HandshakeError: the server refused, or its answer does not fit the request.
        """

    # The connection

    def receive(self, data: bytes) -> list[Message]:
        """Take bytes from the peer and return the messages completed by them; ``b""`` is the end of the stream.

        No bytes of a peer make this method raise. When a peer breaks the protocol, the messages that were complete
        before are returned, :attr:`state` becomes ``CLOSED``, the reason is in :attr:`error`, and a Close is in
        :attr:`outgoing` if the version has one. After a Close of the peer the state becomes ``CLOSED`` too.

        With :attr:`defers_end` an ``OPEN`` connection stays ``OPEN`` in both cases, the Close or the error is in
        :attr:`deferred_end`, and all further bytes are ignored until :meth:`finish_deferred` is called.
        """
        messages: list[Message] = []
        if self.state is State.CLOSED:
            return messages
        if self.state is State.CONNECTING:
            rest = self._receive_handshake(data)
            if not rest:
                return messages
            data = rest
        if self.deferred_end is not None:
            return messages
        if not data:
            self._receive_eof()
            return messages
        try:
            self._parse(data, messages)
        except ProtocolError as error:
            self._fail(error)
        return messages

    def _receive_handshake(self, data: bytes) -> bytes | None:
        """Take bytes while the handshake is incomplete.

        Return the bytes behind the handshake once it is complete, and ``None`` until then.
        """
        rest = self._receive_head(data)
        if rest is not None:
            self.state = State.OPEN
        return rest

    def _receive_eof(self) -> None:
        """Take the end of the stream while the connection is open or closing (RFC 6455 section 7.1.5)."""
        self._finish(CloseCode.ABNORMAL_CLOSURE)

    @abstractmethod
    def _parse(self, data: bytes, messages: list[Message]) -> None:
        """Parse all frames of ``data``, which is not empty, and append the messages to ``messages``.

        :raises ProtocolError: the peer broke the protocol; the messages ahead of that are appended.
        """

    def take_whole_messages(self, data: bytes, messages: MutableSequence[Message], position: int = 0) -> int:  # noqa: ARG002
        """Append to ``messages`` the messages that ``data`` holds whole from ``position`` on.

        Return the position of the first byte that was not taken. The method exists for speed only: to return
        ``position`` is always correct, because :meth:`receive` takes all that is left. The driver has to serialize this
        method with :meth:`receive` alone, not with the other calls.
        """
        return position

    @abstractmethod
    def encode(
        self, message: str | bytes | bytearray | memoryview, compress: bool | None = None
    ) -> tuple[bytes, bytes]:
        """Return the bytes to send for a message: ``str`` is sent as text, bytes are sent as binary.

        The bytes are in two pieces, to be sent one behind the other, because joining a large payload to its header
        would take a copy. The second may be empty. The driver sends both before it calls anything else, ahead of the
        chunks in :attr:`outgoing`, where a Close may wait. ``compress`` matters where compression was agreed on:
        ``False`` sends this message uncompressed, ``True`` ignores the threshold.

        :raises TypeError: ``message`` is neither ``str`` nor bytes-like.
        :raises ConnectionClosed: the state is not ``OPEN``.
        :raises UnsupportedFeature: ``message`` is binary and the version has text only.
        """

    @property
    def frame_key(self) -> Hashable:
        """What open connections have in common to which the same bytes can be sent for a message.

        ``None``: there is no other such connection. The key does not change while the connection is open.
        """
        return None

    def encode_shared(self, message: str | bytes) -> Shared:
        """Return what to send for a message on every open connection with the same :attr:`frame_key`.

        They do not depend on what a connection has sent before, and may be sent behind messages that were encoded
        later. The call does not depend on the state of this connection either.

        :raises UnsupportedFeature: ``message`` is binary and the version has text only.
        """
        return Shared(b"".join(self.encode(message)), payload_size(message))

    def send(self, message: str | bytes | bytearray | memoryview, *, compress: bool | None = None) -> None:
        """Append a message to :attr:`outgoing`; the arguments and errors are those of :meth:`encode`."""
        self.outgoing.append(b"".join(self.encode(message, compress)))

    @abstractmethod
    def ping(self, data: bytes = b"") -> None:
        """Send a ping with up to 125 bytes of payload.

        :raises ConnectionClosed: the state is not ``OPEN``.
        :raises UnsupportedFeature: the version has no pings.
        """

    @abstractmethod
    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Start the closing handshake.

        A second call does nothing. An incomplete opening handshake is given up.

        :raises ValueError: ``code`` must not be sent, or ``reason`` is over 123 bytes of UTF-8.
        """

    def fail(self, error: ProtocolError) -> None:
        """Fail the connection (RFC 6455 section 7.1.7); do nothing if it is closed, or its end is deferred."""
        if self.deferred_end is None and self.state is not State.CLOSED:
            self._fail_now(error)

    def finish_deferred(self) -> None:
        """Answer the Close of the peer that was kept, or fail the connection for its error; do nothing without one."""
        end = self.deferred_end
        if isinstance(end, PeerClose):
            self._finish_close(end)
        elif end is not None:
            self._fail_now(end)

    def data_to_send(self) -> bytes:
        """Return all bytes of :attr:`outgoing`, and clear it."""
        outgoing = self.outgoing
        if len(outgoing) == 1:
            return outgoing.pop()
        data = b"".join(outgoing)
        outgoing.clear()
        return data

    def connection_lost(self) -> None:
        """Close the connection without a Close of ours, because it was lost or is abandoned.

        The close code is 1006, or that of the peer's Close if one was kept (RFC 6455 section 7.1.5).
        """
        self.outgoing.clear()
        if isinstance(self.deferred_end, PeerClose):
            self._finish(*self.deferred_end)
        elif self.state is not State.CLOSED:
            self._finish(CloseCode.ABNORMAL_CLOSURE)

    def closed_error(self) -> ConnectionClosed:
        """Return the error for sending on this connection; its code is 1005 while :attr:`close_code` is ``None``."""
        return ConnectionClosed(self.close_code or CloseCode.NO_STATUS_RECEIVED, self.close_reason, source=self)

    # Shared by the versions

    def _check_open(self) -> None:
        """Check that messages can be sent.

        :raises ConnectionClosed: nothing can be sent yet, or any more.
        """
        if self.state is not State.OPEN:
            raise self.closed_error()

    def _fail(self, error: ProtocolError) -> None:
        """Fail the connection for an error of the peer, or keep the error until :meth:`finish_deferred` is called."""
        if self._defer(error):
            _forget_traceback(error)
        else:
            self._fail_now(error)

    def _fail_now(self, error: ProtocolError) -> None:
        if self.state is State.OPEN:
            self._send_failure(error)
        self.eof_to_send = True
        self._finish(error.code, str(error), error)

    @abstractmethod
    def _send_failure(self, error: ProtocolError) -> None:
        """Send the Close that reports ``error`` to the peer, if the version has one."""

    def _receive_close(self, code: int, reason: str = "") -> None:
        """Take the Close of the peer: answer it, or keep it until :meth:`finish_deferred` is called."""
        close = PeerClose(code, reason)
        if not self._defer(close):
            self._finish_close(close)

    def _defer(self, end: PeerClose | ProtocolError) -> bool:
        """Keep the end of the connection until :meth:`finish_deferred` is called, and return whether it is kept."""
        if not self.defers_end or self.state is not State.OPEN:
            return False
        self.has_events = True
        self.deferred_end = end
        return True

    def _finish_close(self, close: PeerClose) -> None:
        if self.state is State.OPEN:
            self._answer_close(close)
        self._finish(*close)

    @abstractmethod
    def _answer_close(self, close: PeerClose) -> None:
        """Send the answer to the Close of the peer, if the version has one."""

    def _finish(self, code: int, reason: str = "", error: WebSocketError | None = None) -> None:
        """Close the connection, after which no bytes are taken from the peer."""
        self.has_events = True
        self.state = State.CLOSED
        self.close_code, self.close_reason, self.error = code, reason, error
        self.deferred_end = None
        self._head.clear()
        if error is not None:
            _forget_traceback(error)

    def check_accept(self, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> str:
        """Check the arguments of :meth:`accept`, set :attr:`subprotocol` and return the header lines for ``headers``.

        Nothing is sent, and the check may be repeated.

        :raises ValueError: the client did not offer ``subprotocol``, or one of ``headers`` must not be added.
        :raises ConnectionClosed: the connection was accepted already, is closed, or is a client's.
        """
        if self.client or self.state is not State.CONNECTING:
            raise self.closed_error()
        if subprotocol is not None and subprotocol not in self.offered_subprotocols:
            raise ValueError("a subprotocol that the client did not offer")
        lines = header_lines(headers)
        self.subprotocol = subprotocol
        return lines

    def _receive_head(self, data: bytes) -> bytes | None:
        """Collect the head of the server's answer (client side).

        Return the bytes behind the head once it is complete and valid; ``None`` before, and if the head is invalid, too
        long or cut off, which closes the connection.
        """
        if not data:
            self._finish(CloseCode.ABNORMAL_CLOSURE, error=HandshakeError("the server hung up in the handshake"))
            return None
        searched = max(0, len(self._head) - 3)
        self._head += data
        end = self._head.find(b"\r\n\r\n", searched)
        if end < 0 or end > MAX_HEAD_SIZE - 4:
            if len(self._head) > MAX_HEAD_SIZE:
                self._finish(CloseCode.ABNORMAL_CLOSURE, error=HandshakeError("the server's answer has no end"))
            return None
        head, rest = self._head[:end].decode("latin-1"), bytes(self._head[end + 4 :])
        self._head.clear()
        try:
            status, self.response_headers = parse_head(head)
            self._check_response(status, self.response_headers)
        except HandshakeError as error:
            self._finish(CloseCode.ABNORMAL_CLOSURE, error=error)
            return None
        return rest


def _forget_traceback(error: WebSocketError) -> None:
    """Drop the traceback of an error that is kept for its text: its stack frames hold the received bytes."""
    error.__traceback__ = error.__context__ = None


def payload_size(message: str | bytes | bytearray | memoryview) -> int:
    """Return the bytes of a message, before compression."""
    if isinstance(message, str):
        return len(message) if message.isascii() else len(message.encode())
    return message.nbytes if isinstance(message, memoryview) else len(message)
