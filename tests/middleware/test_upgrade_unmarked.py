"""Unmarked views under the middleware: they are called, and a decorator inside may admit the WebSocket."""

import logging

import pytest
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpResponse, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket import accept_websocket, require_websocket
from django_websocket.handshake.remedies import REDIRECTING_VIEW, UNMARKED_VIEW
from django_websocket.process.registry import registry
from django_websocket.testing.client import WebSocketClient

from .. import urls
from ..connections import RefusedConnection
from ..observing import records
from ..requests import attempt
from ..views import VERSIONS, make_route

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*urls.urlpatterns]
route = make_route(urlpatterns)

NO_WEBSOCKETS = b"this address takes no WebSockets\n"
CACHED = [
    "django_websocket.middleware.WebSocketMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]


# Views with a decorator inside


class Method(View):
    @method_decorator(accept_websocket(subprotocols=["chat"]))
    def get(self, request):
        if not request.is_websocket():
            return HttpResponse("HTTP")
        for message in request.websocket:
            request.websocket.send(f"{message} {request.websocket.subprotocol}")
        return None


route("method/")(Method.as_view())


@route("closure/")
def closure(request):
    if request.GET.get("token") != "right":
        return HttpResponse("who are you?", status=401)

    @require_websocket(subprotocols=["chat"])
    def inside(request):
        for message in request.websocket:
            request.websocket.send(f"{message} {request.websocket.subprotocol}")

    return inside(request)


class TestDecoratedInside:
    """It works with the middleware as it does without it."""

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("address", ["/method/", "/closure/?token=right"])
    def test_the_view_gets_its_websocket(self, client, settings, address, version):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(2):
            with client.websocket(address, version=version, subprotocols=["chat"]) as websocket:
                websocket.send("hello")
                assert websocket.wait() == "hello chat"
            assert websocket.response.status_code == 101
        assert not registry.busy

    @pytest.mark.parametrize("address", ["/method/", "/closure/?token=right"])
    def test_its_handshake_is_checked(self, client, caplog, address):
        connection = RefusedConnection()
        response = attempt(address, connection=connection, HTTP_ORIGIN="https://evil.example")
        assert (response.status_code, response.content) == (403, b"the Origin is not allowed\n")
        assert connection.refused == 1
        (record,) = records(caplog)
        assert record.levelno == logging.WARNING

    def test_an_error_that_the_view_returns(self, client):
        """Frameworks convert the exceptions of a view to responses."""
        response = attempt("/closure/?token=wrong")
        assert (response.status_code, response.content) == (401, b"who are you?")

    def test_plain_requests(self, client):
        assert client.get("/method/").content == b"HTTP"
        assert client.get("/closure/?token=right").status_code == 400


# Views that take no WebSockets


@route("seen/")
def seen(request):
    return HttpResponse(f"{request.is_websocket()} {request.websocket}", headers={"X-Seen": "yes"})


@route("seen/raising/<name>/")
def raising(request, name):
    assert request.is_websocket()
    assert request.websocket is None
    raise {"404": Http404, "403": PermissionDenied, "zero": ZeroDivisionError}[name]


@route("seen/redirecting/")
def redirecting(request):
    return HttpResponseRedirect("/elsewhere/")


@route("seen/informing/")
def informing(request):
    return HttpResponse(status=101)


@route("seen/cookie/")
def cookie(request):
    response = HttpResponse("page")
    response.set_cookie("key", "new")
    return response


@route("seen/file/")
def file(request):
    return FileResponse(request.META["tests.file"])


class TestNotDecorated:
    @pytest.mark.parametrize("address", ["/seen/", "/seen/redirecting/", "/seen/informing/", "/plain/"])
    def test_what_the_view_returns_becomes_the_refusal(self, caplog, address):
        connection = RefusedConnection()
        response = attempt(address, connection=connection)
        assert (response.status_code, response.content) == (400, NO_WEBSOCKETS)
        assert "X-Seen" not in response.headers
        assert connection.refused == 1
        remedy = REDIRECTING_VIEW if address == "/seen/redirecting/" else UNMARKED_VIEW
        (record,) = records(caplog)
        text = f"WebSocket refused with 400 at {address}: this address takes no WebSockets; {remedy}"
        assert record.getMessage() == text

    @pytest.mark.parametrize(("name", "status"), [("404", 404), ("403", 403), ("zero", 500)])
    def test_its_exceptions_are_answered_as_for_any_request(self, caplog, name, status):
        connection = RefusedConnection()
        assert attempt(f"/seen/raising/{name}/", connection=connection).status_code == status
        assert connection.refused == 1
        assert records(caplog) == []
        assert len(records(caplog, "django.request")) == 1

    def test_the_view_is_called_with_plain_requests_as_ever(self):
        assert WebSocketClient().get("/seen/").content == b"False None"

    def test_cookies_are_kept(self):
        """A session may have got a new key, and the client has to learn of it."""
        assert attempt("/seen/cookie/").cookies["key"].value == "new"

    def test_the_files_of_the_response_are_closed(self, tmp_path):
        (tmp_path / "file").write_text("hello")
        file = (tmp_path / "file").open("rb")
        response = attempt("/seen/file/", **{"tests.file": file})
        assert response.content == NO_WEBSOCKETS
        assert file.closed

    def test_a_bad_host(self):
        """Another middleware asks for the Host before the view is reached."""
        response = attempt("/seen/", HTTP_HOST="evil.example")
        assert (response.status_code, response.content.decode()) == (400, "the Host header is not allowed\n")

    def test_a_page_from_the_cache(self, settings, caplog):
        """It is no answer to a WebSocket, and the log says where it came from."""
        settings.MIDDLEWARE = CACHED
        client = WebSocketClient()
        assert client.get("/seen/").content == b"False None"
        response = attempt("/seen/")
        assert (response.status_code, response.content) == (400, NO_WEBSOCKETS)
        (record,) = records(caplog)
        assert record.getMessage() == (
            "WebSocket refused with 400 at /seen/: this address takes no WebSockets (another middleware, such as "
            "a cache, answered with 200 before the view was reached)"
        )

    def test_its_answer_to_a_websocket_is_not_stored(self, settings):
        settings.MIDDLEWARE = CACHED
        assert attempt("/seen/?stored").status_code == 400
        assert WebSocketClient().get("/seen/?stored").content == b"False None"
