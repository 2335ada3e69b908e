"""Finding the client's connection of a request, which each WSGI server keeps elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..exceptions import SocketNotFound
from .adapters import ADAPTERS, server_software
from .base import ClientConnection

#: The key under which an application may put a connection of its own, as the test client does.
ENVIRON_KEY: Final = "django_websocket.connection"

_WORKING: Final = (
    "gunicorn (gthread, gevent, django_websocket.gunicorn.EventletWorker), eventlet.wsgi, gevent.pywsgi, cheroot, "
    "waitress, Werkzeug and manage.py runserver do"
)
_ASGI: Final = "an ASGI server"
_GRANIAN: Final = "granian"
#: Servers that honour ``Connection: close`` in a response. uWSGI closes each connection after one request anyway.
_HONOUR_CLOSE: Final = frozenset({_ASGI, _GRANIAN})


def find(environ: Mapping[str, Any]) -> ClientConnection:
    """Return the connection of a request.

    :raises SocketNotFound: the server gives no access to its sockets; the text names servers that do.
    """
    if ENVIRON_KEY in environ:
        own: ClientConnection = environ[ENVIRON_KEY]
        return own
    for find_connection in ADAPTERS:
        found = find_connection(environ)
        if found is not None:
            return found
    raise SocketNotFound(f"{_name(environ)} gives no access to its sockets; {_WORKING}")


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


__all__ = ["ENVIRON_KEY", "ClientConnection", "closes_when_told", "find"]
