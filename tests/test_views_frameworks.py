"""Classes of Django REST framework with a method for WebSockets."""

import json

import pytest
from django.http import HttpResponse
from django.urls import include, path

from django_websocket.process.registry import registry
from django_websocket.testing.client import WebSocketClient
from django_websocket.views import WebSocketMixin

from .connections import RefusedConnection
from .observing import records
from .requests import attempt
from .views import OURS, VERSIONS

pytest.importorskip("rest_framework", reason="python -m pip install djangorestframework")

from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.throttling import BaseThrottle
from rest_framework.versioning import AcceptHeaderVersioning
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

pytestmark = [pytest.mark.urls(__name__), pytest.mark.usefixtures("_accounts")]


@pytest.fixture
def _accounts(settings):
    """Set no user for anonymous requests: the framework's own would need the tables of Django's users."""
    settings.REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}


@pytest.fixture(params=["with the middleware", "without the middleware"])
def client(request, settings):
    settings.MIDDLEWARE = [OURS] if request.param == "with the middleware" else []
    return WebSocketClient(headers={"Authorization": "Token ann"})


class User:
    is_authenticated = True

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name


class Token(BaseAuthentication):
    def authenticate(self, request):
        word, _, name = request.headers.get("Authorization", "").partition(" ")
        return (User(name), None) if word == "Token" else None

    def authenticate_header(self, request):
        return "Token"


class IsAnn(BasePermission):
    def has_permission(self, request, view):
        return str(request.user) == "ann"


class Throttle(BaseThrottle):
    def allow_request(self, request, view):
        return "busy" not in request.GET

    def wait(self):
        return 7


class Guarded(WebSocketMixin):
    authentication_classes = [Token]
    permission_classes = [IsAuthenticated, IsAnn]
    throttle_classes = [Throttle]
    # What the framework has by default. The page needs a template of the framework, which no refusal may ask for.
    renderer_classes = [JSONRenderer, BrowsableAPIRenderer]


class Chat(Guarded, APIView):
    def websocket(self, request, name="lobby"):
        if name == "missing":
            raise NotFound("no such room")
        if name == "refused":
            return Response({"full": True}, status=409)
        request.websocket.send(f"{name} {request.user}")
        for message in request.websocket:
            if message == "fail":
                raise ZeroDivisionError
            if message == "not found":
                raise NotFound("too late")
            request.websocket.send(message)
        return Response({"ignored": True}) if name == "responding" else None

    def get(self, request, name="lobby"):
        return Response({"hello": str(request.user)})


class Only(Guarded, APIView):
    def websocket(self, request):
        return None


class Rooms(Guarded, ViewSet):
    """Takes WebSockets at each of its addresses."""

    def websocket(self, request, pk=None):
        request.websocket.send_json([self.action, pk, str(request.user)])

    def list(self, request):
        return Response([1, 2])

    def retrieve(self, request, pk):
        return Response(int(pk))


class Boards(Guarded, ViewSet):
    """Takes WebSockets at one of its addresses, and nothing else there."""

    def get_permissions(self):
        return [] if self.action == "live" else super().get_permissions()

    def list(self, request):
        return Response([1, 2])

    @action(detail=True, methods=["websocket"], websocket_options={"subprotocols": ["board"]})
    def live(self, request, pk):
        request.websocket.send_json([self.action, pk, request.websocket.subprotocol])


class Files(Guarded, ViewSet):
    """Has an action by the name of the method for WebSockets, with permissions of its own."""

    permission_classes = []

    def retrieve(self, request, pk):
        return Response(int(pk))

    def list(self, request):
        return Response([1, 2])

    @action(detail=True, methods=["websocket"], permission_classes=[IsAuthenticated])
    def websocket(self, request, pk):
        request.websocket.send(f"{self.action} {pk}")


class Versions(AcceptHeaderVersioning):
    allowed_versions = ["2.0"]


class Versioned(Guarded, APIView):
    versioning_class = Versions

    def websocket(self, request):
        request.websocket.send(request.version)

    def get(self, request):
        return Response(request.version)


class Names(Guarded, ListAPIView):
    def list(self, request, *args, **kwargs):
        return Response(["ann"])

    def websocket(self, request):
        request.websocket.send("names")


router = SimpleRouter()
router.register("rooms", Rooms, basename="room")
router.register("boards", Boards, basename="board")
router.register("files", Files, basename="file")

urlpatterns = [
    path("chat/", Chat.as_view()),
    path("chat/<name>/", Chat.as_view()),
    path("only/", Only.as_view()),
    path("names/", Names.as_view()),
    path("versioned/", Versioned.as_view()),
    path("mapped/<pk>/", Boards.as_view({"get": "list", "websocket": "live"})),
    path("", include(router.urls)),
]


#: Address, authorization, status, detail, and a header field of each refusal.
REFUSALS = {
    "authentication": (
        "/chat/",
        "",
        401,
        "Authentication credentials were not provided.",
        ("WWW-Authenticate", "Token"),
    ),
    "permission": (
        "/chat/",
        "Token bob",
        403,
        "You do not have permission to perform this action.",
        ("Allow", "GET, HEAD, OPTIONS"),
    ),
    "throttle": (
        "/chat/?busy",
        "Token ann",
        429,
        "Request was throttled. Expected available in 7 seconds.",
        ("Retry-After", "7"),
    ),
}


class TestAPIView:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_good(self, client, settings, version):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(2):
            with client.websocket("/chat/", version=version) as websocket:
                assert websocket.wait() == "lobby ann"
                websocket.send("hello")
                assert websocket.wait() == "hello"
            assert websocket.response.status_code == 101
        assert not registry.busy

    def test_the_end(self, client, caplog):
        with client.websocket("/only/") as websocket:
            assert list(websocket) == []
        assert websocket.close_code == 1000
        assert caplog.records == []

    def test_http(self, client):
        assert client.get("/chat/").json() == {"hello": "ann"}
        assert client.get("/names/").json() == ["ann"]
        assert client.get("/only/").content == b"this address takes WebSockets only\n"

    def test_a_generic_view(self, client):
        with client.websocket("/names/") as websocket:
            assert list(websocket) == ["names"]

    @pytest.mark.parametrize("why", REFUSALS)
    @pytest.mark.parametrize("accept", [None, "*/*", "text/html", "text/event-stream", "image/png", "nonsense"])
    def test_refused(self, client, why, accept):
        """The answer is JSON, whatever a client says that it accepts, and no byte of a handshake."""
        address, authorization, status, detail, (name, value) = REFUSALS[why]
        connection = RefusedConnection()
        response = attempt(address, connection=connection, HTTP_AUTHORIZATION=authorization, HTTP_ACCEPT=accept)
        assert (response.status_code, json.loads(response.content)) == (status, {"detail": detail})
        assert response.headers[name] == value
        assert (connection.refused, connection.answered) == (1, 0)
        assert not registry.busy

    @pytest.mark.parametrize("accept", ["*/*", "text/html", "text/event-stream", "nonsense"])
    @pytest.mark.parametrize("query", ["", "?format=xml", "?format=api"])
    def test_content_is_not_negotiated(self, client, accept, query):
        with client.websocket(f"/chat/{query}", headers={"Accept": accept, "Authorization": "Token ann"}) as websocket:
            assert websocket.wait() == "lobby ann"

    def test_content_of_http_is_negotiated(self, client):
        assert client.get("/chat/", headers={"Accept": "image/png"}).status_code == 406

    @pytest.mark.parametrize(
        ("name", "status", "content"), [("missing", 404, {"detail": "no such room"}), ("refused", 409, {"full": True})]
    )
    def test_the_method_refuses(self, client, name, status, content):
        with client.websocket(f"/chat/{name}/") as websocket:
            assert not websocket.accepted
        assert (websocket.response.status_code, websocket.response.json()) == (status, content)

    def test_a_response_after_the_handshake_is_ignored(self, client):
        with client.websocket("/chat/responding/") as websocket:
            assert websocket.wait() == "responding ann"
            websocket.close()
        assert websocket.close_code == 1000

    @pytest.mark.parametrize("message", ["fail", "not found"])
    @pytest.mark.parametrize("debug", [True, False])
    def test_an_exception_after_the_handshake(self, client, settings, caplog, message, debug):
        """Even one of the framework, of which it would make a response that nobody gets."""
        settings.DEBUG = debug
        client.raise_request_exception = False
        with client.websocket("/chat/") as websocket:
            assert websocket.wait() == "lobby ann"
            websocket.send(message)
            assert websocket.wait() is None
        assert websocket.close_code == 1011
        (record,) = records(caplog, "django.request")
        assert record.levelname == "ERROR"
        assert not registry.busy

    def test_a_client_that_goes_away_is_no_error(self, client, caplog):
        with client.websocket("/chat/") as websocket:
            websocket.vanish()
        assert caplog.records == []

    def test_a_foreign_page(self, client):
        changes = {"HTTP_AUTHORIZATION": "Token ann", "HTTP_ORIGIN": "https://evil.example"}
        assert attempt("/chat/", **changes).status_code == 403


def test_a_version_in_the_accept_header(client):
    """The type of the answer is not negotiated, but its parameters are those of the handshake."""
    accept = {"Accept": "application/json; version=2.0"}
    with client.websocket("/versioned/", headers=accept) as websocket:
        assert list(websocket) == ["2.0"]
    assert client.get("/versioned/", headers=accept).json() == "2.0"


class TestViewSet:
    @pytest.mark.parametrize(("address", "pk"), [("/rooms/", None), ("/rooms/7/", "7")])
    def test_a_method_of_the_class(self, client, address, pk):
        with client.websocket(address) as websocket:
            assert list(websocket) == [json.dumps(["websocket", pk, "ann"])]
        assert websocket.close_code == 1000
        assert client.get(address).json() == (7 if pk else [1, 2])
        assert attempt(address).status_code == 401

    def test_an_action(self, client):
        """Its permissions are those of the action, of which the handshake is a request."""
        with WebSocketClient().websocket("/boards/7/live/", subprotocols=["board"]) as websocket:
            assert list(websocket) == [json.dumps(["live", "7", "board"])]
        assert client.get("/boards/7/live/").content == b"this address takes WebSockets only\n"

    def test_options_of_an_action_that_are_left_out(self, caplog):
        """They may be its permissions, which nobody would be asked for."""
        Boards.as_view({"websocket": "live"}, **Boards.live.kwargs)
        Boards.as_view({"get": "list"})
        Rooms.as_view({"get": "list"})
        assert records(caplog, "django_websocket") == []
        Files.as_view({"get": "list", "websocket": "websocket"}, websocket_options={})
        Boards.as_view({"get": "list", "websocket": "live"})
        rest = "without a router, add **{}.kwargs to its arguments"
        assert [record.getMessage() for record in records(caplog, "django_websocket")] == [
            "Files.as_view() was not given what @action says of websocket(): permission_classes; "
            + rest.format("Files.websocket"),
            "Boards.as_view() was not given what @action says of live(): websocket_options; "
            + rest.format("Boards.live"),
        ]

    def test_an_action_beside_another(self, client):
        with WebSocketClient().websocket("/mapped/7/") as websocket:
            assert list(websocket) == [json.dumps(["live", "7", None])]

    def test_an_address_without_an_action_for_websockets(self, settings, client):
        assert client.get("/boards/").json() == [1, 2]
        response = attempt("/boards/", HTTP_AUTHORIZATION="Token ann")
        if OURS in settings.MIDDLEWARE:
            assert response.content == b"this address takes no WebSockets\n"
        else:
            assert json.loads(response.content) == [1, 2]

    def test_such_an_address_where_every_view_takes_websockets(self, settings):
        settings.MIDDLEWARE = [OURS]
        settings.WEBSOCKET_ACCEPT_ALL = True
        assert json.loads(attempt("/boards/", HTTP_AUTHORIZATION="Token ann").content) == [1, 2]

    @pytest.mark.parametrize("accept_all", [False, True])
    @pytest.mark.parametrize("address", ["/files/", "/files/7/"])
    def test_an_action_by_the_name_of_the_method(self, settings, client, address, accept_all):
        """At other addresses than its own its permissions would not be asked for."""
        settings.WEBSOCKET_ACCEPT_ALL = accept_all
        with client.websocket("/files/7/websocket/") as websocket:
            assert list(websocket) == ["websocket 7"]
        assert attempt("/files/7/websocket/").status_code == 401
        assert attempt(address).status_code != 101
        assert client.get(address).json() == (7 if "7" in address else [1, 2])

    def test_an_async_action(self):
        class Asynchronous(WebSocketMixin, ViewSet):
            async def live(self, request):
                """Never called."""

        with pytest.raises(TypeError, match=r"Asynchronous.live\(\) is asynchronous"):
            Asynchronous.as_view({"websocket": "live"})


def test_a_view_of_the_framework_that_is_called_by_itself(rf):
    view = Chat()
    view.setup(rf.get("/"))
    assert isinstance(view.dispatch(rf.get("/", headers={"Authorization": "Token ann"})), HttpResponse)
