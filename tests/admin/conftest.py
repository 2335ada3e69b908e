"""People who use the admin, and WebSockets for them to see."""

from contextlib import ExitStack

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import translation

from django_websocket.testing import WebSocketClient


@pytest.fixture(autouse=True)
def _english():
    """Read the pages in English, whatever language a request of an earlier test has left behind."""
    with translation.override("en-us"):
        yield


@pytest.fixture
def log_in():
    """Return a function that makes a member of staff with some permissions, and returns their client."""

    def make(*permissions, name="viewer"):
        user = User.objects.create(username=name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        client.user = user
        return client

    return make


@pytest.fixture
def viewer(log_in):
    return log_in("view_liveconnection")


@pytest.fixture
def closer(log_in):
    return log_in("view_liveconnection", "delete_liveconnection", name="closer")


@pytest.fixture
def enter():
    """Return a function by which a user, or nobody, opens a WebSocket."""
    stack = ExitStack()

    def open_one(path="/member/7/", user=None, **more):
        client = WebSocketClient()
        if user is not None:
            client.force_login(user)
        ws = stack.enter_context(client.websocket(path, **more))
        ws.wait()
        return ws

    with stack:
        yield open_one


@pytest.fixture
def ann():
    return User.objects.create(username="ann")


@pytest.fixture
def bob():
    return User.objects.create(username="bob")
