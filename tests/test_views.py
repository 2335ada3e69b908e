"""Classes with a method for WebSockets beside those for HTTP."""

import typing

import pytest
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.test import RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import TemplateView

from django_websocket import WebSocketOptions, accept_websocket, require_websocket
from django_websocket.process.registry import registry
from django_websocket.views import WebSocketMixin, WebSocketView

from .observing import records
from .requests import attempt
from .views import VERSIONS

pytestmark = pytest.mark.urls(__name__)


class Echo(WebSocketView):
    word = "heard"

    def websocket(self, request, name="nobody"):
        for message in request.websocket:
            request.websocket.send(f"{self.word} {name} {message} {request.websocket.subprotocol}")


class Both(Echo):
    websocket_options = {"subprotocols": ["chat.v2"]}

    def get(self, request, name="nobody"):
        return HttpResponse(f"HTTP {name}")


class Posting(Echo):
    """Takes no GET over HTTP."""

    http_method_names = ["post"]

    def post(self, request, name="nobody"):
        return HttpResponse("posted")


class Page(WebSocketMixin, TemplateView):
    def get(self, request):
        return HttpResponse("page")

    def websocket(self, request):
        request.websocket.send(self.__class__.__name__)


class Silent(WebSocketView):
    """Never uses its WebSocket."""

    def websocket(self, request):
        return None


class Refusing(WebSocketView):
    errors = {"403": PermissionDenied, "404": Http404, "zero": ZeroDivisionError}

    def websocket(self, request, name):
        if name == "response":
            return HttpResponse("not you", status=409)
        raise self.errors[name]


class Failing(Refusing):
    def websocket(self, request, name):
        request.websocket.send("hello")
        super().websocket(request, name)


class Members(WebSocketMixin, LoginRequiredMixin, View):
    def websocket(self, request):
        request.websocket.send(f"hello {request.user}")


class Late(LoginRequiredMixin, WebSocketMixin, View):
    """The mixins work in any order."""

    def websocket(self, request):
        request.websocket.send(f"hello {request.user}")


class Staff(WebSocketMixin, PermissionRequiredMixin, View):
    permission_required = "auth.add_group"
    raise_exception = True

    def websocket(self, request):
        request.websocket.send(f"hello {request.user}")


@method_decorator(csrf_exempt, name="dispatch")
class Exempt(View):
    def post(self, request):
        return HttpResponse("posted")


class ExemptToo(WebSocketMixin, Exempt):
    def websocket(self, request):
        """Never called."""


class Early:
    def dispatch(self, request, *args, **kwargs):
        return super().dispatch(request, *args, **kwargs)


class Hiding(Early, ExemptToo):
    pass


@method_decorator(accept_websocket(subprotocols=["chat.v1"]), name="dispatch")
class DecoratedBase(View):
    def get(self, request):
        return HttpResponse("HTTP")


class OfDecorated(WebSocketMixin, DecoratedBase):
    websocket_options = {"max_message_size": 10}

    def websocket(self, request):
        request.websocket.send(request.websocket.subprotocol)
        request.websocket.wait()


@method_decorator(accept_websocket(subprotocols=["chat.v1"]), name="dispatch")
class DecoratedItself(Both):
    pass


urlpatterns = [
    path("echo/", Echo.as_view()),
    path("both/<name>/", Both.as_view()),
    path("other-options/", Both.as_view(word="read", websocket_options={"subprotocols": ["chat.v3"]})),
    path("posting/", Posting.as_view()),
    path("page/", Page.as_view(template_name="unused")),
    path("silent/", Silent.as_view()),
    path("refusing/<name>/", Refusing.as_view()),
    path("failing/<name>/", Failing.as_view()),
    path("members/", Members.as_view()),
    path("late/", Late.as_view()),
    path("staff/", Staff.as_view()),
    path("exempt/", ExemptToo.as_view()),
    path("of-decorated/", OfDecorated.as_view()),
    path("decorated/", DecoratedItself.as_view()),
    path("outside/", require_websocket(subprotocols=["chat.v1"])(Both.as_view())),
]


class TestGood:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_class_that_takes_websockets_only(self, client, settings, version):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        for _ in range(2):
            with client.websocket("/echo/", version=version) as websocket:
                websocket.send("hello")
                assert websocket.wait() == "heard nobody hello None"
            assert websocket.response.status_code == 101
        assert not registry.busy
        response = client.get("/echo/")
        assert (response.status_code, response.content) == (400, b"this address takes WebSockets only\n")

    def test_a_class_that_takes_both(self, client):
        with client.websocket("/both/ann/", subprotocols=["chat.v1", "chat.v2"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "heard ann hello chat.v2"
        response = client.get("/both/ann/")
        assert response.content == b"HTTP ann"
        assert response.headers["Vary"] == "Upgrade"
        assert client.post("/both/ann/").status_code == 405

    def test_attributes_for_one_address(self, client):
        with client.websocket("/other-options/", subprotocols=["chat.v2", "chat.v3"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "read nobody hello chat.v3"

    def test_a_class_without_get(self, client):
        with client.websocket("/posting/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "heard nobody hello None"
        assert client.get("/posting/").status_code == 405
        assert client.post("/posting/").content == b"posted"

    def test_a_generic_view(self, client):
        with client.websocket("/page/") as websocket:
            assert list(websocket) == ["Page"]
        assert client.get("/page/").content == b"page"

    def test_a_method_that_does_nothing(self, client):
        with client.websocket("/silent/") as websocket:
            assert list(websocket) == []
        assert websocket.close_code == 1000

    def test_options_of_the_request_method(self, client):
        assert client.options("/both/ann/").headers["Allow"] == "GET, HEAD, OPTIONS"

    def test_a_foreign_page(self, client):
        assert attempt("/echo/", HTTP_ORIGIN="https://evil.example").status_code == 403


class TestRefused:
    @pytest.mark.parametrize(("name", "status"), [("response", 409), ("403", 403), ("404", 404)])
    def test_before_the_handshake(self, client, name, status):
        with client.websocket(f"/refusing/{name}/") as websocket:
            assert not websocket.accepted
        assert websocket.response.status_code == status

    @pytest.mark.parametrize(("name", "level"), [("zero", "ERROR"), ("404", "WARNING"), ("403", "WARNING")])
    def test_an_exception_after_the_handshake(self, client, caplog, name, level):
        client.raise_request_exception = False
        with client.websocket(f"/failing/{name}/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1011
        (record,) = records(caplog, "django.request")
        assert record.levelname == level


@pytest.mark.django_db
class TestAccess:
    @pytest.mark.parametrize("address", ["/members/", "/late/"])
    def test_login_required(self, client, address):
        with client.websocket(address) as websocket:
            assert websocket.response.url == f"/accounts/login/?next={address}"
        client.force_login(User.objects.create_user("ann"))
        with client.websocket(address) as websocket:
            assert list(websocket) == ["hello ann"]
        assert client.get(address).status_code == 400

    def test_permission_required(self, client):
        ann = User.objects.create_user("ann")
        client.force_login(ann)
        with client.websocket("/staff/") as websocket:
            assert websocket.response.status_code == 403
        ann.user_permissions.add(Permission.objects.get(codename="add_group"))
        with client.websocket("/staff/") as websocket:
            assert list(websocket) == ["hello ann"]


class TestOtherDecorators:
    def test_attributes_of_the_next_dispatch_are_kept(self, client):
        client.handler.enforce_csrf_checks = True
        assert client.post("/exempt/").content == b"posted"

    def test_attributes_that_another_class_hides_stay_hidden(self):
        """What it does ahead of the next class is not exempt from the check."""
        assert vars(ExemptToo.as_view())["csrf_exempt"]
        assert "csrf_exempt" not in vars(Hiding.as_view())

    def test_a_base_that_is_decorated(self, client):
        """Its options and those of the class hold together."""
        with client.websocket("/of-decorated/", subprotocols=["chat.v1"]) as websocket:
            assert websocket.wait() == "chat.v1"
            websocket.send("x" * 11)
            assert websocket.wait() is None
        assert websocket.close_code == 1009
        assert client.get("/of-decorated/").content == b"HTTP"

    @pytest.mark.parametrize(("address", "subprotocol"), [("/decorated/", "chat.v2"), ("/outside/", "chat.v1")])
    def test_a_class_that_is_decorated_again(self, client, address, subprotocol):
        """The options of the outer one override those of the inner one."""
        with client.websocket(address, subprotocols=["chat.v1", "chat.v2"]) as websocket:
            websocket.send("hello")
            assert websocket.wait() == f"heard nobody hello {subprotocol}"


class TestMistakes:
    def test_an_async_method(self):
        class Asynchronous(WebSocketView):
            async def websocket(self, request):
                """Never called."""

        with pytest.raises(TypeError, match=r"Asynchronous.websocket\(\) is asynchronous, .* Write it with 'def'"):
            Asynchronous.as_view()

    def test_another_async_method(self):
        class Asynchronous(Echo):
            async def get(self, request):
                """Never called."""

        with pytest.raises(TypeError, match="takes synchronous views"):
            Asynchronous.as_view()

    def test_no_method(self):
        class Nothing(WebSocketView):
            pass

        with pytest.raises(TypeError, match=r"Nothing has no method websocket\(\)"):
            Nothing.as_view()

    def test_the_wrong_order(self):
        with pytest.raises(TypeError, match="in the bases of Wrong, WebSocketMixin has to stand before View"):

            class Wrong(View, WebSocketMixin):
                pass

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"subprotocol": "chat"}, TypeError),
            ({"ping_interval": "1"}, TypeError),
            ({"ping_interval": -1}, ValueError),
        ],
    )
    def test_options(self, options, error):
        with pytest.raises(error):
            Echo.as_view(websocket_options=options)

    def test_an_attribute_that_does_not_exist(self):
        with pytest.raises(TypeError, match="received an invalid keyword 'words'"):
            Echo.as_view(words="heard")


def test_the_options_of_a_class_are_its_own():
    assert "websocket_options" not in vars(Echo)
    assert Echo.websocket_options == {}
    assert DecoratedItself.websocket_options is Both.websocket_options


class Again(WebSocketView):
    def websocket(self, request):
        request.websocket.send("again" if "again" in request.GET else "once")
        if "again" in request.GET:
            request.GET = {}
            self.dispatch(request)


urlpatterns.append(path("again/", Again.as_view()))


def test_a_method_that_calls_dispatch_again(client, caplog):
    with client.websocket("/again/?again") as websocket:
        assert list(websocket) == ["again", "once"]
    assert websocket.close_code == 1000
    assert caplog.records == []


def test_the_annotations_of_a_view_can_be_evaluated():
    assert typing.get_type_hints(Echo)["websocket_options"] is WebSocketOptions


def test_a_view_leaves_no_cycle(client):
    """Only the garbage collector could free it, once for each connection."""
    with client.websocket("/kept/") as websocket:
        assert list(websocket) == ["True"]
    (view,) = Kept.views
    assert "get" not in vars(view)
    Kept.views.clear()


class Kept(WebSocketView):
    views = []

    def websocket(self, request):
        self.views.append(self)
        request.websocket.send("get" in vars(self))


urlpatterns.append(path("kept/", Kept.as_view()))


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_view_that_is_called_by_itself(method):
    """The unit tests of a project may call a view like this."""
    request = getattr(RequestFactory(), method)("/")
    request.user = AnonymousUser()
    assert Echo.as_view()(request).status_code == 400
    assert Posting.as_view()(request).status_code == {"get": 405, "post": 200}[method]
    view = Posting()
    view.setup(request)
    assert view.dispatch(request).status_code == {"get": 405, "post": 200}[method]
