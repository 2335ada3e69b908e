"""Views of Django REST framework, which wraps requests and demands responses."""

import pytest
from django.http import HttpResponse
from django.utils.decorators import method_decorator

from django_websocket import accept_websocket, require_websocket
from django_websocket.process.registry import registry
from django_websocket.testing.client import WebSocketClient

from .connections import RefusedConnection
from .requests import attempt
from .views import OURS, make_route

pytest.importorskip("rest_framework", reason="python -m pip install djangorestframework")

from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

pytestmark = [
    pytest.mark.urls(__name__),
    pytest.mark.usefixtures("_accounts"),
]

urlpatterns = []
route = make_route(urlpatterns)


@pytest.fixture
def _accounts(settings):
    """Set no user for anonymous requests: the framework's own would need the tables of Django's users."""
    settings.REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}


class User:
    is_authenticated = True

    def __str__(self):
        return "ann"


class Token(BaseAuthentication):
    def authenticate(self, request):
        return (User(), None) if request.headers.get("Authorization") == "Token right" else None

    def authenticate_header(self, request):
        return "Token"


def greet(request):
    if not request.is_websocket():
        return Response({"hello": str(request.user)})
    request.websocket.send(f"hello {request.user}")
    for message in request.websocket:
        request.websocket.send(message)
    return None


class Guarded(APIView):
    authentication_classes = [Token]
    permission_classes = [IsAuthenticated]


class Method(Guarded):
    @method_decorator(accept_websocket)
    def get(self, request):
        return greet(request)


def guarded(view):
    return api_view(["GET"])(authentication_classes([Token])(permission_classes([IsAuthenticated])(view)))


class Returning(Guarded):
    def get(self, request):
        return greet(request) or Response({})


route("method/")(Method.as_view())
route("function/")(guarded(accept_websocket(greet)))
route("outside/")(accept_websocket(Returning.as_view()))
route("dispatch/")(method_decorator(accept_websocket, name="dispatch")(Returning).as_view())
INSIDE = ["/method/", "/function/"]


@pytest.fixture(params=["with the middleware", "without the middleware"])
def client(request, settings):
    settings.MIDDLEWARE = [OURS] if request.param == "with the middleware" else []
    return WebSocketClient(headers={"Authorization": "Token right"})


@pytest.mark.parametrize("address", [*INSIDE, "/outside/", "/dispatch/"])
class TestGood:
    def test_websocket(self, client, settings, address):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(2):
            with client.websocket(address) as websocket:
                assert websocket.wait() == "hello ann"
                websocket.send("hello")
                assert websocket.wait() == "hello"
            assert websocket.close_code == 1000
            assert websocket.response.status_code == 101
        assert not registry.busy

    def test_http(self, client, address):
        response = client.get(address)
        assert response.json() == {"hello": "ann"}
        assert "Upgrade" in response.headers["Vary"]

    def test_nobody(self, client, address):
        """The framework refuses as it would refuse a plain request."""
        connection = RefusedConnection()
        assert attempt(address, connection=connection).status_code == 401
        assert connection.refused == 1 or address in INSIDE

    def test_a_foreign_page(self, client, address):
        changes = {"HTTP_AUTHORIZATION": "Token right", "HTTP_ORIGIN": "https://evil.example"}
        assert attempt(address, **changes).status_code == 403


def test_attributes_are_set_on_the_request_of_django(client):
    """Other middleware sees them there."""
    with client.websocket("/seen/") as websocket:
        assert list(websocket) == ["True"]


@route("seen/")
@api_view(["GET"])
@require_websocket
def seen(request):
    request.websocket.send(request.websocket is request._request.websocket)


def test_a_view_that_takes_no_websockets(client, settings):
    settings.MIDDLEWARE = [OURS]
    assert attempt("/plain/").content == b"this address takes no WebSockets\n"


@route("plain/")
@api_view(["GET"])
def plain(request):
    return HttpResponse("plain")
