"""The test client."""

import contextvars
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.test import SimpleTestCase, TestCase, override_settings
from django.urls import path, re_path
from django.utils import timezone as django_timezone
from django.utils import translation
from greenlet import getcurrent

from django_websocket import ConnectionClosed, UnsupportedFeature, accept_websocket, require_websocket
from django_websocket.process.registry import registry
from django_websocket.testing.client import WebSocketClient
from django_websocket.testing.transport import scheduler
from lab.project.documented import add_one, echo_once, lower_case

from .views import OURS, VERSIONS

pytestmark = pytest.mark.urls(__name__)

OLD = [75, 76]

urlpatterns = [path("echo-once/", echo_once), path("lower-case/", lower_case), path("add-one/", add_one)]


def route(address, **options):
    """Put a view that takes WebSockets at an address of this module."""

    def add(view):
        urlpatterns.append(path(address, accept_websocket(**options)(view)))
        return view

    return add


@pytest.fixture
def client():
    return WebSocketClient()


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """Every view has ended when its session has."""
    yield
    assert scheduler().transports == []
    assert len(registry) == 0


seen = []


@pytest.fixture(autouse=True)
def _nothing_seen():
    seen.clear()


@route("echo/")
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


@route("events/", subprotocols=["chat.v2", "chat.v1"])
def events(request):
    """Note what happens to the view."""
    websocket = request.websocket
    try:
        for message in websocket:
            seen.append(message)  # noqa: PERF402 - one by one
    finally:
        seen.append((websocket.close_code, websocket.close_reason))


# Messages


class TestMessages:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_text(self, client, version):
        with client.websocket("/echo/", version=version) as websocket:
            for text in ("hello", "", "Grüße, 世界 🌍", "x" * 100_000):
                websocket.send(text)
                assert websocket.wait() == text

    @pytest.mark.parametrize("version", [13, 8, 7])
    def test_binary(self, client, version):
        with client.websocket("/echo/", version=version) as websocket:
            for data in (b"", bytes(range(256)), b"\x00" * 100_000):
                websocket.send(data)
                assert websocket.wait() == data

    @pytest.mark.parametrize("version", OLD)
    def test_binary_of_versions_that_have_none(self, client, version):
        with client.websocket("/echo/", version=version) as websocket:
            with pytest.raises(UnsupportedFeature):
                websocket.send(b"data")
            websocket.send("text")
            assert websocket.wait() == "text"

    def test_several(self, client):
        with client.websocket("/echo/") as websocket:
            for number in range(10):
                websocket.send(str(number))
            assert [websocket.wait() for _ in range(10)] == list("0123456789")

    def test_the_view_runs_when_something_is_sent(self, client):
        with client.websocket("/events/") as websocket:
            assert seen == []
            websocket.send("one")
            assert seen == ["one"]
        assert seen == ["one", (1000, "")]

    def test_the_view_begins_when_the_session_is_entered(self, client):
        session = client.websocket("/greeting/")
        assert seen == []
        with session as websocket:
            assert seen == ["greeting"]
            assert websocket.wait() == "hello"

    def test_json(self, client):
        with client.websocket("/json/") as websocket:
            websocket.send_json({"n": [1, None, "é"]})
            assert websocket.wait_json() == {"n": [1, None, "é"], "more": "1.50"}
            websocket.send_json({"at": datetime(2010, 7, 1, tzinfo=timezone.utc)})
            assert websocket.wait_json() == {"at": "2010-07-01T00:00:00Z", "more": "1.50"}
            websocket.send("stop")
            assert websocket.wait_json() is None
            assert websocket.wait_json(timeout=1) is None

    def test_iteration(self, client):
        with client.websocket("/greeting/") as websocket:
            assert list(websocket) == ["hello", "goodbye"]
            assert list(websocket) == []

    def test_messages_before_the_end_are_kept(self, client):
        with client.websocket("/greeting/") as websocket:
            pass
        assert list(websocket) == ["hello", "goodbye"]

    def test_ping(self, client):
        """The view's side answers, and sees no message."""
        with client.websocket("/events/") as websocket:
            websocket.ping(b"payload")
            websocket.ping()
            websocket.send("one")
        assert seen == ["one", (1000, "")]

    def test_ping_of_the_view(self, client):
        with client.websocket("/ping/") as websocket:
            websocket.send("go on")
            assert list(websocket) == ["0.0"]

    @pytest.mark.parametrize("version", OLD)
    def test_ping_of_versions_that_have_none(self, client, version):
        with client.websocket("/echo/", version=version) as websocket, pytest.raises(UnsupportedFeature):
            websocket.ping()


@route("greeting/")
def greeting(request):
    seen.append("greeting")
    request.websocket.send("hello")
    request.websocket.send("goodbye")


@route("json/")
def echo_json(request):
    while (message := wait_json(request.websocket)) is not None:
        request.websocket.send_json({**message, "more": Decimal("1.50")})


def wait_json(websocket):
    try:
        return websocket.wait_json()
    except ValueError:
        return None


@route("ping/")
def ping(request):
    request.websocket.ping(b"from the view")
    request.websocket.wait()
    request.websocket.send(request.websocket.latency)


# The request


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

    def test_origin_that_is_not_allowed(self, client):
        with client.websocket("/request/", headers={"Origin": "https://evil.example"}) as websocket:
            assert not websocket.accepted
        assert websocket.response.status_code == 403

    @pytest.mark.parametrize("version", VERSIONS)
    def test_host(self, client, version):
        assert described(client, version=version, headers={"Host": "localhost:8000"})["host"] == "localhost:8000"

    @pytest.mark.parametrize("version", VERSIONS)
    def test_host_by_the_names_of_the_environ(self, client, version):
        """As Django's client takes it."""
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
            # Not as Django would write them.
            "/target/%7euser/",
            "/target/a%2fb",
            "/target/;x=1",
            "/target/?",
            # As people write them.
            "/target/世界/?q=é",
        ],
    )
    def test_targets(self, client, version, target):
        """The old drafts have the server repeat it, to the letter."""
        with client.websocket(target, version=version) as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"

    @pytest.mark.parametrize("version", OLD)
    def test_an_answer_that_is_wrong(self, client, version):
        """What a browser of that time would not take does not pass for a connection that was closed."""
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
    def test_versions_that_offer_one(self, client, version):
        session = client.websocket("/events/", version=version, subprotocols=["chat.v1", "chat.v2"])
        with pytest.raises(UnsupportedFeature), session:
            pytest.fail("this cannot be sent")


# Compression


@route("compressing/", compression={"threshold": 10})
def compressing(request):
    """Echo, and do what is said about compression."""
    websocket = request.websocket
    for message in websocket:
        if message.startswith("as it is"):
            websocket.send(message, compress=False)
        elif message.startswith("json"):
            websocket.send_json([message])
            websocket.send_json([message], compress=False)
        else:
            websocket.send(message)


@route("never-compressing/", compression=False)
def never_compressing(request):
    echo(request)


def frames_of(websocket):
    """Give the first byte of each frame that the view sends from now on."""
    firsts = []
    receive = websocket._protocol.receive

    def note(data):
        if data:
            firsts.append(data[0])
        return receive(data)

    websocket._protocol.receive = note
    return firsts


class TestCompression:
    LONG = "long " * 1000

    def extensions(self, client, address="/echo/", **options):
        with client.websocket(address, **options) as websocket:
            for message in ("short", self.LONG):
                websocket.send(message)
                assert websocket.wait() == message
            return websocket.headers.get("sec-websocket-extensions")

    def test_both_sides_have_to_want_it(self, client, settings):
        assert self.extensions(client) is None
        assert self.extensions(client, compression=True) is None
        settings.WEBSOCKET_COMPRESSION = True
        assert self.extensions(client) is None
        assert self.extensions(client, compression=True) == (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=12; client_max_window_bits=12"
        )
        wide = {"window_bits": 15, "context_takeover": True}
        settings.WEBSOCKET_COMPRESSION = wide
        assert self.extensions(client, compression=wide) == "permessage-deflate"

    def test_the_view_decides(self, client, settings):
        assert self.extensions(client, "/compressing/", compression=True) is not None
        settings.WEBSOCKET_COMPRESSION = True
        assert self.extensions(client, "/never-compressing/", compression=True) is None

    @pytest.mark.parametrize("version", [13, 8, 7])
    def test_frames(self, client, version):
        with client.websocket("/compressing/", version=version, compression=True) as websocket:
            firsts = frames_of(websocket)
            for message in ("short", self.LONG, "as it is" * 1000):
                websocket.send(message)
                assert websocket.wait() == message
            websocket.send("json" * 1000)
            assert websocket.wait_json() == websocket.wait_json() == ["json" * 1000]
            assert firsts == [0x81, 0xC1, 0x81, 0xC1, 0x81]

    @pytest.mark.parametrize("compression", [True, False])
    @pytest.mark.parametrize("version", VERSIONS)
    def test_every_version_takes_the_option(self, client, version, compression):
        with client.websocket("/compressing/", version=version, compression=compression) as websocket:
            for message in ("as it is", "as it is" * 1000, self.LONG):
                websocket.send(message)
                assert websocket.wait() == message
            websocket.send("json")
            assert websocket.wait_json() == websocket.wait_json() == ["json"]

    def test_a_bomb(self, client, settings):
        settings.WEBSOCKET_COMPRESSION = True
        with client.websocket("/echo/", compression=True) as websocket:
            websocket.send("\0" * 1048577)
            assert websocket.wait() is None
        assert websocket.close_code == 1009

    def test_a_bad_offer(self, client):
        with pytest.raises(ValueError, match="'window_bits' is at least 9"):
            client.websocket("/echo/", compression={"window_bits": 8})


# Closing


class TestClosing:
    def test_by_the_test(self, client):
        with client.websocket("/events/") as websocket:
            assert (websocket.closed, websocket.close_code, websocket.close_reason) == (False, None, "")
            websocket.close(4000, "enough")
            assert websocket.closed
            assert seen == [(4000, "enough")]
            assert websocket.wait() is None
            with pytest.raises(ConnectionClosed):
                websocket.send("too late")
        assert websocket.response.status_code == 101

    def test_by_the_end_of_the_with_statement(self, client):
        with client.websocket("/events/") as websocket:
            assert websocket.response is None
        assert seen == [(1000, "")]
        assert (websocket.closed, websocket.close_code) == (True, 1000)
        assert websocket.response.status_code == 101

    def test_twice(self, client):
        with client.websocket("/events/") as websocket:
            websocket.close(4000)
            websocket.close(4001)
        assert seen == [(4000, "")]

    @pytest.mark.parametrize(("code", "reason"), [(1005, ""), (999, ""), (1000, "x" * 124)])
    def test_codes_that_nobody_sends(self, client, code, reason):
        with client.websocket("/events/") as websocket:
            with pytest.raises(ValueError, match="close"):
                websocket.close(code, reason)
            assert not websocket.closed

    @pytest.mark.parametrize("version", VERSIONS)
    def test_all_versions(self, client, version):
        """The view ends at once, and without its deadlines."""
        before = scheduler().now
        with client.websocket("/events/", version=version) as websocket:
            websocket.send("one")
            websocket.close(4000, "enough")
            assert seen == ["one", (1005, "") if version in OLD else (4000, "enough")]
        assert scheduler().now == before

    @pytest.mark.parametrize("version", VERSIONS)
    def test_by_the_view(self, client, version):
        with client.websocket("/close/", version=version) as websocket:
            assert websocket.wait() is None
            assert websocket.closed
            if version not in OLD:
                assert (websocket.close_code, websocket.close_reason) == (4001, "go away")
            assert seen == ["closed"]

    def test_the_session_is_over(self, client):
        with client.websocket("/echo/") as websocket:
            websocket.send("hello")
        assert list(websocket) == ["hello"]
        assert websocket.wait() is None
        with pytest.raises(ConnectionClosed):
            websocket.send("too late")
        with pytest.raises(ConnectionClosed):
            websocket.ping()
        websocket.close()

    @pytest.mark.parametrize("version", VERSIONS)
    def test_vanish(self, client, version):
        with client.websocket("/events/", version=version) as websocket:
            websocket.send("one")
            websocket.vanish()
            assert seen == ["one", (1005 if version == 75 else 1006, "")]
            assert (websocket.closed, websocket.close_code) == (True, 1006)
            assert websocket.wait() is None
        assert websocket.response.status_code == 101

    def test_send_to_one_that_has_vanished(self, client):
        with client.websocket("/stubborn/") as websocket:
            websocket.vanish()
        assert seen == ["ConnectionClosed(1006)"] * 2

    def test_close_one_that_has_vanished(self, client):
        with client.websocket("/close-later/") as websocket:
            websocket.vanish()
        assert seen == [1006]

    def test_vanish_after_the_end(self, client):
        with client.websocket("/close/") as websocket:
            websocket.vanish()
        assert websocket.close_code == 4001

    def test_the_process_ends(self, client, monkeypatch):
        """Shutdown sends Close without waiting, from a signal handler."""
        monkeypatch.setattr(registry, "draining", False)
        with client.websocket("/events/") as websocket:
            registry.close_all()
            assert websocket.wait() is None
            assert websocket.close_code == 1012

    def test_the_process_ends_when_the_client_has_gone(self, client, monkeypatch):
        monkeypatch.setattr(registry, "draining", False)
        with client.websocket("/shutdown/") as websocket:
            websocket.vanish()
        assert seen == [1006]


@route("close/")
def close(request):
    request.websocket.close(4001, "go away")
    seen.append("closed")


@route("close-later/")
def close_later(request):
    request.websocket.wait()
    request.websocket.close()
    seen.append(request.websocket.close_code)


@route("stubborn/")
def stubborn(request):
    websocket = request.websocket
    websocket.wait()
    for _ in range(2):
        try:
            websocket.send("anybody?")
        except ConnectionClosed as error:
            seen.append(f"ConnectionClosed({error.code})")


@route("shutdown/")
def shutdown(request):
    """Be asked to close at the very moment the client goes."""
    try:
        request.websocket.wait()
    finally:
        registry.close_all()
        seen.append(request.websocket.close_code)


# Rejections


@route("rejecting/")
def rejecting(request):
    return HttpResponse("no room for you", status=418)


@route("redirecting/")
def redirecting(request):
    return HttpResponseRedirect("/landing/?from=websocket")


@route("landing/")
def landing(request):
    return HttpResponse("landed")


class TestRejections:
    def test_an_ordinary_response(self, client):
        with client.websocket("/rejecting/") as websocket:
            assert not websocket.accepted
            assert websocket.closed
        response = websocket.response
        assert (response.status_code, response.content) == (418, b"no room for you")
        assert response.request["PATH_INFO"] == "/rejecting/"
        assert response.wsgi_request.headers["Upgrade"] == "websocket"
        assert response.resolver_match.func.__name__ == "rejecting"

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("call", ["send", "wait", "ping", "close", "send_json", "wait_json", "__iter__"])
    def test_nothing_can_be_done(self, client, version, call):
        with client.websocket("/rejecting/", version=version) as websocket:
            arguments = ["x"] if call in {"send", "send_json"} else []
            with pytest.raises(AssertionError, match=r"^the handshake was rejected with status 418; see \.response$"):
                list(getattr(websocket, call)(*arguments) or ())

    def test_a_session_that_was_not_entered(self, client):
        websocket = client.websocket("/echo/")
        assert not websocket.accepted
        with pytest.raises(AssertionError, match="with"):
            websocket.send("hello")

    def test_unknown_address(self, client):
        with client.websocket("/nowhere/") as websocket:
            assert websocket.response.status_code == 404

    def test_refusal(self, client):
        with client.websocket("/echo/", HTTP_CONNECTION="close") as websocket:
            assert websocket.response.content == b"the Connection header does not name upgrade\n"

    def test_plain_requests_of_the_same_client(self, client):
        assert client.get("/landing/").content == b"landed"
        with client.websocket("/echo/") as websocket:
            assert client.get("/landing/").content == b"landed"
            websocket.send("hello")
            assert websocket.wait() == "hello"


# Errors of the view


class ViewError(Exception):
    pass


@route("raise/")
def raise_error(request):
    request.websocket.send("hello")
    message = request.websocket.wait()
    raise ViewError(message)


@route("raise-early/")
def raise_early(request):
    raise ViewError


@route("raise-at-the-end/")
def raise_at_the_end(request):
    list(request.websocket)
    raise ViewError


class TestErrors:
    def test_from_wait(self, client):
        with client.websocket("/raise/") as websocket:
            assert websocket.wait() == "hello"
            websocket.send("one")
            with pytest.raises(ViewError, match=r"^one$"):
                websocket.wait()
            assert websocket.wait() is None, "it is raised once"
        assert websocket.close_code == 1011

    def test_messages_come_first(self, client):
        with client.websocket("/raise/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "hello"
            with pytest.raises(ViewError):
                websocket.wait()

    def test_from_a_send_that_comes_too_late(self, client):
        """The reason, and not that there is one."""
        with client.websocket("/raise/") as websocket:
            websocket.send("one")
            with pytest.raises(ViewError):
                websocket.send("two")

    def test_from_iteration(self, client):
        with client.websocket("/raise/") as websocket:
            websocket.send("one")
            with pytest.raises(ViewError):
                list(websocket)

    @pytest.mark.parametrize("address", ["/raise/", "/raise-at-the-end/"])
    def test_from_the_end_of_the_with_statement(self, client, address):
        with pytest.raises(ViewError), client.websocket(address) as websocket:
            websocket.send("one")

    def test_from_its_beginning(self, client):
        with pytest.raises(ViewError), client.websocket("/raise-early/"):
            pytest.fail("there is no connection")

    def test_the_test_fails_first(self, client):
        """Its own failure is the one that is told."""
        with pytest.raises(ZeroDivisionError), client.websocket("/raise-at-the-end/"):
            raise ZeroDivisionError

    def test_a_client_that_does_not_raise(self):
        client = WebSocketClient(raise_request_exception=False)
        with client.websocket("/raise/") as websocket:
            websocket.send("one")
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1011
        with client.websocket("/raise-early/") as websocket:
            assert websocket.response.status_code == 500

    def test_one_of_two_sessions(self, client):
        with client.websocket("/echo/") as first:
            with pytest.raises(ViewError), client.websocket("/raise/") as second:
                second.send("one")
            first.send("I am well")
            assert first.wait() == "I am well"

    def test_a_plain_request_beside_a_session(self, client):
        with client.websocket("/echo/") as websocket:
            with pytest.raises(ViewError):
                client.get("/raise-early/")
            websocket.send("I am well")
            assert websocket.wait() == "I am well"

    def test_a_connection_that_the_view_has_closed(self, client):
        with client.websocket("/close/") as websocket, pytest.raises(ConnectionClosed) as caught:
            websocket.send("too late")
        assert caught.value.code == 4001


# Time


@route("patient/")
def patient(request):
    """Wait for a minute at a time."""
    websocket = request.websocket
    while not websocket.closed:
        try:
            message = websocket.wait(timeout=60)
        except TimeoutError:
            websocket.send("anybody?")
        else:
            websocket.send(f"heard {message}") if message else None


@route("silent/", ping_interval=None)
def silent(request):
    request.websocket.wait()


class TestTime:
    @pytest.fixture(autouse=True)
    def _no_real_time(self, monkeypatch):
        def sleep(seconds):
            pytest.fail("slept")

        monkeypatch.setattr(time, "sleep", sleep)
        start = time.monotonic()
        yield
        assert time.monotonic() - start < 20

    def test_a_deadline_of_the_view_is_there_at_once(self, client):
        with client.websocket("/patient/") as websocket:
            start = scheduler().now
            assert websocket.wait() == "anybody?"
            assert scheduler().now == start + 60
            websocket.send("me")
            assert websocket.wait() == "heard me"
            assert scheduler().now == start + 60
            assert [websocket.wait(), websocket.wait()] == ["anybody?", "anybody?"]
            assert scheduler().now == start + 180

    def test_the_tests_own_deadline(self, client):
        with client.websocket("/patient/") as websocket:
            start = scheduler().now
            with pytest.raises(TimeoutError, match=r"^no message came in time$"):
                websocket.wait(timeout=59)
            assert scheduler().now == start + 59
            assert websocket.wait(timeout=2) == "anybody?"
            assert scheduler().now == start + 60
            with pytest.raises(TimeoutError):
                websocket.wait_json(timeout=30)

    def test_a_deadline_that_nothing_is_before(self, client):
        with client.websocket("/silent/") as websocket:
            start = scheduler().now
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=7200)
            assert scheduler().now == start + 7200

    def test_two_sessions_have_one_time(self, client):
        with client.websocket("/patient/") as first, client.websocket("/patient/") as second:
            start = scheduler().now
            assert first.wait() == "anybody?"
            assert second.wait() == "anybody?"
            assert scheduler().now == start + 60

    def test_the_earliest_deadline_comes_first(self, client):
        with client.websocket("/patient/") as slow, client.websocket("/quick/") as quick:
            start = scheduler().now
            assert slow.wait() == "anybody?"
            assert scheduler().now == start + 60
            assert [quick.wait() for _ in range(2)] == ["25", "50"]

    def test_keepalive(self, client):
        """The client answers pings by itself, for as long as it takes."""
        with client.websocket("/alive/") as websocket:
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=3000)
            websocket.send("still there?")
            assert websocket.wait() == "still there? latency 0.0"

    @pytest.mark.parametrize("version", OLD)
    def test_versions_without_keepalive(self, client, version):
        with client.websocket("/echo/", version=version) as websocket:
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=3000)
            websocket.send("still there?")
            assert websocket.wait() == "still there?"

    def test_a_view_that_answers_late_after_close(self, client):
        with client.websocket("/patient/"):
            pass
        with client.websocket("/patient/") as websocket:
            websocket.vanish()


@route("quick/")
def quick(request):
    for number in (25, 50):
        with pytest.raises(TimeoutError):
            request.websocket.wait(timeout=25)
        request.websocket.send(number)


@route("alive/")
def alive(request):
    for message in request.websocket:
        request.websocket.send(f"{message} latency {request.websocket.latency}")


# Nothing comes any more


class TestDeadlocks:
    def test_both_wait(self, client):
        with client.websocket("/silent/") as websocket:
            with pytest.raises(AssertionError, match=r"^both sides wait: the view for the test, and the test for the"):
                websocket.wait()
            websocket.send("go on")

    def test_both_wait_though_pings_go_to_and_fro(self, client):
        with client.websocket("/echo/") as websocket, pytest.raises(AssertionError, match=r"^both sides wait"):
            websocket.wait()

    def test_two_sessions_and_nobody_speaks(self, client):
        sessions = client.websocket("/silent/"), client.websocket("/silent/")
        with sessions[0] as first, sessions[1], pytest.raises(AssertionError, match=r"^both sides wait"):
            first.wait()

    def test_another_thread_is_waited_for(self, client, monkeypatch):
        """But not for ever."""
        monkeypatch.setattr("django_websocket.testing.transport.THREADS_TIME", 0.001)
        done = threading.Event()
        thread = threading.Thread(target=done.wait)
        thread.start()
        try:
            with client.websocket("/silent/") as websocket, pytest.raises(AssertionError, match=r"^both sides wait"):
                websocket.wait()
        finally:
            done.set()
            thread.join()


# Views that do not end


@route("elsewhere/")
def elsewhere(request):
    """Wait for something that has nothing to do with the WebSocket."""
    try:
        request.websocket.send("hello")
        getcurrent().parent.switch()
    finally:
        seen.append("finally")


@route("elsewhere-in-a-transaction/")
def elsewhere_in_a_transaction(request):
    with transaction.atomic():
        Group.objects.create(name="never")
        getcurrent().parent.switch()


@route("elsewhere-before-the-handshake/")
def elsewhere_before_the_handshake(request):
    try:
        getcurrent().parent.switch()
    finally:
        seen.append("finally")


@route("last-words/")
def last_words(request):
    try:
        request.websocket.accept()
        getcurrent().parent.switch()
    finally:
        try:
            request.websocket.send("last words")
        except ConnectionClosed as error:
            seen.append(error.code)


class TestStopping:
    def test_a_view_that_does_not_end(self, client):
        with (
            pytest.raises(AssertionError, match=r"^the view still waits for something when its WebSocket is closed$"),
            client.websocket("/elsewhere/") as websocket,
        ):
            assert websocket.wait() == "hello"
        assert seen == ["finally"]
        assert websocket.response is None

    def test_when_the_test_has_failed(self, client):
        with pytest.raises(ZeroDivisionError), client.websocket("/elsewhere/"):
            raise ZeroDivisionError
        assert seen == ["finally"]

    def test_before_the_handshake(self, client):
        with pytest.raises(AssertionError), client.websocket("/elsewhere-before-the-handshake/") as websocket:
            websocket.wait()
        assert seen == ["finally"]

    @pytest.mark.django_db
    def test_its_transaction_is_rolled_back(self, client):
        with pytest.raises(AssertionError), client.websocket("/elsewhere-in-a-transaction/"):
            assert Group.objects.exists()
        assert not Group.objects.exists()

    def test_its_last_words(self, client):
        with pytest.raises(AssertionError), client.websocket("/last-words/") as websocket:
            pass
        assert list(websocket) == ["last words"]
        assert websocket.close_code == 1011
        assert seen == []

    def test_its_last_words_to_a_client_that_has_vanished(self, client):
        with pytest.raises(AssertionError), client.websocket("/last-words/") as websocket:
            websocket.vanish()
        assert list(websocket) == []
        assert seen == [1006]

    def test_a_client_that_has_vanished(self, client):
        with pytest.raises(AssertionError), client.websocket("/elsewhere/") as websocket:
            websocket.vanish()
        assert websocket.close_code == 1006

    def test_a_session_that_is_over(self, client):
        with client.websocket("/events/") as websocket:
            pass
        websocket.__exit__(None, None, None)
        assert seen == [(1000, "")]

    def test_a_session_that_has_not_begun(self, client):
        client.websocket("/events/").__exit__(None, None, None)
        assert seen == []

    def test_it_leaves_its_place(self, client, settings):
        settings.WEBSOCKET_MAX_CONNECTIONS = 1
        with pytest.raises(AssertionError), client.websocket("/elsewhere/"):
            pass
        with client.websocket("/echo/") as websocket:
            assert websocket.accepted

    def test_a_view_that_ends_when_the_test_fails(self, client):
        with pytest.raises(ZeroDivisionError), client.websocket("/events/"):
            raise ZeroDivisionError
        assert seen == [(1000, "")]

    def test_process_exits(self, client):
        with client.websocket("/exit/") as websocket:
            websocket.send("go on")
            with pytest.raises(SystemExit):
                websocket.wait()

    def test_process_exits_before_the_handshake(self, client):
        with pytest.raises(SystemExit), client.websocket("/exit-early/"):
            pytest.fail("there is no connection")


@route("exit/")
def exit_view(request):
    request.websocket.wait()
    raise SystemExit


@route("exit-early/")
def exit_early(request):
    raise SystemExit


# Several sessions

members = []


@route("member/")
def member(request):
    """What comes from one goes to all others."""
    websocket = request.websocket
    members.append(websocket)
    websocket.accept()
    try:
        for message in websocket:
            for other in members:
                if other is not websocket:
                    other.send(message)
    finally:
        members.remove(websocket)


class TestSeveral:
    def test_one_publishes_to_the_other(self, client):
        with client.websocket("/member/") as ann, client.websocket("/member/", version=76) as bob:
            ann.send("hello, Bob")
            assert bob.wait() == "hello, Bob"
            bob.send("hello, Ann")
            assert ann.wait() == "hello, Ann"
        assert members == []

    def test_the_other_clients_views_run_when_one_waits(self, client):
        with client.websocket("/relay/") as relay, client.websocket("/member/") as ann:
            relay.send("to all")
            assert ann.wait() == "to all"

    def test_many(self, client):
        with ExitStack() as stack:
            sessions = [stack.enter_context(client.websocket("/member/")) for _ in range(50)]
            sessions[0].send("hello")
            assert [session.wait() for session in sessions[1:]] == ["hello"] * 49

    def test_in_any_order(self, client):
        first, second = client.websocket("/member/"), client.websocket("/member/")
        first.__enter__()
        second.__enter__()
        first.send("one")
        first.__exit__(None, None, None)
        assert second.wait() == "one"
        second.__exit__(None, None, None)
        assert members == []

    def test_clients_of_their_own(self):
        with WebSocketClient().websocket("/member/") as ann, WebSocketClient().websocket("/member/") as bob:
            ann.send("hello")
            assert bob.wait() == "hello"

    def test_one_vanishes(self, client):
        with client.websocket("/member/") as ann, client.websocket("/member/") as bob:
            ann.vanish()
            assert len(members) == 1
            bob.send("anybody?")
        assert members == []

    def test_the_views_of_a_thread_are_its_own(self, client):
        """A test may run in any thread."""
        results = []

        def test():
            with WebSocketClient().websocket("/patient/") as websocket:
                results.append((websocket.wait(), scheduler()))

        with client.websocket("/patient/"):
            thread = threading.Thread(target=test)
            thread.start()
            thread.join()
        ((message, other),) = results
        assert message == "anybody?"
        assert other is not scheduler()


@route("relay/")
def relay(request):
    for message in request.websocket:
        for other in members:
            other.send(message)


# Threads of the view


@route("thread/")
def thread_view(request):
    websocket = request.websocket
    websocket.accept()
    start = threading.Event()

    def work():
        start.wait()
        websocket.send("from a thread")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for message in websocket:
            websocket.send(f"heard {message}")
            start.set()
    finally:
        start.set()
        thread.join()


@route("thread-wait/")
def thread_wait(request):
    """Wait for messages in a thread, which is for the view alone."""
    websocket = request.websocket
    websocket.accept()
    errors = []

    def work():
        try:
            websocket.wait()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    websocket.send(errors)


@route("busy-thread/", ping_interval=None)
def busy_thread(request):
    """Let a thread send that has ended when the test begins to wait."""
    websocket = request.websocket
    websocket.accept()
    thread = threading.Thread(target=websocket.send, args=["from a thread"])
    thread.start()
    thread.join()
    list(websocket)


class TestThreads:
    def test_send(self, client):
        with client.websocket("/thread/") as websocket:
            websocket.send("go")
            assert websocket.wait() == "heard go"
            assert websocket.wait() == "from a thread"

    def test_send_of_a_thread_that_has_ended(self, client):
        with client.websocket("/busy-thread/") as websocket:
            assert websocket.wait() == "from a thread"

    def test_wait(self, client):
        with client.websocket("/thread-wait/") as websocket:
            assert websocket.wait() == "['in the test client, messages are waited for in the view itself']"


# Context

colour = contextvars.ContextVar("colour", default="white")


@route("context/")
def context(request):
    """Say what is active, activate something else, say it again."""
    websocket = request.websocket
    for message in websocket:
        language, zone, hue = message.split()
        websocket.send(
            f"{translation.get_language()} {django_timezone.get_current_timezone_name()} {colour.get()} "
            f"{translation.gettext('Yes')}"
        )
        translation.activate(language)
        django_timezone.activate(zone)
        colour.set(hue)


class TestContext:
    @pytest.fixture(autouse=True)
    def _plain(self, settings):
        settings.TIME_ZONE = "UTC"

    def test_what_the_test_has_activated(self, client):
        with translation.override("fr"), django_timezone.override("Asia/Tokyo"):
            token = colour.set("red")
            try:
                with client.websocket("/context/") as websocket:
                    websocket.send("de Europe/Berlin blue")
                    assert websocket.wait() == "fr Asia/Tokyo red Oui"
            finally:
                colour.reset(token)

    def test_what_the_view_activates_stays_in_the_view(self, client):
        with translation.override("fr"), client.websocket("/context/") as websocket:
            websocket.send("de Europe/Berlin blue")
            assert websocket.wait() == "fr UTC white Oui"
            assert (translation.get_language(), colour.get()) == ("fr", "white")
            assert django_timezone.get_current_timezone_name() == "UTC"
            websocket.send("es UTC green")
            assert websocket.wait() == "de Europe/Berlin blue Ja"
            assert (translation.get_language(), colour.get()) == ("fr", "white")

    def test_two_views(self, client):
        with client.websocket("/context/") as first, client.websocket("/context/") as second:
            first.send("de Europe/Berlin blue")
            second.send("fr Europe/Paris red")
            first.send("en UTC green")
            second.send("en UTC green")
            assert [first.wait(), first.wait()][1] == "de Europe/Berlin blue Ja"
            assert [second.wait(), second.wait()][1] == "fr Europe/Paris red Oui"

    def test_in_a_coroutines_thread(self):
        """The thread in which Django runs the synchronous parts of asynchronous tests is as good as any."""

        async def test():
            with WebSocketClient().websocket("/echo/") as websocket:
                websocket.send("hello")
                return websocket.wait()

        assert async_to_sync(test)() == "hello"


# Sessions and cookies


@route("visits/")
def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    if not request.is_websocket():
        return HttpResponse(f"{request.user} {request.session['visits']}")
    request.websocket.send(f"{request.user} {request.session['visits']} {request.COOKIES.get('flavour')}")
    return None


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


# The database


@route("groups/")
def groups(request):
    """Create a group for each message, and say how many there are."""
    for name in request.websocket:
        Group.objects.create(name=name)
        request.websocket.send(Group.objects.count())


@route("atomic/")
def atomic(request):
    """Create groups, and take them back."""
    try:
        with transaction.atomic():
            for name in request.websocket:
                Group.objects.create(name=name)
                request.websocket.send(Group.objects.count())
            raise ViewError
    except ViewError:
        seen.append(Group.objects.count())


@route("on-commit/")
def on_commit(request):
    for message in request.websocket:
        transaction.on_commit(lambda message=message: seen.append(message))
        request.websocket.send(message)


@override_settings(ROOT_URLCONF=__name__)
class TestDatabase(TestCase):
    """As most projects test: in a transaction that is rolled back behind each test."""

    client_class = WebSocketClient

    @classmethod
    def setUpTestData(cls):
        cls.user = User.objects.create_user("ann")
        Group.objects.create(name="of the class")

    def setUp(self):
        Group.objects.create(name="of the test")

    def check(self):
        assert Group.objects.count() == 2
        with self.client.websocket("/groups/") as websocket:
            websocket.send("of the view")
            assert websocket.wait() == "3"
            assert Group.objects.count() == 3
            Group.objects.all().delete()
            websocket.send("another one")
            assert websocket.wait() == "1"

    def test_rows_of_both_sides(self):
        self.check()

    def test_rolled_back_behind_the_other_test(self):
        """Whichever is run first."""
        self.check()

    def test_num_queries(self):
        with self.client.websocket("/groups/") as websocket, self.assertNumQueries(3):
            websocket.send("one")
            assert websocket.wait() == "3"
            assert Group.objects.count() == 3

    def test_on_commit(self):
        with self.client.websocket("/on-commit/") as websocket:
            with self.captureOnCommitCallbacks() as callbacks:
                websocket.send("one")
                assert websocket.wait() == "one"
            assert len(callbacks) == 1
            assert seen == []
            with self.captureOnCommitCallbacks(execute=True):
                websocket.send("two")
                assert websocket.wait() == "two"
            assert seen == ["two"]

    def test_login(self):
        self.client.force_login(self.user)
        with self.client.websocket("/visits/") as websocket:
            assert websocket.wait() == "ann 1 None"

    def test_redirects(self):
        with self.client.websocket("/redirecting/") as websocket:
            self.assertRedirects(websocket.response, "/landing/?from=websocket")

    def test_contains(self):
        with self.client.websocket("/rejecting/") as websocket:
            self.assertContains(websocket.response, "no room", status_code=418)

    def test_transaction_of_the_view(self):
        with self.client.websocket("/atomic/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "3"
            assert Group.objects.count() == 3, "one connection, so the test sees what is not committed"
        assert seen == [2]
        assert Group.objects.count() == 2

    def test_transaction_of_the_test_between_two_steps(self):
        with self.client.websocket("/atomic/") as websocket:
            websocket.send("one")
            with transaction.atomic():
                Group.objects.create(name="mine")
            websocket.send("two")
            assert [websocket.wait(), websocket.wait()] == ["3", "5"]
        assert seen == [2], "the view's transaction was the outer one"

    def test_transaction_of_the_test_around_the_view(self):
        with transaction.atomic(), self.client.websocket("/atomic/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "3"
        assert Group.objects.count() == 2

    def test_transaction_of_the_test_around_a_step(self):
        """Where the view has none open, the test may have one."""
        with self.client.websocket("/groups/") as websocket:
            with transaction.atomic():
                websocket.send("one")
                assert websocket.wait() == "3"
                transaction.set_rollback(True)
            assert Group.objects.count() == 2
            websocket.send("two")
            assert websocket.wait() == "3"

    def test_the_view_begins_within_the_tests(self):
        before = len(connection.savepoint_ids), len(connection.atomic_blocks)
        blocks = transaction.atomic()
        blocks.__enter__()
        websocket = self.client.websocket("/atomic/").__enter__()
        blocks.__exit__(None, None, None)
        with self.assertRaisesMessage(AssertionError, "atomic() of the view and of the test overlap"):
            websocket.send("one")
        with self.assertRaisesMessage(AssertionError, "atomic() of the view and of the test overlap"):
            websocket.__exit__(None, None, None)
        assert (len(connection.savepoint_ids), len(connection.atomic_blocks)) == before
        assert seen == [], "the view was stopped"

    def test_the_tests_own_failure_comes_first(self):
        blocks = transaction.atomic()
        blocks.__enter__()
        with pytest.raises(ZeroDivisionError), self.client.websocket("/atomic/"):
            raise blocks.__exit__(None, None, None) or ZeroDivisionError
        assert seen == [], "the view was stopped"

    def test_the_test_begins_within_the_views(self):
        with (
            self.assertRaisesMessage(AssertionError, "atomic() of the view and of the test overlap"),
            self.client.websocket("/atomic/") as websocket,
            transaction.atomic(),
        ):
            websocket.send("one")
        assert Group.objects.count() == 2


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    """Without a transaction around the test."""

    def test_committed(self, client):
        with client.websocket("/groups/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "1"
            assert not connection.in_atomic_block
        assert Group.objects.count() == 1

    def test_on_commit(self, client):
        with client.websocket("/on-commit/") as websocket:
            websocket.send("one")
            assert seen == ["one"]

    def test_rolled_back(self, client):
        with client.websocket("/atomic/") as websocket:
            websocket.send("one")
            assert websocket.wait() == "1"
        assert seen == [0]

    def test_overlapping(self, client):
        with (
            pytest.raises(AssertionError, match=r"^atomic\(\) of the view and of the test overlap$"),
            client.websocket("/atomic/") as websocket,
            transaction.atomic(),
        ):
            websocket.send("one")
        assert not connection.in_atomic_block


@override_settings(ROOT_URLCONF=__name__)
class TestWithoutDatabase(SimpleTestCase):
    client_class = WebSocketClient

    def test_echo(self):
        with self.client.websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"


def test_as_the_documentation_has_it(client):
    with client.websocket("/lower-case/") as websocket:
        websocket.send("ONE")
        assert websocket.wait() == "one"
    assert client.get("/lower-case/?message=ONE").content == b"one"


@require_websocket(subprotocols=["chat"])
def late(request):
    """Decide in the view, late, and with a header."""
    websocket = request.websocket
    websocket.accept(subprotocol=None, headers={"X-Header": "1"})
    websocket.send(
        f"{websocket.subprotocol} {websocket.has_messages()} {websocket.count_messages()} {websocket.read()}"
    )
    websocket.wait()
    websocket.send(f"{websocket.has_messages()} {websocket.read()} {websocket.read('nothing')}")


urlpatterns += [path("late/", late)]


def test_looking_without_waiting(client):
    with client.websocket("/late/", subprotocols=["chat"]) as websocket:
        assert websocket.subprotocol is None
        assert websocket.wait() == "None False 0 None"
        websocket.send("one")
        assert websocket.wait() == "False None nothing"
