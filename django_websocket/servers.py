"""Where each WSGI server keeps the client's socket, what it has read of it, and how it is told that it was answered.

To every server a WebSocket's end is made to look as if the client had hung up before its response was written, which is
a path that each of them knows: the socket is shut down and the response is empty. What else a server needs stands in
its function here.
"""

from __future__ import annotations

import _socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .exceptions import SocketNotFound

#: The key under which an application may put a connection of its own, as the test client does.
ENVIRON_KEY: Final = "django_websocket.link"

_WORKING: Final = "manage.py runserver, wsgiref and eventlet.wsgi"


def _nothing() -> None:
    """What most servers need to be told."""


@dataclass(frozen=True)
class Link:
    """The connection below a request."""

    #: The client's socket, as its server uses it.
    sock: Any
    #: Gives the bytes that the server has read behind the request, and those that have come since, or ``b""``; never
    #: waits.
    read_ahead: Callable[[], bytes]
    #: Tells the server that the request is answered, just before it looks at the empty response.
    answered: Callable[[], None] = _nothing

    def take_over(self) -> tuple[Any, bytes]:
        """Give the socket, and what the server has read behind the request."""
        return self.sock, self.read_ahead()

    def refuse(self) -> None:
        """End the connection once a refusal is written.

        What the client has sent behind its handshake is thrown away, after the shutdown: the system refuses what comes
        later, so that the server finds nothing it could take for a next request. Servers keep a refused connection open
        otherwise, and a proxy may believe it to be a WebSocket and let anything through.
        """
        plain = getattr(self.sock, "fd", None) or getattr(self.sock, "_sock", None) or self.sock
        try:
            _socket.socket.shutdown(plain, _socket.SHUT_RDWR)
        except OSError:
            pass  # the client was faster
        while self.read_ahead():
            pass


def find(environ: Mapping[str, Any]) -> Link:
    """Give the connection of a request.

    :raises SocketNotFound: the server does not give it away.
    """
    if ENVIRON_KEY in environ:
        link: Link = environ[ENVIRON_KEY]
        return link
    for adapter in (_eventlet, _development):
        found = adapter(environ)
        if found is not None:
            return found
    raise SocketNotFound(f"this server gives no access to its sockets; {_WORKING} do")


def _eventlet(environ: Mapping[str, Any]) -> Link | None:
    """``eventlet.wsgi``, monkey-patched or not, on any hub."""
    stream = environ.get("eventlet.input")
    if stream is None:
        return None
    sock = stream.get_socket()

    def answered() -> None:
        from eventlet.wsgi import WSGI_LOCAL

        # Looked at after the response was iterated, and reset for each request.
        WSGI_LOCAL.already_handled = True

    return Link(sock, lambda: _drain(sock, stream.rfile), answered)


def _development(environ: Mapping[str, Any]) -> Link | None:
    """wsgiref, and what builds on it: Django's ``runserver`` and ``LiveServerTestCase``."""
    if not str(environ.get("SERVER_SOFTWARE", "")).startswith("WSGIServer/"):
        return None
    stream = environ.get("wsgi.input")
    # Django wraps the stream to end where the request's body does, and reads it to that end before it closes the
    # response. A body that is announced and does not come would keep a refused connection open.
    if stream is not None and hasattr(stream, "limit"):
        stream.limit = 0
    reader = getattr(getattr(stream, "_read", None), "__self__", stream)
    sock = getattr(getattr(reader, "raw", None), "_sock", None)
    return None if sock is None else Link(sock, lambda: _drain(sock, reader))


def _drain(sock: Any, reader: Any) -> bytes:
    """Give what a buffered reader over ``sock`` holds, or what one read gives where it holds nothing."""
    timeout = sock.gettimeout()
    try:
        sock.setblocking(False)
        try:
            # All that is buffered; an empty buffer does one read, which must not wait.
            held = reader.peek(1)
        except ssl.SSLWantReadError:
            held = b""
        return bytes(reader.read(len(held))) if held else b""
    except (OSError, ValueError):
        return b""  # the client is gone, or the server has closed it already
    finally:
        try:
            # For eventlet's TLS sockets, settimeout() alone does not undo setblocking(False).
            sock.setblocking(True)
            sock.settimeout(timeout)
        except OSError:
            pass
