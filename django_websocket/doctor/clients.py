"""A client on one connection, every wait of which has a deadline."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..exceptions import HandshakeError
from ..protocols.base import Message, Protocol, State
from ..protocols.http import MAX_HEAD_SIZE, parse_head
from ..protocols.rfc6455.frames import Opcode
from .deadlines import Deadline

#: Bytes of the body of a refusal that are read: reasons are short, pages are not needed whole.
MAX_BODY: Final = 8192
#: Seconds to wait for the rest of the body of a refusal. It may have no end that could be seen.
_BODY_TIMEOUT: Final = 0.5
#: Messages that are kept, of a view that sends many.
_MAX_MESSAGES: Final = 100
_READ_SIZE: Final = 65536
#: The first byte of a pong, by which the client answers a ping of the server.
_PONG: Final = 0x80 | Opcode.PONG


@dataclass(frozen=True)
class Answer:
    """The answer to a handshake, or to a plain request."""

    #: ``None``: there was no answer, or one that is not HTTP/1.
    status: int | None = None
    #: Header fields by lower-case name.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The beginning of the body.
    body: str = ""
    #: Whether the time was over before the answer was whole.
    timed_out: bool = False
    #: What is wrong with an answer that is not what the protocol demands; empty if nothing is.
    error: str = ""

    def header(self, name: str) -> str:
        """Return the header field ``name`` (lower case), ``""`` if it is absent."""
        return self.headers.get(name, "")


class Client:
    """A WebSocket client on a connected socket, which it closes at its end."""

    def __init__(self, sock: socket.socket, protocol: Protocol) -> None:
        self._sock = sock
        self.protocol = protocol
        #: The last messages that were received.
        self.messages: deque[Message] = deque(maxlen=_MAX_MESSAGES)
        #: The number of pings that the server has sent.
        self.pings = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    @property
    def is_open(self) -> bool:
        """Whether messages can be exchanged."""
        return self.protocol.state is State.OPEN

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return self.protocol.state is State.CLOSED

    def open(self, timeout: float) -> Answer:
        """Send the handshake, and return the answer to it; wait up to ``timeout`` seconds.

        :raises ValueError: a handshake cannot carry one of the header fields.
        """
        self.protocol.connect()
        deadline, received = Deadline(timeout), b""
        timed_out = not self._flush(deadline)
        while self.protocol.state is State.CONNECTING and not timed_out:
            data = _read(self._sock, deadline)
            if data is None:
                timed_out = True
                break
            # The protocol keeps no body of a refusal.
            received += data[: MAX_HEAD_SIZE + MAX_BODY]
            self._receive(data)
        error = "" if self.protocol.error is None else str(self.protocol.error)
        return read_answer(self._sock, received, is_open=self.is_open, timed_out=timed_out, error=error)

    def wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """Receive until ``until()`` is true, and return whether it is; wait up to ``timeout`` seconds.

        The end of the connection ends the wait too.
        """
        deadline = Deadline(timeout)
        while True:
            self._flush(deadline)
            if until() or self.is_closed:
                return until()
            data = None if deadline.over else _read(self._sock, deadline)
            if data is None:
                return until()
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        self.messages.extend(self.protocol.receive(data))
        self.pings += sum(chunk[:1] == bytes([_PONG]) for chunk in self.protocol.outgoing)

    def _flush(self, deadline: Deadline) -> bool:
        """Send what the protocol has to send, and return whether that was possible in time."""
        if not self.protocol.outgoing and not self.protocol.eof_to_send:
            return True
        self._sock.settimeout(deadline.left)
        try:
            self._sock.sendall(self.protocol.data_to_send())
            if self.protocol.eof_to_send:
                self.protocol.eof_to_send = False
                self._sock.shutdown(socket.SHUT_WR)
        except TimeoutError:
            return False
        except OSError:
            # What the other side has sent before it hung up is still to be read.
            pass
        return True


def ask(sock: socket.socket, head: bytes, timeout: float) -> Answer:
    """Send a plain request on a connected socket, close the socket, and return the answer.

    ``head`` is the whole request. The wait is up to ``timeout`` seconds.
    """
    deadline, received, timed_out = Deadline(timeout), b"", False
    with sock:
        sock.settimeout(deadline.left)
        try:
            sock.sendall(head)
        except OSError:
            # What the other side has sent before it hung up is still to be read.
            pass
        while b"\r\n\r\n" not in received and len(received) <= MAX_HEAD_SIZE:
            data = _read(sock, deadline)
            if not data:
                timed_out = data is None
                break
            received += data
        return read_answer(sock, received, is_open=False, timed_out=timed_out, error="")


def read_answer(sock: socket.socket, received: bytes, *, is_open: bool, timed_out: bool, error: str) -> Answer:
    """Return the answer of which ``received`` is the beginning; read the rest of its body, for a short time.

    ``is_open`` says that a WebSocket has opened, which has no body.
    """
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return Answer(timed_out=timed_out, error=error or "the server hung up before it answered")
    try:
        status, headers = parse_head(head.decode("latin-1"))
    except HandshakeError as malformed:
        return Answer(timed_out=timed_out, error=str(malformed))
    if is_open:
        return Answer(status, headers)
    if status != 101:
        error, length = "", headers.get("content-length", "")
        wanted = min(int(length), MAX_BODY) if length.isdecimal() and len(length) < 20 else MAX_BODY
        deadline = Deadline(_BODY_TIMEOUT)
        while len(body) < wanted and (data := _read(sock, deadline)):
            body += data
    return Answer(status, headers, body[:MAX_BODY].decode("utf-8", "replace"), timed_out, error)


def _read(sock: socket.socket, deadline: Deadline) -> bytes | None:
    """Return bytes from a socket, ``b""`` at the end of the stream or of the connection, ``None`` if none come."""
    sock.settimeout(deadline.left)
    try:
        return sock.recv(_READ_SIZE)
    except TimeoutError:
        return None
    except OSError:
        return b""
