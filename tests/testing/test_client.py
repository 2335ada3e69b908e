"""The client: its requests, handshakes, sessions and cookies."""

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path, re_path

from django_websocket import UnsupportedFeature, accept_websocket
from django_websocket.testing.client import WebSocketClient
from lab.project.documented import lower_case

from ..views import OLD, OURS, VERSIONS
from . import views
from .views import echo

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


@route("request/")
def describe(request):
    names = request.GET.getlist("name")
    values = {
        "secure": request.is_secure(),
        "host": request.get_host(),
        "path": request.get_full_path(),
        **{name: request.META.get(name) for name in names},
    }
    request.websocket.send_json(values)


def described(client, *names, **options):
    query = "&".join(f"name={name}" for name in names)
    with client.websocket(f"/request/?{query}", **options) as websocket:
        assert websocket.accepted
        return websocket.wait_json()


class TestRequest:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_plain(self, client, version):
        assert described(client, version=version) == {"secure": False, "host": "testserver", "path": "/request/"}

    @pytest.mark.parametrize("version", VERSIONS)
    def test_secure(self, client, version):
        values = described(client, "SERVER_PORT", version=version, secure=True)
        assert (values["secure"], values["SERVER_PORT"]) == (True, "443")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_headers(self, client, version):
        values = described(
            client, "HTTP_X_ONE", "HTTP_USER_AGENT", version=version, headers={"X-One": "1", "user-agent": "tests"}
        )
        assert (values["HTTP_X_ONE"], values["HTTP_USER_AGENT"]) == ("1", "tests")

    @pytest.mark.parametrize("version", VERSIONS)
    def test_origin(self, client, version):
        name = "HTTP_SEC_WEBSOCKET_ORIGIN" if version in {8, 7} else "HTTP_ORIGIN"
        values = described(client, name, version=version, headers={"Origin": "http://TESTSERVER"})
        assert values[name] == "http://TESTSERVER"

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(
        ("origin", "options"),
        [
            ("http://testserver", {}),
            ("https://testserver", {"secure": True}),
            ("http://localhost:8000", {"headers": {"Host": "localhost:8000"}}),
            ("http://localhost", {"SERVER_NAME": "localhost"}),
        ],
    )
    def test_the_origin_of_the_own_pages(self, client, settings, version, origin, options):
        """A browser always sends one, with each version."""
        settings.WEBSOCKET_REQUIRE_ORIGIN = True
        name = "HTTP_SEC_WEBSOCKET_ORIGIN" if version in {8, 7} else "HTTP_ORIGIN"
        assert described(client, name, version=version, **options)[name] == origin

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("scheme", ["https", "wss"])
    def test_the_origin_of_the_own_pages_behind_a_proxy(self, client, settings, version, scheme):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        assert described(client, version=version, headers={"X-Forwarded-Proto": scheme})["secure"]

    def test_the_origin_of_the_own_pages_behind_a_proxy_with_another_name(self, client, settings):
        settings.USE_X_FORWARDED_HOST = True
        headers = {"X-Forwarded-Host": "localhost"}
        assert described(client, "HTTP_ORIGIN", headers=headers)["HTTP_ORIGIN"] == "http://localhost"

    @pytest.mark.parametrize("version", [13, 8, 7])
    @pytest.mark.parametrize("defaults", [{}, {"headers": {"Origin": "https://evil.example"}}])
    def test_no_origin(self, settings, version, defaults):
        names = ["HTTP_SEC_WEBSOCKET_ORIGIN", "HTTP_ORIGIN"]
        values = described(WebSocketClient(**defaults), *names, version=version, headers={"origin": None})
        assert [values[name] for name in names] == [None, None]
        settings.WEBSOCKET_REQUIRE_ORIGIN = True
        with WebSocketClient(**defaults).websocket("/echo/", version=version, headers={"Origin": None}) as websocket:
            assert websocket.response.content == b"the Origin header is missing\n"

    @pytest.mark.parametrize("version", OLD)
    def test_versions_that_demand_an_origin(self, client, version):
        values = described(client, "HTTP_ORIGIN", version=version, headers={"Origin": None})
        assert values["HTTP_ORIGIN"] == "http://testserver"

    def test_origin_of_the_client(self, settings):
        settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.com"]
        client = WebSocketClient(headers={"Origin": "https://example.com"})
        assert described(client, "HTTP_ORIGIN")["HTTP_ORIGIN"] == "https://example.com"
        with client.websocket("/echo/", headers={"Origin": "http://testserver"}) as websocket:
            assert websocket.response.status_code == 403

    def test_a_host_that_is_not_allowed(self, client):
        with client.websocket("/echo/", headers={"Host": "evil.example"}) as websocket:
            assert websocket.response.content == b"the Host header is not allowed\n"

    def test_origin_that_is_not_allowed(self, client):
        with client.websocket("/request/", headers={"Origin": "https://evil.example"}) as websocket:
            assert not websocket.accepted
        assert websocket.response.status_code == 403

    @pytest.mark.parametrize("version", VERSIONS)
    def test_host(self, client, version):
        assert described(client, version=version, headers={"Host": "localhost:8000"})["host"] == "localhost:8000"

    @pytest.mark.parametrize("version", VERSIONS)
    def test_host_by_the_names_of_the_environ(self, client, version):
        """The client of Django takes these names, too."""
        assert described(client, version=version, HTTP_HOST="localhost:8000")["host"] == "localhost:8000"
        assert described(client, version=version, SERVER_NAME="localhost")["host"] == "localhost"

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("defaults", [{"headers": {"host": "localhost"}}, {"HTTP_HOST": "localhost"}])
    def test_host_of_the_client(self, version, defaults):
        assert described(WebSocketClient(**defaults), version=version)["host"] == "localhost"

    def test_server_name_of_the_client(self):
        assert described(WebSocketClient(SERVER_NAME="localhost"))["host"] == "localhost"

    @pytest.mark.parametrize("version", VERSIONS)
    def test_origin_by_the_names_of_the_environ(self, client, version):
        with client.websocket("/echo/", version=version, HTTP_ORIGIN="https://evil.example") as websocket:
            assert not websocket.accepted
        assert websocket.response.status_code == 403

    def test_defaults_of_the_client(self):
        client = WebSocketClient(headers={"X-One": "1"}, REMOTE_ADDR="10.0.0.1")
        values = described(client, "HTTP_X_ONE", "REMOTE_ADDR")
        assert (values["HTTP_X_ONE"], values["REMOTE_ADDR"]) == ("1", "10.0.0.1")

    def test_environ(self, client):
        assert described(client, "REMOTE_ADDR", REMOTE_ADDR="10.0.0.1")["REMOTE_ADDR"] == "10.0.0.1"

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(
        "target",
        [
            "/target/?a=1&b=%20c",
            "/target/caf%C3%A9/a%20b",
            # Django would write these in another way.
            "/target/%7euser/",
            "/target/a%2fb",
            "/target/;x=1",
            "/target/?",
            # A path as people write it, without percent-encoding.
            "/target/世界/?q=é",
        ],
    )
    def test_targets(self, client, version, target):
        """In the old drafts the server repeats the target to the letter, and the client checks that."""
        with client.websocket(target, version=version) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"

    @pytest.mark.parametrize("version", OLD)
    def test_a_wrong_answer_fails_the_test(self, client, version):
        """A handshake that no browser would take must not look like a connection that was closed."""
        with (
            pytest.raises(AssertionError, match="Location is not what it has to be"),
            client.websocket("/echo/", version=version, REQUEST_URI="/other/"),
        ):
            pytest.fail("there is no connection")

    @pytest.mark.parametrize("version", [12, 0, "13", None])
    def test_unknown_version(self, client, version):
        with pytest.raises(ValueError, match=f"^there is no WebSocket version {version}$"):
            client.websocket("/echo/", version=version)

    @pytest.mark.parametrize("version", VERSIONS)
    def test_version(self, client, version):
        with client.websocket("/version/", version=version) as websocket:
            assert websocket.wait() == str(version)

    def test_without_the_middleware(self, settings):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
        with WebSocketClient().websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
        assert websocket.response.status_code == 101

    def test_without_any_middleware(self, settings):
        settings.MIDDLEWARE = []
        with WebSocketClient().websocket("/echo/", version=76) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"


urlpatterns += [re_path("^target/", accept_websocket(echo))]


@route("version/")
def version_view(request):
    request.websocket.send(request.websocket.version)


class TestSubprotocols:
    def test_negotiated(self, client):
        with client.websocket("/events/", subprotocols=["chat.v1", "chat.v2"]) as websocket:
            assert websocket.subprotocol == "chat.v2"

    @pytest.mark.parametrize("offered", [[], ["other"]])
    def test_none_in_common(self, client, offered):
        with client.websocket("/events/", subprotocols=offered) as websocket:
            assert websocket.accepted
            assert websocket.subprotocol is None

    @pytest.mark.parametrize("version", VERSIONS)
    def test_all_versions(self, client, version):
        with client.websocket("/events/", version=version, subprotocols=["chat.v1"]) as websocket:
            assert websocket.subprotocol == "chat.v1"

    @pytest.mark.parametrize("version", OLD)
    def test_versions_that_offer_one_subprotocol(self, client, version):
        session = client.websocket("/events/", version=version, subprotocols=["chat.v1", "chat.v2"])
        with pytest.raises(UnsupportedFeature), session:
            pytest.fail("this cannot be sent")


# Sessions and cookies


@route("cookie/")
def cookie(request):
    response = HttpResponse("rejected")
    response.set_cookie("flavour", "chocolate")
    return response


@pytest.mark.django_db
class TestSessions:
    def test_force_login(self, client):
        client.force_login(User.objects.create_user("ann"))
        with client.websocket("/visits/") as websocket:
            assert websocket.wait() == "ann 1 None"
        assert client.get("/visits/").content == b"ann 2"
        client.logout()
        with client.websocket("/visits/") as websocket:
            assert websocket.wait() == "AnonymousUser 1 None"

    @pytest.mark.parametrize("version", VERSIONS)
    def test_cookies(self, client, version):
        client.cookies["flavour"] = "vanilla"
        with client.websocket("/visits/", version=version) as websocket:
            assert websocket.wait() == "AnonymousUser 1 vanilla"

    def test_cookies_of_a_rejection(self, client):
        with client.websocket("/cookie/"):
            assert client.cookies["flavour"].value == "chocolate"
        with client.websocket("/visits/") as websocket:
            assert websocket.wait() == "AnonymousUser 1 chocolate"

    @pytest.mark.parametrize("with_ours", [True, False])
    def test_cookies_of_the_handshake(self, settings, with_ours):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if with_ours or name != OURS]
        client = WebSocketClient()
        with client.websocket("/visits/") as websocket:
            assert websocket.wait() == "AnonymousUser 1 None"
            assert "sessionid" in client.cookies
        with client.websocket("/visits/") as websocket:
            assert websocket.wait() == "AnonymousUser 2 None"

    def test_the_session_store(self, client):
        session = client.session
        session["visits"] = 41
        session.save()
        with client.websocket("/visits/") as websocket:
            assert websocket.wait() == "AnonymousUser 42 None"
        assert client.session["visits"] == 42


urlpatterns += [path("lower-case/", lower_case)]


def test_the_example_of_the_documentation(client):
    with client.websocket("/lower-case/") as websocket:
        websocket.send("ONE")
        assert websocket.wait() == "one"
    assert client.get("/lower-case/?message=ONE").content == b"one"
