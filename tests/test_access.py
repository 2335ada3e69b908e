"""Decorators that reject a WebSocket with a close code, and treat plain HTTP as those of Django do."""

import pytest
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from django_websocket import (
    accept_websocket,
    require_websocket,
    websocket_login_required,
    websocket_permission_required,
)
from django_websocket.access import FORBIDDEN, NOT_LOGGED_IN
from django_websocket.handshake.marks import read_marks
from django_websocket.process.registry import registry
from django_websocket.testing.client import WebSocketClient
from django_websocket.views import WebSocketMixin, WebSocketView

from .connections import RefusedConnection
from .observing import records
from .requests import attempt
from .views import OLD, OURS, VERSIONS

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
PERMISSION = "auth.add_group"


def greet(request, name="nobody"):
    if not request.is_websocket():
        return HttpResponse(f"HTTP {name}")
    request.websocket.send(f"hello {request.user} {request.websocket.subprotocol}")
    return None


def page(request):
    """Take no WebSockets."""
    return HttpResponse("page")


class Plain(View):
    def get(self, request):
        return greet(request)


class Class(WebSocketView):
    websocket_options = {"subprotocols": ["chat"]}

    def websocket(self, request):
        return greet(request)

    def get(self, request):
        return greet(request)


def hiding(view):
    """Decorate a view without keeping its attributes."""

    def hidden(request):
        return view(request)

    return hidden


accept = accept_websocket(subprotocols=["chat"])
on_dispatch = {"name": "dispatch"}


def kinds(guard):
    """Return views that a guard stands in, in each of its places."""
    return {
        "outside": guard(accept(greet)),
        "inside": accept(guard(greet)),
        "far-outside": guard(never_cache(accept(csrf_exempt(greet)))),
        "around-a-class": guard(accept(Plain.as_view())),
        "in-a-class": method_decorator(guard, **on_dispatch)(type("Guarded", (Class,), {})).as_view(),
        "around-a-mixin": guard(Class.as_view()),
        "on-dispatch": method_decorator([guard, accept], **on_dispatch)(type("Both", (Plain,), {})).as_view(),
        "around-dispatch": guard(method_decorator(accept, **on_dispatch)(type("Both", (Plain,), {})).as_view()),
        "on-method": type("Method", (Class,), {"websocket": method_decorator(guard)(Class.websocket)}).as_view(),
    }


PLACES = [
    "outside",
    "inside",
    "far-outside",
    "around-a-class",
    "in-a-class",
    "around-a-mixin",
    "on-dispatch",
    "around-dispatch",
]

login = websocket_login_required
permission = websocket_permission_required(PERMISSION)

urlpatterns = [
    path("accounts/", include("django.contrib.auth.urls")),
    *[path(f"login/{place}/", view) for place, view in kinds(login).items()],
    *[path(f"permission/{place}/", view) for place, view in kinds(permission).items()],
    path("django-login/", login_required(page)),
    path("ours-login/", login(page)),
    path("django-permission/", permission_required(PERMISSION)(page)),
    path("ours-permission/", permission(page)),
    path("django-elsewhere/", login_required(redirect_field_name="to", login_url="/elsewhere/")(page)),
    path("ours-elsewhere/", login(redirect_field_name="to", login_url="/elsewhere/")(page)),
    path("django-403/", permission_required([PERMISSION], raise_exception=True)(page)),
    path("ours-403/", websocket_permission_required([PERMISSION], raise_exception=True)(page)),
    path("hidden/", login(hiding(require_websocket(greet)))),
    path("strict/", login(require_websocket(allowed_origins=["https://example.org"])(greet))),
    path("arguments/<name>/", accept(login(greet))),
    path("two/", login(permission(accept(greet)))),
    path("several/", websocket_permission_required([PERMISSION, "auth.delete_group"])(accept(greet))),
]


@pytest.fixture
def user(db):
    return User.objects.create(username="ann")


def allow(user):
    user.user_permissions.add(Permission.objects.get(codename="add_group"))


def assert_rejected(client, caplog, address, code, reason):
    caplog.clear()
    with client.websocket(address, subprotocols=["chat"]) as websocket:
        assert list(websocket) == []
    assert (websocket.close_code, websocket.close_reason) == (code, reason)
    assert websocket.response.status_code == 101
    (record,) = records(caplog)
    assert record.getMessage() == f"WebSocket refused with {code} at {address}: {reason}"
    assert not registry.busy


@pytest.mark.parametrize("place", [*PLACES, "on-method"])
class TestPlaces:
    def test_login(self, client, settings, caplog, user, place):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        address = f"/login/{place}/"
        for _ in range(2):
            assert_rejected(client, caplog, address, 4401, "not logged in")
        client.force_login(user)
        with client.websocket(address, subprotocols=["chat"]) as websocket:
            assert list(websocket) == ["hello ann chat"]
        assert websocket.close_code == 1000

    def test_permission(self, client, caplog, user, place):
        address = f"/permission/{place}/"
        assert_rejected(client, caplog, address, 4401, "not logged in")
        client.force_login(user)
        assert_rejected(client, caplog, address, 4403, "permission denied")
        allow(user)
        with client.websocket(address, subprotocols=["chat"]) as websocket:
            assert list(websocket) == ["hello ann chat"]

    def test_a_foreign_page_learns_nothing(self, client, place):
        connection = RefusedConnection()
        response = attempt(f"/login/{place}/", connection=connection, HTTP_ORIGIN="https://evil.example")
        assert (response.status_code, response.content) == (403, b"the Origin is not allowed\n")
        assert connection.answered == 0

    def test_a_malformed_handshake(self, client, place):
        assert attempt(f"/login/{place}/", HTTP_SEC_WEBSOCKET_KEY="x").status_code == 400


class TestHTTP:
    @pytest.mark.parametrize("place", PLACES)
    def test_marked_views(self, client, user, place):
        response = client.get(f"/login/{place}/")
        assert (response.status_code, response.url) == (302, f"/accounts/login/?next=/login/{place}/")
        client.force_login(user)
        assert client.get(f"/login/{place}/").content == b"HTTP nobody"
        assert client.get(f"/permission/{place}/").status_code == 302
        allow(user)
        assert client.get(f"/permission/{place}/").content == b"HTTP nobody"

    @pytest.mark.parametrize("name", ["login", "permission", "elsewhere", "403"])
    @pytest.mark.parametrize("who", ["nobody", "somebody", "allowed"])
    def test_the_answers_are_those_of_django(self, client, user, name, who):
        if who != "nobody":
            client.force_login(user)
        if who == "allowed":
            allow(user)
        theirs, ours = client.get(f"/django-{name}/"), client.get(f"/ours-{name}/")
        assert ours.status_code == theirs.status_code
        assert ours.content == theirs.content
        location = theirs.headers.get("Location")
        assert ours.headers.get("Location") == (location and location.replace("django-", "ours-"))

    def test_arguments_of_the_address(self, client, user):
        client.force_login(user)
        assert client.get("/arguments/bob/").content == b"HTTP bob"


@pytest.mark.parametrize("version", VERSIONS)
def test_versions(client, version):
    """Those without codes get a connection that is closed at once."""
    with client.websocket("/login/inside/", version=version) as websocket:
        assert list(websocket) == []
    assert websocket.close_code == (1005 if version in OLD else 4401)


def test_the_options_of_the_view_hold(client, caplog):
    """An origin that the view does not allow is refused before the user is looked at."""
    connection = RefusedConnection()
    assert attempt("/strict/", connection=connection, HTTP_ORIGIN="http://testserver").status_code == 403
    assert connection.answered == 0
    with client.websocket("/strict/", headers={"Origin": "https://example.org"}) as websocket:
        assert list(websocket) == []
    assert websocket.close_code == 4401


def test_one_of_two_permissions(client, caplog, user):
    allow(user)
    client.force_login(user)
    assert_rejected(client, caplog, "/several/", 4403, "permission denied")


def test_both_guards(client, caplog, user):
    assert_rejected(client, caplog, "/two/", 4401, "not logged in")
    client.force_login(user)
    assert_rejected(client, caplog, "/two/", 4403, "permission denied")


class TestUnmarked:
    """A guard of a view that nobody knows to take WebSockets answers as Django's does."""

    @pytest.mark.parametrize("address", ["/hidden/", "/ours-login/"])
    def test_a_view_without_marks(self, client, settings, user, address):
        with client.websocket(address) as websocket:
            assert not websocket.accepted
        assert websocket.response.status_code == (400 if OURS in settings.MIDDLEWARE else 302)

    def test_where_every_view_takes_websockets(self, settings, caplog):
        settings.WEBSOCKET_ACCEPT_ALL = True
        assert_rejected(WebSocketClient(), caplog, "/ours-login/", 4401, "not logged in")


class TestLoginRequiredMiddleware:
    """It would redirect the handshake; it leaves a view with our guard to the guard."""

    @pytest.mark.parametrize("place", PLACES)
    def test_login(self, client, settings, caplog, user, place):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_REQUIRED]
        address = f"/login/{place}/"
        assert_rejected(client, caplog, address, 4401, "not logged in")
        assert client.get(address).url == f"/accounts/login/?next={address}"

    def test_a_guard_of_one_method(self, client, settings):
        """The other methods have none, so that the middleware has to look after them."""
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_REQUIRED]
        with client.websocket("/login/on-method/") as websocket:
            assert websocket.response.status_code == 302
        assert client.get("/login/on-method/").status_code == 302

    def test_permission(self, client, settings):
        """Anonymous users may have permissions, but not where a login is required."""
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_REQUIRED]
        with client.websocket("/permission/inside/") as websocket:
            assert websocket.response.status_code == 302


class Everybody:
    """Gives permissions to anonymous users."""

    def get_user_permissions(self, user, obj=None):
        return {PERMISSION}

    def has_perm(self, user, perm, obj=None):
        return True


def test_anonymous_users_with_permissions(client, settings):
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Everybody"]
    with client.websocket("/permission/inside/") as websocket:
        assert list(websocket) == ["hello AnonymousUser None"]


@pytest.mark.parametrize("guard", [websocket_login_required, websocket_permission_required(PERMISSION)])
class TestDecorating:
    def test_marks_are_kept(self, guard):
        marked = guard(accept(greet))
        assert marked.accept_websocket
        assert marked.__name__ == "greet"
        marks = read_marks(marked)
        assert (marks.marked, marks.required, marks.decorated) == (True, False, True)
        assert marks.options["subprotocols"] == ["chat"]
        assert read_marks(guard(require_websocket(greet))).required
        assert not read_marks(guard(greet)).marked

    def test_an_async_view(self, guard):
        async def view(request):
            """Never called."""

        with pytest.raises(TypeError, match=r"websocket_\w+_required\(\) takes synchronous views"):
            guard(view)

    def test_a_request_that_went_through_no_handler(self, guard, rf: RequestFactory):
        request = rf.get("/")
        request.user = User(is_active=True, is_superuser=True)
        assert guard(accept(greet))(request).content == b"HTTP nobody"


def test_the_codes():
    assert (NOT_LOGGED_IN.code, FORBIDDEN) == (4401, 4403)


def test_the_framework(client, settings):
    """The user is the one that the framework has authenticated."""
    views = pytest.importorskip("rest_framework.views", reason="python -m pip install djangorestframework")
    authentication = pytest.importorskip("rest_framework.authentication")

    class Token(authentication.BaseAuthentication):
        def authenticate(self, request):
            return (User(username="ann"), None) if "token" in request.GET else None

    class Chat(WebSocketMixin, views.APIView):
        authentication_classes = [Token]

        @method_decorator(websocket_login_required)
        def websocket(self, request):
            request.websocket.send(f"hello {request.user}")

    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("chat/", Chat.as_view())]})
    with client.websocket("/chat/?token") as websocket:
        assert list(websocket) == ["hello ann"]
    with client.websocket("/chat/") as websocket:
        assert list(websocket) == []
    assert (websocket.close_code, websocket.response.status_code) == (4401, 101)
