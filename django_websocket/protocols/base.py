"""The one contract of every protocol version.

A :class:`Protocol` turns bytes into messages and messages into bytes, and nothing else: no socket, no
clock, no thread, no log. ``protocol.receive(sock.recv(n))`` is the whole inbound seam, ``b""`` being the
end of the stream, and :meth:`Protocol.data_to_send` the whole outbound one. Answering pings and Close
frames and failing the connection of a peer that breaks the rules happen inside, so that a driver never
sees an opcode and no ``if version`` stands outside a version's own file.

Objects here are not thread-safe: the driver serializes its calls.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from ..exceptions import ConnectionClosed, HandshakeError, ProtocolError, WebSocketError
from .http import MAX_HEAD_SIZE, Request, header_lines, parse_head

#: A message as the application sees it: ``str`` for text, ``bytes`` for binary.
Message: TypeAlias = str | bytes

#: Bytes of UTF-8 in a close reason: a control frame's 125 less the code (RFC 6455 section 5.5).
MAX_CLOSE_REASON: Final = 123
DEFAULT_MAX_MESSAGE_SIZE: Final = 1024 * 1024
DEFAULT_MAX_FRAGMENTS: Final = 1024


class State(enum.IntEnum):
    """Where a connection stands; it only ever goes up."""

    #: The opening handshake is not complete.
    CONNECTING = 0
    #: Messages flow both ways.
    OPEN = 1
    #: We have sent Close and wait for the peer's: nothing more can be sent, messages may still come in.
    CLOSING = 2
    #: Nothing more comes or goes but what :meth:`Protocol.data_to_send` still holds.
    CLOSED = 3


class CloseCode(enum.IntEnum):
    """Close codes (RFC 6455 section 7.4.1 and the IANA registry it founded)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


@dataclass(frozen=True)
class Compression:
    """How messages are compressed, where the version can do it and the peer agrees."""

    #: 1 is the fastest, 9 makes the smallest.
    level: int = 6
    #: How far back repetitions are found, as a power of two: 9 to 15. The peer is asked for the same.
    window_bits: int = 12
    #: 1 to 9.
    memory_level: int = 5
    #: Bytes; shorter messages are sent as they are.
    threshold: int = 1024
    #: Whether repetitions of earlier messages are found too, at the cost of memory for each connection.
    context_takeover: bool = False


_FORGOTTEN: Final = Request()


class Protocol(ABC):
    """One connection of one protocol version, server or client side.

    Constructed from the request that opens the connection, which a server checks in full there
    (:exc:`HandshakeError`); then, before anything is received, :meth:`accept` (server) or :meth:`connect`
    (client) makes the handshake ready to send, and :attr:`state` becomes ``OPEN`` at once or, for handshakes
    that need more bytes, in :meth:`receive`.
    """

    #: The versions this class speaks, best first: of 75, 76, 13, 8, 7.
    versions: ClassVar[tuple[int, ...]]
    #: Header fields for a refusal that tell the client which versions are spoken.
    version_headers: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: Whether the version has pings.
    can_ping: ClassVar[bool] = False

    #: One of :attr:`versions`.
    version: int
    #: What the client offered, in its order.
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
        """Begin a connection; ``version`` (``None``: the best) and ``subprotocols`` are what a client asks for.

        ``max_message_size`` (bytes) and ``max_fragments`` (frames of one message) bound what the peer may
        send, after decompression; ``None`` is no bound. ``compression`` is offered by a client, and agreed to by a
        server; ``None`` is none. The three may be changed until the handshake is complete.
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
        #: The peer's close code; ours when the connection was failed; 1005: none given; 1006: it vanished.
        self.close_code: int | None = None
        self.close_reason = ""
        #: Why the connection was failed, when it was.
        self.error: WebSocketError | None = None
        #: Whether a peer's mistake waits for :meth:`fail`, so that the messages ahead of it can be answered.
        self.defers_errors = False
        #: The mistake that waits.
        self.deferred_error: ProtocolError | None = None
        #: The header fields of the server's answer, by lower-case name (client side).
        self.response_headers: dict[str, str] = {}
        #: The payload of the last pong that came in.
        self.pong: bytes | None = None
        #: How many control frames have come in, or others that say nothing; who counts them sets it back.
        self.control_frames = 0
        #: Whether something else than messages has come in: control frames, a mistake, the end. So that whoever drives
        #: the connection need not look for each; who has looked sets it back.
        self.has_events = False
        #: Chunks that wait to be sent; true while :meth:`data_to_send` has something to give.
        self.outgoing: list[bytes] = []
        #: Whether the end of our stream belongs behind what is sent: the connection was failed, or is of a version
        #: that says goodbye by it. Whoever has sent it sets it back.
        self.eof_to_send = False
        self._head = bytearray()
        if not client:
            self._check_request()

    # The handshake, server side

    @classmethod
    @abstractmethod
    def matches(cls, request: Request) -> bool:
        """Tell whether an upgrade request means this version, be it well-formed or not."""

    @abstractmethod
    def _check_request(self) -> None:
        """Check the client's request in full and set :attr:`version` and :attr:`offered_subprotocols`.

        :raises HandshakeError: it is malformed, or a version that nobody speaks.
        """

    @abstractmethod
    def accept(self, subprotocol: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Accept the connection (server side).

        :raises ValueError: a subprotocol that the client did not offer, or a header that is not clean.
        :raises ConnectionClosed: it is not the time for it.
        """

    def forget_request(self) -> None:
        """Let go of the request when the handshake is complete: nothing else needs it, and it is memory."""
        self.request = _FORGOTTEN

    @property
    def inflates(self) -> bool:
        """Whether what comes in is compressed: few bytes can be many then."""
        return False

    @property
    def origin(self) -> str | None:
        """The Origin the client has named, as it came, or ``None``."""
        return self.request.headers.get("origin")

    # The handshake, client side

    @abstractmethod
    def connect(self) -> None:
        """Ask for the connection (client side); the answer comes through :meth:`receive`."""

    @abstractmethod
    def _check_response(self, status: int, headers: Mapping[str, str]) -> None:
        """Check the head of the server's answer (client side).

        :raises HandshakeError: the server refused, or answered something else.
        """

    # The connection

    @abstractmethod
    def receive(self, data: bytes) -> list[Message]:
        """Take bytes from the peer, ``b""`` for the end of the stream, and give the messages completed by them.

        Never raises for what a peer does: a peer that breaks the protocol finds :attr:`state` at ``CLOSED``
        and the reason in :attr:`error`, with a Close waiting in :attr:`outgoing` where the version has one;
        messages that were complete before are given first. With :attr:`defers_errors`, where the state is ``OPEN`` it
        stays so, and the reason is in :attr:`deferred_error`, until :meth:`fail` is called; nothing more is taken
        meanwhile.
        """

    def take_whole_messages(self, data: bytes, messages: MutableSequence[Message], position: int = 0) -> int:  # noqa: ARG002
        """Take the messages that ``data`` has whole from ``position`` on; gives where the first other thing begins.

        For speed: it may always give ``position``, and what it leaves is for :meth:`receive`, which takes anything.
        It need not be kept apart from other calls than :meth:`receive`.
        """
        return position

    @abstractmethod
    def encode(
        self, message: str | bytes | bytearray | memoryview, compress: bool | None = None
    ) -> tuple[bytes, bytes]:
        """Give a message as the bytes to send, ``str`` as text and bytes as binary.

        It comes in two pieces, to be sent one behind the other, of which the second may be empty: to put a large
        payload behind its header would take a copy. They go ahead of what waits in :attr:`outgoing`, a Close perhaps,
        and out before anything else is called. ``compress`` is for connections that have agreed on compression:
        ``False`` sends this message as it is, ``True`` does not ask for its length.

        :raises TypeError: neither ``str`` nor bytes-like.
        :raises ConnectionClosed: the state is not ``OPEN``.
        :raises UnsupportedFeature: binary over a version that has text only.
        """

    def send(self, message: str | bytes | bytearray | memoryview, *, compress: bool | None = None) -> None:
        """Send a message, as :meth:`encode` makes it, when its turn comes."""
        self.outgoing.append(b"".join(self.encode(message, compress)))

    @abstractmethod
    def ping(self, data: bytes = b"") -> None:
        """Send a ping with up to 125 bytes of payload.

        :raises ConnectionClosed: the state is not ``OPEN``.
        :raises UnsupportedFeature: the version has no pings.
        """

    @abstractmethod
    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Start the closing handshake; does nothing where it has begun, and gives an incomplete opening one up.

        :raises ValueError: a code that may not be sent, or a reason over 123 bytes of UTF-8.
        """

    def fail(self, error: ProtocolError | None = None) -> None:
        """Fail the connection for the :attr:`deferred_error` that waits, or else for ``error`` (section 7.1.7).

        Does nothing where there is neither, or the connection is closed.
        """
        error = self.deferred_error or error
        if error is not None and self.state is not State.CLOSED:
            self._fail_now(error)

    def data_to_send(self) -> bytes:
        """Give all bytes to send now, and forget them."""
        outgoing = self.outgoing
        if len(outgoing) == 1:
            return outgoing.pop()
        data = b"".join(outgoing)
        outgoing.clear()
        return data

    def connection_lost(self) -> None:
        """The connection broke, or is given up: nothing more comes or goes (RFC 6455 section 7.1.5)."""
        self.outgoing.clear()
        if self.state is not State.CLOSED:
            self._finish(CloseCode.ABNORMAL_CLOSURE)

    def closed_error(self) -> ConnectionClosed:
        """Give the error for a connection on which nothing can be sent; 1005 while the peer's code is awaited."""
        return ConnectionClosed(self.close_code or CloseCode.NO_STATUS_RECEIVED, self.close_reason)

    # What the versions share

    def _check_open(self) -> None:
        """:raises ConnectionClosed: nothing can be sent (any more)."""
        if self.state is not State.OPEN:
            raise self.closed_error()

    def _fail(self, error: ProtocolError) -> None:
        """Fail the connection for a mistake of the peer's, or let it wait for :meth:`fail`."""
        if self.defers_errors and self.state is State.OPEN:
            self.has_events = True
            # Kept for its text only: the frames it has come through hold what was received.
            error.__traceback__ = error.__context__ = None
            self.deferred_error = error
        else:
            self._fail_now(error)

    def _fail_now(self, error: ProtocolError) -> None:
        if self.state is State.OPEN:
            self._send_failure(error)
        self.eof_to_send = True
        self._finish(error.code, str(error), error)

    @abstractmethod
    def _send_failure(self, error: ProtocolError) -> None:
        """Send the Close that tells the peer of its mistake, where the version has one."""

    def _finish(self, code: int, reason: str = "", error: WebSocketError | None = None) -> None:
        """Nothing more is taken from the peer."""
        self.has_events = True
        self.state = State.CLOSED
        self.close_code, self.close_reason, self.error = code, reason, error
        self.deferred_error = None
        self._head.clear()
        if error is not None:
            # Kept for its text only: the frames it has come through hold what was received.
            error.__traceback__ = error.__context__ = None

    def _check_accept(self, subprotocol: str | None, headers: Iterable[tuple[str, str]]) -> str:
        """Check the arguments of :meth:`accept` and give the header lines for ``headers``."""
        if self.client or self.state is not State.CONNECTING:
            raise self.closed_error()
        if subprotocol is not None and subprotocol not in self.offered_subprotocols:
            raise ValueError("a subprotocol that the client did not offer")
        lines = header_lines(headers)
        self.subprotocol = subprotocol
        return lines

    def _receive_head(self, data: bytes) -> bytes | None:
        """Collect the server's answer (client side); give what follows it once it is whole and good."""
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


def check_close(code: int, reason: str) -> bytes:
    """Check what a Close is to carry and give ``reason`` as UTF-8 (RFC 6455 sections 5.5 and 7.4).

    :raises TypeError: ``code`` is no ``int`` or ``reason`` no ``str``.
    :raises ValueError: a code that an endpoint may not send, or a reason over 123 bytes.
    """
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(reason, str):
        raise TypeError("close() takes an int and a str")
    if not (is_close_code(code) and code != CloseCode.MANDATORY_EXTENSION):
        raise ValueError(f"not a close code that may be sent: {code}")
    encoded = reason.encode()
    if len(encoded) > MAX_CLOSE_REASON:
        raise ValueError(f"a close reason has at most {MAX_CLOSE_REASON} bytes of UTF-8")
    return encoded


def is_close_code(code: int) -> bool:
    """Tell whether ``code`` may stand in a Close frame (RFC 6455 section 7.4, IANA's 1012 to 1014)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
