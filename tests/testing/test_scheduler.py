"""Turns: views that push and poll without ever waiting, and their sleeps."""

import time
from unittest import mock

import pytest

from django_websocket.testing.scheduler import MAX_DEADLINES, scheduler

from . import views
from .views import seen

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)

#: A long time, in which a view that sleeps truly would show itself by the time limit of the test.
HOUR = 3600


@route("ticks/")
def ticks(request):
    """Push a number each hour."""
    number = 0
    while True:
        request.websocket.send(number)
        number += 1
        time.sleep(HOUR)


@route("flood/")
def flood(request):
    """Push numbers as fast as possible."""
    number = 0
    while True:
        request.websocket.send(number)
        number += 1


@route("poll/")
def poll(request):
    """Look for messages, and sleep between."""
    websocket = request.websocket
    while not websocket.closed:
        if (message := websocket.read()) is not None:
            websocket.send(message)
        time.sleep(0.01)


@route("look/<str:name>/")
def look(request, name):
    """Look for messages without a pause."""
    websocket = request.websocket
    websocket.accept()
    while not websocket.closed:
        if name == "wait":
            try:
                message = websocket.wait(timeout=0)
            except TimeoutError:
                continue
        elif name == "read" or getattr(websocket, name)():
            message = websocket.read()
        else:
            continue
        if message is not None:
            websocket.send(message)


LOOKS = ["read", "has_messages", "count_messages", "wait"]


class TestTurns:
    def test_a_view_that_pushes(self, client):
        with client.websocket("/ticks/") as websocket:
            start = scheduler().now
            assert [websocket.wait() for _ in range(3)] == ["0", "1", "2"]
            assert scheduler().now == start + 2 * HOUR
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=HOUR - 1)
            assert websocket.wait(timeout=2) == "3"

    def test_a_view_that_pushes_without_a_pause(self, client):
        with client.websocket("/flood/") as websocket:
            assert [websocket.wait() for _ in range(1000)] == [str(number) for number in range(1000)]
        assert websocket.close_code == 1000

    @pytest.mark.parametrize("address", ["/ticks/", "/flood/"])
    def test_it_notices_that_the_client_has_gone(self, client, address):
        with client.websocket(address) as websocket:
            websocket.vanish()
        assert websocket.response.status_code == 101

    def test_others_beside_a_view_that_pushes(self, client):
        with client.websocket("/flood/"), client.websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=5)

    def test_a_view_that_polls(self, client):
        with client.websocket("/poll/") as websocket:
            for text in ("one", "two"):
                websocket.send(text)
                assert websocket.wait() == text
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=60)
            websocket.close(4000)
        assert websocket.close_code == 4000

    @pytest.mark.parametrize("name", LOOKS)
    def test_a_view_that_polls_without_a_pause(self, client, name):
        with client.websocket(f"/look/{name}/") as websocket:
            for text in ("one", "two"):
                websocket.send(text)
                assert websocket.wait() == text
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=1)

    @pytest.mark.parametrize("address", ["/poll/", "/look/read/"])
    def test_a_view_that_never_sends_fails_the_test(self, client, address):
        with client.websocket(address) as websocket, pytest.raises(AssertionError, match=r"^both sides wait"):
            websocket.wait()

    def test_a_view_that_never_ends_is_stopped(self, client):
        with (
            pytest.raises(AssertionError, match="still waits for something when its WebSocket is closed"),
            client.websocket("/endless/"),
        ):
            pass
        assert seen == ["stopped"]

    @pytest.mark.parametrize("seconds", [HOUR, 30 * HOUR])
    def test_no_deadline_is_too_far(self, client, seconds):
        with client.websocket(f"/late/{seconds}/") as websocket:
            start = scheduler().now
            assert websocket.wait() == "late"
            assert scheduler().now == start + seconds

    def test_pings_are_counted(self, client):
        """A view whose own deadline comes after very many pings is taken for one that waits for ever."""
        with client.websocket("/pinged/") as websocket, pytest.raises(AssertionError, match=r"^both sides wait"):
            websocket.wait()
        assert MAX_DEADLINES == 10_000


@route("endless/")
def endless(request):
    request.websocket.accept()
    try:
        while True:
            time.sleep(0)
    finally:
        seen.append("stopped")


@route("late/<int:seconds>/", ping_interval=None)
def late(request, seconds):
    with pytest.raises(TimeoutError):
        request.websocket.wait(timeout=seconds)
    request.websocket.send("late")


@route("pinged/", ping_interval=1)
def pinged(request):
    request.websocket.wait(timeout=20_000)


class TestSleep:
    def test_it_is_the_usual_one_outside_of_sessions(self, client):
        before = time.sleep
        with client.websocket("/echo/"):
            assert time.sleep is not before
            with client.websocket("/echo/"):
                pass
            assert time.sleep is not before
        assert time.sleep is before

    def test_the_test_sleeps_truly(self, client):
        with client.websocket("/echo/"):
            now, start = scheduler().now, time.monotonic()
            time.sleep(0.01)
            assert time.monotonic() - start >= 0.01
            assert scheduler().now == now

    def test_a_test_may_replace_it(self, client):
        with mock.patch("time.sleep") as sleep, client.websocket("/once/") as websocket:
            assert websocket.wait() == "slept"
        sleep.assert_called_once_with(HOUR)

    def test_a_test_may_replace_it_meanwhile(self, client):
        before = time.sleep
        session = client.websocket("/echo/")
        session.__enter__()
        patch = mock.patch("time.sleep")
        patch.start()
        session.__exit__(None, None, None)
        patch.stop()
        try:
            with client.websocket("/once/") as websocket:
                assert websocket.wait() == "slept"
        finally:
            assert time.sleep is before

    def test_of_an_impossible_time(self, client):
        with client.websocket("/wrong/") as websocket:
            assert [websocket.wait(), websocket.wait()] == ["ValueError", "TypeError"]


@route("once/")
def once(request):
    time.sleep(HOUR)
    request.websocket.send("slept")


@route("wrong/")
def wrong(request):
    for seconds in (-1, None):
        try:
            time.sleep(seconds)
        except (TypeError, ValueError) as error:
            request.websocket.send(type(error).__name__)
