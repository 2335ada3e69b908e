"""Where each WSGI server keeps the client's socket, what it has read of it, and how it is told that it was answered.

To every server a WebSocket's end is made to look as if the client had hung up before its response was written, which is
a path that each of them knows: the socket is shut down and the response is empty. What else a server needs stands in
its function here.
"""

from __future__ import annotations

import _socket
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..exceptions import SocketNotFound
from ..process.shutdown import find_worker

#: The key under which an application may put a connection of its own, as the test client does.
ENVIRON_KEY: Final = "django_websocket.link"

_WORKING: Final = (
    "gunicorn (gthread, gevent, django_websocket.gunicorn.EventletWorker), eventlet.wsgi, gevent.pywsgi, cheroot, "
    "waitress, Werkzeug and manage.py runserver do"
)

_ASGI: Final = "an ASGI server"
_GRANIAN: Final = "granian"
#: Those known to close a connection because a response says so. uWSGI closes each behind one request.
_OBEDIENT: Final = frozenset({_ASGI, _GRANIAN})


def _nothing() -> None:
    """What most servers need to be told."""


@dataclass(frozen=True, slots=True)
class Link:
    """The connection below a request."""

    #: The client's socket, as its server uses it.
    sock: Any
    #: Gives the bytes that the server has read behind the request, or ``b""``; never waits.
    read_ahead: Callable[[], bytes]
    #: Tells the server that the request is answered.
    answered: Callable[[], None] = _nothing
    #: Prepares a refusal, before it is written.
    refusing: Callable[[], object] = _nothing
    #: Ends the connection of a refused request, where the server has not sent its answer when it closes the response.
    refused: Callable[[], None] | None = None
    #: Lets go of what the server would read further requests with.
    taken: Callable[[], None] = _nothing

    def take_over(self) -> tuple[Any, bytes]:
        """Give the socket, and what the server has read behind the request; comes once."""
        received = self.read_ahead()
        self.taken()
        return self.sock, received

    def finish(self) -> None:
        """Let the server find that its client is gone, just before it looks at the empty response of a WebSocket."""
        if hasattr(self.sock, "do_handshake"):
            # Without the TLS layer: a write to one that is shut down is an error that servers do not expect.
            try:
                self.sock.shutdown(_socket.SHUT_RDWR)
            except OSError:
                pass
        self.answered()

    def refuse(self) -> None:
        """End the connection once a refusal is written.

        What the client has sent behind its handshake is thrown away, after the shutdown: the system refuses what comes
        later, so that the server finds nothing it could take for a next request. Servers keep a refused connection open
        otherwise, and a proxy may believe it to be a WebSocket and let anything through.
        """
        if self.refused is not None:
            self.refused()
            return
        plain = self.sock
        while (below := getattr(plain, "fd", None) or getattr(plain, "_sock", None)) is not None:
            plain = below
        try:
            _socket.socket.shutdown(plain, _socket.SHUT_RDWR)
        except OSError:
            pass  # the client was faster
        while self.read_ahead() or _receive_now(self.sock):
            pass


def find(environ: Mapping[str, Any]) -> Link:
    """Give the connection of a request.

    :raises SocketNotFound: the server does not give it away.
    """
    if ENVIRON_KEY in environ:
        link: Link = environ[ENVIRON_KEY]
        return link
    for adapter in _ADAPTERS:
        found = adapter(environ)
        if found is not None:
            return found
    raise SocketNotFound(f"{_name(environ)} gives no access to its sockets; {_WORKING}")


def closes_when_told(environ: Mapping[str, Any]) -> bool:
    """Tell whether a server without sockets closes a connection behind a response with ``Connection: close``.

    PEP 3333 leaves that header to the server: some fail on it, some add their own. HTTP/2 has none (RFC 9113 section
    8.2.2).
    """
    return _name(environ) in _OBEDIENT and not str(environ.get("SERVER_PROTOCOL")).startswith("HTTP/2")


def _name(environ: Mapping[str, Any]) -> str:
    """Give the name of a server without sockets, as far as it can be told."""
    if "wsgi.version" not in environ:
        return _ASGI
    for key, name in (("mod_wsgi.version", "mod_wsgi"), ("uwsgi.version", "uWSGI")):
        if key in environ:
            return name
    return _GRANIAN if _software(environ).lower() == _GRANIAN else "this server"


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

    def taken() -> None:
        # Its buffer would be a good part of the memory of a connection. The server looks whether it is closed before it
        # reads a next request; the socket stays open.
        stream.rfile.close()

    return Link(sock, lambda: _drain(sock, stream.rfile), answered, taken=taken)


def _gunicorn(environ: Mapping[str, Any]) -> Link | None:
    """Gunicorn's workers that parse requests by its own parser: sync, gthread, gevent and eventlet ones."""
    sock = environ.get("gunicorn.socket")
    if sock is None:
        return None
    if "gunicorn.http2.send_trailers" in environ or str(environ.get("SERVER_PROTOCOL")).startswith("HTTP/2"):
        raise SocketNotFound("an HTTP/2 connection carries no WebSockets here; HTTP/1.1 does")
    worker = find_worker()
    if worker is not None and getattr(worker.cfg, "protocol", "http") != "http":
        raise SocketNotFound("gunicorn is spoken to by the uwsgi protocol, which carries no WebSockets; HTTP does")
    reader = getattr(environ.get("wsgi.input"), "reader", None)
    # A chunked body's reader knows its request instead.
    unreader = getattr(reader, "unreader", None) or getattr(getattr(reader, "req", None), "unreader", None)

    def read_ahead() -> bytes:
        held = b""
        if unreader is not None:
            # By hand, as take_buffered() is not in the versions before 27.
            held, unreader.buf = unreader.buf.getvalue(), io.BytesIO()
        return held

    return Link(sock, read_ahead)


def _werkzeug(environ: Mapping[str, Any]) -> Link | None:
    """Werkzeug's server, and what builds on it: the ``runserver_plus`` of django-extensions."""
    sock = environ.get("werkzeug.socket")
    if sock is None:
        return None
    reader: Any = environ.get("wsgi.input")
    # A chunked body's stream is wrapped.
    reader = getattr(reader, "_rfile", reader)

    def read_ahead() -> bytes:
        held = _drain(sock, reader)
        # Behind its answer it reads what has come to the end of the stream: that is here.
        reader.raw._sock = _Ended(sock)  # noqa: SLF001
        return held

    return Link(sock, read_ahead, refusing=read_ahead)


class _Ended:
    """A socket to a reader that is to read no more."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def recv_into(self, _buffer: object) -> int:
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def _waitress(environ: Mapping[str, Any]) -> Link | None:
    """waitress, best effort: it means to keep its sockets to itself.

    Its main loop leaves a connection alone while a request of it is served.
    """
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
    sock = getattr(channel, "socket", None)
    if channel is None or sock is None:
        return None

    def read_ahead() -> bytes:
        # A body has been read already; some clients announce hixie-76's eight bytes as one.
        held: bytes = environ["wsgi.input"].read()
        # Even if it is configured to look ahead.
        channel.readable = lambda: False
        with channel.requests_lock:
            parser, channel.request = channel.request, None
            # Requests behind this one are parsed already.
            del channel.requests[1:]
        if parser is not None:
            held += parser.header_plus
        return held

    def answered() -> None:
        channel.write_soon = len
        channel.close_when_flushed = True

    def refused() -> None:
        # Its answer stands in a buffer yet, from where the main loop will send it.
        read_ahead()
        channel.close_when_flushed = True

    return Link(sock, read_ahead, answered, refused=refused)


def _gevent(environ: Mapping[str, Any]) -> Link | None:
    """``gevent.pywsgi``, under gunicorn too."""
    if not _software(environ).startswith("gevent/"):
        return None
    stream: Any = environ.get("wsgi.input")
    # The stream of a request that is no upgrade is wrapped.
    return _buffered(stream if hasattr(stream, "raw") else getattr(stream, "rfile", None))


def _cheroot(environ: Mapping[str, Any]) -> Link | None:
    """cheroot, CherryPy's server."""
    if not _software(environ).startswith("Cheroot/"):
        return None
    stream: Any = environ.get("wsgi.input")
    if hasattr(stream, "remaining"):
        # It waits for the rest of a body before it answers.
        stream.remaining = 0
    while hasattr(stream, "rfile"):
        stream = stream.rfile
    link = _buffered(stream)
    # What it cannot write it keeps, to try again when the connection has been closed: that shows in its log.
    return None if link is None else replace(link, answered=lambda: _let_write(link.sock))


def _let_write(sock: Any) -> None:
    """Let a server write to a socket that is shut down: nobody reads it."""
    kind = type(sock)
    sock.__class__ = type(kind.__name__, (kind,), {"__slots__": (), "send": lambda _, data, *__: len(data)})


def _development(environ: Mapping[str, Any]) -> Link | None:
    """wsgiref, and what builds on it: Django's ``runserver`` and ``LiveServerTestCase``."""
    if not _software(environ).startswith("WSGIServer/"):
        return None
    stream: Any = environ.get("wsgi.input")
    # Django wraps the stream to end where the request's body does, and reads it to that end before it closes the
    # response. A body that is announced and does not come would keep a refused connection open.
    if stream is not None and hasattr(stream, "limit"):
        stream.limit = 0
    return _buffered(getattr(getattr(stream, "_read", None), "__self__", stream))


_ADAPTERS: Final = (_eventlet, _gunicorn, _werkzeug, _waitress, _gevent, _cheroot, _development)


def _software(environ: Mapping[str, Any]) -> str:
    return str(environ.get("SERVER_SOFTWARE", ""))


def _buffered(reader: Any) -> Link | None:
    """Give the connection of a server that reads it through a buffered reader of the standard library."""
    sock = getattr(getattr(reader, "raw", None), "_sock", None)
    return None if sock is None else Link(sock, lambda: _drain(sock, reader))


def _drain(sock: Any, reader: Any) -> bytes:
    """Give what a buffered reader over ``sock`` holds."""
    raw = reader.raw
    # An empty buffer does one read.
    raw._sock = _Ended(sock)  # noqa: SLF001
    try:
        held = reader.peek(1)
        return bytes(reader.read(len(held))) if held else b""
    except ValueError:
        return b""  # closed
    finally:
        raw._sock = sock  # noqa: SLF001


def _receive_now(sock: Any) -> bytes:
    """Give what has come for ``sock``, as far as one read gives it; ``b""`` where nothing has, for whatever reason."""
    timeout = sock.gettimeout()
    try:
        sock.setblocking(False)
        return bytes(sock.recv(65536))
    except (OSError, ValueError):
        return b""  # nothing has come, or the client is gone, or the server has closed it already
    finally:
        try:
            # For eventlet's TLS sockets, settimeout() alone does not undo setblocking(False).
            sock.setblocking(True)
            sock.settimeout(timeout)
        except OSError:
            pass
