"""One class for each WSGI server: finding the client's socket and the bytes read ahead, and ending the request.

Each class has a ``find(environ)``, which returns the connection of a request, ``None`` if another server has made the
environ. It raises :exc:`SocketNotFound` if the server of the class has made the environ, but the connection cannot be
used.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from ..exceptions import SocketNotFound
from ..gunicorn.workers import find_worker
from .base import BufferedConnection, ClientConnection, EndedSocket, reader_socket


def server_software(environ: Mapping[str, Any]) -> str:
    """Return the name and version by which the server identifies itself."""
    return str(environ.get("SERVER_SOFTWARE", ""))


class EventletConnection(BufferedConnection):
    """``eventlet.wsgi``, monkey-patched or not, on any hub."""

    __slots__ = ()

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection below eventlet's input."""
        stream = environ.get("eventlet.input")
        return None if stream is None else cls(stream.get_socket(), stream.rfile)

    def release_reader(self) -> None:
        """Close the reader, whose buffer would be a good part of the memory of a connection.

        The socket stays open, and the server checks whether the reader is closed before it reads a next request.
        """
        self.reader.close()

    def mark_answered(self) -> None:
        """Set the flag that eventlet checks after iterating over the response, and resets for each request."""
        from eventlet.wsgi import WSGI_LOCAL

        WSGI_LOCAL.already_handled = True


class GunicornConnection(ClientConnection):
    """The workers of gunicorn that use gunicorn's own parser: sync, gthread, gevent and eventlet."""

    __slots__ = ("_unreader",)

    def __init__(self, sock: Any, unreader: Any) -> None:
        super().__init__(sock)
        self._unreader = unreader

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection.

        :raises SocketNotFound: the client speaks HTTP/2, or gunicorn is configured for the uwsgi protocol.
        """
        sock = environ.get("gunicorn.socket")
        if sock is None:
            return None
        if "gunicorn.http2.send_trailers" in environ or str(environ.get("SERVER_PROTOCOL")).startswith("HTTP/2"):
            raise SocketNotFound("an HTTP/2 connection carries no WebSockets here; HTTP/1.1 does")
        worker = find_worker()
        if worker is not None and getattr(worker.cfg, "protocol", "http") != "http":
            raise SocketNotFound("gunicorn is spoken to by the uwsgi protocol, which carries no WebSockets; HTTP does")
        reader = getattr(environ.get("wsgi.input"), "reader", None)
        # The reader of a chunked body has the request instead.
        return cls(sock, getattr(reader, "unreader", None) or getattr(getattr(reader, "req", None), "unreader", None))

    def read_ahead(self) -> bytes:
        """Return the bytes that the unreader holds, and empty it; gunicorn has no method for this before version 27."""
        if self._unreader is None:
            return b""
        held: bytes = self._unreader.buf.getvalue()
        self._unreader.buf = io.BytesIO()
        return held


class WerkzeugConnection(BufferedConnection):
    """Werkzeug's server, also below the ``runserver_plus`` of django-extensions."""

    __slots__ = ()

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection, with the reader below a chunked body's stream."""
        sock = environ.get("werkzeug.socket")
        if sock is None:
            return None
        reader: Any = environ.get("wsgi.input")
        return cls(sock, getattr(reader, "_rfile", reader))

    def read_ahead(self) -> bytes:
        """Return the bytes that the reader holds, and end the stream, which Werkzeug would read after its response."""
        held = super().read_ahead()
        self.reader.raw._sock = EndedSocket(self.sock)  # noqa: SLF001
        return held

    def prepare_refusal(self) -> None:
        """End the stream before Werkzeug reads it."""
        self.read_ahead()


class WaitressConnection(ClientConnection):
    """waitress, as well as possible: it has no interface to its sockets.

    Its main loop does not touch a connection while a request of that connection is served.
    """

    __slots__ = ("_channel", "_input")

    def __init__(self, channel: Any, stream: Any) -> None:
        super().__init__(channel.socket)
        self._channel = channel
        self._input = stream

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection; its channel is reached through a bound method in the environ."""
        channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
        if getattr(channel, "socket", None) is None:
            return None
        return cls(channel, environ["wsgi.input"])

    def read_ahead(self) -> bytes:
        """Return the request's body and the bytes that were parsed behind it; waitress reads nothing more."""
        # waitress has read the body already. Some clients declare hixie-76's eight bytes as the body.
        held: bytes = self._input.read()
        channel = self._channel
        # waitress may be configured to look ahead for further requests.
        channel.readable = lambda: False
        with channel.requests_lock:
            parser, channel.request = channel.request, None
            # Requests behind this one are parsed already.
            del channel.requests[1:]
        if parser is not None:
            held += parser.header_plus
        return held

    def mark_answered(self) -> None:
        """Make writes of waitress discard their data, and mark the connection to be closed by the main loop."""
        self._channel.write_soon = len
        self._channel.close_when_flushed = True

    def refuse(self) -> None:
        """Mark the connection to be closed by the main loop once the buffered refusal is sent."""
        self.read_ahead()
        self._channel.close_when_flushed = True


class GeventConnection(BufferedConnection):
    """``gevent.pywsgi``, under gunicorn too."""

    __slots__ = ()

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection, whose stream is wrapped if the request is no upgrade."""
        if not server_software(environ).startswith("gevent/"):
            return None
        stream: Any = environ.get("wsgi.input")
        reader = stream if hasattr(stream, "raw") else getattr(stream, "rfile", None)
        sock = reader_socket(reader)
        return None if sock is None else cls(sock, reader)


class CherootConnection(BufferedConnection):
    """cheroot, CherryPy's server."""

    __slots__ = ()

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection, and end the request's body: cheroot waits for the rest of it before it answers."""
        if not server_software(environ).startswith("Cheroot/"):
            return None
        stream: Any = environ.get("wsgi.input")
        if hasattr(stream, "remaining"):
            stream.remaining = 0
        while hasattr(stream, "rfile"):
            stream = stream.rfile
        sock = reader_socket(stream)
        return None if sock is None else cls(sock, stream)

    def mark_answered(self) -> None:
        """Make writes to the socket succeed and discard their data; the socket is shut down.

        cheroot keeps the bytes that it cannot write, and tries again when the connection has been closed, which shows
        in its log. Only the class of the socket can be changed from here.
        """
        kind: type = type(self.sock)
        self.sock.__class__ = discarding_class(kind)


@cache
def discarding_class(kind: type) -> type:
    """Return a subclass of a socket's class whose ``send()`` discards the data."""

    class DiscardingSocket(kind):  # type: ignore[misc]
        __slots__ = ()

        def send(self, data: bytes, *_flags: int) -> int:
            return len(data)

    return DiscardingSocket


class WsgirefConnection(BufferedConnection):
    """wsgiref, also below Django's ``runserver`` and ``LiveServerTestCase``."""

    __slots__ = ()

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection, and end the request's body.

        Django wraps the stream to end where the body does, and reads it to that end before it closes the response. A
        body that is declared but does not come would keep a refused connection open.
        """
        if not server_software(environ).startswith("WSGIServer/"):
            return None
        stream: Any = environ.get("wsgi.input")
        if stream is not None and hasattr(stream, "limit"):
            stream.limit = 0
        reader = getattr(getattr(stream, "_read", None), "__self__", stream)
        sock = reader_socket(reader)
        return None if sock is None else cls(sock, reader)


#: The functions that find the connection of a request, one for each server.
ADAPTERS: Final[tuple[Callable[[Mapping[str, Any]], ClientConnection | None], ...]] = (
    EventletConnection.find,
    GunicornConnection.find,
    WerkzeugConnection.find,
    WaitressConnection.find,
    GeventConnection.find,
    CherootConnection.find,
    WsgirefConnection.find,
)
