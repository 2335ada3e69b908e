"""The page on Django REST framework and django-ninja is true: its views run, with the real packages."""

import types

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import override_settings
from django.urls import include, path, resolve

from django_websocket import disconnect_user
from django_websocket.handshake.marks import read_marks
from django_websocket.testing import WebSocketClient

from .requests import attempt
from .test_docs import ROOT, code_blocks, run

pytest.importorskip("rest_framework", reason="python -m pip install djangorestframework")
pytest.importorskip("ninja", reason="python -m pip install django-ninja")

from rest_framework.authentication import TokenAuthentication

pytestmark = pytest.mark.django_db

PAGE = ROOT / "docs" / "rest.rst"


class Keys:
    """The tokens, without the table of the framework."""

    DoesNotExist = User.DoesNotExist
    objects: "Keys"

    def select_related(self, _):
        return self

    def get(self, key):
        return types.SimpleNamespace(user=User.objects.get(username=key.removesuffix("-key")))


Keys.objects = Keys()


def example(name):
    """Return the names that the one block which defines ``name`` defines."""
    blocks = code_blocks("docs/rest.rst", PAGE.read_text(encoding="utf-8"))
    (block,) = [block for block in blocks if f"class {name}(" in block.source or f"def {name}(" in block.source]
    return run(block._replace(fragment=False))


@pytest.fixture
def client(request, monkeypatch):
    """Return a client of one address of the page; the test's first argument is what the page has at it."""
    monkeypatch.setattr(TokenAuthentication, "model", Keys)
    User.objects.create(username="ann")
    # Throttles count requests there.
    cache.clear()
    urls = types.ModuleType("documented_urls")
    urls.urlpatterns = request.param()
    with override_settings(ROOT_URLCONF=urls):
        yield WebSocketClient()


def at(*patterns):
    """Use the addresses for a test; each is made when the test runs, as the views belong to its settings."""
    return pytest.mark.parametrize("client", [lambda: [make() for make in patterns]], indirect=True, ids=[""])


class TestClass:
    pytestmark = at(lambda: path("chat/<name>/", example("Chat")["Chat"].as_view()))

    def test_token(self, client):
        headers = {"Authorization": "Token ann-key"}
        with client.websocket("/chat/lobby/", headers=headers) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "ann in lobby: hello"
        assert client.get("/chat/lobby/", headers=headers).json() == {"room": "lobby", "for": "ann"}

    def test_session(self, client):
        client.force_login(User.objects.get())
        with client.websocket("/chat/lobby/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "ann in lobby: hello"

    @pytest.mark.parametrize("authorization", [None, "Token bob-key"])
    def test_refused(self, client, authorization):
        response = attempt("/chat/lobby/", HTTP_AUTHORIZATION=authorization)
        assert (response.status_code, response.headers["Content-Type"]) == (401, "application/json")


@at(lambda: path("", include(example("Boards")["router"].urls)))
def test_view_set(client):
    with client.websocket("/boards/7/live/") as websocket:
        assert websocket.response.status_code == 403
    client.force_login(User.objects.get())
    with client.websocket("/boards/7/live/") as websocket:
        assert websocket.wait_json() == {"board": "7", "by": "ann"}
    assert client.get("/boards/").json() == [7]


@at(
    lambda: path(
        "boards/<pk>/",
        (boards := example("Boards")["Boards"]).as_view({"websocket": "live"}, **boards.live.kwargs),
    )
)
def test_view_set_without_a_router(client):
    """The options of the action hold, which ``as_view()`` does not know by itself."""
    client.force_login(User.objects.get())
    with client.websocket("/boards/7/") as websocket:
        assert websocket.wait_json() == {"board": "7", "by": "ann"}
    assert read_marks(resolve("/boards/7/").func).options == {"max_message_size": 1024}


@at(lambda: path("echo/", example("echo")["echo"]))
def test_function(client):
    with client.websocket("/echo/") as websocket:
        assert websocket.response.status_code == 403
    client.force_login(User.objects.get())
    with client.websocket("/echo/") as websocket:
        websocket.send("hello")
        assert websocket.wait() == "hello"


@at(lambda: path("api/", example("Bearer")["api"].urls))
def test_ninja(client):
    with client.websocket("/api/rooms/lobby/", headers={"Authorization": "Bearer wrong"}) as websocket:
        assert websocket.response.status_code == 401
    with client.websocket("/api/rooms/lobby/", headers={"Authorization": "Bearer 7c9e6679"}) as websocket:
        assert websocket.wait() == "hello ann in lobby"


class TestSubprotocol:
    pytestmark = at(lambda: path("notifications/", example("Notifications")["Notifications"].as_view()))

    def test_the_token_is_not_repeated(self, client):
        with client.websocket("/notifications/", subprotocols=["notifications", "token.ann-key"]) as websocket:
            assert websocket.headers["sec-websocket-protocol"] == "notifications"
            assert "ann-key" not in str(websocket.headers)
            assert websocket.wait() == "hello ann"

    def test_a_header_will_do_too(self, client):
        headers = {"Authorization": "Token ann-key"}
        with client.websocket("/notifications/", headers=headers) as websocket:
            assert websocket.wait() == "hello ann"

    @pytest.mark.parametrize("token", [[], ["token.bob-key"]])
    def test_refused(self, client, token):
        with client.websocket("/notifications/", subprotocols=["notifications", *token]) as websocket:
            assert websocket.response.status_code == 401


class TestFirstMessage:
    pytestmark = at(lambda: path("prices/", example("Prices")["Prices"].as_view()))

    def test_token(self, client):
        with client.websocket("/prices/") as websocket:
            websocket.send("ann-key")
            assert websocket.wait() == "hello ann"

    def test_the_user_is_known(self, client):
        with client.websocket("/prices/") as websocket:
            websocket.send("ann-key")
            assert websocket.wait() == "hello ann"
            websocket.send("tea")
            assert websocket.wait() == "tea costs 42"
            disconnect_user(User.objects.get())
            assert websocket.wait() is None
        assert websocket.close_code == 4401

    def test_a_wrong_token(self, client):
        with client.websocket("/prices/") as websocket:
            websocket.send("bob-key")
            assert websocket.wait() is None
        assert (websocket.close_code, websocket.close_reason) == (4401, "not logged in")

    def test_no_token(self, client):
        """The view waits for five seconds, of its own clock."""
        with client.websocket("/prices/") as websocket:
            assert websocket.wait() is None
        assert websocket.close_code == 4401

    def test_strangers_are_throttled(self, client):
        for _ in range(20):
            with client.websocket("/prices/") as websocket:
                websocket.close()
        assert attempt("/prices/").status_code == 429

    def test_a_client_that_goes_away(self, client, caplog):
        with client.websocket("/prices/") as websocket:
            websocket.close()
        assert caplog.records == []
