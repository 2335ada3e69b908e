"""Our middleware together with other middleware."""

import logging
import re

import pytest
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.signals import got_request_exception, request_finished
from django.http import HttpResponse
from django.utils.translation import get_language

from django_websocket import accept_websocket
from django_websocket.testing.client import WebSocketClient

from .. import urls
from ..observing import received, records
from ..requests import attempt
from ..urls import ERRORS
from ..views import OURS, make_route
from ..wire import CLOSE, GOODBYE, SWITCHING, frames, texts

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*urls.urlpatterns]
route = make_route(urlpatterns)

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
    """Use what other middleware adds to a request."""
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
    """A middleware that has every hook, and records their calls."""

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
    def test_the_middleware_of_django(self, settings, ours):
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
    def test_only_cookies_of_the_response_reach_the_client(self, settings, wire, ours):
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
            "WebSocket refused at /echo/ by a redirect, which no browser follows here, though other clients may: is "
            "its address right, to the slash and the scheme?"
        )
        with WebSocketClient().websocket("/echo/", secure=True) as websocket:
            assert websocket.accepted

    @pytest.mark.parametrize("proto", ["https", "wss"])
    def test_no_redirect_to_https_behind_a_proxy_that_ends_tls(self, settings, proto):
        settings.MIDDLEWARE = FULL
        settings.SECURE_SSL_REDIRECT = True
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        with WebSocketClient().websocket("/echo/", headers={"X-Forwarded-Proto": proto}) as websocket:
            assert websocket.accepted

    def test_redirect_to_the_address_with_a_slash(self, caplog):
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
        """Other middleware does not see a malformed handshake."""
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
        """Other middleware sees no error either."""
        with WebSocketClient().websocket("/raise-after/closed/"):
            pass
        assert hooks == ["in", "view True", "out 101"]

    def test_a_middleware_that_fails_when_the_view_has_ended(self, settings, caplog, wire):
        settings.MIDDLEWARE = [OURS, f"{__name__}.failing_on_the_way_out"]
        with received(got_request_exception) as signals:
            data = wire("/echo/", frames("hello"), GOODBYE)
        assert data == SWITCHING + texts(b"hello") + CLOSE[1000], "the client had asked for the end already"
        assert wire.body == b""
        assert len(signals) == 1
        (record,) = records(caplog, "django.request")
        assert record.levelno == logging.ERROR

    def test_a_middleware_that_fails_before_the_client_has_closed(self, settings):
        settings.MIDDLEWARE = [OURS, f"{__name__}.failing_on_the_way_out"]
        client = WebSocketClient(raise_request_exception=False)
        with client.websocket("/look-closer/") as websocket:
            assert len(list(websocket)) == 2
        assert websocket.close_code == 1011
        assert websocket.response.status_code == 101

    def test_a_middleware_that_ends_the_process(self, settings, wire):
        settings.MIDDLEWARE = [OURS, f"{__name__}.exiting"]
        with pytest.raises(SystemExit):
            wire()

    @pytest.mark.parametrize("ours", [True, False])
    def test_a_middleware_that_reads_the_response(self, settings, wire, ours):
        """The request is finished once all the same."""
        settings.MIDDLEWARE = [OURS] * ours + [f"{__name__}.reading"]
        with received(request_finished) as signals:
            assert wire("/echo/", frames("hello"), GOODBYE) == SWITCHING + texts(b"hello") + CLOSE[1000]
        assert len(signals) == 1
        assert wire.connection.answered >= 1

    def test_a_middleware_before_ours(self, settings):
        """Ours works though it is not the first, as the documentation asks."""
        settings.MIDDLEWARE = [f"{__name__}.Hooks", OURS]
        with WebSocketClient().websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
        assert websocket.response.status_code == 101
