"""Every kind of view, with the middleware and without it: accepted, refused, failed, and ended.

The packages are the real ones. Each kind takes WebSockets, and plain HTTP where its class or function has a page too.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse, HttpResponseForbidden
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from django_websocket import accept_websocket, require_websocket
from django_websocket.process.registry import registry
from django_websocket.views import WebSocketMixin, WebSocketView

from .connections import RefusedConnection
from .observing import records
from .requests import attempt
from .views import OURS

pytest.importorskip("rest_framework", reason="python -m pip install djangorestframework")
pytest.importorskip("ninja", reason="python -m pip install django-ninja")

import ninja
from ninja.security import django_auth
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import DjangoModelPermissions, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
PERMISSION = "auth.add_group"


def talk(request):
    """Answer the messages of a WebSocket until it is closed; fail, or end, when told to."""
    request.websocket.send(f"hello {request.user}")
    for message in request.websocket:
        if message == "fail":
            raise ZeroDivisionError
        if message == "end":
            return
        request.websocket.send(message)


def own(request):
    """Take members only, by the view's own means."""
    return talk(request) if request.user.is_authenticated else HttpResponseForbidden("members only")


# Django


class Class(WebSocketView):
    def websocket(self, request):
        return own(request)


class Member(WebSocketMixin, LoginRequiredMixin, View):
    def websocket(self, request):
        return talk(request)

    def get(self, request):
        return HttpResponse("page")


class Staff(WebSocketMixin, PermissionRequiredMixin, View):
    permission_required = PERMISSION
    raise_exception = True

    def websocket(self, request):
        return talk(request)


@method_decorator(require_websocket, name="dispatch")
class Dispatch(LoginRequiredMixin, View):
    def get(self, request):
        return talk(request)


# Django REST framework


def guarded(view):
    return api_view(["GET"])(
        authentication_classes([SessionAuthentication])(permission_classes([IsAuthenticated])(view))
    )


class API(APIView):
    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAuthenticated]


class MixedAPI(WebSocketMixin, API):
    def websocket(self, request):
        return talk(request)

    def get(self, request):
        return Response("page")


class MethodAPI(API):
    @method_decorator(require_websocket)
    def get(self, request):
        return talk(request)


class Rooms(WebSocketMixin, ViewSet):
    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAuthenticated]

    def websocket(self, request):
        return talk(request)

    def list(self, request):
        return Response("page")


class Groups(WebSocketMixin, APIView):
    class Permissions(DjangoModelPermissions):
        perms_map = {**DjangoModelPermissions.perms_map, "GET": ["auth.add_group"]}

    authentication_classes = [SessionAuthentication]
    permission_classes = [Permissions]
    queryset = User.objects.none()

    def websocket(self, request):
        return talk(request)


# django-ninja

api = ninja.NinjaAPI(urls_namespace="table")


@api.get("inside/", auth=django_auth)
@require_websocket
def operation(request):
    return talk(request)


@api.get("both/", auth=django_auth)
@accept_websocket
def operation_of_both(request):
    return talk(request) if request.is_websocket() else HttpResponse("page")


class Kind(NamedTuple):
    """A kind of view."""

    address: str
    #: The status of the answer to a handshake of somebody who is not logged in.
    status: int
    #: Other middleware of the project.
    middleware: tuple[str, ...] = ()
    #: Whether plain HTTP is answered with the page.
    page: bool = False


KINDS = {
    "function": Kind("/function/", 403),
    "csrf_exempt outside": Kind("/csrf-outside/", 403),
    "csrf_exempt inside": Kind("/csrf-inside/", 403),
    "never_cache outside": Kind("/cache-outside/", 403),
    "i18n_patterns": Kind("/en/i18n/", 403, (LOCALE,)),
    "LoginRequiredMiddleware": Kind("/function/", 302, (LOGIN_REQUIRED,)),
    "LoginRequiredMiddleware, mixin": Kind("/class/", 302, (LOGIN_REQUIRED,)),
    "dispatch": Kind("/dispatch/", 302),
    "WebSocketView": Kind("/class/", 403),
    "mixin, LoginRequiredMixin": Kind("/member/", 302, page=True),
    "mixin, PermissionRequiredMixin": Kind("/staff/", 403),
    "@api_view, decorator inside": Kind("/api-view/", 403),
    "APIView.get decorated": Kind("/api-method/", 403),
    "mixin, APIView": Kind("/api-mixin/", 403, page=True),
    "mixin, APIView, permissions": Kind("/api-permissions/", 403),
    "mixin, ViewSet": Kind("/viewset/", 403, page=True),
    "DRF under LoginRequiredMiddleware": Kind("/api-mixin/", 403, (LOGIN_REQUIRED,), page=True),
    "ninja, auth=": Kind("/ninja/inside/", 401),
    "ninja, both": Kind("/ninja/both/", 401, page=True),
}

urlpatterns = [
    path("accounts/", include("django.contrib.auth.urls")),
    path("function/", require_websocket(own)),
    path("csrf-outside/", csrf_exempt(require_websocket(own))),
    path("csrf-inside/", require_websocket(csrf_exempt(own))),
    path("cache-outside/", never_cache(require_websocket(own))),
    path("dispatch/", Dispatch.as_view()),
    path("class/", Class.as_view()),
    path("member/", Member.as_view()),
    path("staff/", Staff.as_view()),
    path("api-view/", guarded(require_websocket(talk))),
    path("api-method/", MethodAPI.as_view()),
    path("api-mixin/", MixedAPI.as_view()),
    path("api-permissions/", Groups.as_view()),
    path("viewset/", Rooms.as_view({"get": "list"})),
    path("ninja/", api.urls),
    *i18n_patterns(path("i18n/", require_websocket(own))),
]


@pytest.fixture
def user(client):
    user = User.objects.create(username="ann")
    user.user_permissions.add(*Permission.objects.filter(codename__in=["add_group", "add_user"]))
    client.force_login(user)
    return user


@pytest.fixture(params=KINDS)
def kind(request, settings, client):
    kind = KINDS[request.param]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, *kind.middleware]
    settings.WEBSOCKET_MAX_CONNECTIONS = 1
    yield kind
    assert not registry.busy


def test_accepted(kind, client, user, caplog):
    """The client closes."""
    for _ in range(2):
        with client.websocket(kind.address) as websocket:
            assert websocket.wait() == "hello ann"
            websocket.send("hello")
            assert websocket.wait() == "hello"
        assert (websocket.close_code, websocket.response.status_code) == (1000, 101)
    assert caplog.records == []


def test_refused(kind, client):
    with client.websocket(kind.address) as websocket:
        assert not websocket.accepted
    assert websocket.response.status_code == kind.status
    if kind.address.startswith(("/api", "/viewset", "/ninja")):
        assert websocket.response.headers["Content-Type"].partition(";")[0] == "application/json"
        assert "detail" in websocket.response.json()


def test_the_connection_of_a_refusal_is_closed(kind, client, settings):
    """With the middleware always; without it, who refuses above the decorator is out of reach."""
    connection = RefusedConnection()
    assert attempt(kind.address, connection=connection).status_code == kind.status
    assert connection.answered == 0
    assert connection.refused == 1 or OURS not in settings.MIDDLEWARE


def test_an_exception(kind, client, user, caplog):
    client.raise_request_exception = False
    with client.websocket(kind.address) as websocket:
        assert websocket.wait() == "hello ann"
        websocket.send("fail")
        assert websocket.wait() is None
    assert (websocket.close_code, websocket.response.status_code) == (1011, 101)
    (record,) = records(caplog, "django.request")
    assert record.exc_info[0] is ZeroDivisionError


def test_a_normal_end(kind, client, user, caplog):
    """The view returns, and the client is told so."""
    with client.websocket(kind.address) as websocket:
        assert websocket.wait() == "hello ann"
        websocket.send("end")
        assert websocket.wait() is None
    assert (websocket.close_code, websocket.response.status_code) == (1000, 101)
    assert caplog.records == []


def test_plain_http(kind, client, user):
    response = client.get(kind.address)
    if kind.page:
        assert response.content.strip(b'"') == b"page"
    else:
        assert (response.status_code, response.content) == (400, b"this address takes WebSockets only\n")
