"""The client's connection below a request, as a WSGI server keeps it.

To every server, the end of a WebSocket looks as if the client had disconnected before its response was written, which
each of them can handle: the socket is shut down and the response is empty. The other needs of a server are met by its
class in :mod:`django_websocket.servers.adapters`.
"""

from __future__ import annotations

import _socket
from typing import Any, Final

from ..transports import is_tls

#: Reads of a refused connection, of 64 KiB each, whose bytes are discarded at a time.
_DISCARDS: Final = 16


class ClientConnection:
    """The client's connection below a request, of which the server reads no more; a subclass for each server.

    Once the object exists, the server finds the end of the stream behind the request. No further request of the
    connection is executed, and the server closes the connection, whatever the response to this request is. No method of
    this class has to be called for that.
    """

    __slots__ = ("received", "sock")

    def __init__(self, sock: Any, received: bytes = b"") -> None:
        #: The client's socket, as its server uses it.
        self.sock = sock
        #: The bytes that the server has read behind the request and not used, until they are taken over.
        self.received = received

    def take_over(self) -> tuple[Any, bytes]:
        """Return the socket, and the bytes that the server has read behind the request.

        This method may be called only once.
        """
        received, self.received = self.received, b""
        return self.sock, received

    def mark_answered(self) -> None:
        """Mark the request as answered, where the server would otherwise answer it itself."""

    def finish(self) -> None:
        """Make the server believe that its client is gone, just before it reads the empty response of a WebSocket."""
        if is_tls(self.sock):
            # SSLSocket.shutdown() removes the TLS layer too. With it, a write by the server would raise an SSL error,
            # which servers do not expect.
            try:
                self.sock.shutdown(_socket.SHUT_RDWR)
            except OSError:
                pass
        self.mark_answered()

    def refuse(self) -> None:
        """Make the server close the connection as soon as it has written its response: the request is no WebSocket.

        Only reading is shut down, so that the response can still be written, to its last byte. A server that waits for
        a further request, as it would for the seconds of its keep-alive, finds the end of the stream at once.

        This method may be called only once.
        """
        self.received = b""
        # TLS that has read the end of the stream would write no more, so that nothing is read behind the shutdown.
        discard(self.sock)
        try:
            _socket.socket.shutdown(plain_socket(self.sock), _socket.SHUT_RD)
        except OSError:
            # The client has closed the connection already.
            pass


class BufferedConnection(ClientConnection):
    """The connection of a server that reads it through a buffered reader of the standard library."""

    __slots__ = ("reader",)

    def __init__(self, sock: Any, reader: Any) -> None:
        super().__init__(sock, end_reader(reader))
        self.reader = reader


class EndedSocket:
    """A stand-in for a socket of which nothing more may be read: its reader finds the end of the stream."""

    __slots__ = ("_sock",)

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def recv_into(self, _buffer: object) -> int:
        """Return 0, which means the end of the stream."""
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def end_reader(reader: Any) -> bytes:
    """End the stream of a buffered reader; return the bytes in its buffer, without a read of the socket."""
    raw = reader.raw
    # With an empty buffer peek() would read the socket once; it finds the end of the stream instead.
    raw._sock = EndedSocket(raw._sock)  # noqa: SLF001
    try:
        held = reader.peek(1)
        return bytes(reader.read(len(held))) if held else b""
    except ValueError:
        # The reader is closed.
        return b""


def reader_socket(reader: Any) -> Any:
    """Return the socket below a buffered reader of the standard library, ``None`` if ``reader`` is something else."""
    return getattr(getattr(reader, "raw", None), "_sock", None)


def plain_socket(sock: Any) -> Any:
    """Return the system's socket below those of eventlet and gevent."""
    while (below := getattr(sock, "fd", None) or getattr(sock, "_sock", None)) is not None:
        sock = below
    return sock


def discard(sock: Any) -> None:
    """Read what has come for a refused connection, without waiting.

    The system resets a connection that is closed with bytes unread, and some clients lose a response that they have
    not read when they are reset. A client that goes on sending is left to that.
    """
    for _ in range(_DISCARDS):
        if not receive_at_once(sock):
            return


def receive_at_once(sock: Any) -> bytes:
    """Return the bytes that one read without waiting returns; ``b""`` if there are none, for whatever reason."""
    timeout = sock.gettimeout()
    try:
        sock.setblocking(False)
        return bytes(sock.recv(65536))
    except (OSError, ValueError):
        # Nothing has come, or the client is gone, or the server has closed the socket already.
        return b""
    finally:
        try:
            # For eventlet's TLS sockets, settimeout() alone does not undo setblocking(False).
            sock.setblocking(True)
            sock.settimeout(timeout)
        except OSError:
            pass
