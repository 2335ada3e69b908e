"""The steps of an upgrade: checks in their order, room in the process, the answer of the view, and its WebSocket."""

import logging
import pickle
import socket
from contextlib import suppress

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import SimpleTemplateResponse
from django.test import AsyncClient, AsyncRequestFactory, Client
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket import accept_websocket
from django_websocket.exceptions import ConnectionClosed
from django_websocket.middleware import WebSocketMiddleware
from django_websocket.process.registry import registry
from django_websocket.servers import ENVIRON_KEY
from django_websocket.testing.client import WebSocketClient

from .. import urls
from ..connections import FakeConnection, RefusedConnection
from ..observing import records
from ..refusals import FAULTS
from ..requests import HANDSHAKE, HIXIE76, KEY3, RESPONSE76, attempt
from ..urls import unreachable
from ..views import OURS, VERSIONS, make_route
from ..wire import CLOSE, GOODBYE, SWITCHING, frames, texts

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*urls.urlpatterns]
route = make_route(urlpatterns)


# The order of the checks

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
        """The answer is the one to the first fault."""
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


# Servers without sockets


class TestNoSocket:
    """Servers that give no access to their sockets, under WSGI and ASGI."""

    HEADERS = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    def check(self, response, caplog, server="this server"):
        assert response.status_code == 400
        assert response.content.decode() == FAULTS["no socket"].text.replace("this server", server) + "\n"
        # Some servers close the connection if the response says so.
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

    def test_a_refused_request_takes_no_room(self, client, settings):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        assert attempt("/unreachable/", {}).status_code == 400
        Client().get("/unreachable/", headers={"Host": "testserver", **self.HEADERS})
        with WebSocketClient().websocket("/echo/") as websocket:
            assert websocket.accepted


# Room in the process


class TestRoom:
    @pytest.fixture(autouse=True)
    def _limit(self, settings):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1

    def test_a_websocket_too_many(self, client, caplog):
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
    def test_every_end_makes_room(self, client, address):
        client.raise_request_exception = False
        for _ in range(3):
            try:
                with client.websocket(address) as websocket:
                    pass
            except SystemExit:
                continue
            assert websocket.response.status_code != 503

    def test_a_process_that_is_ending(self, client, monkeypatch):
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


# What the view answers before the handshake


class TestRejecting:
    @pytest.mark.parametrize("status", [401, 404, 500])
    def test_a_response(self, client, caplog, status):
        connection = RefusedConnection()
        response = attempt(f"/status/{status}/", connection=connection)
        assert (response.status_code, response.content) == (status, b"the view's own")
        assert connection.refused == 1
        assert records(caplog) == [], "the project knows what it does"

    @pytest.mark.parametrize("status", [200, 202])
    def test_a_response_that_looks_like_success(self, client, caplog, status):
        """The client cannot use it, and the view may have forgotten its WebSocket."""
        connection = RefusedConnection()
        response = attempt(f"/status/{status}/", connection=connection)
        assert (response.status_code, response.content) == (status, b"the view's own")
        assert connection.refused == 1
        (record,) = records(caplog)
        assert record.levelno == logging.WARNING
        assert record.getMessage() == (
            f"WebSocket refused at /status/{status}/ by an answer with status {status} before the handshake: a view "
            "opens the WebSocket when it uses request.websocket or returns None. If a cache has answered for it, put "
            "the cache outside the decorator of this package"
        )

    @pytest.mark.parametrize("status", [200, 302, 404])
    def test_no_cache_keeps_it_for_plain_requests(self, client, status):
        """It is the answer to a WebSocket, and pages at the same address are other answers."""
        assert attempt(f"/status/{status}/").headers["Vary"] == "Upgrade"
        assert client.get(f"/status/{status}/").headers["Vary"] == "Upgrade"

    @pytest.mark.parametrize("status", [100, 101, 103])
    def test_a_view_must_not_return_an_informational_status(self, client, caplog, status):
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

    def test_a_redirect_of_a_plain_request(self, client, caplog):
        assert client.get("/status/302/").status_code == 302
        assert records(caplog) == []

    def test_a_streaming_response(self, client):
        connection = RefusedConnection()
        response = attempt("/stream/", connection=connection)
        assert b"".join(response) == b"onetwo"
        assert connection.refused == 1

    @pytest.mark.parametrize("address", ["/status/200/", "/status/404/", "/status/302/"])
    def test_the_length_of_the_answer(self, client, settings, address):
        """Otherwise a server would send it in chunks, which few clients of WebSockets expect."""
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name == OURS]
        response = attempt(address)
        assert response.headers["Content-Length"] == "14"

    @pytest.mark.parametrize("address", ["/status/204/", "/status/304/", "/stream/", "/own-length/"])
    def test_an_answer_whose_length_is_not_ours_to_say(self, client, settings, address):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name == OURS]
        assert attempt(address).headers.get("Content-Length") == ("0" if address == "/own-length/" else None)

    def test_an_answer_that_is_rendered_later(self, client, settings):
        """Django renders it when the decorator has returned."""
        settings.MIDDLEWARE = []
        connection = RefusedConnection()
        response = attempt("/rendered/", connection=connection)
        assert response.content == b"rendered"
        assert connection.refused == 1

    @pytest.mark.parametrize("names", [[f"{__name__}.store"], [f"{__name__}.store", OURS]])
    @pytest.mark.parametrize("address", ["/status/200/", "/unreachable/"])
    def test_an_answer_that_is_stored(self, client, settings, names, address):
        """Middleware around us may pickle it, as a cache does: nothing of the connection is in it."""
        settings.MIDDLEWARE = names
        ours, theirs = socket.socketpair()
        with ours, theirs:
            response = attempt(address, connection=FakeConnection(ours), HTTP_ORIGIN="https://evil.example")
        assert response.headers["X-Stored"] == "yes"

    @pytest.mark.parametrize(
        "names", [[f"{__name__}.replace"], [f"{__name__}.replace", OURS], [OURS, f"{__name__}.replace"]]
    )
    @pytest.mark.parametrize("environ", [HANDSHAKE, {**HANDSHAKE, "HTTP_SEC_WEBSOCKET_KEY": "x"}])
    def test_an_answer_that_is_replaced(self, client, settings, names, environ):
        """The end of the connection does not depend on it, nor on the end of the request."""
        settings.MIDDLEWARE = names
        connection = RefusedConnection()
        attempt("/status/200/", environ, connection=connection)
        assert connection.refused == 1

    @pytest.mark.parametrize("middleware", [True, False])
    @pytest.mark.parametrize("name", ["zero", "404", "exit"])
    def test_an_exception(self, client, settings, middleware, name):
        """The connection ends, whoever responds to the exception."""
        settings.MIDDLEWARE = [OURS] * middleware
        connection = RefusedConnection()
        with suppress(SystemExit):
            attempt(f"/raise-before/{name}/", connection=connection)
        assert connection.refused == 1

    def test_bytes(self, client, wire):
        """The server writes the answer, and nothing comes before it; the connection ends behind it."""
        assert wire("/status/401/", b"GET /next/ HTTP/1.1\r\n\r\n") == b""
        assert wire.body == b"the view's own"
        assert wire.connection.answered == 0

    def test_a_rejected_websocket_cannot_be_used_later(self, client):
        with client.websocket("/leak/") as websocket:
            assert websocket.response.status_code == 200
        with pytest.raises(ConnectionClosed):
            leaked.pop().send("too late")


def store(get_response):
    def middleware(request):
        response = get_response(request)
        response.headers["X-Stored"] = "yes" if pickle.dumps(response) else "no"
        return response

    return middleware


def replace(get_response):
    def middleware(request):
        get_response(request)
        request.close = lambda: None
        return HttpResponse("a page", status=404)

    return middleware


@route("own-length/")
@accept_websocket
def own_length(request):
    return HttpResponse(headers={"Content-Length": "0"})


@route("rendered/")
@accept_websocket
def rendered(request):
    return SimpleTemplateResponse(engines["django"].from_string("rendered"))


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


class TestServing:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_the_view_sees_its_websocket(self, client, version):
        with client.websocket("/look-closer/", version=version) as websocket:
            assert list(websocket) == [f"(True, {version}, False, False)", "True True True"]

    def test_bytes(self, client, wire):
        """All bytes of a connection, of which the first messages come in one segment with the handshake."""
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


# Views that do not answer as Django wants it


@route("wrong/")
@accept_websocket
def wrong(request):
    return "not a response"


class TestWrongResponses:
    @pytest.mark.parametrize("ours", [True, False], ids=["with the middleware", "without the middleware"])
    def test_the_room_is_given_back(self, settings, ours):
        """A response without a status fails in the middleware, which ends the attempt all the same."""
        settings.MIDDLEWARE = [OURS] if ours else []
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(2):
            with pytest.raises((AttributeError, TypeError)):
                Client().get("/wrong/", **HANDSHAKE, **{ENVIRON_KEY: RefusedConnection()})
        assert not registry.busy
        with WebSocketClient().websocket("/echo/") as ws:
            ws.send("hello")
            assert ws.wait() == "hello"


# The middleware twice


class TestTwice:
    def test_the_first_one_serves_the_request(self, settings, caplog):
        settings.MIDDLEWARE = [OURS, "django.contrib.sessions.middleware.SessionMiddleware", OURS]
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(2):
            with WebSocketClient().websocket("/echo/") as ws:
                ws.send("hello")
                assert ws.wait() == "hello"
        assert not registry.busy
        assert records(caplog) == []

    @pytest.mark.parametrize("names", [["Derived", OURS], [OURS, "Derived"], ["Derived", "Derived"]])
    @pytest.mark.parametrize("address", ["/echo/", "/class/"])
    def test_a_subclass_beside_it(self, settings, caplog, names, address):
        settings.MIDDLEWARE = [name if name == OURS else f"{__name__}.{name}" for name in names]
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(3):
            with WebSocketClient().websocket(address) as ws:
                ws.send("hello")
                assert ws.wait() == "hello"
            assert attempt("/plain/").status_code == 400
            assert attempt(address, HTTP_ORIGIN="https://evil.example").status_code == 403
            assert attempt(address, HTTP_SEC_WEBSOCKET_KEY="x").status_code == 400
            assert not registry.busy
        assert len(records(caplog)) == 9, "each refusal is logged once"


class Derived(WebSocketMiddleware):
    """A middleware as a project may derive it."""


@method_decorator(accept_websocket, name="dispatch")
class Echo(View):
    def get(self, request):
        for message in request.websocket:
            request.websocket.send(message)


urlpatterns.append(path("class/", Echo.as_view()))
