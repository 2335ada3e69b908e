"""Several views in one thread, the threads of a view, and its context."""

import contextvars
import threading
from contextlib import ExitStack

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone as django_timezone
from django.utils import translation

from django_websocket.testing.client import WebSocketClient
from django_websocket.testing.scheduler import scheduler

from . import views

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


members = []


@route("member/")
def member(request):
    """Send each message to all other members."""
    websocket = request.websocket
    members.append(websocket)
    websocket.accept()
    try:
        for message in websocket:
            for other in members:
                if other is not websocket:
                    other.send(message)
    finally:
        members.remove(websocket)


class TestSeveral:
    def test_one_publishes_to_the_other(self, client):
        with client.websocket("/member/") as ann, client.websocket("/member/", version=76) as bob:
            ann.send("hello, Bob")
            assert bob.wait() == "hello, Bob"
            bob.send("hello, Ann")
            assert ann.wait() == "hello, Ann"
        assert members == []

    def test_the_other_clients_views_run_when_one_waits(self, client):
        with client.websocket("/relay/") as relay, client.websocket("/member/") as ann:
            relay.send("to all")
            assert ann.wait() == "to all"

    def test_many_sessions(self, client):
        with ExitStack() as stack:
            sessions = [stack.enter_context(client.websocket("/member/")) for _ in range(50)]
            sessions[0].send("hello")
            assert [session.wait() for session in sessions[1:]] == ["hello"] * 49

    def test_sessions_end_in_any_order(self, client):
        first, second = client.websocket("/member/"), client.websocket("/member/")
        first.__enter__()
        second.__enter__()
        first.send("one")
        first.__exit__(None, None, None)
        assert second.wait() == "one"
        second.__exit__(None, None, None)
        assert members == []

    def test_each_session_has_a_client_of_its_own(self):
        with WebSocketClient().websocket("/member/") as ann, WebSocketClient().websocket("/member/") as bob:
            ann.send("hello")
            assert bob.wait() == "hello"

    def test_one_vanishes(self, client):
        with client.websocket("/member/") as ann, client.websocket("/member/") as bob:
            ann.vanish()
            assert len(members) == 1
            bob.send("anybody?")
        assert members == []

    def test_each_thread_has_its_own_views(self, client):
        """Tests may run in any thread."""
        results = []

        def test():
            with WebSocketClient().websocket("/patient/") as websocket:
                results.append((websocket.wait(), scheduler()))

        with client.websocket("/patient/"):
            thread = threading.Thread(target=test)
            thread.start()
            thread.join()
        ((message, other),) = results
        assert message == "anybody?"
        assert other is not scheduler()


@route("relay/")
def relay(request):
    for message in request.websocket:
        for other in members:
            other.send(message)


# Threads of the view


@route("thread/")
def thread_view(request):
    websocket = request.websocket
    websocket.accept()
    start = threading.Event()

    def work():
        start.wait()
        websocket.send("from a thread")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for message in websocket:
            websocket.send(f"heard {message}")
            start.set()
    finally:
        start.set()
        thread.join()


@route("thread-wait/")
def thread_wait(request):
    """Wait for messages in a thread, which is for the view alone."""
    websocket = request.websocket
    websocket.accept()
    errors = []

    def work():
        try:
            websocket.wait()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    websocket.send(repr(errors))


@route("busy-thread/", ping_interval=None)
def busy_thread(request):
    """Send in a thread that has ended when the test begins to wait."""
    websocket = request.websocket
    websocket.accept()
    thread = threading.Thread(target=websocket.send, args=["from a thread"])
    thread.start()
    thread.join()
    list(websocket)


class TestThreads:
    def test_send(self, client):
        with client.websocket("/thread/") as websocket:
            websocket.send("go")
            assert websocket.wait() == "heard go"
            assert websocket.wait() == "from a thread"

    def test_send_of_a_thread_that_has_ended(self, client):
        with client.websocket("/busy-thread/") as websocket:
            assert websocket.wait() == "from a thread"

    def test_wait(self, client):
        with client.websocket("/thread-wait/") as websocket:
            assert websocket.wait() == "['in the test client, messages are waited for in the view itself']"


# Context


colour = contextvars.ContextVar("colour", default="white")


@route("context/")
def context(request):
    """Send what is active at each message, and activate what the message names."""
    websocket = request.websocket
    for message in websocket:
        language, zone, hue = message.split()
        websocket.send(
            f"{translation.get_language()} {django_timezone.get_current_timezone_name()} {colour.get()} "
            f"{translation.gettext('Yes')}"
        )
        translation.activate(language)
        django_timezone.activate(zone)
        colour.set(hue)


class TestContext:
    @pytest.fixture(autouse=True)
    def _plain(self, settings):
        settings.TIME_ZONE = "UTC"

    def test_what_the_test_has_activated(self, client):
        with translation.override("fr"), django_timezone.override("Asia/Tokyo"):
            token = colour.set("red")
            try:
                with client.websocket("/context/") as websocket:
                    websocket.send("de Europe/Berlin blue")
                    assert websocket.wait() == "fr Asia/Tokyo red Oui"
            finally:
                colour.reset(token)

    def test_what_the_view_activates_stays_in_the_view(self, client):
        with translation.override("fr"), client.websocket("/context/") as websocket:
            websocket.send("de Europe/Berlin blue")
            assert websocket.wait() == "fr UTC white Oui"
            assert (translation.get_language(), colour.get()) == ("fr", "white")
            assert django_timezone.get_current_timezone_name() == "UTC"
            websocket.send("es UTC green")
            assert websocket.wait() == "de Europe/Berlin blue Ja"
            assert (translation.get_language(), colour.get()) == ("fr", "white")

    def test_two_views(self, client):
        with client.websocket("/context/") as first, client.websocket("/context/") as second:
            first.send("de Europe/Berlin blue")
            second.send("fr Europe/Paris red")
            first.send("en UTC green")
            second.send("en UTC green")
            assert [first.wait(), first.wait()][1] == "de Europe/Berlin blue Ja"
            assert [second.wait(), second.wait()][1] == "fr Europe/Paris red Oui"

    def test_in_the_thread_of_a_coroutine(self):
        """The thread in which Django runs the synchronous parts of asynchronous tests can have sessions, too."""

        async def test():
            with WebSocketClient().websocket("/echo/") as websocket:
                websocket.send("hello")
                return websocket.wait()

        assert async_to_sync(test)() == "hello"
