"""The options and marks of a view are those of the wrapper that runs, whatever attributes were copied."""

from functools import partial, wraps

import pytest
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket import accept_websocket, require_websocket
from django_websocket.process.registry import registry
from django_websocket.testing.client import WebSocketClient

from .observing import records
from .views import OURS, make_route

pytestmark = pytest.mark.urls(__name__)

urlpatterns = []
route = make_route(urlpatterns)

ADMIN = "https://admin.example.com"
STRICT = {"allowed_origins": [ADMIN], "require_origin": True, "max_message_size": 10}
OPEN = {"allowed_origins": ["*"], "require_origin": False, "max_message_size": 1000}


class Echo(View):
    def get(self, request):
        for message in request.websocket:
            request.websocket.send(message)


@method_decorator(require_websocket(**OPEN), name="dispatch")
class Public(Echo):
    pass


@method_decorator(require_websocket(**STRICT), name="dispatch")
class Private(Public):
    pass


@method_decorator(require_websocket(**OPEN), name="dispatch")
class PublicAgain(Private):
    pass


class Inherited(Private):
    pass


@method_decorator(require_websocket(subprotocols=["chat"]), name="dispatch")
class Talking(Private):
    """A class that adds an option to those of its base."""


def hidden(decorated):
    """Return a view that passes its requests on, and shows nothing of what is inside."""

    def view(request):
        return decorated(request) or HttpResponse()

    return view


def marked_by_hand(decorated):
    """Return a view as :func:`hidden`, marked by the project itself."""
    view = hidden(decorated)
    view.accept_websocket = True
    return view


def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


strict, lax = require_websocket(**STRICT)(echo), require_websocket(**OPEN)(echo)
VIEWS = {
    "strict": {
        "function": strict,
        "partial": partial(strict),
        "twice": require_websocket(**STRICT)(lax),
        "class": Private.as_view(),
        "inherited": Inherited.as_view(),
        "inherited-and-decorated": Talking.as_view(),
        "decorated-around-inherited": require_websocket(subprotocols=["chat"])(Talking.as_view()),
        "as-view": require_websocket(**STRICT)(Public.as_view()),
        "hidden": hidden(strict),
        "hidden-class": hidden(Private.as_view()),
        "by-hand": marked_by_hand(strict),
    },
    "lax": {
        "function": lax,
        "partial": partial(lax),
        "twice": require_websocket(**OPEN)(strict),
        "class": PublicAgain.as_view(),
        "as-view": require_websocket(**OPEN)(Private.as_view()),
        "hidden": hidden(lax),
    },
}
for policy, views in VIEWS.items():
    for kind, view in views.items():
        route(f"{policy}/{kind}/")(view)


@pytest.fixture(params=["with the middleware", "without the middleware", "all views"])
def client(request, settings):
    settings.MIDDLEWARE = [OURS]
    if request.param == "without the middleware":
        settings.MIDDLEWARE = []
    settings.WEBSOCKET_ACCEPT_ALL = request.param == "all views"
    return WebSocketClient()


@pytest.mark.parametrize("kind", VIEWS["strict"])
class TestStrict:
    @pytest.mark.parametrize(
        "headers", [{"Origin": None}, {"Origin": "https://evil.example"}, {"Origin": "http://testserver"}]
    )
    def test_origins(self, client, settings, caplog, kind, headers):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(2):
            with client.websocket(f"/strict/{kind}/", headers=headers) as websocket:
                assert not websocket.accepted
            assert websocket.response.status_code == 403
        assert len(records(caplog)) == 2 or (kind == "by-hand" and settings.MIDDLEWARE)
        assert not registry.busy

    def test_size(self, client, settings, kind):
        settings.WEBSOCKET_ALLOWED_ORIGINS = [ADMIN]
        with client.websocket(f"/strict/{kind}/", headers={"Origin": ADMIN}) as websocket:
            websocket.send("x" * 10)
            assert websocket.wait() == "x" * 10
            websocket.send("x" * 11)
            assert websocket.wait() is None
        assert websocket.close_code == 1009
        assert not registry.busy


@pytest.mark.parametrize("kind", VIEWS["lax"])
class TestLax:
    """Options that allow more than those that were copied, or than the settings."""

    @pytest.mark.parametrize("headers", [{"Origin": None}, {"Origin": "https://evil.example"}])
    def test_origins_and_size(self, client, settings, kind, headers):
        with client.websocket(f"/lax/{kind}/", headers=headers) as websocket:
            if settings.WEBSOCKET_ACCEPT_ALL and kind == "hidden" and headers["Origin"]:
                # The settings hold for the view outside, before its inside is known.
                assert websocket.response.status_code == 403
                return
            websocket.send("x" * 1000)
            assert websocket.wait() == "x" * 1000


# What decorators outside do before the wrapper is reached


@method_decorator(accept_websocket(**STRICT), name="dispatch")
class Asked(Echo):
    pass


def unreached(request):
    pytest.fail("a refused request must not reach its view")


def uses_the_websocket(view):
    """Open the WebSocket outside of the view that it is for."""

    def wrapper(request):
        request.websocket.accept()
        return view(request) or HttpResponse()

    wrapper.require_websocket = True
    return wrapper


route("asked/")(login_required(Asked.as_view()))
route("opened-outside/")(uses_the_websocket(require_websocket(**STRICT)(unreached)))


class TestOutside:
    @pytest.mark.django_db
    @pytest.mark.parametrize("ours", [True, False])
    def test_a_guard_answers_for_a_class(self, settings, ours):
        """The options of a class are known when its dispatch() is called; a guard around it comes first."""
        if not ours:
            settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
        with WebSocketClient().websocket("/asked/", headers={"Origin": "https://evil.example"}) as websocket:
            assert websocket.response.status_code == 302

    @pytest.mark.parametrize("origin", [ADMIN, "https://evil.example"])
    def test_a_view_that_was_marked_by_hand_has_sent_the_handshake(self, settings, origin):
        """The options of the view inside came too late for it, and a foreign page must not reach that view."""
        settings.MIDDLEWARE = [OURS]
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["*"]
        client = WebSocketClient()
        with (
            pytest.raises(RuntimeError, match="opened without its options"),
            client.websocket("/opened-outside/", headers={"Origin": origin}) as websocket,
        ):
            assert websocket.accepted
        assert websocket.close_code == 1011
        assert not registry.busy


@route("second-choice/")
def second_choice(request):
    refusal = strict(request)
    assert refusal.status_code == 403
    return both(request)


def test_a_refused_request_does_not_become_a_websocket_in_the_next_view(client, settings):
    """It is a plain one there, unless every view takes WebSockets: then it is refused again."""
    settings.WEBSOCKET_MAX_CONNECTIONS = 1
    answer = b"the Origin header is missing\n" if settings.WEBSOCKET_ACCEPT_ALL else b"HTTP"
    for _ in range(2):
        with client.websocket("/second-choice/", headers={"Origin": None}) as websocket:
            assert websocket.response.content == answer
        assert not registry.busy


# Plain HTTP requests


@route("both/")
@partial
@accept_websocket
def both(request):
    return HttpResponse("HTTP")


@pytest.mark.parametrize("address", ["/strict/partial/", "/strict/class/", "/strict/hidden/"])
def test_a_view_for_websockets_only_takes_no_plain_request(client, address):
    assert client.get(address).status_code == 400


def test_a_partial_takes_both(client):
    assert client.get("/both/").content == b"HTTP"


# Views that are called one after the other


def raise_404(request):
    raise Http404


def accept(request):
    request.websocket.accept()


lax_view = accept_websocket(allowed_origins=["*"])(raise_404)
strict_view = require_websocket(allowed_origins=["https://good.example"])(accept)


def fall_back(request):
    try:
        return lax_view(request)
    except Http404:
        return strict_view(request)


urlpatterns.append(path("fall-back/", fall_back))


@pytest.mark.parametrize(("origin", "status"), [("https://evil.example", 403), ("https://good.example", 101)])
def test_the_options_of_a_view_end_with_its_call(origin, status):
    """A view that is tried first lends nothing to the one that is called in its place."""
    with WebSocketClient().websocket("/fall-back/", headers={"Origin": origin}) as ws:
        pass
    assert ws.response.status_code == status


@wraps(lax_view)
def ignore_the_refusal(request):
    strict_view(request)
    return HttpResponse(f"{request.websocket}")


urlpatterns.append(path("ignoring/", ignore_the_refusal))


def test_a_refused_request_has_no_websocket_any_more():
    """The options that a copied mark leads to have admitted it first."""
    with WebSocketClient().websocket("/ignoring/", headers={"Origin": "https://evil.example"}) as ws:
        pass
    assert ws.response.content == b"None"
    assert not registry.busy
