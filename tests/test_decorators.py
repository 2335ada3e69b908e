"""Marked views, with the middleware and without it."""

import pytest
from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db import connection, connections, transaction
from django.http import FileResponse, HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import TemplateView

from django_websocket import accept_websocket, require_websocket
from django_websocket.testing.client import WebSocketClient
from lab.project import documented

from .views import OURS, VERSIONS

DECORATORS = [accept_websocket, require_websocket]

pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(params=["with the middleware", "without the middleware"])
def client(request, settings):
    """A client of the project with our middleware, and of the same project without it."""
    if request.param == "without the middleware":
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
    return WebSocketClient()


# Views. Those of a test's own stand before it; these serve several.


@accept_websocket
def echo(request, **kwargs):
    if not request.is_websocket():
        return HttpResponse(f"HTTP {kwargs}" if kwargs else "HTTP")
    for message in request.websocket:
        request.websocket.send(f"{message} {kwargs}" if kwargs else message)
    return None


urlpatterns = [
    path("echo-once/", documented.echo_once),
    path("lower-case/", documented.lower_case),
    path("add-one/", documented.add_one),
    path("echo/", echo),
    path("echo/<int:number>/<slug:name>/", echo),
    path("accounts/", include("django.contrib.auth.urls")),
]


def route(address):
    """Put a view at an address of this module."""

    def add(view):
        urlpatterns.append(path(address, view))
        return view

    return add


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
    def test_bare(self, decorator):
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
    def test_setting_that_is_no_option(self, decorator):
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
        """Found where the mistake is, before there is a view, let alone a request."""
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
        """``dispatch`` itself is no coroutine function: that its class is async shows when it is called."""
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


# The three views of api.md


@pytest.mark.parametrize("version", VERSIONS)
class TestViewsOf2010:
    def test_echo_once(self, client, version):
        with client.websocket("/echo-once/", version=version) as websocket:
            websocket.send("Grüße, 世界 🌍")
            assert websocket.wait() == "Grüße, 世界 🌍"
            assert websocket.wait() is None
        assert websocket.close_code == (1005 if version in {75, 76} else 1000)

    def test_lower_case(self, client, version):
        with client.websocket("/lower-case/", version=version) as websocket:
            websocket.send("ONE")
            websocket.send("TWO")
            assert [websocket.wait(), websocket.wait()] == ["one", "two"]
            websocket.send("THREE")
            assert websocket.wait() == "three"

    def test_add_one(self, client, version):
        with client.websocket("/add-one/", version=version) as websocket:
            for number in range(3):
                websocket.send(str(number))
                assert websocket.wait() == str(number + 1)


class TestViewsOf2010OverHTTP:
    def test_echo_once(self, client):
        response = client.get("/echo-once/")
        assert (response.status_code, response.content) == (400, b"this address takes WebSockets only\n")

    def test_lower_case(self, client):
        assert client.get("/lower-case/", {"message": "ONE"}).content == b"one"

    def test_add_one(self, client):
        assert client.get("/add-one/", {"value": "41"}).content == b"42"


# Kinds of views


@route("function/")
@accept_websocket(subprotocols=["chat.v2", "chat.v1"])
def function_view(request):
    return talk(request)


class ClassView(View):
    word = "unset"

    def get(self, request, name="nobody"):
        return talk(request, self.word, name)


def talk(request, *words):
    """Answer in whichever way the request is made."""
    words = " ".join(["heard", *words])
    if not request.is_websocket():
        return HttpResponse(words)
    for message in request.websocket:
        request.websocket.send(f"{words} {message} {request.websocket.subprotocol}")
    return None


urlpatterns += [
    path("as-view/<name>/", accept_websocket(subprotocols=["chat.v2", "chat.v1"])(ClassView.as_view(word="word"))),
    path("bare-as-view/<name>/", accept_websocket(ClassView.as_view(word="word"))),
]


@method_decorator(accept_websocket(subprotocols=["chat.v2", "chat.v1"]), name="dispatch")
class DispatchView(ClassView):
    pass


@method_decorator(accept_websocket, name="dispatch")
class BareDispatchView(ClassView):
    pass


class OverriddenDispatchView(ClassView):
    @method_decorator(accept_websocket(subprotocols=["chat.v2", "chat.v1"]))
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


urlpatterns += [
    path("dispatch/<name>/", DispatchView.as_view(word="word")),
    path("bare-dispatch/<name>/", BareDispatchView.as_view(word="word")),
    path("overridden-dispatch/<name>/", OverriddenDispatchView.as_view(word="word")),
]


class TestKinds:
    def test_function(self, client):
        with client.websocket("/function/", subprotocols=["chat.v1", "chat.v2"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "heard hello chat.v2"
        assert client.get("/function/").content == b"heard"

    @pytest.mark.parametrize("kind", ["as-view", "dispatch", "overridden-dispatch"])
    def test_class(self, client, kind):
        with client.websocket(f"/{kind}/ann/", subprotocols=["chat.v1", "chat.v2"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "heard word ann hello chat.v2"
        assert client.get(f"/{kind}/ann/").content == b"heard word ann"

    @pytest.mark.parametrize("kind", ["bare-as-view", "bare-dispatch"])
    def test_class_without_options(self, client, kind):
        with client.websocket(f"/{kind}/ann/", subprotocols=["chat.v1"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "heard word ann hello None"
        assert client.get(f"/{kind}/ann/").content == b"heard word ann"

    def test_arguments_of_the_address(self, client):
        with client.websocket("/echo/7/seven/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello {'number': 7, 'name': 'seven'}"
        assert client.get("/echo/7/seven/").content == b"HTTP {'number': 7, 'name': 'seven'}"

    def test_request_that_went_through_no_handler(self):
        """As in a project's own unit tests of a view."""
        assert echo(RequestFactory().get("/")).content == b"HTTP"
        assert echo(HttpRequest()).content == b"HTTP"
        assert documented.echo_once(RequestFactory().get("/")).status_code == 400


# Options that reach the connection


@route("picky/")
@require_websocket(allowed_origins=["https://*.example.com"], require_origin=True, max_message_size=10)
def picky(request):
    for message in request.websocket:
        request.websocket.send(message)


class TestOptions:
    @pytest.mark.parametrize("headers", [{}, {"Origin": "http://testserver"}, {"Origin": "http://www.example.com"}])
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

    def test_the_settings_hold_for_the_rest(self, client, settings):
        settings.WEBSOCKET_MAX_FRAGMENTS = settings.WEBSOCKET_MAX_MESSAGE_SIZE = 5
        with client.websocket("/echo/") as websocket:
            websocket.send("x" * 6)
            assert websocket.wait() is None
        assert websocket.close_code == 1009


# Marks without the decorator


class HandMarked:
    """A callable of a project that sets the attributes itself, as in 2010."""

    accept_websocket = True
    websocket_options = {"subprotocols": ["chat"]}

    def __call__(self, request):
        if not request.is_websocket():
            return HttpResponse("HTTP")
        request.websocket.send(f"{request.websocket.wait()} {request.websocket.subprotocol}")
        return HttpResponse("Django wants a response; nobody gets it")


def hand_required(request):
    request.websocket.send("hello")
    return HttpResponse()


hand_required.require_websocket = True

urlpatterns += [path("by-hand/", HandMarked()), path("required-by-hand/", hand_required)]


class TestAttributes:
    """What the project has marked itself is the middleware's."""

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


# Together with other decorators


def greet(request):
    if not request.is_websocket():
        return HttpResponse("HTTP")
    request.websocket.send(f"hello {request.user}")
    return None


SIDES = ["outside", "inside"]

for name, guard in {
    "login": login_required,
    "login-elsewhere": login_required(login_url="/accounts/login/"),
    "permission": permission_required("auth.add_group", raise_exception=True),
    "permission-redirect": permission_required("auth.add_group"),
    "test": user_passes_test(lambda user: user.is_staff, login_url="/staff/"),
    "csrf-exempt": csrf_exempt,
    "non-atomic": transaction.non_atomic_requests,
}.items():
    urlpatterns += [
        path(f"{name}/outside/", guard(accept_websocket(greet))),
        path(f"{name}/inside/", accept_websocket(guard(greet))),
    ]


@pytest.fixture
def user(db):
    return User.objects.create_user("ann")


@pytest.mark.parametrize("side", SIDES)
class TestGuards:
    @pytest.mark.django_db
    def test_login_required(self, client, side):
        with client.websocket(f"/login/{side}/") as websocket:
            assert not websocket.accepted
        assert websocket.response.status_code == 302
        assert websocket.response.url == f"/accounts/login/?next=/login/{side}/"

    def test_logged_in(self, client, side, user):
        client.force_login(user)
        with client.websocket(f"/login/{side}/") as websocket:
            assert list(websocket) == ["hello ann"]
        assert client.get(f"/login/{side}/").content == b"HTTP"

    @pytest.mark.django_db
    def test_the_redirect_of_either_kind_is_the_same(self, client, side):
        """A guard does not have to know what kind of request it keeps out."""
        with client.websocket(f"/login/{side}/") as websocket:
            pass
        response = client.get(f"/login/{side}/")
        assert (response.status_code, response.headers) == (302, websocket.response.headers)

    def test_permission_required(self, client, side, user):
        client.force_login(user)
        with client.websocket(f"/permission/{side}/") as websocket:
            assert websocket.response.status_code == 403
        with client.websocket(f"/permission-redirect/{side}/") as websocket:
            assert websocket.response.status_code == 302
        user.user_permissions.add(Permission.objects.get(codename="add_group"))
        for name in ("permission", "permission-redirect"):
            with client.websocket(f"/{name}/{side}/") as websocket:
                assert list(websocket) == ["hello ann"]

    def test_user_passes_test(self, client, side, user):
        client.force_login(user)
        with client.websocket(f"/test/{side}/") as websocket:
            assert websocket.response.url == f"/staff/?next=/test/{side}/"
        User.objects.update(is_staff=True)
        with client.websocket(f"/test/{side}/") as websocket:
            assert list(websocket) == ["hello ann"]

    @pytest.mark.django_db
    @pytest.mark.parametrize("name", ["csrf-exempt", "non-atomic"])
    def test_markers(self, side, client, name):
        with client.websocket(f"/{name}/{side}/") as websocket:
            assert list(websocket) == [f"hello {AnonymousUser()}"]
        assert client.get(f"/{name}/{side}/").content == b"HTTP"

    def test_csrf_exempt_for_posts(self, client, side):
        client.handler.enforce_csrf_checks = True
        assert client.post(f"/csrf-exempt/{side}/").content == b"HTTP"
        assert client.post(f"/login/{side}/").status_code == 403


@route("never-cache/outside/")
@never_cache
@accept_websocket
def cached_outside(request):
    return never_cached(request)


@route("never-cache/inside/")
@accept_websocket
@never_cache
def cached_inside(request):
    return never_cached(request)


def never_cached(request):
    if request.is_websocket() and "rejected" not in request.GET:
        request.websocket.send("hello")
    return HttpResponse("HTTP")


@pytest.mark.parametrize("side", SIDES)
class TestNeverCache:
    def test_websocket(self, client, side):
        with client.websocket(f"/never-cache/{side}/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000

    def test_rejected(self, client, side):
        with client.websocket(f"/never-cache/{side}/?rejected") as websocket:
            assert "no-store" in websocket.response.headers["Cache-Control"]

    def test_http(self, client, side):
        assert "no-store" in client.get(f"/never-cache/{side}/").headers["Cache-Control"]


def test_never_cache_around_a_view_that_returns_nothing(client):
    """Outside, the decorators of others find a response even where the view has none."""
    with client.websocket("/never-cache/nothing/") as websocket:
        assert list(websocket) == []
    assert websocket.close_code == 1000


@route("never-cache/nothing/")
@never_cache
@accept_websocket
def cached_nothing(request):
    return None


# Transactions


@pytest.fixture
def _atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


def save(request):
    """Save a row, say whether that was in a transaction, and fail."""
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
    """Give a view of its own: ``non_atomic_requests`` marks the very function it is given."""

    def view(request):
        return save(request)

    return view


class SaveView(View):
    def get(self, request):
        return save(request)


urlpatterns += [
    path("save/function/", accept_websocket(saver())),
    path("save/as-view/", accept_websocket(SaveView.as_view())),
    path("save/dispatch/", method_decorator(accept_websocket, "dispatch")(type("S", (SaveView,), {})).as_view()),
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
    def test_websocket(self, kind):
        """Outside: what is saved stays, whatever comes after it."""
        with self.client.websocket(f"/save/{kind}/?fail") as websocket:
            assert list(websocket) == ["no transaction"]
        assert websocket.close_code == 1011
        assert Group.objects.count() == 1

    @pytest.mark.parametrize("kind", ["function", "as-view", "dispatch", "guarded"])
    def test_http(self, kind):
        assert self.get(f"/save/{kind}/") == (200, ["in a transaction"], 1)

    @pytest.mark.parametrize("kind", ["function", "as-view", "dispatch", "guarded"])
    def test_http_that_fails(self, kind):
        assert self.get(f"/save/{kind}/?fail") == (500, ["in a transaction"], 0)

    @pytest.mark.parametrize("side", SIDES)
    def test_non_atomic_requests(self, side):
        """As Django has it, whether the view or what became of it was decorated."""
        assert self.get(f"/save/non-atomic-{side}/?fail") == (500, ["no transaction"], 1)

    def test_non_atomic_requests_for_another_database(self):
        assert self.get("/save/non-atomic-elsewhere/?fail") == (500, ["in a transaction"], 0)

    def test_each_call_has_its_own(self):
        assert self.get("/save/function/?fail")[2] == 0
        with self.client.websocket("/save/function/") as websocket:
            assert websocket.wait() == "no transaction"
        Group.objects.all().delete()
        assert self.get("/save/function/?fail") == (500, ["in a transaction"], 0)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_where_the_project_has_none(client):
    words = []
    client.get("/save/function/", **{"tests.words": words})
    assert words == ["no transaction"]


# What a view returns


@route("unused/")
@require_websocket(subprotocols=["chat"])
def unused(request):
    return None


@route("rejecting/")
@require_websocket
def rejecting(request):
    response = HttpResponse("no room for you\n", status=418, headers={"X-Reason": "tea"})
    response.set_cookie("tea", "pot")
    return response


class File:
    """A file of a FileResponse; knows whether it is closed."""

    read = None

    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


files = []


@route("file/")
@require_websocket
def after_the_handshake(request):
    request.websocket.send("hello")
    files.append(File())
    return FileResponse(files[-1], status=404, headers={"X-Ignored": "yes"})


@route("template/")
@accept_websocket
def template(request):
    """A response that would fail if anybody rendered it."""
    request.websocket.send("hello")
    return TemplateView.as_view(template_name="there/is/no.such")(request)


@route("nonsense/")
@accept_websocket
def nonsense(request):
    if request.is_websocket():
        request.websocket.send("hello")
    return "nonsense"


@route("closing/")
@accept_websocket
def closing(request):
    request.websocket.close(4001, "enough")
    return HttpResponse("ignored")


class TestReturning:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_nothing_without_using_the_socket(self, client, version):
        with client.websocket("/unused/", version=version, subprotocols=["chat"]) as websocket:
            assert websocket.accepted
            assert websocket.subprotocol == "chat"
            assert websocket.wait() is None
        assert websocket.close_code == (1005 if version in {75, 76} else 1000)
        assert websocket.response.status_code == 101

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_response_before_the_handshake(self, client, version):
        with client.websocket("/rejecting/", version=version) as websocket:
            assert not websocket.accepted
        response = websocket.response
        assert (response.status_code, response.content) == (418, b"no room for you\n")
        assert response.headers["X-Reason"] == "tea"
        assert client.cookies["tea"].value == "pot"

    def test_a_response_after_the_handshake(self, client):
        with client.websocket("/file/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000
        assert websocket.response.status_code == 101
        assert b"".join(websocket.response) == b""
        assert "X-Ignored" not in websocket.response.headers
        assert files.pop().closed

    def test_a_template_after_the_handshake(self, client):
        with client.websocket("/template/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000

    def test_something_else_after_the_handshake(self, client):
        with client.websocket("/nonsense/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1000

    def test_something_else_over_http(self, client):
        with pytest.raises(AttributeError, match="'str' object has no attribute"):
            client.get("/nonsense/")

    def test_after_closing(self, client):
        with client.websocket("/closing/") as websocket:
            assert websocket.wait() is None
        assert (websocket.close_code, websocket.close_reason) == (4001, "enough")


# Errors before the handshake, without the middleware


@route("save/outer-atomic/")
@transaction.atomic
@require_websocket
def save_outer_atomic(request):
    Group.objects.create(name="lost")
    raise ValueError("before the handshake")


@route("hidden-mark/")
def hidden_mark(request):
    return require_websocket(lambda request: pytest.fail("it takes WebSockets only"))(request)


@pytest.mark.django_db
@pytest.mark.parametrize("ours", [True, False])
def test_an_outer_transaction_sees_what_is_raised_before_the_handshake(settings, ours):
    if not ours:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "WebSocketMiddleware" not in name]
    with pytest.raises(ValueError, match="before the handshake"), WebSocketClient().websocket("/save/outer-atomic/"):
        pass
    assert not Group.objects.exists()


@pytest.mark.parametrize("ours", [True, False])
def test_a_view_whose_mark_is_hidden_takes_no_plain_request(client, settings, ours):
    if not ours:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "WebSocketMiddleware" not in name]
    assert client.get("/hidden-mark/").status_code == 400
