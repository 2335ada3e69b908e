"""Kinds of views that can be marked: functions, classes, and the views of the documentation."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket import accept_websocket
from lab.project import documented

from .views import VERSIONS, make_route

pytestmark = pytest.mark.urls(__name__)


@accept_websocket
def echo(request, **kwargs):
    if not request.is_websocket():
        return HttpResponse(f"HTTP {kwargs}" if kwargs else "HTTP")
    for message in request.websocket:
        request.websocket.send(f"{message} {kwargs}" if kwargs else message)
    return None


urlpatterns = [
    path("echo-once/", documented.echo_once),
    path("lower-case/", documented.lower_case),
    path("add-one/", documented.add_one),
    path("echo/", echo),
    path("echo/<int:number>/<slug:name>/", echo),
]
route = make_route(urlpatterns)


# The three views of the documentation


@pytest.mark.parametrize("version", VERSIONS)
class TestViewsOf2010:
    def test_echo_once(self, client, version):
        with client.websocket("/echo-once/", version=version) as websocket:
            websocket.send("Grüße, 世界 🌍")
            assert websocket.wait() == "Grüße, 世界 🌍"
            assert websocket.wait() is None
        assert websocket.close_code == (1005 if version in {75, 76} else 1000)

    def test_lower_case(self, client, version):
        with client.websocket("/lower-case/", version=version) as websocket:
            websocket.send("ONE")
            websocket.send("TWO")
            assert [websocket.wait(), websocket.wait()] == ["one", "two"]
            websocket.send("THREE")
            assert websocket.wait() == "three"

    def test_add_one(self, client, version):
        with client.websocket("/add-one/", version=version) as websocket:
            for number in range(3):
                websocket.send(str(number))
                assert websocket.wait() == str(number + 1)


class TestViewsOf2010OverHTTP:
    def test_echo_once(self, client):
        response = client.get("/echo-once/")
        assert (response.status_code, response.content) == (400, b"this address takes WebSockets only\n")

    def test_lower_case(self, client):
        assert client.get("/lower-case/", {"message": "ONE"}).content == b"one"

    def test_add_one(self, client):
        assert client.get("/add-one/", {"value": "41"}).content == b"42"


# Kinds of views


@route("function/")
@accept_websocket(subprotocols=["chat.v2", "chat.v1"])
def function_view(request):
    return talk(request)


class ClassView(View):
    word = "unset"

    def get(self, request, name="nobody"):
        return talk(request, self.word, name)


def talk(request, *words):
    """Answer over a WebSocket or over HTTP, as the client asks."""
    words = " ".join(["heard", *words])
    if not request.is_websocket():
        return HttpResponse(words)
    for message in request.websocket:
        request.websocket.send(f"{words} {message} {request.websocket.subprotocol}")
    return None


urlpatterns += [
    path("as-view/<name>/", accept_websocket(subprotocols=["chat.v2", "chat.v1"])(ClassView.as_view(word="word"))),
    path("bare-as-view/<name>/", accept_websocket(ClassView.as_view(word="word"))),
]


@method_decorator(accept_websocket(subprotocols=["chat.v2", "chat.v1"]), name="dispatch")
class DispatchView(ClassView):
    pass


@method_decorator(accept_websocket, name="dispatch")
class BareDispatchView(ClassView):
    pass


class OverriddenDispatchView(ClassView):
    @method_decorator(accept_websocket(subprotocols=["chat.v2", "chat.v1"]))
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


urlpatterns += [
    path("dispatch/<name>/", DispatchView.as_view(word="word")),
    path("bare-dispatch/<name>/", BareDispatchView.as_view(word="word")),
    path("overridden-dispatch/<name>/", OverriddenDispatchView.as_view(word="word")),
]


class TestKinds:
    def test_function(self, client):
        with client.websocket("/function/", subprotocols=["chat.v1", "chat.v2"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "heard hello chat.v2"
        assert client.get("/function/").content == b"heard"

    @pytest.mark.parametrize("kind", ["as-view", "dispatch", "overridden-dispatch"])
    def test_class(self, client, kind):
        with client.websocket(f"/{kind}/ann/", subprotocols=["chat.v1", "chat.v2"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "heard word ann hello chat.v2"
        assert client.get(f"/{kind}/ann/").content == b"heard word ann"

    @pytest.mark.parametrize("kind", ["bare-as-view", "bare-dispatch"])
    def test_class_without_options(self, client, kind):
        with client.websocket(f"/{kind}/ann/", subprotocols=["chat.v1"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "heard word ann hello None"
        assert client.get(f"/{kind}/ann/").content == b"heard word ann"

    def test_arguments_of_the_address(self, client):
        with client.websocket("/echo/7/seven/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello {'number': 7, 'name': 'seven'}"
        assert client.get("/echo/7/seven/").content == b"HTTP {'number': 7, 'name': 'seven'}"

    def test_a_request_that_went_through_no_handler(self):
        """The unit tests of a project may call a view like this."""
        assert echo(RequestFactory().get("/")).content == b"HTTP"
        assert echo(HttpRequest()).content == b"HTTP"
        assert documented.echo_once(RequestFactory().get("/")).status_code == 400
