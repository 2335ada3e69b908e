"""Finding the client's connection of a request, which each WSGI server keeps elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..exceptions import SocketNotFound
from .adapters import ADAPTERS, server_software
from .base import ClientConnection

#: The key of a request's connection, once it is found. An application may put one of its own there, as the test client
#: does.
ENVIRON_KEY: Final = "django_websocket.connection"

_WORKING: Final = (
    "gunicorn (gthread, gevent, django_websocket.gunicorn.EventletWorker), eventlet.wsgi, gevent.pywsgi, cheroot, "
    "waitress, Werkzeug and manage.py runserver do"
)
_ASGI: Final = "an ASGI server"
_GRANIAN: Final = "granian"
#: Servers that honour ``Connection: close`` in a response. uWSGI closes each connection after one request anyway.
_HONOUR_CLOSE: Final = frozenset({_ASGI, _GRANIAN})


def find(environ: dict[str, Any]) -> ClientConnection:
    """Return the connection of a request, whose server then reads nothing more from it; the same one at each call.

    :raises SocketNotFound: the server gives no access to its sockets; the text names servers that do.
    """
    if ENVIRON_KEY in environ:
        found: ClientConnection = environ[ENVIRON_KEY]
        return found
    for find_connection in ADAPTERS:
        connection = find_connection(environ)
        if connection is not None:
            connection.received = _read_body(environ) + connection.received
            environ[ENVIRON_KEY] = connection
            return connection
    raise SocketNotFound(f"{_name(environ)} gives no access to its sockets; {_WORKING}")


def _read_body(environ: Mapping[str, Any]) -> bytes:
    """Return the part of a request's body that its server, or a WSGI middleware, has read already.

    Some clients declare the eight bytes of hixie-76 as a body. A handshake with any other is refused.
    """
    if str(environ.get("CONTENT_LENGTH")).strip() != "8":
        return b""
    try:
        body: bytes = environ["wsgi.input"].read(8)
    except (OSError, ValueError):
        # Nothing was read, and the stream is at its end.
        return b""
    return body


def end_requests(environ: dict[str, Any]) -> None:
    """Make the present request the last one of its connection, if its server gives access to its sockets."""
    try:
        find(environ)
    except SocketNotFound:
        pass


def closes_when_told(environ: Mapping[str, Any]) -> bool:
    """Return whether a server without sockets closes a connection behind a response with ``Connection: close``.

    PEP 3333 leaves that header to the server: some servers fail on it, and some add their own. HTTP/2 has no such
    header (RFC 9113 section 8.2.2).
    """
    return _name(environ) in _HONOUR_CLOSE and not str(environ.get("SERVER_PROTOCOL")).startswith("HTTP/2")


def _name(environ: Mapping[str, Any]) -> str:
    """Return the name of a server without sockets, as far as its environ shows it."""
    if "wsgi.version" not in environ:
        return _ASGI
    for key, name in (("mod_wsgi.version", "mod_wsgi"), ("uwsgi.version", "uWSGI")):
        if key in environ:
            return name
    return _GRANIAN if server_software(environ).lower() == _GRANIAN else "this server"


__all__ = ["ENVIRON_KEY", "ClientConnection", "closes_when_told", "end_requests", "find"]
