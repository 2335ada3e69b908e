"""A WebSocket among the middleware of others, and the signals that Django sends for its request."""

import gzip
import sys

import django
import pytest
from django.core.signals import got_request_exception, request_finished, request_started
from django.db import connections
from django.http import Http404, HttpResponse

from django_websocket import require_websocket
from django_websocket.testing.client import WebSocketClient

from ..views import OURS, make_route_by_name

urlpatterns = []
route = make_route_by_name(urlpatterns)
OTHERS = [
    "django.middleware.security.SecurityMiddleware",
    *(["django.middleware.csp.ContentSecurityPolicyMiddleware"] if django.VERSION >= (6, 0) else []),
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]


@route
@require_websocket
def echo(request):
    """Echo, with a query for each message."""
    for message in request.websocket:
        if message == "fail":
            raise RuntimeError("the view fails")
        if message == "lose":
            raise Http404
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        request.websocket.send(message)


@route
def page(request):
    return HttpResponse("page " * 100)


@pytest.fixture(autouse=True)
def _project(settings):
    settings.ROOT_URLCONF = sys.modules[__name__]


@pytest.fixture
def signals():
    seen = []

    def started(**_):
        seen.append("started")

    def finished(**_):
        seen.append("finished")

    def excepted(**_):
        seen.append("exception")

    pairs = [(request_started, started), (request_finished, finished), (got_request_exception, excepted)]
    for signal, receiver in pairs:
        signal.connect(receiver)
    yield seen
    for signal, receiver in pairs:
        signal.disconnect(receiver)


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["first", "last", "nowhere"])
class TestMiddleware:
    @pytest.fixture(autouse=True)
    def _middleware(self, settings, place):
        settings.MIDDLEWARE = {"first": [OURS, *OTHERS], "last": [*OTHERS, OURS], "nowhere": OTHERS}[place]
        settings.SECURE_CSP = {"default-src": ["'self'"]}
        settings.SECURE_HSTS_SECONDS = 60

    @pytest.mark.parametrize("version", [13, 76])
    def test_no_middleware_changes_the_handshake_or_the_end(self, signals, version):
        client = WebSocketClient(headers={"Accept-Encoding": "gzip", "Accept-Language": "fr"})
        with client.websocket("/echo/", version=version) as websocket:
            for name in ("vary", "content-encoding", "content-language", "etag", "x-frame-options", "content-length"):
                assert name not in websocket.headers
            for number in range(3):
                websocket.send(str(number) * 1000)
                assert websocket.wait() == str(number) * 1000
            websocket.close()
            assert websocket.close_code == {13: 1000, 76: 1005}[version]
        assert websocket.response.status_code == 101
        assert websocket.response.content == b""
        assert signals == ["started", "finished"]
        # The cache has stored nothing of it, and other responses are what they were.
        with client.websocket("/echo/", version=version) as websocket:
            websocket.send("again")
            assert websocket.wait() == "again"
        response = client.get("/page/")
        assert gzip.decompress(response.content) == b"page " * 100
        assert response["Vary"]

    @pytest.mark.parametrize(("message", "code"), [("fail", 1011), ("lose", 1011)])
    def test_failures(self, signals, message, code):
        client = WebSocketClient(raise_request_exception=False)
        with client.websocket("/echo/") as websocket:
            websocket.send(message)
            assert websocket.wait() is None
            assert websocket.close_code == code
        assert websocket.response.status_code == 101
        assert signals == ["started", *["exception"] * (message == "fail"), "finished"]
