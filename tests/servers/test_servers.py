"""Finding the connection of a request, and servers that give no access to it."""

from __future__ import annotations

import io

import pytest

from django_websocket import servers
from django_websocket.exceptions import SocketNotFound
from django_websocket.servers import ENVIRON_KEY, find

from ..connections import FakeConnection


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"SERVER_SOFTWARE": "gunicorn/27", "wsgi.input": io.BytesIO()},
        {"SERVER_SOFTWARE": None},
        {"eventlet.input": None},
    ],
)
def test_an_unknown_server(environ):
    with pytest.raises(SocketNotFound, match=r"^this server gives no access") as caught:
        find({"wsgi.version": (1, 0), **environ})
    for name in ("runserver", "eventlet.wsgi", "gunicorn", "gthread"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "an ASGI server"),
        ({"mod_wsgi.version": (5, 0, 2)}, "mod_wsgi"),
        ({"uwsgi.version": b"2.0.31"}, "uWSGI"),
        ({"SERVER_SOFTWARE": "Granian"}, "granian"),
    ],
)
def test_servers_without_sockets(environ, name):
    environ = {**({"wsgi.version": (1, 0)} if environ else {}), "wsgi.input": io.BytesIO(), **environ}
    with pytest.raises(SocketNotFound, match=f"^{name} gives no access to its sockets; gunicorn"):
        find(environ)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, True),
        ({"wsgi.version": (1, 0), "SERVER_SOFTWARE": "Granian", "SERVER_PROTOCOL": "HTTP/1.1"}, True),
        ({"wsgi.version": (1, 0), "SERVER_SOFTWARE": "Granian", "SERVER_PROTOCOL": "HTTP/2.0"}, False),
        ({"wsgi.version": (1, 0), "uwsgi.version": b"2.0.31", "SERVER_PROTOCOL": "HTTP/1.1"}, False),
        ({"wsgi.version": (1, 0), "SERVER_SOFTWARE": "WSGIServer/0.2", "SERVER_PROTOCOL": "HTTP/1.1"}, False),
    ],
)
def test_servers_that_close_when_told(environ, told):
    """wsgiref fails on the header ``Connection``, and HTTP/2 has none."""
    assert servers.closes_when_told(environ) is told


def test_a_connection_that_the_application_has_put_there():
    connection = FakeConnection(object(), b"read")
    assert find({ENVIRON_KEY: connection, "SERVER_SOFTWARE": "any"}) is connection
    assert connection.take_over() == (connection.sock, b"read")
    connection.mark_answered()


def test_the_last_request_of_a_connection():
    """A server without sockets goes on as it does; there is no way to stop it."""
    environ = {"wsgi.version": (1, 0), "SERVER_SOFTWARE": "Granian"}
    servers.end_requests(environ)
    assert ENVIRON_KEY not in environ
