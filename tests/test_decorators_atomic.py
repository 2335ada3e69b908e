"""Views and the transactions of requests: ``ATOMIC_REQUESTS`` and ``atomic()``."""

from functools import partial

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from django_websocket import accept_websocket, require_websocket
from django_websocket.testing.client import WebSocketClient

from .views import OURS, make_route

pytestmark = pytest.mark.urls(__name__)

SIDES = ["outside", "inside"]

urlpatterns = []
route = make_route(urlpatterns)


@pytest.fixture
def _atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


def save(request):
    """Save a row, send whether that was in a transaction, and fail if the query asks for it."""
    Group.objects.create(name="saved")
    words = "in a transaction" if connection.in_atomic_block else "no transaction"
    if request.websocket is None:
        request.META["tests.words"].append(words)
    else:
        request.websocket.send(words)
    if "fail" in request.GET:
        raise ZeroDivisionError
    return None if request.is_websocket() else HttpResponse(words)


def saver():
    """Return a new view, as ``non_atomic_requests`` marks the very function that it gets."""

    def view(request):
        return save(request)

    return view


class SaveView(View):
    def get(self, request):
        return save(request)


@method_decorator(accept_websocket, name="dispatch")
@method_decorator(transaction.non_atomic_requests(using="other"), name="dispatch")
class Elsewhere(SaveView):
    """The attributes of the inner decorator win over those of the outer one."""


urlpatterns += [
    path("save/function/", accept_websocket(saver())),
    path("save/as-view/", accept_websocket(SaveView.as_view())),
    path("save/dispatch/", method_decorator(accept_websocket, "dispatch")(type("S", (SaveView,), {})).as_view()),
    path("save/partial/", partial(accept_websocket(saver()))),
    path("save/elsewhere/", Elsewhere.as_view()),
    path("save/guarded/", never_cache(accept_websocket(saver()))),
    path("save/twice/", require_websocket(accept_websocket(saver()))),
    path("save/non-atomic-inside/", accept_websocket(transaction.non_atomic_requests(saver()))),
    path("save/non-atomic-outside/", transaction.non_atomic_requests(accept_websocket(saver()))),
    path("save/non-atomic-elsewhere/", accept_websocket(transaction.non_atomic_requests(using="other")(saver()))),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_atomic_requests")
class TestAtomicRequests:
    @pytest.fixture(autouse=True)
    def _client(self, client):
        client.raise_request_exception = False
        self.client = client

    def get(self, address):
        words = []
        response = self.client.get(address, **{"tests.words": words})
        return response.status_code, words, Group.objects.count()

    @pytest.mark.parametrize("kind", ["function", "as-view", "dispatch", "guarded", "twice"])
    def test_a_websocket_is_in_no_transaction(self, kind):
        """Saved rows stay, though the view fails later."""
        with self.client.websocket(f"/save/{kind}/?fail") as websocket:
            assert list(websocket) == ["no transaction"]
        assert websocket.close_code == 1011
        assert Group.objects.count() == 1

    @pytest.mark.parametrize("kind", ["partial", "elsewhere"])
    def test_a_websocket_of_a_view_without_the_attribute_of_our_decorator(self, kind, settings):
        """The middleware sees the view before Django calls it; without the middleware nothing of ours does."""
        settings.MIDDLEWARE = [OURS]
        for _ in range(2):
            assert self.get(f"/save/{kind}/?fail") == (500, ["in a transaction"], 0)
            with self.client.websocket(f"/save/{kind}/?fail") as websocket:
                assert list(websocket) == ["no transaction"]
            assert Group.objects.count() == 1
            Group.objects.all().delete()

    @pytest.mark.parametrize("kind", ["function", "as-view", "dispatch", "guarded"])
    def test_http_is_in_a_transaction(self, kind):
        assert self.get(f"/save/{kind}/") == (200, ["in a transaction"], 1)

    @pytest.mark.parametrize("kind", ["function", "as-view", "dispatch", "guarded"])
    def test_http_that_fails(self, kind):
        assert self.get(f"/save/{kind}/?fail") == (500, ["in a transaction"], 0)

    @pytest.mark.parametrize("side", SIDES)
    def test_non_atomic_requests(self, side):
        """The decorator of Django works on either side of ours."""
        assert self.get(f"/save/non-atomic-{side}/?fail") == (500, ["no transaction"], 1)

    def test_non_atomic_requests_for_another_database(self):
        assert self.get("/save/non-atomic-elsewhere/?fail") == (500, ["in a transaction"], 0)

    def test_each_call_has_its_own_transaction(self):
        assert self.get("/save/function/?fail")[2] == 0
        with self.client.websocket("/save/function/") as websocket:
            assert websocket.wait() == "no transaction"
        Group.objects.all().delete()
        assert self.get("/save/function/?fail") == (500, ["in a transaction"], 0)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_without_atomic_requests(client):
    words = []
    client.get("/save/function/", **{"tests.words": words})
    assert words == ["no transaction"]


@route("save/outer-atomic/")
@transaction.atomic
@require_websocket
def save_outer_atomic(request):
    Group.objects.create(name="lost")
    raise ValueError("before the handshake")


@pytest.mark.django_db
@pytest.mark.parametrize("ours", [True, False])
def test_an_outer_transaction_sees_what_is_raised_before_the_handshake(settings, ours):
    if not ours:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "WebSocketMiddleware" not in name]
    with pytest.raises(ValueError, match="before the handshake"), WebSocketClient().websocket("/save/outer-atomic/"):
        pass
    assert not Group.objects.exists()
