"""The page of the documentation on views is true: its classes take WebSockets, and its refusals are seen."""

import types

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import path

from django_websocket.testing import WebSocketClient

from .test_docs import ROOT, code_blocks, run

pytestmark = pytest.mark.django_db

PAGE = ROOT / "docs" / "views.rst"


def view(name):
    """Return the view that the page defines under a name."""
    blocks = code_blocks("docs/views.rst", PAGE.read_text(encoding="utf-8"))
    (block,) = [block for block in blocks if f"class {name}(" in block.source or f"def {name}(" in block.source]
    return run(block)[name]


@pytest.fixture(scope="module")
def urls():
    urls = types.ModuleType("documented_urls")
    urls.urlpatterns = [
        path("shout/", view("Shout").as_view()),
        path("dashboard/", view("Dashboard").as_view()),
        path("door/<name>/", view("door")),
    ]
    return urls


@pytest.fixture
def client(urls):
    with override_settings(ROOT_URLCONF=urls):
        yield WebSocketClient()


@pytest.fixture
def _ann(client):
    client.force_login(User.objects.create(username="ann"))


def test_a_class(client):
    with client.websocket("/shout/") as websocket:
        websocket.send("hello")
        assert websocket.wait() == "HELLO"
        websocket.send("x" * 65537)
        assert websocket.wait() is None
    assert websocket.close_code == 1009
    assert client.get("/shout/").content == b"Connect to this address."


@pytest.mark.usefixtures("_ann")
def test_a_mixin(client):
    with client.websocket("/dashboard/") as websocket:
        assert websocket.response.status_code == 403
    User.objects.update(is_superuser=True)
    with client.websocket("/dashboard/") as websocket:
        assert websocket.wait_json() == {"orders": 7}


def test_rejections(client):
    with client.websocket("/door/lobby/") as websocket:
        assert list(websocket) == []
    assert (websocket.close_code, websocket.close_reason) == (4401, "not logged in")
    client.force_login(User.objects.create(username="ann"))
    with client.websocket("/door/cellar/") as websocket:
        assert list(websocket) == []
    assert (websocket.close_code, websocket.close_reason) == (4404, "no such room")
    with client.websocket("/door/lobby/") as websocket:
        websocket.send("hello")
        assert websocket.wait() == "lobby: hello"
