"""One class for each WSGI server: finding the client's socket and the bytes read ahead, and ending the request.

Each class has a ``find(environ)``, which returns the connection of a request, ``None`` if another server has made the
environ. It raises :exc:`SocketNotFound` if the server of the class has made the environ, but the connection cannot be
used.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, Final, NoReturn

from ..exceptions import SocketNotFound
from ..gunicorn.workers import find_worker
from .base import BufferedConnection, ClientConnection, reader_socket
from .frames import find_in_callers

#: Streams that a server has put around its reader, at most.
_MAX_STREAMS: Final = 4
#: Seconds to wait for a turn of waitress's main loop.
_MAIN_LOOP_TIMEOUT: Final = 1


def server_software(environ: Mapping[str, Any]) -> str:
    """Return the name and version by which the server identifies itself."""
    return str(environ.get("SERVER_SOFTWARE", ""))


def find_reader(environ: Mapping[str, Any], server: str) -> Any:
    """Return the buffered reader below a request's stream; if that stream was replaced, the reader of the server.

    :raises SocketNotFound: there is none; the text names ``server``.
    """
    reader = _reader_below(environ.get("wsgi.input")) or find_in_callers(
        lambda variables: _reader_below(getattr(variables.get("self"), "rfile", None))
    )
    return reader or _raise_hidden(server)


def _reader_below(stream: Any) -> Any:
    """Return the buffered reader below the streams that a server puts around it, ``None`` if there is none."""
    for _ in range(_MAX_STREAMS):
        if stream is None or reader_socket(stream) is not None:
            return stream
        # Django's LimitedStream has the reader's method only.
        method = getattr(stream, "_read", None)
        stream = getattr(stream, "rfile", None) or getattr(stream, "_rfile", None) or getattr(method, "__self__", None)
    return None


def _raise_hidden(server: str) -> NoReturn:
    raise SocketNotFound(
        f"{server} cannot show its connection, because wsgi.input is not its own: a WSGI middleware has replaced it, "
        "and must leave it alone in a request with an Upgrade header"
    )


class EventletConnection(BufferedConnection):
    """``eventlet.wsgi``, monkey-patched or not, on any hub."""

    __slots__ = ()

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection below eventlet's input."""
        stream = environ.get("eventlet.input")
        return None if stream is None else cls(stream.get_socket(), stream.rfile)

    def take_over(self) -> tuple[Any, bytes]:
        """Return the socket and the bytes read ahead; close the reader, whose buffer takes memory.

        The socket stays open, and the server checks whether the reader is closed before it reads a next request.
        """
        self.reader.close()
        return super().take_over()

    def mark_answered(self) -> None:
        """Set the flag that eventlet checks after iterating over the response, and resets for each request."""
        from eventlet.wsgi import WSGI_LOCAL

        WSGI_LOCAL.already_handled = True


class GunicornConnection(ClientConnection):
    """The workers of gunicorn that use gunicorn's own parser: sync, gthread, gevent and eventlet."""

    __slots__ = ()

    def __init__(self, sock: Any, unreader: Any, body: Any) -> None:
        """Take the bytes out of the unreader, and end the stream.

        gunicorn has no method for the former before version 27. Since that version it closes a connection at once if
        the body of a request could not be read.
        """
        super().__init__(sock, unreader.buf.getvalue())
        unreader.buf = io.BytesIO()
        unreader.chunk = _read_nothing
        body.failed = True

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection.

        :raises SocketNotFound: the client speaks HTTP/2, or gunicorn is configured for the uwsgi protocol, or its
            reader cannot be found.
        """
        sock = environ.get("gunicorn.socket")
        if sock is None:
            return None
        if "gunicorn.http2.send_trailers" in environ or str(environ.get("SERVER_PROTOCOL")).startswith("HTTP/2"):
            raise SocketNotFound("an HTTP/2 connection carries no WebSockets here; HTTP/1.1 does")
        worker = find_worker()
        if worker is not None and getattr(worker.cfg, "protocol", "http") != "http":
            raise SocketNotFound("gunicorn is spoken to by the uwsgi protocol, which carries no WebSockets; HTTP does")
        body = environ.get("wsgi.input")
        unreader = _unreader_of(body)
        if unreader is None:
            body = find_in_callers(_served_body)
            unreader = _unreader_of(body) or _raise_hidden("gunicorn")
        return cls(sock, unreader, body)

    def mark_answered(self) -> None:
        """Make gunicorn write no response, which would fail, and close the connection."""
        response = find_in_callers(_unsent_response)
        if response is not None:
            response.headers_sent = True
            response.force_close()


def _unsent_response(variables: Mapping[str, Any]) -> Any:
    """Return the response that a function of gunicorn is about to send, ``None`` if the function is another's."""
    response = variables.get("resp")
    return response if getattr(response, "headers_sent", None) is False and hasattr(response, "force_close") else None


def _unreader_of(body: Any) -> Any:
    """Return the unreader below a request's body, ``None`` if the body is not one of gunicorn."""
    reader = getattr(body, "reader", None)
    # The reader of a chunked body has the request instead.
    return getattr(reader, "unreader", None) or getattr(getattr(reader, "req", None), "unreader", None)


def _served_body(variables: Mapping[str, Any]) -> Any:
    """Return the body of the request that a function of gunicorn serves, ``None`` if the function is another's.

    The attribute ``body`` alone would not do: with WebOb's requests, it reads the body.
    """
    request = variables.get("req")
    return getattr(request, "body", None) if hasattr(request, "unreader") else None


def _read_nothing(*_size: object) -> bytes:
    return b""


class WerkzeugConnection(BufferedConnection):
    """Werkzeug's server, also below the ``runserver_plus`` of django-extensions."""

    __slots__ = ()

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection.

        :raises SocketNotFound: its reader cannot be found.
        """
        sock = environ.get("werkzeug.socket")
        return None if sock is None else cls(sock, find_reader(environ, "Werkzeug"))


class WaitressConnection(ClientConnection):
    """waitress, as well as possible: it has no interface to its sockets.

    Its main loop reads requests, and sends responses from a buffer; the thread of a request knows the channel only.
    """

    __slots__ = ("_channel",)

    def __init__(self, channel: Any) -> None:
        super().__init__(channel.socket, _end_channel(channel))
        self._channel = channel

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection; its channel is reached through a bound method in the environ."""
        channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
        return None if getattr(channel, "socket", None) is None else cls(channel)

    def mark_answered(self) -> None:
        """Make writes of waitress discard their data, and mark the connection to be closed by the main loop."""
        self._channel.write_soon = len
        self._channel.close_when_flushed = True


def _end_channel(channel: Any) -> bytes:
    """Make waitress read nothing more from a channel, and close it behind the response.

    Return the bytes that were read behind the present request. Those that were parsed as whole requests are lost.
    """
    # The main loop calls these two. They are functions, because bound methods would make the channel refer to itself.
    channel.readable = _is_not_readable
    channel.handle_read = _handle_nothing
    if channel.adj.channel_request_lookahead:
        # The main loop may be reading at this moment, on behalf of the requests that it looks ahead for.
        turn = threading.Event()
        channel.server.trigger.pull_trigger(turn.set)
        turn.wait(_MAIN_LOOP_TIMEOUT)
    with channel.requests_lock:
        parser, channel.request = channel.request, None
        # Requests behind this one are parsed already.
        del channel.requests[1:]
        # waitress looks for the header when it writes the response. The environ is made already.
        channel.requests[0].headers["CONNECTION"] = "close"
    return b"" if parser is None else parser.header_plus


def _is_not_readable() -> bool:
    return False


def _handle_nothing() -> None:
    pass


class ReaderConnection(BufferedConnection):
    """The servers that say who they are, and whose stream leads to their reader."""

    __slots__ = ()

    #: How the name by which the server identifies itself begins, and its name in errors.
    software: ClassVar[str]
    name: ClassVar[str]

    @classmethod
    def find(cls, environ: Mapping[str, Any]) -> ClientConnection | None:
        """Return the connection.

        :raises SocketNotFound: its reader cannot be found.
        """
        if not server_software(environ).startswith(cls.software):
            return None
        reader = find_reader(environ, cls.name)
        return cls(reader_socket(reader), reader)


class GeventConnection(ReaderConnection):
    """``gevent.pywsgi``, under gunicorn too. Its stream is wrapped if the request is no upgrade."""

    __slots__ = ()
    software = "gevent/"
    name = "gevent.pywsgi"


class CherootConnection(ReaderConnection):
    """cheroot, CherryPy's server."""

    __slots__ = ()
    software = "Cheroot/"
    name = "cheroot"

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


class WsgirefConnection(ReaderConnection):
    """wsgiref, also below Django's ``runserver`` and ``LiveServerTestCase``."""

    __slots__ = ()
    software = "WSGIServer/"
    name = "wsgiref"


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
