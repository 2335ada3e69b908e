"""Django's own ``LiveServerTestCase``, in the process of the tests."""

from contextlib import ExitStack

import pytest
from django.contrib.auth.models import User
from django.test import LiveServerTestCase, override_settings
from django.urls import path
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from django_websocket import require_websocket

# Each worker makes a database for them.
pytestmark = [pytest.mark.live, pytest.mark.xdist_group("LiveServerTestCase")]


@require_websocket
def greet(request):
    for name in request.websocket:
        known = User.objects.filter(username=name).exists()
        request.websocket.send(f"Hello, {name}" if known else "Who are you?")


@require_websocket
def wait(request):
    request.websocket.wait()


urlpatterns = [path("greet/", greet), path("wait/", wait)]


@override_settings(ROOT_URLCONF=__name__)
class LiveServerTest(LiveServerTestCase):
    """Guards what a project's own tests do: its WebSockets over a socket, with the database of the test."""

    def connect(self, target, **options):
        return connect(self.live_server_url.replace("http", "ws") + target, proxy=None, **options)

    def test_messages(self):
        User.objects.create(username="ada")
        with self.connect("/greet/", origin=self.live_server_url) as client:
            client.send("ada")
            assert client.recv(timeout=10) == "Hello, ada"
            client.send("eve")
            assert client.recv(timeout=10) == "Who are you?"
        assert client.close_code == 1000

    def test_view_ends(self):
        with self.connect("/wait/") as client:
            client.send("go")
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=10)
            assert client.close_code == 1000

    def test_refusal(self):
        with pytest.raises(InvalidStatus) as refusal, self.connect("/greet/", origin="http://evil.example"):
            pass
        assert refusal.value.response.status_code == 403

    def test_left_open(self):
        """Leave a connection to the end of the class: it must not keep the tests from ending."""
        stack = ExitStack()
        self.addClassCleanup(stack.close)
        client = stack.enter_context(self.connect("/wait/"))
        assert client.ping().wait(10)
