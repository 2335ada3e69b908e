"""The client's connection below a request, as a WSGI server keeps it.

To every server a WebSocket's end is made to look as if the client had hung up before its response was written, which is
a path that each of them knows: the socket is shut down and the response is empty. What else a server needs is in its
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
        """Return the bytes that the server has read behind the request and not used; never wait."""

    def release_reader(self) -> None:  # noqa: B027 - most servers need none of these three
        """Free the buffer with which the server would read further requests."""

    def mark_answered(self) -> None:  # noqa: B027
        """Mark the request as answered, where the server would otherwise answer it itself."""

    def prepare_refusal(self) -> None:  # noqa: B027
        """Prepare the connection for a refusal, before that is written."""

    def take_over(self) -> tuple[Any, bytes]:
        """Return the socket, and the bytes that the server has read behind the request; called once."""
        received = self.read_ahead()
        self.release_reader()
        return self.sock, received

    def finish(self) -> None:
        """Make the server find that its client is gone, just before it looks at the empty response of a WebSocket."""
        if is_tls(self.sock):
            # Without the TLS layer: a write to one that is shut down is an error that servers do not expect.
            try:
                self.sock.shutdown(_socket.SHUT_RDWR)
            except OSError:
                pass
        self.mark_answered()

    def refuse(self) -> None:
        """End the connection once a refusal is written.

        The bytes that the client has sent behind its handshake are discarded after the shutdown: the system refuses
        those that come later, so that the server finds nothing to take for a next request. Servers would keep a refused
        connection open, and a proxy may believe it to be a WebSocket and pass anything on.
        """
        try:
            _socket.socket.shutdown(plain_socket(self.sock), _socket.SHUT_RDWR)
        except OSError:
            pass  # the client was faster
        while self.read_ahead() or receive_at_once(self.sock):
            pass


class BufferedConnection(ClientConnection):
    """The connection of a server that reads it through a buffered reader of the standard library."""

    __slots__ = ("reader",)

    def __init__(self, sock: Any, reader: Any) -> None:
        super().__init__(sock)
        self.reader = reader

    def read_ahead(self) -> bytes:
        """Return what the reader's buffer holds, without a read of the socket."""
        raw = self.reader.raw
        # With an empty buffer peek() would read the socket once: it finds the end of the stream instead.
        raw._sock = EndedSocket(self.sock)  # noqa: SLF001
        try:
            held = self.reader.peek(1)
            return bytes(self.reader.read(len(held))) if held else b""
        except ValueError:
            return b""  # closed
        finally:
            raw._sock = self.sock  # noqa: SLF001


class EndedSocket:
    """A socket as its reader sees it when nothing more may be read: at the end of its stream."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def recv_into(self, _buffer: object) -> int:
        """Return 0: the end."""
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def reader_socket(reader: Any) -> Any:
    """Return the socket below a buffered reader of the standard library, ``None`` if this is none."""
    return getattr(getattr(reader, "raw", None), "_sock", None)


def plain_socket(sock: Any) -> Any:
    """Return the system's socket below those of eventlet and gevent."""
    while (below := getattr(sock, "fd", None) or getattr(sock, "_sock", None)) is not None:
        sock = below
    return sock


def receive_at_once(sock: Any) -> bytes:
    """Return the bytes that have come, as far as one read returns them; ``b""`` if there are none, for any reason."""
    timeout = sock.gettimeout()
    try:
        sock.setblocking(False)
        return bytes(sock.recv(65536))
    except (OSError, ValueError):
        return b""  # nothing has come, or the client is gone, or the server has closed the socket already
    finally:
        try:
            # For eventlet's TLS sockets, settimeout() alone does not undo setblocking(False).
            sock.setblocking(True)
            sock.settimeout(timeout)
        except OSError:
            pass
