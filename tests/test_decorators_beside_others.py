"""The decorators together with those of Django, on either side of them."""

import pytest
from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import transaction
from django.http import HttpResponse
from django.urls import include, path
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from django_websocket import accept_websocket

from .views import make_route

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [path("accounts/", include("django.contrib.auth.urls"))]
route = make_route(urlpatterns)


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
    def test_http_gets_the_same_redirect(self, client, side):
        """A guard need not know which kind of request it rejects."""
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
    def test_decorators_that_only_mark_a_view(self, side, client, name):
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
    """A decorator outside of ours gets a response even if the view returns none."""
    with client.websocket("/never-cache/nothing/") as websocket:
        assert list(websocket) == []
    assert websocket.close_code == 1000


@route("never-cache/nothing/")
@never_cache
@accept_websocket
def cached_nothing(request):
    return None
