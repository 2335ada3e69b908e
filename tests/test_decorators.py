"""Marked views and their options, with the middleware and without it."""

import pytest
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from django_websocket import accept_websocket, require_websocket
from django_websocket.testing.client import WebSocketClient

from . import urls
from .views import OURS, make_route

pytestmark = pytest.mark.urls(__name__)

DECORATORS = [accept_websocket, require_websocket]


urlpatterns = [*urls.urlpatterns]
route = make_route(urlpatterns)


# What a decorator does to a view


def view(request):
    """Say something."""


class TestMarks:
    def test_accept(self):
        marked = accept_websocket(view)
        assert marked.accept_websocket is True
        assert not hasattr(marked, "require_websocket")

    def test_require(self):
        marked = require_websocket(view)
        assert marked.require_websocket is True
        assert not hasattr(marked, "accept_websocket")

    @pytest.mark.parametrize("decorator", DECORATORS)
    def test_the_view_stays_as_it_is(self, decorator):
        marked = decorator(view)
        assert (marked.__name__, marked.__doc__, marked.__module__) == ("view", "Say something.", __name__)
        assert marked.__wrapped__ is view
        assert vars(view) == {}

    @pytest.mark.parametrize("decorator", DECORATORS)
    def test_no_options(self, decorator):
        assert decorator(view).websocket_options == {}
        assert decorator()(view).websocket_options == {}

    @pytest.mark.parametrize("decorator", DECORATORS)
    def test_options(self, decorator):
        marked = decorator(subprotocols=["chat.v2"], max_message_size=65536, ping_interval=None)(view)
        assert marked.websocket_options == {
            "subprotocols": ["chat.v2"],
            "max_message_size": 65536,
            "ping_interval": None,
        }

    def test_options_of_two_decorators(self):
        marked = accept_websocket(send_timeout=1)(require_websocket(send_timeout=2, close_timeout=3)(view))
        assert marked.websocket_options == {"send_timeout": 1, "close_timeout": 3}
        assert marked.accept_websocket
        assert marked.require_websocket

    def test_one_decorator_for_several_views(self):
        decorator = accept_websocket(send_timeout=1)
        first = decorator(view)
        second = accept_websocket(close_timeout=2)(first)
        assert first.websocket_options == {"send_timeout": 1}
        assert second.websocket_options == {"send_timeout": 1, "close_timeout": 2}

    def test_marks_pass_through_other_decorators(self):
        marked = login_required(never_cache(csrf_exempt(require_websocket(send_timeout=1)(view))))
        assert marked.require_websocket
        assert marked.websocket_options == {"send_timeout": 1}
        assert marked.csrf_exempt


class TestWrongUse:
    @pytest.mark.parametrize("decorator", DECORATORS)
    def test_unknown_option(self, decorator):
        with pytest.raises(TypeError, match=r"^there is no option 'subprotocol'; there are allowed_origins, .*ping_"):
            decorator(subprotocol="chat")

    @pytest.mark.parametrize("decorator", DECORATORS)
    def test_a_setting_that_is_no_option(self, decorator):
        with pytest.raises(TypeError, match="no option 'max_connections'"):
            decorator(max_connections=5)

    @pytest.mark.parametrize("decorator", DECORATORS)
    @pytest.mark.parametrize(
        ("options", "error", "text"),
        [
            ({"subprotocols": "chat"}, TypeError, r"^subprotocols must be a list of subprotocol names, not 'chat'$"),
            ({"subprotocols": ["a b"]}, ValueError, r"^subprotocols must be different tokens"),
            ({"ping_interval": "20s"}, TypeError, r"^ping_interval must be a number of seconds or None"),
            ({"close_timeout": None}, TypeError, r"^close_timeout must be a number of seconds, not None$"),
            ({"send_timeout": 0}, ValueError, r"^send_timeout must be above 0"),
            ({"max_message_size": -1}, ValueError, r"^max_message_size must be above 0"),
            ({"require_origin": 1}, TypeError, r"^require_origin must be True or False, not 1$"),
            ({"allowed_origins": ["example.com"]}, ValueError, r"^allowed_origins has an entry that is no origin"),
            ({"compression": 6}, TypeError, r"^compression must be True, False or a dict of options, not 6$"),
            ({"compression": {"window_bits": 8}}, ValueError, r"^compression must be a dict in which 'window_bits' is"),
        ],
    )
    def test_wrong_value(self, decorator, options, error, text):
        """The decorator itself finds the mistake, before there is a view or a request."""
        with pytest.raises(error, match=text):
            decorator(**options)

    @pytest.mark.parametrize("decorator", DECORATORS)
    @pytest.mark.parametrize("what", [["chat"], "chat", 65536])
    def test_option_without_its_name(self, decorator, what):
        with pytest.raises(TypeError, match=rf"^{decorator.__name__}\(\) takes a view; its options go by name$"):
            decorator(what)

    @pytest.mark.parametrize("decorator", DECORATORS)
    @pytest.mark.parametrize("options", [{}, {"send_timeout": 1}])
    def test_async_function(self, decorator, options):
        async def coroutine(request):
            """Never called."""

        with pytest.raises(TypeError, match=rf"^{decorator.__name__}\(\) takes synchronous views: an async view has"):
            decorator(**options)(coroutine)
        with pytest.raises(TypeError, match="takes synchronous views"):
            decorator(coroutine)

    @pytest.mark.parametrize("decorator", DECORATORS)
    def test_async_class(self, decorator):
        with pytest.raises(TypeError, match="takes synchronous views"):
            decorator(AsyncView.as_view())

    def test_async_class_by_its_dispatch(self, client):
        """``dispatch`` is no coroutine function, so that only a call shows that its class is async."""
        with pytest.raises(TypeError, match="takes synchronous views"), client.websocket("/async/"):
            pytest.fail("there is no connection")
        with pytest.raises(TypeError, match="takes synchronous views"):
            client.get("/async/")


class AsyncView(View):
    async def get(self, request):
        """Never called."""


@method_decorator(accept_websocket, name="dispatch")
class DecoratedAsyncView(AsyncView):
    pass


urlpatterns += [path("async/", DecoratedAsyncView.as_view())]


# Options that reach the connection


@route("picky/")
@require_websocket(allowed_origins=["https://*.example.com"], require_origin=True, max_message_size=10)
def picky(request):
    for message in request.websocket:
        request.websocket.send(message)


class TestOptions:
    @pytest.mark.parametrize(
        "headers", [{"Origin": None}, {"Origin": "http://testserver"}, {"Origin": "http://www.example.com"}]
    )
    def test_origins(self, client, headers):
        with client.websocket("/picky/", headers=headers) as websocket:
            assert websocket.response.status_code == 403

    def test_size(self, client):
        with client.websocket("/picky/", headers={"Origin": "https://www.example.com"}) as websocket:
            websocket.send("x" * 10)
            assert websocket.wait() == "x" * 10
            websocket.send("x" * 11)
            assert websocket.wait() is None
        assert websocket.close_code == 1009

    def test_settings_apply_to_options_that_are_not_given(self, client, settings):
        settings.WEBSOCKET_MAX_FRAGMENTS = settings.WEBSOCKET_MAX_MESSAGE_SIZE = 5
        with client.websocket("/echo/") as websocket:
            websocket.send("x" * 6)
            assert websocket.wait() is None
        assert websocket.close_code == 1009


# Marks without the decorator


class HandMarked:
    """A callable that sets the attributes itself, as projects of 2010 do."""

    accept_websocket = True
    websocket_options = {"subprotocols": ["chat"]}

    def __call__(self, request):
        if not request.is_websocket():
            return HttpResponse("HTTP")
        request.websocket.send(f"{request.websocket.wait()} {request.websocket.subprotocol}")
        return HttpResponse("Django wants a response; nobody gets it")


def hand_required(request):
    if request.websocket is not None:
        request.websocket.send("hello")
    return HttpResponse()


hand_required.require_websocket = True

urlpatterns += [path("by-hand/", HandMarked()), path("required-by-hand/", hand_required)]


class TestAttributes:
    """A view that the project has marked itself needs the middleware."""

    def test_accept(self):
        client = WebSocketClient()
        with client.websocket("/by-hand/", subprotocols=["chat"]) as websocket:
            websocket.send("hello")
            assert list(websocket) == ["hello chat"]
        assert (websocket.response.status_code, websocket.response.content) == (101, b"")
        assert websocket.close_code == 1000
        assert client.get("/by-hand/").content == b"HTTP"

    def test_require(self):
        client = WebSocketClient()
        with client.websocket("/required-by-hand/") as websocket:
            assert list(websocket) == ["hello"]
        assert client.get("/required-by-hand/").status_code == 400

    def test_nothing_without_the_middleware(self, settings):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
        client = WebSocketClient()
        with pytest.raises(AttributeError, match="websocket"), client.websocket("/required-by-hand/"):
            pytest.fail("the view must not get this far")

    def test_a_mark_that_is_false(self, monkeypatch):
        monkeypatch.setattr(hand_required, "require_websocket", False)
        with WebSocketClient().websocket("/required-by-hand/") as websocket:
            assert websocket.response.content == b"this address takes no WebSockets\n"


class TestOnce:
    """Middleware and decorator together handle a request once."""

    def test_counted_once(self, client, settings):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(2):
            with client.websocket("/echo/") as websocket:
                websocket.send("hello")
                assert websocket.wait() == "hello"

    def test_logged_once(self, client, caplog):
        with client.websocket("/echo/", headers={"Origin": "https://evil.example"}) as websocket:
            assert websocket.response.status_code == 403
        assert [record.name for record in caplog.records].count("django_websocket.handshake") == 1

    def test_two_decorators(self, client, settings):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        with client.websocket("/twice/", subprotocols=["inner", "outer"]) as websocket:
            assert list(websocket) == ["outer"]
        assert client.get("/twice/").status_code == 400


@route("twice/")
@accept_websocket(subprotocols=["outer"])
@require_websocket(subprotocols=["inner"], send_timeout=3)
def twice(request):
    request.websocket.send(request.websocket.subprotocol)


@route("hidden-mark/")
def hidden_mark(request):
    return require_websocket(lambda request: pytest.fail("it takes WebSockets only"))(request)


@pytest.mark.parametrize("ours", [True, False])
def test_a_view_whose_mark_is_hidden_takes_no_plain_request(client, settings, ours):
    if not ours:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "WebSocketMiddleware" not in name]
    assert client.get("/hidden-mark/").status_code == 400


# The end of the process


def test_signal_handlers_are_looked_at_for_each_websocket(settings, monkeypatch):
    """Without the middleware nothing of ours runs before the first request, and the server may set handlers later."""
    called = []
    monkeypatch.setattr("django_websocket.middleware.preparation.close_on_exit", lambda: called.append("called"))
    settings.MIDDLEWARE = []
    workers = []
    monkeypatch.setattr("django_websocket.middleware.preparation.find_worker", lambda: workers.append("looked for"))
    for _ in range(2):
        del called[:], workers[:]
        with WebSocketClient().websocket("/echo/") as ws:
            ws.send("hello")
            assert ws.wait() == "hello"
        assert called == ["called"]
        assert workers == ["looked for"]
    del called[:]
    settings.WEBSOCKET_CLOSE_ON_SIGTERM = False
    with WebSocketClient().websocket("/echo/"):
        pass
    assert called == []


@route("address/")
@accept_websocket
def address(request):
    if request.is_websocket():
        request.websocket.send(request.build_websocket_uri())
        return None
    return HttpResponse(request.build_websocket_uri("/echo/"))


def test_the_address_of_a_websocket(client):
    assert client.get("/address/", secure=True).content == b"wss://testserver/echo/"
    with client.websocket("/address/?since=3") as websocket:
        assert websocket.wait() == "ws://testserver/address/?since=3"
