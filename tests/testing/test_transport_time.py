"""The clock of the views: deadlines are reached at once, and nothing sleeps."""

import threading
import time

import pytest

from django_websocket.testing.scheduler import scheduler

from ..promptness import within
from ..views import OLD
from . import views

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


@route("silent/", ping_interval=None)
def silent(request):
    request.websocket.wait()


class TestTime:
    @pytest.fixture(autouse=True)
    def _no_real_time(self, monkeypatch):
        def sleep(seconds):
            pytest.fail("slept")

        monkeypatch.setattr(time, "sleep", sleep)
        start = time.monotonic()
        yield
        assert within(time.monotonic() - start, 20)

    def test_a_deadline_of_the_view_is_reached_at_once(self, client):
        with client.websocket("/patient/") as websocket:
            start = scheduler().now
            assert websocket.wait() == "anybody?"
            assert scheduler().now == start + 60
            websocket.send("me")
            assert websocket.wait() == "heard me"
            assert scheduler().now == start + 60
            assert [websocket.wait(), websocket.wait()] == ["anybody?", "anybody?"]
            assert scheduler().now == start + 180

    def test_a_deadline_of_the_test(self, client):
        with client.websocket("/patient/") as websocket:
            start = scheduler().now
            with pytest.raises(TimeoutError, match=r"^no message came in time$"):
                websocket.wait(timeout=59)
            assert scheduler().now == start + 59
            assert websocket.wait(timeout=2) == "anybody?"
            assert scheduler().now == start + 60
            with pytest.raises(TimeoutError):
                websocket.wait_json(timeout=30)

    def test_a_deadline_of_the_test_alone(self, client):
        with client.websocket("/silent/") as websocket:
            start = scheduler().now
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=7200)
            assert scheduler().now == start + 7200

    def test_two_sessions_have_one_clock(self, client):
        with client.websocket("/patient/") as first, client.websocket("/patient/") as second:
            start = scheduler().now
            assert first.wait() == "anybody?"
            assert second.wait() == "anybody?"
            assert scheduler().now == start + 60

    def test_the_earliest_deadline_comes_first(self, client):
        with client.websocket("/patient/") as slow, client.websocket("/quick/") as quick:
            start = scheduler().now
            assert slow.wait() == "anybody?"
            assert scheduler().now == start + 60
            assert [quick.wait() for _ in range(2)] == ["25", "50"]

    def test_keepalive(self, client):
        """The client answers pings by itself, however long the test waits."""
        with client.websocket("/alive/") as websocket:
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=3000)
            websocket.send("still there?")
            assert websocket.wait() == "still there? latency 0.0"

    @pytest.mark.parametrize("version", OLD)
    def test_versions_without_keepalive(self, client, version):
        with client.websocket("/echo/", version=version) as websocket:
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=3000)
            websocket.send("still there?")
            assert websocket.wait() == "still there?"

    def test_a_view_that_answers_late_after_close(self, client):
        with client.websocket("/patient/"):
            pass
        with client.websocket("/patient/") as websocket:
            websocket.vanish()


@route("quick/")
def quick(request):
    for number in (25, 50):
        with pytest.raises(TimeoutError):
            request.websocket.wait(timeout=25)
        request.websocket.send(number)


@route("alive/")
def alive(request):
    for message in request.websocket:
        request.websocket.send(f"{message} latency {request.websocket.latency}")


# Both sides wait


class TestDeadlocks:
    def test_both_sides_wait(self, client):
        with client.websocket("/silent/") as websocket:
            with pytest.raises(AssertionError, match=r"^both sides wait: the view for the test, and the test for the"):
                websocket.wait()
            websocket.send("go on")

    def test_both_sides_wait_beside_pings(self, client):
        with client.websocket("/echo/") as websocket, pytest.raises(AssertionError, match=r"^both sides wait"):
            websocket.wait()

    def test_two_sessions_wait(self, client):
        sessions = client.websocket("/silent/"), client.websocket("/silent/")
        with sessions[0] as first, sessions[1], pytest.raises(AssertionError, match=r"^both sides wait"):
            first.wait()

    def test_the_wait_for_another_thread_has_a_limit(self, client, monkeypatch):
        monkeypatch.setattr("django_websocket.testing.threads.BLOCKED_TIMEOUT", 0.001)
        done = threading.Event()
        thread = threading.Thread(target=done.wait, args=[60])
        try:
            with client.websocket("/silent/") as websocket:
                thread.start()
                with pytest.raises(AssertionError, match=r"^both sides wait"):
                    websocket.wait()
        finally:
            done.set()
            thread.join()
