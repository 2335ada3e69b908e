"""The middleware: plain requests, views that take no WebSockets, and views that all take one."""

import logging

import pytest
from django.http import FileResponse, HttpResponse
from django.template.response import TemplateResponse
from django.test import Client

from django_websocket.testing.client import WebSocketClient

from .. import urls
from ..connections import RefusedConnection
from ..observing import records
from ..requests import attempt
from ..views import OURS, VERSIONS, make_route
from ..wire import CLOSE, GOODBYE, SWITCHING, frames, texts

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*urls.urlpatterns]
route = make_route(urlpatterns)


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
    def test_a_request_for_no_websocket(self, environ):
        connection = RefusedConnection()
        response = attempt("/look/", environ, connection=connection)
        assert response.content == b"False None"
        assert connection.refused == 0

    def test_the_address_of_a_websocket(self):
        """A page is rendered by a plain request, of any view."""
        for path in ("/plain/", "/look/", "/nowhere/"):
            request = Client().get(path, headers={"host": "localhost:8000"}, secure=True).wsgi_request
            assert request.build_websocket_uri() == f"wss://localhost:8000{path}"
            assert request.build_websocket_uri("/echo/") == "wss://localhost:8000/echo/"

    def test_unmarked_view(self):
        assert Client().get("/plain/").content == b"plain"

    def test_marked_view(self):
        assert Client().get("/echo/").content == b"HTTP"

    def test_exceptions_reach_django(self):
        assert Client().get("/nowhere/").status_code == 404
        with pytest.raises(ZeroDivisionError):
            Client().get("/fail/")

    def test_status_101_of_a_view(self):
        """The status is the business of the view, as the client asked for no WebSocket."""
        assert Client().get("/status/101/").status_code == 101


@route("fail/")
def fail(request):
    raise ZeroDivisionError


# Views that take no WebSockets


class TestViewsWithoutWebSockets:
    def test_an_unmarked_view_refuses(self):
        assert attempt("/plain/").content == b"this address takes no WebSockets\n"

    def test_no_such_address(self):
        connection = RefusedConnection()
        assert attempt("/nowhere/", connection=connection).status_code == 404
        assert connection.refused == 1

    @pytest.mark.parametrize("environ", [{}, {"HTTP_UPGRADE": "h2c"}])
    def test_plain_http_to_a_view_that_requires_a_websocket(self, client, caplog, environ):
        connection = RefusedConnection()
        response = attempt("/unreachable/", environ, connection=connection)
        assert (response.status_code, response.content) == (400, b"this address takes WebSockets only\n")
        (record,) = records(caplog)
        assert record.levelno == logging.WARNING
        assert connection.refused == 0, "the client speaks HTTP, and may go on"

    def test_unmarked_without_the_middleware(self, settings):
        """Nothing of this package runs; the client learns from the missing 101 that there is no WebSocket."""
        settings.MIDDLEWARE = []
        assert attempt("/plain/").content == b"plain"


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

    def test_plain_http(self):
        assert Client().get("/unmarked-echo/").content == b"HTTP"
        assert Client().get("/unreachable/").status_code == 400

    def test_handshakes_are_checked_all_the_same(self):
        assert attempt("/plain/", HTTP_ORIGIN="https://evil.example").status_code == 403
        assert attempt("/plain/", HTTP_SEC_WEBSOCKET_KEY="x").status_code == 400

    def test_the_resources_of_the_response_are_closed(self, tmp_path):
        (tmp_path / "file").write_text("hello")
        file = (tmp_path / "file").open("rb")
        with WebSocketClient().websocket("/unmarked-file/", **{"tests.file": file}) as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000
        assert closed.pop()
        assert file.closed

    @pytest.mark.parametrize("status", [200, 404, 503])
    def test_a_status_after_the_handshake(self, caplog, status):
        """It has no effect and is no failure: only exceptions are."""
        with WebSocketClient().websocket(f"/unmarked-status/{status}/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000
        assert websocket.response.status_code == 101
        assert [record for record in caplog.records if record.levelno > logging.INFO] == []

    def test_a_status_after_an_exception_was_reported(self, settings, caplog):
        """A middleware that turns exceptions into pages of its own hides none of them from the client."""
        settings.MIDDLEWARE = [OURS, f"{__name__}.apologizing"]
        with WebSocketClient(raise_request_exception=False).websocket("/unmarked-nothing/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1011

    def test_a_template_that_fails(self, caplog):
        """The template is rendered after the handshake, and fails as a view would."""
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


def apologizing(get_response):
    def middleware(request):
        response = get_response(request)
        return HttpResponse("sorry", status=503) if response.status_code == 500 else response

    return middleware


@route("unmarked-status/<int:status>/")
def unmarked_status(request, status):
    request.websocket.send("hello")
    return HttpResponse("nobody gets it", status=status)


@route("unmarked-nothing/")
def unmarked_nothing(request):
    request.websocket.send("hello")
