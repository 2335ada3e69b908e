"""From the environ to the view and to the end of its WebSocket."""

import gc
import logging
import re
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from asgiref.sync import async_to_sync
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception, request_finished, request_started
from django.db import close_old_connections
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.urls import path, re_path
from django.utils.translation import get_language

from django_websocket import accept_websocket, middleware, require_websocket, servers
from django_websocket.exceptions import ConnectionClosed
from django_websocket.handshake.responses import response_of_ended_websocket
from django_websocket.process.registry import registry
from django_websocket.protocols.base import State
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.servers import ENVIRON_KEY
from django_websocket.testing.client import WebSocketClient
from django_websocket.websocket import WebSocket

from .connections import FakeConnection, RefusedConnection
from .views import HANDSHAKE, HIXIE76, KEY3, OURS, RESPONSE76, VERSIONS, plain

pytestmark = pytest.mark.urls(__name__)

PROTOCOLS = "django_websocket.protocols"


@accept_websocket
def echo(request):
    if not request.is_websocket():
        return HttpResponse("HTTP")
    for message in request.websocket:
        request.websocket.send(message)
    return None


urlpatterns = [path("echo/", echo), path("plain/", plain)]


def route(address):
    """Put a view at an address of this module."""

    def add(view):
        urlpatterns.append(path(address, view))
        return view

    return add


# Ways to ask


@pytest.fixture(params=["with the middleware", "without the middleware"])
def client(request, settings):
    """A client of the project with our middleware, and of the same project without it."""
    if request.param == "without the middleware":
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
    return WebSocketClient()


SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


def attempt(path="/echo/", environ=HANDSHAKE, *, method="GET", connection=None, **changes):
    """Send a handshake as it comes, through Django's own client; what is ``None`` in it is left out."""
    environ = {**environ, ENVIRON_KEY: connection or RefusedConnection(), **changes}
    environ = {name: value for name, value in environ.items() if value is not None}
    return Client(raise_request_exception=False).generic(method, path, **environ)


class Environ(RequestFactory):
    """Makes the environ of a request instead of the request."""

    def request(self, **request):
        return self._base_environ(**request)


@pytest.fixture
def wire():
    """Serve a request as a WSGI server would, over a pair of sockets: gives the bytes that the client gets.

    ``ahead`` is what the server has read behind the request, ``later`` what comes then, before the client's end.
    """
    pairs = []
    # As Django's test client does: the connections to the database are the test's.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)

    def serve(path="/echo/", ahead=b"", later=b"", environ=HANDSHAKE, *, close=True, iterate=True, **changes):
        ours, theirs = socket.socketpair()
        pairs.extend((ours, theirs))
        theirs.sendall(later)
        theirs.shutdown(socket.SHUT_WR)
        serve.connection = FakeConnection(ours, ahead)
        environ = Environ().get(path, **{**environ, ENVIRON_KEY: serve.connection, **changes})
        response = WSGIHandler()(environ, lambda status, headers, exc_info=None: None)
        serve.body = b"".join(response) if iterate else b""
        if close:
            response.close()
        with theirs.makefile("rb") as stream:
            return stream.read()

    yield serve
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
    for sock in pairs:
        sock.close()


def frames(*messages):
    """Give what a client sends on an open connection."""
    protocol = RFC6455(Request(), client=True)
    protocol.state = State.OPEN
    for message in messages:
        protocol.send(message)
    return protocol.data_to_send()


#: A client's Close, with 1000.
GOODBYE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"

#: The answer to RFC 6455's own example.
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"\r\n"
)


def texts(*messages):
    """Give the server's frames of short text messages."""
    return b"".join(b"\x81%c%b" % (len(message), message) for message in messages)


CLOSE = {code: b"\x88\x02" + code.to_bytes(2, "big") for code in (1000, 1011)}


def records(caplog, name="django_websocket.handshake"):
    return [record for record in caplog.records if record.name == name]


@contextmanager
def received(signal):
    """Collect what a signal says."""
    calls = []

    def receive(**kwargs):
        calls.append(kwargs)

    signal.connect(receive)
    try:
        yield calls
    finally:
        signal.disconnect(receive)


# Plain requests


@route("look/")
def look(request):
    return HttpResponse(f"{request.is_websocket()} {request.websocket}")


class TestPlainRequests:
    @pytest.mark.parametrize(
        "environ",
        [
            {},
            {"HTTP_UPGRADE": "h2c", "HTTP_CONNECTION": "Upgrade"},
            {"HTTP_UPGRADE": "websockets"},
            {"HTTP_UPGRADE": ""},
            {"HTTP_CONNECTION": "Upgrade", "HTTP_SEC_WEBSOCKET_VERSION": "13"},
        ],
    )
    def test_every_request_knows(self, environ):
        connection = RefusedConnection()
        response = attempt("/look/", environ, connection=connection)
        assert response.content == b"False None"
        assert connection.refused == 0

    def test_unmarked_view(self):
        assert Client().get("/plain/").content == b"plain"

    def test_marked_view(self):
        assert Client().get("/echo/").content == b"HTTP"

    def test_exceptions_are_djangos(self):
        assert Client().get("/nowhere/").status_code == 404
        with pytest.raises(ZeroDivisionError):
            Client().get("/fail/")

    def test_status_101_of_a_view(self):
        """Nobody has asked for a WebSocket: it means whatever it means."""
        assert Client().get("/status/101/").status_code == 101


@route("fail/")
def fail(request):
    raise ZeroDivisionError


@route("status/<int:status>/")
@accept_websocket
def answer(request, status):
    return HttpResponse("the view's own", status=status, headers={"Location": "/elsewhere/"})


# Construction


@pytest.mark.parametrize("value", [True, False])
def test_signals_are_watched_when_the_middleware_is_made(settings, monkeypatch, value):
    settings.WEBSOCKET_CLOSE_ON_SIGTERM = value
    calls = []
    monkeypatch.setattr(middleware, "close_on_exit", lambda: calls.append(True))
    middleware.WebSocketMiddleware(plain)
    assert calls == [True] * value


# Refusals


@require_websocket(require_origin=True)
def strict(request):
    pytest.fail("a refused request must not reach its view")


@require_websocket
def unreachable(request):
    pytest.fail("a refused request must not reach its view")


urlpatterns += [path("strict/", strict), path("unreachable/", unreachable), re_path("^any/", unreachable)]

NO_KEY = "the Sec-WebSocket-Key is missing or malformed"
NO_CONNECTION = "the Connection header does not name upgrade"
NO_VERSION = "the Sec-WebSocket-Version is missing or unsupported"
NO_BODY = "a WebSocket handshake has no body"
NO_GET = "a WebSocket handshake is a GET request"
HTTP11 = "a WebSocket handshake needs HTTP/1.1 (a proxy before this server may speak 1.0 to it)"


@pytest.mark.usefixtures("client")
class TestMalformed:
    """What can be said of a request before its view is known."""

    @pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS", "CONNECT"])
    def test_method(self, method):
        response = attempt("/unreachable/", method=method)
        assert response.status_code == 400
        assert response.content == (b"" if method == "HEAD" else NO_GET.encode() + b"\n")

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"HTTP_CONNECTION": None}, NO_CONNECTION),
            ({"HTTP_CONNECTION": "notupgrade, keep-alive"}, NO_CONNECTION),
            ({"HTTP_SEC_WEBSOCKET_KEY": None}, NO_KEY),
            ({"HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZQ=="}, NO_KEY),
            ({"HTTP_SEC_WEBSOCKET_VERSION": None}, NO_VERSION),
            ({"HTTP_SEC_WEBSOCKET_VERSION": "14"}, NO_VERSION),
            ({"HTTP_SEC_WEBSOCKET_VERSION": "13,13"}, NO_VERSION),
            ({"CONTENT_LENGTH": "5"}, NO_BODY),
            ({"CONTENT_LENGTH": "8"}, NO_BODY),
            ({"CONTENT_LENGTH": "-1"}, NO_BODY),
            ({"HTTP_TRANSFER_ENCODING": "chunked"}, NO_BODY),
            ({"HTTP_TRANSFER_ENCODING": "identity", "CONTENT_LENGTH": "0"}, NO_BODY),
            ({"SERVER_PROTOCOL": "HTTP/1.0"}, HTTP11),
            ({"SERVER_PROTOCOL": "HTTP/0.9"}, HTTP11),
            ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "chat,chat"}, "the Sec-WebSocket-Protocol header is malformed"),
            ({"HTTP_SEC_WEBSOCKET_EXTENSIONS": 'a; b="\\'}, "the Sec-WebSocket-Extensions header is malformed"),
        ],
    )
    def test_rfc6455(self, changes, text):
        response = attempt("/unreachable/", **changes)
        assert (response.status_code, response.content) == (400, f"{text}\n".encode())

    @pytest.mark.parametrize("content_length", ["", "0", None])
    def test_no_body(self, content_length):
        assert attempt("/status/204/", CONTENT_LENGTH=content_length).status_code == 204

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"HTTP_SEC_WEBSOCKET_KEY1": None}, "the Sec-WebSocket-Key1 is missing or malformed"),
            ({"HTTP_SEC_WEBSOCKET_KEY2": "no spaces, no digits"}, "the Sec-WebSocket-Key2 is missing or malformed"),
            ({"HTTP_ORIGIN": None}, "the Origin header is missing or malformed"),
            ({"HTTP_ORIGIN": "http://testserver\r\n X-Injected: 1"}, "the Origin header is missing or malformed"),
            ({"HTTP_HOST": None}, "the Host is missing or malformed"),
            ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a\nb"}, "the Sec-WebSocket-Protocol header is missing or malformed"),
            ({"CONTENT_LENGTH": "7"}, NO_BODY),
            ({"HTTP_TRANSFER_ENCODING": "chunked"}, NO_BODY),
            ({"SERVER_PROTOCOL": "HTTP/1.0"}, HTTP11),
        ],
    )
    def test_hixie76(self, changes, text):
        response = attempt("/unreachable/", HIXIE76, **changes)
        assert (response.status_code, response.content) == (400, f"{text}\n".encode())

    def test_hixie75(self):
        environ = {"HTTP_HOST": "testserver", "HTTP_UPGRADE": "WebSocket", "HTTP_CONNECTION": "Upgrade"}
        assert attempt("/status/204/", environ, HTTP_ORIGIN="http://testserver").status_code == 204
        response = attempt("/unreachable/", environ)
        assert response.content == b"the Origin header is missing or malformed\n"

    @pytest.mark.parametrize("length", ["8", "", "0"])
    def test_the_eight_bytes_of_hixie76_may_be_announced(self, wire, length):
        data = wire("/echo/", KEY3 + b"\x00hello\xff", b"\xff\x00", HIXIE76, CONTENT_LENGTH=length)
        assert data.endswith(RESPONSE76 + b"\x00hello\xff\xff\x00")


class TestVersionProblems:
    """The answer to a problem of versions tells which ones there are (RFC 6455 section 4.4)."""

    @pytest.mark.parametrize("version", ["14", "12", "6", "0", "", "thirteen", None])
    def test_unknown(self, client, version):
        response = attempt("/unreachable/", HTTP_SEC_WEBSOCKET_VERSION=version)
        assert response.status_code == 400
        assert response.headers["Sec-WebSocket-Version"] == "13, 8, 7"

    def test_unspoken(self, client, settings):
        settings.WEBSOCKET_PROTOCOLS = [f"{PROTOCOLS}.rfc6455.RFC6455"]
        response = attempt("/unreachable/", HIXIE76)
        assert response.content == b"the handshake is of no version that is spoken here\n"
        assert response.headers["Sec-WebSocket-Version"] == "13, 8, 7"

    def test_only_old_ones_are_spoken(self, client, settings):
        settings.WEBSOCKET_PROTOCOLS = [f"{PROTOCOLS}.hixie76.Hixie76"]
        response = attempt("/unreachable/")
        assert response.status_code == 400
        assert "Sec-WebSocket-Version" not in response.headers

    @pytest.mark.parametrize("changes", [{"HTTP_SEC_WEBSOCKET_KEY": "x"}, {"HTTP_ORIGIN": "http://evil.example"}])
    def test_other_problems(self, client, changes):
        assert "Sec-WebSocket-Version" not in attempt("/unreachable/", **changes).headers


@dataclass(frozen=True)
class Fault:
    """Something wrong, and what is said about it."""

    text: str
    status: int = 400
    path: str = "/unreachable/"
    changes: dict = field(default_factory=dict)
    connection: bool = True
    draining: bool = False
    full: bool = False
    level: int = logging.WARNING
    #: What only the log says.
    detail: str = ""

    def and_also(self, other):
        """Give a request with the faults of both; the word is this one's."""
        return replace(
            self,
            path=max(self.path, other.path, key=["/unreachable/", "/strict/", "/plain/"].index),
            changes={**other.changes, **self.changes},
            connection=self.connection and other.connection,
            draining=self.draining or other.draining,
            full=self.full or other.full,
        )


#: The table of api.md, in its order.
FAULTS = {
    "malformed": Fault(NO_KEY, changes={"HTTP_SEC_WEBSOCKET_KEY": "x"}),
    "view": Fault("this address takes no WebSockets", path="/plain/"),
    "host": Fault("the Host header is missing, malformed or not allowed", changes={"HTTP_HOST": None}),
    "origin": Fault(
        "the Origin is not allowed",
        403,
        changes={"HTTP_ORIGIN": "https://evil.example"},
        detail=" (this site is http://testserver, the page is of https://evil.example)",
    ),
    "no socket": Fault(
        f"this server gives no access to its sockets; {servers._WORKING}",
        connection=False,
        level=logging.ERROR,
    ),
    "draining": Fault("the server is restarting", 503, draining=True),
    "full": Fault("the server has no room for more WebSockets", 503, full=True),
}
PAIRS = [(first, second) for i, first in enumerate(FAULTS) for second in list(FAULTS)[i + 1 :]]


class TestOrder:
    @pytest.fixture
    def refused(self, settings, monkeypatch, caplog):
        def refused(fault):
            if fault.draining:
                monkeypatch.setattr(registry, "draining", True)
            if fault.full:
                settings.WEBSOCKET_MAX_CONNECTIONS = 1
                assert registry.enter(1)
            environ = {**HANDSHAKE, **fault.changes}
            connection = RefusedConnection()
            try:
                if fault.connection:
                    response = attempt(fault.path, environ, connection=connection)
                else:
                    response = Client().get(fault.path, **{name: v for name, v in environ.items() if v is not None})
            finally:
                if fault.full:
                    registry.leave()
            assert (response.status_code, response.content.decode()) == (fault.status, f"{fault.text}\n")
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert response.headers.get("Retry-After") == ("5" if fault.status == 503 else None)
            (record,) = records(caplog)
            assert record.levelno == fault.level
            text = f"{fault.text}{fault.detail}"
            assert record.getMessage() == f"WebSocket refused with {fault.status} at {fault.path}: {text}"
            assert (record.status_code, record.request.path) == (fault.status, fault.path)
            assert connection.refused == fault.connection

        return refused

    @pytest.mark.parametrize("name", FAULTS)
    def test_one_fault(self, settings, refused, name):
        settings.MIDDLEWARE = [OURS]
        refused(FAULTS[name])

    @pytest.mark.parametrize("name", [name for name in FAULTS if name != "view"])
    def test_one_fault_without_the_middleware(self, settings, refused, name):
        settings.MIDDLEWARE = []
        refused(FAULTS[name])

    @pytest.mark.parametrize(("first", "second"), PAIRS)
    def test_two_faults(self, settings, refused, first, second):
        """The first of the table is told."""
        settings.MIDDLEWARE = [OURS]
        refused(FAULTS[first].and_also(FAULTS[second]))

    @pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if "view" not in pair])
    def test_two_faults_without_the_middleware(self, settings, refused, first, second):
        settings.MIDDLEWARE = []
        refused(FAULTS[first].and_also(FAULTS[second]))

    @pytest.mark.parametrize("middleware", [[OURS], []])
    def test_everything_at_once(self, settings, refused, middleware):
        settings.MIDDLEWARE = middleware
        names = [name for name in FAULTS if middleware or name != "view"]
        request = FAULTS[names[0]]
        for name in names[1:]:
            request = request.and_also(FAULTS[name])
        refused(request)


class TestViewsThatTakeNone:
    def test_unmarked(self):
        assert attempt("/plain/").content == b"this address takes no WebSockets\n"

    def test_no_such_address(self):
        connection = RefusedConnection()
        assert attempt("/nowhere/", connection=connection).status_code == 404
        assert connection.refused == 1

    @pytest.mark.parametrize("environ", [{}, {"HTTP_UPGRADE": "h2c"}])
    def test_http_where_websockets_are_required(self, client, caplog, environ):
        connection = RefusedConnection()
        response = attempt("/unreachable/", environ, connection=connection)
        assert (response.status_code, response.content) == (400, b"this address takes WebSockets only\n")
        (record,) = records(caplog)
        assert record.levelno == logging.WARNING
        assert connection.refused == 0, "the client speaks HTTP, and may go on"

    def test_unmarked_without_the_middleware(self, settings):
        """Nothing of ours runs; the client is told by the missing 101."""
        settings.MIDDLEWARE = []
        assert attempt("/plain/").content == b"plain"


class TestHosts:
    BAD = ["evil.example", "testserver,testserver", "testserver:port", "", "test server", "testserver\x00"]

    @pytest.mark.parametrize("host", BAD)
    @pytest.mark.parametrize("middleware", [[OURS], []])
    def test_bad(self, settings, host, middleware):
        settings.MIDDLEWARE = middleware
        response = attempt("/unreachable/", HTTP_HOST=host)
        assert (response.status_code, response.content.decode()) == (400, FAULTS["host"].text + "\n")

    @pytest.mark.parametrize("host", BAD)
    def test_bad_where_another_middleware_asks_first(self, host):
        connection = RefusedConnection()
        assert attempt("/unreachable/", HTTP_HOST=host, connection=connection).status_code == 400
        assert connection.refused == 1

    def test_bad_while_debugging(self, settings):
        """Django's page would repeat it, and show the settings."""
        settings.DEBUG = True
        response = attempt("/unreachable/", HTTP_HOST="evil.example")
        assert (response.status_code, response.content.decode()) == (400, f"{middleware.BAD_HOST}\n")

    @pytest.mark.parametrize("host", ["TestServer", "testserver.", "testserver:8000", "localhost", "[::1]:8000"])
    def test_good(self, client, host):
        assert attempt("/status/204/", HTTP_HOST=host).status_code == 204

    def test_the_server_name_is_no_host(self, client):
        """Django would take it where the header is missing; no client sends a handshake without."""
        assert Client().get("/look/" if client is None else "/echo/").status_code == 200
        assert attempt("/unreachable/", HTTP_HOST=None, SERVER_NAME="testserver").status_code == 400


class TestOrigins:
    @pytest.mark.parametrize(
        ("origin", "changes"),
        [
            (None, {}),
            ("http://testserver", {}),
            ("HTTP://TESTSERVER:80", {}),
            ("http://testserver:8000", {"HTTP_HOST": "testserver:8000"}),
            ("https://testserver", {"wsgi.url_scheme": "https"}),
        ],
    )
    def test_good(self, client, origin, changes):
        assert attempt("/status/204/", HTTP_ORIGIN=origin, **changes).status_code == 204

    @pytest.mark.parametrize(
        ("origin", "text"),
        [
            ("https://testserver", "the Origin is not allowed"),
            ("http://testserver:8000", "the Origin is not allowed"),
            ("null", "the Origin is not allowed"),
            ("http://testserver.evil.example", "the Origin is not allowed"),
            ("http://testserver@evil.example", "the Origin header is malformed"),
            ("http://testserver/", "the Origin header is malformed"),
            ("http://testserver,http://testserver", "the Origin header is malformed"),
            ("", "the Origin header is malformed"),
        ],
    )
    def test_bad(self, client, origin, text):
        response = attempt("/unreachable/", HTTP_ORIGIN=origin)
        assert (response.status_code, response.content.decode()) == (403, f"{text}\n")

    def test_required(self, client, settings):
        assert attempt("/strict/").content == b"the Origin header is missing\n"
        settings.WEBSOCKET_REQUIRE_ORIGIN = True
        assert attempt("/unreachable/").status_code == 403

    def test_trusted(self, client, settings):
        settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com"]
        assert attempt("/status/204/", HTTP_ORIGIN="https://www.example.com").status_code == 204
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.org"]
        assert attempt("/unreachable/", HTTP_ORIGIN="https://www.example.com").status_code == 403
        assert attempt("/unreachable/", HTTP_ORIGIN="http://testserver").status_code == 403
        assert attempt("/status/204/", HTTP_ORIGIN="https://example.org").status_code == 204

    @pytest.mark.parametrize("version", ["8", "7"])
    def test_of_the_drafts(self, client, version):
        """They name it in another header, which must not be a way around."""
        changes = {"HTTP_SEC_WEBSOCKET_VERSION": version, "HTTP_SEC_WEBSOCKET_ORIGIN": "https://evil.example"}
        assert attempt("/unreachable/", **changes).status_code == 403
        assert attempt("/unreachable/", **changes, HTTP_ORIGIN="http://testserver").status_code == 400

    def test_forwarded_protocol(self, client, settings):
        """Behind a proxy that ends TLS the page's scheme is another than the request's."""
        changes = {"HTTP_ORIGIN": "https://testserver", "HTTP_X_FORWARDED_PROTO": "https"}
        assert attempt("/unreachable/", **changes).status_code == 403
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        assert attempt("/status/204/", **changes).status_code == 204
        assert attempt("/unreachable/", **{**changes, "HTTP_ORIGIN": "http://testserver"}).status_code == 403
        assert attempt("/unreachable/", **{**changes, "HTTP_X_FORWARDED_PROTO": "http"}).status_code == 403

    def test_forwarded_host(self, client, settings):
        """Only where the project says that its proxy may be believed."""
        settings.ALLOWED_HOSTS = ["testserver", "public.example"]
        changes = {"HTTP_ORIGIN": "http://public.example", "HTTP_X_FORWARDED_HOST": "public.example"}
        assert attempt("/unreachable/", **changes).status_code == 403
        assert attempt("/status/204/", **{**changes, "HTTP_ORIGIN": "http://testserver"}).status_code == 204
        settings.USE_X_FORWARDED_HOST = True
        assert attempt("/status/204/", **changes).status_code == 204
        assert attempt("/unreachable/", **{**changes, "HTTP_ORIGIN": "http://testserver"}).status_code == 403

    @pytest.mark.parametrize("host", ["evil.example", "public.example, evil.example", "public.example@evil", ""])
    def test_forwarded_host_that_is_bad(self, client, settings, host):
        settings.ALLOWED_HOSTS = ["testserver", "public.example"]
        settings.USE_X_FORWARDED_HOST = True
        changes = {"HTTP_ORIGIN": "http://public.example", "HTTP_X_FORWARDED_HOST": host}
        assert attempt("/unreachable/", **changes).status_code == 400

    def test_the_log_names_both(self, client, caplog):
        """A proxy that does not say it ends TLS is found by this line."""
        attempt("/unreachable/", HTTP_ORIGIN="https://testserver")
        (record,) = records(caplog)
        assert record.getMessage() == (
            "WebSocket refused with 403 at /unreachable/: the Origin is not allowed "
            "(this site is http://testserver, the page is of https://testserver)"
        )

    def test_the_log_names_the_page_where_origins_are_listed(self, client, settings, caplog):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.org"]
        attempt("/unreachable/", HTTP_ORIGIN="http://testserver")
        (record,) = records(caplog)
        assert record.getMessage().endswith("the Origin is not allowed (the page is of http://testserver)")

    @pytest.mark.parametrize("letter", ["a", "\x00", "\\", "\U0001f600"])
    def test_the_log_shortens_it(self, client, caplog, letter):
        attempt("/unreachable/", HTTP_ORIGIN=letter * 10_240)
        (record,) = records(caplog)
        assert "the Origin header is malformed (it says " in record.getMessage()
        assert record.getMessage().endswith("...)")
        assert len(record.getMessage()) < 300


class TestNothingIsReflected:
    EVIL = "<script>\x1b[m\r\nX-Injected: evil\x00\x85\u2028"

    @pytest.mark.parametrize(
        "name",
        [
            "HTTP_CONNECTION",
            "HTTP_ORIGIN",
            "HTTP_HOST",
            "HTTP_SEC_WEBSOCKET_KEY",
            "HTTP_SEC_WEBSOCKET_VERSION",
            "HTTP_SEC_WEBSOCKET_PROTOCOL",
            "HTTP_SEC_WEBSOCKET_EXTENSIONS",
        ],
    )
    @pytest.mark.parametrize("middleware", [[OURS], []])
    def test_headers(self, settings, caplog, name, middleware):
        settings.MIDDLEWARE = middleware
        response = attempt("/unreachable/", **{name: self.EVIL})
        assert response.status_code in {400, 403}
        assert "evil" not in response.serialize().decode() + response.headers.get("Location", "")
        assert response.content.count(b"\n") == 1
        (record,) = records(caplog)
        assert record.getMessage().isascii()
        assert record.getMessage().isprintable()

    @pytest.mark.parametrize("name", ["HTTP_ORIGIN", "HTTP_SEC_WEBSOCKET_KEY1", "HTTP_SEC_WEBSOCKET_PROTOCOL"])
    def test_headers_of_hixie76(self, client, caplog, name):
        response = attempt("/unreachable/", HIXIE76, **{name: self.EVIL})
        assert response.status_code == 400
        assert b"evil" not in response.serialize()

    def test_the_path_is_escaped_in_the_log(self, client, caplog):
        response = attempt("/any/%0A%1B[31m%0D%0Aforged%20line%E2%80%A8é/", HTTP_SEC_WEBSOCKET_KEY="x")
        assert b"forged" not in response.serialize()
        (record,) = records(caplog)
        assert record.getMessage() == (
            r"WebSocket refused with 400 at /any/\n\x1b[31m\r\nforged line\u2028\xe9/: " + NO_KEY
        )

    def test_the_path_is_shortened_in_the_log(self, client, caplog):
        attempt(f"/any/{'a' * 10_000}/", HTTP_SEC_WEBSOCKET_KEY="x")
        (record,) = records(caplog)
        assert len(record.getMessage()) < 300

    def test_the_path_is_escaped_in_the_log_of_a_connection(self, client, caplog, wire):
        wire("/listen/%0Aforged/", b"", b"\xff\xff")
        (record,) = records(caplog, "django_websocket.connection")
        assert r"/listen/\nforged/" in record.getMessage()
        assert "\n" not in record.getMessage()


urlpatterns += [re_path("^listen/", echo)]


class TestNoSocket:
    """Servers, and kinds of servers, that give no socket away."""

    HEADERS = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    def check(self, response, caplog, server="this server"):
        assert response.status_code == 400
        assert response.content.decode() == FAULTS["no socket"].text.replace("this server", server) + "\n"
        # The server is told to close the connection where it is known to listen.
        assert response.headers.get("Connection") == ("close" if server == "an ASGI server" else None)
        (record,) = records(caplog)
        assert record.levelno == logging.ERROR

    def test_wsgi(self, client, caplog):
        self.check(Client().get("/unreachable/", headers={"Host": "testserver", **self.HEADERS}), caplog)

    def test_asgi(self, client, caplog):
        self.check(async_to_sync(AsyncClient().get)("/unreachable/", headers=self.HEADERS), caplog, "an ASGI server")

    def test_asgi_request(self, caplog):
        self.check(
            unreachable(AsyncRequestFactory().get("/unreachable/", headers=self.HEADERS)), caplog, "an ASGI server"
        )

    def test_plain_requests_over_asgi(self, client):
        response = async_to_sync(AsyncClient().get)("/echo/")
        assert response.content == b"HTTP"
        assert "Connection" not in response.headers

    def test_not_counted(self, client, settings):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        assert attempt("/unreachable/", {}).status_code == 400
        Client().get("/unreachable/", headers={"Host": "testserver", **self.HEADERS})
        with WebSocketClient().websocket("/echo/") as websocket:
            assert websocket.accepted


class TestRoom:
    @pytest.fixture(autouse=True)
    def _limit(self, settings):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1

    def test_one_too_many(self, client, caplog):
        with client.websocket("/echo/") as first:
            for _ in range(2):
                with client.websocket("/echo/") as second:
                    assert not second.accepted
                assert second.response.status_code == 503
                assert second.response.headers["Retry-After"] == "5"
            assert client.get("/echo/").content == b"HTTP"
            first.send("still here")
            assert first.wait() == "still here"
        with client.websocket("/echo/") as third:
            assert third.accepted
        assert len(records(caplog)) == 2

    def test_a_view_counts_before_the_handshake(self, client, monkeypatch):
        seen = []
        monkeypatch.setattr(HttpResponse, "spy", lambda _self: seen.append(attempt().status_code), raising=False)
        with client.websocket("/spy/") as websocket:
            assert websocket.response.status_code == 200
        assert seen == [503]

    @pytest.mark.parametrize("address", ["/status/204/", "/fail-before/", "/fail-after/", "/exit-after/", "/login/"])
    @pytest.mark.django_db
    def test_every_end_counts(self, client, address):
        client.raise_request_exception = False
        for _ in range(3):
            try:
                with client.websocket(address) as websocket:
                    pass
            except SystemExit:
                continue
            assert websocket.response.status_code != 503

    def test_the_process_ends(self, client, monkeypatch):
        monkeypatch.setattr(registry, "draining", True)
        response = attempt("/unreachable/")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "5"
        assert client.get("/echo/").content == b"HTTP"


@route("spy/")
@accept_websocket
def spy(request):
    response = HttpResponse()
    response.spy()
    return response


@route("login/")
@login_required
@accept_websocket
def login(request):
    pytest.fail("nobody is logged in")


@pytest.mark.parametrize("fault", ["malformed", "origin", "draining"])
def test_a_refusal_is_logged_once(client, monkeypatch, caplog, fault):
    """Django's word on any response of 400 and more would double it, and mail 503s to the site's admins."""
    monkeypatch.setattr(registry, "draining", FAULTS[fault].draining)
    assert attempt("/unreachable/", **FAULTS[fault].changes).status_code == FAULTS[fault].status
    assert [record.name for record in caplog.records] == ["django_websocket.handshake"]


# What the view answers before the handshake


class TestRejecting:
    @pytest.mark.parametrize("status", [200, 401, 404, 500])
    def test_a_response(self, client, caplog, status):
        connection = RefusedConnection()
        response = attempt(f"/status/{status}/", connection=connection)
        assert (response.status_code, response.content) == (status, b"the view's own")
        assert connection.refused == 1
        assert records(caplog) == [], "the project knows what it does"

    @pytest.mark.parametrize("status", [100, 101, 103])
    def test_no_view_switches_protocols_by_itself(self, client, caplog, status):
        connection = RefusedConnection()
        response = attempt(f"/status/{status}/", connection=connection)
        assert (response.status_code, response.content) == (500, b"")
        assert connection.refused == 1
        (record,) = records(caplog)
        assert record.levelno == logging.ERROR
        assert record.getMessage() == f"A view answered a WebSocket with status {status}"

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect(self, client, caplog, status):
        connection = RefusedConnection()
        response = attempt(f"/status/{status}/", connection=connection)
        assert (response.status_code, response.headers["Location"]) == (status, "/elsewhere/")
        assert connection.refused == 1
        (record,) = records(caplog)
        assert record.levelno == logging.WARNING
        assert f"/status/{status}/ by a redirect" in record.getMessage()

    def test_a_redirect_of_http(self, client, caplog):
        assert client.get("/status/302/").status_code == 302
        assert records(caplog) == []

    def test_a_streaming_response(self, client):
        connection = RefusedConnection()
        response = attempt("/stream/", connection=connection)
        assert b"".join(response) == b"onetwo"
        assert connection.refused == 1

    def test_bytes(self, client, wire):
        """The connection ends behind the answer, which the server writes; nothing of ours comes before it."""
        assert wire("/status/401/", b"GET /next/ HTTP/1.1\r\n\r\n") == b""
        assert wire.body == b"the view's own"
        assert wire.connection.answered == 0

    def test_nothing_can_be_used_afterwards(self, client):
        with client.websocket("/leak/") as websocket:
            assert websocket.response.status_code == 200
        with pytest.raises(ConnectionClosed):
            leaked.pop().send("too late")


leaked = []


@route("leak/")
@accept_websocket
def leak(request):
    leaked.append(request.websocket)
    return HttpResponse()


@route("stream/")
@accept_websocket
def stream(request):
    return StreamingHttpResponse(iter([b"one", b"two"]))


# The view and its WebSocket


@route("look-closer/")
@accept_websocket
def look_closer(request):
    websocket = request.websocket
    before = request.is_websocket(), websocket.version, websocket.closed, websocket.handshake_sent
    websocket.send(before)
    websocket.send((request.is_websocket(), websocket is request.websocket, websocket.handshake_sent))


class TestServing:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_the_request(self, client, version):
        with client.websocket("/look-closer/", version=version) as websocket:
            assert list(websocket) == [f"(True, {version}, False, False)", "(True, True, True)"]

    def test_bytes(self, client, wire):
        """From the first to the last, with messages sent in the handshake's own segment."""
        data = wire("/echo/", frames("one", "two", b"\x00\xff"), GOODBYE)
        assert data == SWITCHING + texts(b"one", b"two") + b"\x82\x02\x00\xff" + CLOSE[1000]
        assert wire.body == b""
        assert wire.connection.answered == 1

    def test_bytes_of_hixie76(self, client, wire):
        data = wire("/echo/", KEY3[:3], KEY3[3:] + b"\x00hello\xff", HIXIE76)
        assert data == (
            b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
            b"Upgrade: WebSocket\r\n"
            b"Connection: Upgrade\r\n"
            b"Sec-WebSocket-Location: ws://testserver/echo/\r\n"
            b"Sec-WebSocket-Origin: http://testserver\r\n"
            b"\r\n" + RESPONSE76 + b"\x00hello\xff"
        )

    def test_bytes_of_hixie75(self, client, wire):
        environ = {name: value for name, value in HIXIE76.items() if "KEY" not in name}
        data = wire("/echo/", b"\x00hel", b"lo\xff", environ)
        assert data == (
            b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
            b"Upgrade: WebSocket\r\n"
            b"Connection: Upgrade\r\n"
            b"WebSocket-Location: ws://testserver/echo/\r\n"
            b"WebSocket-Origin: http://testserver\r\n"
            b"\r\n\x00hello\xff"
        )

    def test_the_peer_vanishes(self, client, wire):
        assert wire("/echo/", frames("one"), frames("two")[:-1]) == SWITCHING + texts(b"one")

    @pytest.mark.parametrize("environ", [HANDSHAKE, HIXIE76])
    @pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2", "HTTP/2.0", "INCLUDED", ""])
    def test_http_versions(self, client, wire, environ, protocol):
        assert wire("/echo/", KEY3, GOODBYE, environ, SERVER_PROTOCOL=protocol).startswith(b"HTTP/1.1 101 ")

    def test_eventlet_hides_the_http_version(self, client, wire):
        """It says 1.0 of every request."""
        data = wire("/echo/", frames("hello"), GOODBYE, SERVER_PROTOCOL="HTTP/1.0", **{"eventlet.input": None})
        assert data == SWITCHING + texts(b"hello") + CLOSE[1000]


class TestLocation:
    """The old drafts have the server repeat the address that the client used, and clients compare it."""

    @pytest.fixture(autouse=True)
    def _any_origin(self, settings):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["*"]

    @pytest.mark.parametrize(
        ("address", "changes", "location"),
        [
            ("/echo/", {}, "ws://testserver/echo/"),
            ("/echo/?a=1&b=%20c&a", {}, "ws://testserver/echo/?a=1&b=%20c&a"),
            ("/listen/caf%C3%A9/a%20b", {}, "ws://testserver/listen/caf%C3%A9/a%20b"),
            ("/echo/", {"HTTP_HOST": "TestServer:8000"}, "ws://testserver:8000/echo/"),
            ("/echo/", {"HTTP_HOST": "testserver:80"}, "ws://testserver/echo/"),
            ("/echo/", {"HTTP_HOST": "[::1]:8000"}, "ws://[::1]:8000/echo/"),
            ("/echo/", {"wsgi.url_scheme": "https"}, "wss://testserver/echo/"),
            ("/echo/", {"wsgi.url_scheme": "https", "HTTP_HOST": "testserver:443"}, "wss://testserver/echo/"),
            ("/echo/", {"wsgi.url_scheme": "https", "HTTP_HOST": "testserver:80"}, "wss://testserver:80/echo/"),
            ("/echo/", {"HTTP_X_FORWARDED_PROTO": "https"}, "ws://testserver/echo/"),
            ("/echo/", {"HTTP_X_FORWARDED_HOST": "localhost"}, "ws://testserver/echo/"),
            # As it was written, where the server tells.
            ("/echo/", {"REQUEST_URI": "/%65cho/?%7e"}, "ws://testserver/%65cho/?%7e"),
            ("/echo/", {"RAW_URI": "/%65cho/?%7e"}, "ws://testserver/%65cho/?%7e"),
            ("/echo/", {"RAW_PATH_INFO": "/%65cho/"}, "ws://testserver/%65cho/"),
            ("/echo/?%7e", {"RAW_PATH_INFO": "/%65cho/"}, "ws://testserver/%65cho/?%7e"),
            ("/echo/", {"RAW_URI": "http://testserver/echo/"}, "ws://testserver/echo/"),
            ("/echo/", {"RAW_URI": "*", "REQUEST_URI": "/other/"}, "ws://testserver/echo/"),
        ],
    )
    def test_location(self, client, wire, address, changes, location):
        data = wire(address, KEY3, b"", HIXIE76, **changes)
        assert f"\r\nSec-WebSocket-Location: {location}\r\n".encode() in data
        assert data.endswith(RESPONSE76)

    def test_forwarded(self, client, wire, settings):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        settings.USE_X_FORWARDED_HOST = True
        data = wire("/echo/", KEY3, b"", HIXIE76, HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="localhost")
        assert b"\r\nSec-WebSocket-Location: wss://localhost/echo/\r\n" in data

    @pytest.mark.parametrize("target", ["/echo/\r\nX-Injected: 1", "/echo/ HTTP", "/echo/\x00", "/\xe9cho/"])
    def test_target_that_is_not_clean(self, client, target):
        response = attempt("/unreachable/", HIXIE76, RAW_URI=target)
        assert (response.status_code, response.content) == (400, b"the request target is missing or malformed\n")


# WEBSOCKET_ACCEPT_ALL


@route("unmarked-echo/")
def unmarked_echo(request):
    if request.is_websocket():
        for message in request.websocket:
            request.websocket.send(message)
    return HttpResponse("HTTP", headers={"X-Header": "1"})


@route("unmarked-file/")
def unmarked_file(request):
    request.websocket.send("hello")
    response = FileResponse(request.META["tests.file"])
    response._resource_closers.append(lambda: closed.append(True))
    return response


@route("unmarked-template/")
def unmarked_template(request):
    request.websocket.send("hello")
    return TemplateResponse(request, "admin/there-is-none.html")


closed = []


class TestAcceptAll:
    @pytest.fixture(autouse=True)
    def _accept_all(self, settings):
        settings.WEBSOCKET_ACCEPT_ALL = True

    @pytest.mark.parametrize("version", VERSIONS)
    def test_unmarked_view(self, version):
        with WebSocketClient().websocket("/unmarked-echo/", version=version) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
        assert (websocket.response.status_code, websocket.response.content) == (101, b"")
        assert "X-Header" not in websocket.response.headers

    def test_bytes(self, wire):
        assert wire("/unmarked-echo/", frames("hello"), GOODBYE) == SWITCHING + texts(b"hello") + CLOSE[1000]
        assert wire.body == b""

    def test_view_that_does_not_know_of_websockets(self):
        with WebSocketClient().websocket("/plain/") as websocket:
            assert not websocket.accepted
        assert (websocket.response.status_code, websocket.response.content) == (200, b"plain")

    def test_http(self):
        assert Client().get("/unmarked-echo/").content == b"HTTP"
        assert Client().get("/unreachable/").status_code == 400

    def test_checks_are_the_same(self):
        assert attempt("/plain/", HTTP_ORIGIN="https://evil.example").status_code == 403
        assert attempt("/plain/", HTTP_SEC_WEBSOCKET_KEY="x").status_code == 400

    def test_what_the_response_holds_is_closed(self, tmp_path):
        (tmp_path / "file").write_text("hello")
        file = (tmp_path / "file").open("rb")
        with WebSocketClient().websocket("/unmarked-file/", **{"tests.file": file}) as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000
        assert closed.pop()
        assert file.closed

    def test_a_template_that_fails(self, caplog):
        """It is rendered after the handshake: an error as any other."""
        client = WebSocketClient(raise_request_exception=False)
        with client.websocket("/unmarked-template/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1011
        (record,) = records(caplog, "django.request")
        assert record.levelno == logging.ERROR

    def test_a_view_that_returns_nothing(self, caplog):
        """An unmarked view returns a response, as Django demands."""
        client = WebSocketClient(raise_request_exception=False)
        with client.websocket("/unmarked-nothing/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1011
        (record,) = records(caplog, "django.request")
        assert "didn't return an HttpResponse object" in str(record.exc_info[1])


@route("unmarked-nothing/")
def unmarked_nothing(request):
    request.websocket.send("hello")


# Exceptions

ERRORS = {
    "zero": ZeroDivisionError("secret"),
    "404": Http404("secret"),
    "403": PermissionDenied("secret"),
    "400": SuspiciousOperation("secret"),
    "bad": BadRequest("secret"),
    "closed": ConnectionClosed(1001, "secret"),
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
}
STATUSES = {"zero": 500, "404": 404, "403": 403, "400": 400, "bad": 400, "closed": 500}


@route("raise-before/<name>/")
@accept_websocket
def raise_before(request, name):
    raise ERRORS[name]


@route("raise-after/<name>/")
@accept_websocket
def raise_after(request, name):
    request.websocket.send("hello")
    raise ERRORS[name]


@route("fail-before/")
@accept_websocket
def fail_before(request):
    raise ZeroDivisionError


@route("fail-after/")
@accept_websocket
def fail_after(request):
    request.websocket.accept()
    raise ZeroDivisionError


@route("exit-after/")
@accept_websocket
def exit_after(request):
    request.websocket.accept()
    raise SystemExit


@pytest.fixture
def quiet(client):
    """A client that gets what a browser would get, instead of the view's exceptions."""
    client.raise_request_exception = False
    return client


class TestExceptionsBeforeTheHandshake:
    """Django's, as in any view."""

    @pytest.mark.parametrize("name", STATUSES)
    def test_the_response(self, quiet, name):
        with quiet.websocket(f"/raise-before/{name}/") as websocket:
            assert not websocket.accepted
        assert websocket.response.status_code == STATUSES[name]
        assert b"secret" not in websocket.response.content

    @pytest.mark.parametrize("name", STATUSES)
    def test_the_same_as_over_http(self, quiet, caplog, name):
        def told(ask):
            caplog.clear()
            with received(got_request_exception) as signals:
                response = ask()
            log = [(record.name, record.levelno) for record in caplog.records]
            return response.status_code, response.content, log, len(signals)

        def ask():
            with quiet.websocket(f"/raise-before/{name}/") as websocket:
                pass
            return websocket.response

        assert told(ask) == told(lambda: quiet.get(f"/raise-before/{name}/"))

    def test_raised_in_a_test(self, client):
        with pytest.raises(ZeroDivisionError, match="secret"), client.websocket("/raise-before/zero/"):
            pytest.fail("there is no connection")

    @pytest.mark.parametrize("name", ["exit", "interrupt"])
    def test_the_process_is_to_end(self, client, wire, name):
        with pytest.raises(type(ERRORS[name])):
            wire(f"/raise-before/{name}/")
        with pytest.raises(type(ERRORS[name])), client.websocket(f"/raise-before/{name}/"):
            pytest.fail("there is no connection")


class TestExceptionsAfterTheHandshake:
    @pytest.mark.parametrize("name", ["zero", "404", "403", "400", "bad"])
    def test_the_client(self, quiet, wire, name):
        """It gets Close 1011, and never a byte of HTTP."""
        assert wire(f"/raise-after/{name}/", b"", GOODBYE) == SWITCHING + texts(b"hello") + CLOSE[1011]
        assert wire.body == b""
        with quiet.websocket(f"/raise-after/{name}/") as websocket:
            assert list(websocket) == ["hello"]
        assert (websocket.close_code, websocket.close_reason) == (1011, "")
        assert websocket.response.status_code == 101

    @pytest.mark.parametrize("name", ["zero", "404", "400"])
    def test_the_page_of_debug(self, quiet, wire, settings, name):
        """It shows settings and local variables, and has no place in a WebSocket."""
        settings.DEBUG = True
        assert wire(f"/raise-after/{name}/", b"", GOODBYE) == SWITCHING + texts(b"hello") + CLOSE[1011]
        assert wire.body == b""

    @pytest.mark.parametrize("version", VERSIONS)
    def test_all_versions(self, quiet, version):
        with quiet.websocket("/raise-after/zero/", version=version) as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == (1005 if version in {75, 76} else 1011)
        assert websocket.response.status_code == 101

    def test_an_error_is_logged_once(self, quiet, caplog):
        with received(got_request_exception) as signals, quiet.websocket("/raise-after/zero/"):
            pass
        assert len(signals) == 1
        (record,) = records(caplog, "django.request")
        assert record.getMessage() == "Internal Server Error: /raise-after/zero/"
        assert record.exc_info[1] is ERRORS["zero"]

    @pytest.mark.parametrize("name", ["404", "403", "400", "bad"])
    def test_an_error_of_the_client_is_logged_as_over_http(self, quiet, caplog, name):
        def told():
            return [(record.name, record.levelno, record.getMessage()) for record in caplog.records]

        quiet.get(f"/raise-before/{name}/")
        expected = [(logger, level, text.replace("before", "after")) for logger, level, text in told()]
        assert expected
        caplog.clear()
        with received(got_request_exception) as signals, quiet.websocket(f"/raise-after/{name}/"):
            pass
        assert told() == expected
        assert signals == []

    def test_the_client_is_gone(self, quiet, caplog):
        """No error: the view just ends."""
        with received(got_request_exception) as signals, quiet.websocket("/raise-after/closed/") as websocket:
            assert list(websocket) == ["hello"]
        assert (signals, caplog.records) == ([], [])
        assert websocket.response.status_code == 101

    def test_the_client_is_gone_during_send(self, client, caplog):
        with received(got_request_exception) as signals, client.websocket("/chatter/") as websocket:
            assert websocket.wait() == "0"
            websocket.send("go on")
            assert websocket.wait() == "1"
            websocket.vanish()
        assert signals == []
        assert records(caplog, "django.request") == []
        assert websocket.response.status_code == 101

    @pytest.mark.parametrize("name", ["exit", "interrupt"])
    def test_the_process_is_to_end(self, client, name):
        with pytest.raises(type(ERRORS[name])), client.websocket(f"/raise-after/{name}/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1011
        assert websocket.response is None

    def test_a_file_that_the_error_left_open(self, quiet):
        """What Django made of the exception is closed, as it would be by the server."""
        with quiet.websocket("/raise-after/zero/") as websocket:
            pass
        assert websocket.response.closed


@route("chatter/")
@accept_websocket
def chatter(request):
    number = 0
    while True:
        request.websocket.send(number)
        request.websocket.wait()
        number += 1


# Signals of a request


class TestSignals:
    @pytest.fixture
    def counts(self):
        with received(request_started) as started, received(request_finished) as finished:
            yield lambda: (len(started), len(finished))

    @pytest.mark.parametrize("address", ["/echo/", "/status/204/", "/raise-after/zero/", "/raise-before/zero/"])
    def test_once(self, quiet, counts, address):
        with quiet.websocket(address):
            pass
        assert counts() == (1, 1)

    @pytest.mark.parametrize("server", [{}, {"close": False}, {"iterate": False}])
    def test_once_whatever_the_server_does(self, client, counts, wire, server):
        """Some find the client's socket shut down and never close the response, others do nothing else with it."""
        assert wire("/echo/", frames("hello"), GOODBYE, **server) == SWITCHING + texts(b"hello") + CLOSE[1000]
        assert counts() == (1, 1)

    def test_finished_when_the_view_has_ended(self, client, counts):
        with client.websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
            assert counts() == (1, 0)
        assert counts() == (1, 1)

    @pytest.mark.parametrize("names", [[OURS], [OURS, SESSIONS], [], [SESSIONS]])
    def test_leaves_nothing_to_the_garbage_collector(self, settings, wire, names):
        """It comes late, and looks through all that is open then. MessageMiddleware leaves its requests to it."""

        def count():
            return sum(issubclass(type(each), (WebSocket, HttpRequest)) for each in gc.get_objects())

        settings.MIDDLEWARE = names
        gc.collect()
        gc.disable()
        try:
            before = count()
            wire("/echo/", frames("hello"), GOODBYE)
            assert count() == before
        finally:
            gc.enable()


def test_server_is_told_nothing_that_other_middleware_adds():
    end = response_of_ended_websocket()
    end["X-Header"], end.status_code = "value", 500
    end.set_cookie("name", "value")
    assert response_of_ended_websocket(end) is end
    assert (end.status_code, list(end.items()), dict(end.cookies)) == (101, [], {})


# Together with other middleware

FULL = [
    OURS,
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


@route("busy/")
@accept_websocket
def busy(request):
    """A view that uses what the middleware has to offer."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    messages.info(request, "seen")
    text = f"{get_language()} {request.user} {request.session['visits']}"
    if not request.is_websocket():
        return HttpResponse(" ".join([text, *map(str, messages.get_messages(request))]))
    request.websocket.send(text)
    for message in request.websocket:
        request.websocket.send(message)
    return None


def failing_on_the_way_out(get_response):
    def middleware(request):
        get_response(request)
        raise ZeroDivisionError

    return middleware


def exiting(get_response):
    def middleware(request):
        raise SystemExit

    return middleware


def reading(get_response):
    def middleware(request):
        response = get_response(request)
        assert b"".join(response) == b""
        return response

    return middleware


class Hooks:
    """A middleware that has every hook, and notes them."""

    calls = []

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        self.calls.append("in")
        response = self.get_response(request)
        self.calls.append(f"out {response.status_code}")
        response.headers["X-Hooks"] = "1"
        return response

    def process_view(self, request, view, args, kwargs):
        self.calls.append(f"view {request.is_websocket()}")

    def process_exception(self, request, exception):
        self.calls.append(f"exception {exception!r}")


@pytest.fixture
def hooks(settings):
    settings.MIDDLEWARE = [OURS, f"{__name__}.Hooks"]
    Hooks.calls.clear()
    return Hooks.calls


class TestOtherMiddleware:
    @pytest.mark.django_db
    @pytest.mark.parametrize("ours", [True, False])
    def test_all_of_djangos(self, settings, ours):
        settings.MIDDLEWARE = FULL[not ours :]
        settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
        client = WebSocketClient(headers={"accept-language": "de", "accept-encoding": "gzip"})
        client.force_login(User.objects.create_user("ann"))
        with client.websocket("/busy/") as websocket:
            assert websocket.wait() == "de ann 1"
            websocket.send("x" * 1000)
            assert websocket.wait() == "x" * 1000
        assert websocket.close_code == 1000
        assert websocket.response.content == b""
        assert client.get("/busy/").content == b"de ann 2 seen seen", "session and messages were saved"

    @pytest.mark.django_db
    @pytest.mark.parametrize("ours", [True, False])
    def test_bytes(self, settings, wire, ours):
        """Whatever they do to a response, a client sees its cookies, and nothing else of it."""
        settings.MIDDLEWARE = FULL[not ours :]
        data = wire("/busy/", frames("x"), GOODBYE, HTTP_ACCEPT_ENCODING="gzip", HTTP_IF_NONE_MATCH="*")
        cookies = re.findall(rb"Set-Cookie: ([a-z]+)=[^\r\n]+\r\n", data)
        assert sorted(cookies) == [b"messages", b"sessionid"]
        data = re.sub(rb"Set-Cookie: [^\r\n]+\r\n", b"", data)
        assert data == SWITCHING + texts(b"en AnonymousUser 1", b"x") + CLOSE[1000]
        assert wire.body == b""
        assert Session.objects.count() == 1

    @pytest.mark.parametrize("ours", [True, False])
    def test_csrf(self, settings, ours):
        settings.MIDDLEWARE = FULL[not ours :]
        with WebSocketClient(enforce_csrf_checks=True).websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"

    def test_redirect_to_https(self, settings, caplog):
        settings.MIDDLEWARE = FULL
        settings.SECURE_SSL_REDIRECT = True
        with WebSocketClient().websocket("/echo/") as websocket:
            assert websocket.response.url == "https://testserver/echo/"
        (record,) = records(caplog)
        assert record.getMessage() == (
            "WebSocket refused at /echo/ by a redirect, which no client follows: is its address right, to the slash "
            "and the scheme?"
        )
        with WebSocketClient().websocket("/echo/", secure=True) as websocket:
            assert websocket.accepted

    def test_redirect_to_the_slash(self, caplog):
        with WebSocketClient().websocket("/echo") as websocket:
            assert websocket.response.url == "/echo/"
        (record,) = records(caplog)
        assert "at /echo by a redirect" in record.getMessage()

    def test_hooks(self, hooks):
        with WebSocketClient().websocket("/echo/"):
            pass
        assert hooks == ["in", "view True", "out 101"]

    def test_hooks_of_a_rejection(self, hooks):
        with WebSocketClient().websocket("/status/401/") as websocket:
            assert websocket.response.headers["X-Hooks"] == "1"
        assert hooks == ["in", "view True", "out 401"]

    def test_hooks_of_a_refusal(self, hooks):
        """A malformed attempt is none of the others' business."""
        assert attempt(HTTP_SEC_WEBSOCKET_KEY="x").status_code == 400
        assert hooks == []
        assert attempt(HTTP_ORIGIN="https://evil.example").status_code == 403
        assert hooks == ["in", "out 403"]

    def test_hooks_of_an_exception(self, hooks):
        client = WebSocketClient(raise_request_exception=False)
        with client.websocket("/raise-after/zero/"):
            pass
        assert hooks == ["in", "view True", f"exception {ERRORS['zero']!r}", "out 500"]

    def test_hooks_of_a_client_that_is_gone(self, hooks):
        """No error to other middleware either."""
        with WebSocketClient().websocket("/raise-after/closed/"):
            pass
        assert hooks == ["in", "view True", "out 101"]

    def test_one_that_fails_when_the_view_has_ended(self, settings, caplog, wire):
        settings.MIDDLEWARE = [OURS, f"{__name__}.failing_on_the_way_out"]
        with received(got_request_exception) as signals:
            data = wire("/echo/", frames("hello"), GOODBYE)
        assert data == SWITCHING + texts(b"hello") + CLOSE[1000], "the client had asked for the end already"
        assert wire.body == b""
        assert len(signals) == 1
        (record,) = records(caplog, "django.request")
        assert record.levelno == logging.ERROR

    def test_one_that_fails_before_the_client_has_closed(self, settings):
        settings.MIDDLEWARE = [OURS, f"{__name__}.failing_on_the_way_out"]
        client = WebSocketClient(raise_request_exception=False)
        with client.websocket("/look-closer/") as websocket:
            assert len(list(websocket)) == 2
        assert websocket.close_code == 1011
        assert websocket.response.status_code == 101

    def test_one_that_ends_the_process(self, settings, wire):
        settings.MIDDLEWARE = [OURS, f"{__name__}.exiting"]
        with pytest.raises(SystemExit):
            wire()

    @pytest.mark.parametrize("ours", [True, False])
    def test_one_that_reads_the_response(self, settings, wire, ours):
        """The request is finished once all the same."""
        settings.MIDDLEWARE = [OURS] * ours + [f"{__name__}.reading"]
        with received(request_finished) as signals:
            assert wire("/echo/", frames("hello"), GOODBYE) == SWITCHING + texts(b"hello") + CLOSE[1000]
        assert len(signals) == 1
        assert wire.connection.answered >= 1

    def test_one_that_answers_before_us(self, settings):
        """Where ours is not the first, against all advice."""
        settings.MIDDLEWARE = [f"{__name__}.Hooks", OURS]
        with WebSocketClient().websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
        assert websocket.response.status_code == 101
