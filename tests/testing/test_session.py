"""A session: its messages, both ways."""

from datetime import datetime, timezone
from decimal import Decimal

import pytest
from django.urls import path

from django_websocket import UnsupportedFeature, require_websocket

from ..views import OLD, VERSIONS
from . import views
from .views import seen

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


class TestMessages:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_text(self, client, version):
        with client.websocket("/echo/", version=version) as websocket:
            for text in ("hello", "", "Grüße, 世界 🌍", "x" * 100_000):
                websocket.send(text)
                assert websocket.wait() == text

    @pytest.mark.parametrize("version", [13, 8, 7])
    def test_binary(self, client, version):
        with client.websocket("/echo/", version=version) as websocket:
            for data in (b"", bytes(range(256)), b"\x00" * 100_000):
                websocket.send(data)
                assert websocket.wait() == data

    @pytest.mark.parametrize("version", OLD)
    def test_binary_of_versions_that_have_none(self, client, version):
        with client.websocket("/echo/", version=version) as websocket:
            with pytest.raises(UnsupportedFeature):
                websocket.send(b"data")
            websocket.send("text")
            assert websocket.wait() == "text"

    def test_several(self, client):
        with client.websocket("/echo/") as websocket:
            for number in range(10):
                websocket.send(str(number))
            assert [websocket.wait() for _ in range(10)] == list("0123456789")

    def test_the_view_runs_when_something_is_sent(self, client):
        with client.websocket("/events/") as websocket:
            assert seen == []
            websocket.send("one")
            assert seen == ["one"]
        assert seen == ["one", (1000, "")]

    def test_the_view_begins_when_the_session_is_entered(self, client):
        session = client.websocket("/greeting/")
        assert seen == []
        with session as websocket:
            assert seen == ["greeting"]
            assert websocket.wait() == "hello"

    def test_json(self, client):
        with client.websocket("/json/") as websocket:
            websocket.send_json({"n": [1, None, "é"]})
            assert websocket.wait_json() == {"n": [1, None, "é"], "more": "1.50"}
            websocket.send_json({"at": datetime(2010, 7, 1, tzinfo=timezone.utc)})
            assert websocket.wait_json() == {"at": "2010-07-01T00:00:00Z", "more": "1.50"}
            websocket.send("stop")
            assert websocket.wait_json() is None
            assert websocket.wait_json(timeout=1) is None

    def test_iteration(self, client):
        with client.websocket("/greeting/") as websocket:
            assert list(websocket) == ["hello", "goodbye"]
            assert list(websocket) == []

    def test_messages_before_the_end_are_kept(self, client):
        with client.websocket("/greeting/") as websocket:
            pass
        assert list(websocket) == ["hello", "goodbye"]

    def test_ping(self, client):
        """The server answers the ping, and the view sees no message."""
        with client.websocket("/events/") as websocket:
            websocket.ping(b"payload")
            websocket.ping()
            websocket.send("one")
        assert seen == ["one", (1000, "")]

    def test_ping_of_the_view(self, client):
        with client.websocket("/ping/") as websocket:
            websocket.send("go on")
            assert list(websocket) == ["0.0"]

    @pytest.mark.parametrize("version", OLD)
    def test_ping_of_versions_that_have_none(self, client, version):
        with client.websocket("/echo/", version=version) as websocket, pytest.raises(UnsupportedFeature):
            websocket.ping()


@route("greeting/")
def greeting(request):
    seen.append("greeting")
    request.websocket.send("hello")
    request.websocket.send("goodbye")


@route("json/")
def echo_json(request):
    while (message := wait_json(request.websocket)) is not None:
        request.websocket.send_json({**message, "more": Decimal("1.50")})


def wait_json(websocket):
    try:
        return websocket.wait_json()
    except ValueError:
        return None


@route("ping/")
def ping(request):
    request.websocket.ping(b"from the view")
    request.websocket.wait()
    request.websocket.send(request.websocket.latency)


@require_websocket(subprotocols=["chat"])
def late(request):
    """Choose no subprotocol, and send a header field."""
    websocket = request.websocket
    websocket.accept(subprotocol=None, headers={"X-Header": "1"})
    websocket.send(
        f"{websocket.subprotocol} {websocket.has_messages()} {websocket.count_messages()} {websocket.read()}"
    )
    websocket.wait()
    websocket.send(f"{websocket.has_messages()} {websocket.read()} {websocket.read('nothing')}")


urlpatterns += [path("late/", late)]


def test_the_view_looks_for_messages_without_waiting(client):
    with client.websocket("/late/", subprotocols=["chat"]) as websocket:
        assert websocket.subprotocol is None
        assert websocket.wait() == "None False 0 None"
        websocket.send("one")
        assert websocket.wait() == "False None nothing"
