"""The client's connection below a request, as a WSGI server keeps it.

To every server, the end of a WebSocket looks as if the client had disconnected before its response was written, which
each of them can handle: the socket is shut down and the response is empty. The other needs of a server are met by its
class in :mod:`django_websocket.servers.adapters`.
"""

from __future__ import annotations

import _socket
from abc import ABC, abstractmethod
from typing import Any

from ..transports import is_tls


class ClientConnection(ABC):
    """The client's connection below a request; a subclass for each server."""

    __slots__ = ("sock",)

    def __init__(self, sock: Any) -> None:
        #: The client's socket, as its server uses it.
        self.sock = sock

    @abstractmethod
    def read_ahead(self) -> bytes:
        """Return the bytes that the server has read behind the request and not used, without waiting."""

    def release_reader(self) -> None:  # noqa: B027 - most servers need none of these three
        """Free the buffer with which the server would read further requests."""

    def mark_answered(self) -> None:  # noqa: B027
        """Mark the request as answered, where the server would otherwise answer it itself."""

    def prepare_refusal(self) -> None:  # noqa: B027
        """Prepare the connection for a refusal, before the refusal is written."""

    def take_over(self) -> tuple[Any, bytes]:
        """Return the socket, and the bytes that the server has read behind the request.

        This method may be called only once.
        """
        received = self.read_ahead()
        self.release_reader()
        return self.sock, received

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
        """End the connection once a refusal is written.

        The bytes that the client has sent behind its handshake are discarded after the shutdown. The system refuses
        bytes that come later, so that the server finds none to read as a next request. Servers would keep a refused
        connection open, and a proxy may believe it to be a WebSocket and pass anything on.
        """
        try:
            _socket.socket.shutdown(plain_socket(self.sock), _socket.SHUT_RDWR)
        except OSError:
            # The client has closed the connection already.
            pass
        while self.read_ahead() or receive_at_once(self.sock):
            pass


class BufferedConnection(ClientConnection):
    """The connection of a server that reads it through a buffered reader of the standard library."""

    __slots__ = ("reader",)

    def __init__(self, sock: Any, reader: Any) -> None:
        super().__init__(sock)
        self.reader = reader

    def read_ahead(self) -> bytes:
        """Return the bytes in the reader's buffer, without a read of the socket."""
        raw = self.reader.raw
        # With an empty buffer peek() would read the socket once; instead it reads the end of the stream here.
        raw._sock = EndedSocket(self.sock)  # noqa: SLF001
        try:
            held = self.reader.peek(1)
            return bytes(self.reader.read(len(held))) if held else b""
        except ValueError:
            # The reader is closed.
            return b""
        finally:
            raw._sock = self.sock  # noqa: SLF001


class EndedSocket:
    """A stand-in for a socket of which nothing more may be read: its reader finds the end of the stream."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def recv_into(self, _buffer: object) -> int:
        """Return 0, which means the end of the stream."""
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def reader_socket(reader: Any) -> Any:
    """Return the socket below a buffered reader of the standard library, ``None`` if ``reader`` is something else."""
    return getattr(getattr(reader, "raw", None), "_sock", None)


def plain_socket(sock: Any) -> Any:
    """Return the system's socket below those of eventlet and gevent."""
    while (below := getattr(sock, "fd", None) or getattr(sock, "_sock", None)) is not None:
        sock = below
    return sock


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
