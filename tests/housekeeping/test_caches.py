"""Django's caches, between WebSockets and pages at the same address."""

import itertools
import sys

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.cache import cache_page

from django_websocket import accept_websocket
from django_websocket.testing.client import WebSocketClient

from ..views import OURS

CACHED = ["django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware"]
numbers = itertools.count()


def view(request):
    """Echo over a WebSocket, and return a page with a new number over HTTP; "?refuse" refuses a WebSocket."""
    if request.websocket is None or "refuse" in request.GET:
        return HttpResponse(f"page {next(numbers)}")
    for message in request.websocket:
        request.websocket.send(message)
    return HttpResponse("nobody gets it")


def marked_by_hand(request):
    return view(request)


marked_by_hand.accept_websocket = True
both = accept_websocket(view)
urlpatterns = [
    path("both/", both),
    path("outside/", cache_page(60)(both)),
    path("inside/", accept_websocket(cache_page(60)(view))),
    path("by-hand/", marked_by_hand),
    path("by-hand-outside/", cache_page(60)(marked_by_hand)),
    path("unmarked/", view),
]


@pytest.fixture(autouse=True)
def _project(settings):
    settings.ROOT_URLCONF = sys.modules[__name__]
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(params=["with the middleware", "without the middleware"])
def client(request, settings):
    settings.MIDDLEWARE = [OURS, *CACHED] if request.param == "with the middleware" else CACHED
    return WebSocketClient()


def opens(client, address):
    with client.websocket(address) as websocket:
        if websocket.accepted:
            websocket.send("hello")
            assert websocket.wait() == "hello"
            websocket.close()
    return websocket.accepted


def pages(client, address):
    return client.get(address).content, client.get(address).content


@pytest.mark.parametrize("address", ["/both/", "/outside/"])
class TestDecorated:
    def test_a_page_does_not_answer_a_websocket(self, client, address):
        first, second = pages(client, address)
        assert first == second, "it comes from the cache"
        for _ in range(2):
            assert opens(client, address)
        assert client.get(address).content == first

    def test_the_end_of_a_websocket_is_not_stored(self, client, address):
        assert opens(client, address)
        first, second = pages(client, address)
        assert first.startswith(b"page ")
        assert first == second

    def test_a_refusal_is_not_stored(self, client, address):
        """Neither for pages nor for the next WebSocket, which the view may accept."""
        bodies = []
        for _ in range(2):
            with client.websocket(f"{address}?refuse") as websocket:
                bodies.append(websocket.response.content)
        bodies.extend(pages(client, f"{address}?refuse"))
        assert len(set(bodies)) == 3

    def test_other_caches_are_told(self, client, address):
        assert client.get(address).headers["Vary"] == "Upgrade"


@pytest.mark.parametrize("address", ["/by-hand/", "/by-hand-outside/", "/unmarked/"])
class TestNotDecorated:
    @pytest.fixture(autouse=True)
    def _middleware(self, settings):
        settings.MIDDLEWARE = [OURS, *CACHED]
        settings.WEBSOCKET_ACCEPT_ALL = True

    def test_the_end_of_a_websocket_is_not_stored(self, address):
        client = WebSocketClient()
        for _ in range(2):
            assert opens(client, address)
        first, second = pages(client, address)
        assert first.startswith(b"page ")
        assert first == second

    def test_other_caches_are_told(self, address):
        assert WebSocketClient().get(address).headers["Vary"] == "Upgrade"


def test_a_cache_inside_the_decorator(settings, caplog):
    """Its page answers for the view, as the response of the view would, and the log names the cause."""
    settings.MIDDLEWARE = [OURS]
    client = WebSocketClient()
    client.get("/inside/")
    assert not opens(client, "/inside/")
    (record,) = caplog.records
    assert "put the cache outside the decorator" in record.getMessage()
