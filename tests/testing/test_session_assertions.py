"""The assertions of a session: what came, what came instead, and that nothing came."""

import json
import time

import pytest

from django_websocket import Group
from django_websocket.testing.scheduler import scheduler

from . import views

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)

room = Group("room", history=10)


@route("say/")
def say(request):
    """Send what the client asks for, after a time, or close."""
    websocket = request.websocket
    websocket.accept()
    while (task := websocket.wait_json()) is not None:
        time.sleep(task.get("sleep", 0))
        for message in task.get("send", []):
            websocket.send(message)
        if "close" in task:
            websocket.close(*task["close"])
        if "fail" in task:
            raise AssertionError(task["fail"])


@route("member/")
def member(request):
    room.add(request.websocket, since=request.GET.get("since"))
    list(request.websocket)


@pytest.fixture
def ws(client):
    with client.websocket("/say/") as ws:
        yield ws


def fails(call, *args, **kwargs):
    with pytest.raises(AssertionError) as caught:
        call(*args, **kwargs)
    return str(caught.value).splitlines()


def test_messages(ws):
    ws.send_json({"send": ["one", '{"two": 2}']})
    assert ws.assert_message("one") is None
    ws.assert_message({"two": 2})


def test_a_message_that_comes_late(ws):
    ws.send_json({"sleep": 60, "send": ["one"]})
    ws.assert_message("one", timeout=61)
    ws.send_json({"sleep": 60, "send": ["two"]})
    ws.expect_nothing()
    ws.expect_nothing(timeout=59)
    ws.assert_message("two")


def test_another_message(ws):
    ws.send_json({"send": ["one", "two", "three"]})
    assert fails(ws.assert_message, "two") == ["expected: 'two'", "     got: 'one'", "    then: 'two', 'three'"]
    # It was taken.
    ws.assert_message("two")
    assert fails(ws.expect_nothing) == ["expected: nothing", "     got: 'three'"]
    ws.expect_nothing()


def test_no_message(ws, settings):
    settings.WEBSOCKET_PING_INTERVAL = None
    now = scheduler().now
    assert fails(ws.assert_message, "x", timeout=1.5) == ["expected: 'x'", "     got: nothing within 1.5 seconds"]
    assert scheduler().now == now + 1.5


def test_a_message_that_never_comes(client, settings):
    settings.WEBSOCKET_PING_INTERVAL = None
    settings.WEBSOCKET_REVALIDATE = None
    with client.websocket("/say/") as ws:
        expected = [
            "expected: {}",
            "     got: nothing: both sides wait: the view for the test, and the test for the view",
        ]
        assert fails(ws.assert_message, {}) == expected


def test_a_close(ws):
    ws.send_json({"close": [4000, "go away"]})
    came = "the WebSocket was accepted, then closed with 4000 (go away)"
    assert fails(ws.assert_message, "x") == ["expected: 'x'", f"     got: nothing: {came}"]
    assert fails(ws.expect_nothing) == ["expected: nothing", f"     got: {came}"]


def test_an_error_of_the_view_is_not_changed(client):
    with client.websocket("/say/") as ws:
        ws.send_json({"sleep": 1, "fail": "the view's own"})
        with pytest.raises(AssertionError, match=r"^the view's own$"):
            ws.assert_message("x")


def test_envelopes(client):
    with client.websocket("/member/") as ann:
        room.send("hello")
        position = ann.assert_message("hello", group=room)
        room.send_json({"a": 1})
        room.send("plain")
        room.send("last")
        assert ann.assert_message({"a": 1}, group="room") > position
        envelope = ann.wait_json()
        assert (envelope["group"], envelope["data"]) == ("room", "plain")
        assert Group.unwrap(ann.wait()).data == "last"
        assert fails(ann.assert_message, "x", 0, group=room)[0] == "expected: 'x', in the group room"
    with client.websocket(f"/member/?since={position}") as bob:
        bob.assert_message({"a": 1}, group=room)
        bob.assert_message("plain", group=room)
        bob.assert_message("last", group=room)
        bob.expect_nothing(timeout=100)
    with client.websocket("/member/?since=long-ago") as bob:
        assert json.loads(bob.wait()) == {"group": "room", "gap": None}
