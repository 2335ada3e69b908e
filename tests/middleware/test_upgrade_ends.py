"""How the view of a WebSocket ends, with an exception or without one, and the signals of its request."""

import gc

import pytest
from django.core.signals import got_request_exception, request_finished, request_started
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket import ConnectionClosed, accept_websocket
from django_websocket.websocket import WebSocket

from .. import urls
from ..observing import received, records
from ..urls import ERRORS
from ..views import OURS, VERSIONS, make_route
from ..wire import CLOSE, GOODBYE, SWITCHING, frames, texts

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*urls.urlpatterns]
route = make_route(urlpatterns)

STATUSES = {"zero": 500, "404": 404, "403": 403, "400": 400, "bad": 400, "closed": 500}


@pytest.fixture
def quiet(client):
    """Return a client that gets what a browser would get, instead of the exceptions of the view."""
    client.raise_request_exception = False
    return client


# Exceptions


class TestExceptionsBeforeTheHandshake:
    """Django answers them, as those of any view."""

    @pytest.mark.parametrize("name", STATUSES)
    def test_the_response(self, quiet, name):
        with quiet.websocket(f"/raise-before/{name}/") as websocket:
            assert not websocket.accepted
        assert websocket.response.status_code == STATUSES[name]
        assert b"secret" not in websocket.response.content

    @pytest.mark.parametrize("name", STATUSES)
    def test_the_same_as_over_http(self, quiet, caplog, name):
        def told(ask):
            caplog.clear()
            with received(got_request_exception) as signals:
                response = ask()
            log = [(record.name, record.levelno) for record in caplog.records]
            return response.status_code, response.content, log, len(signals)

        def ask():
            with quiet.websocket(f"/raise-before/{name}/") as websocket:
                pass
            return websocket.response

        assert told(ask) == told(lambda: quiet.get(f"/raise-before/{name}/"))

    def test_raised_in_a_test(self, client):
        with pytest.raises(ZeroDivisionError, match="secret"), client.websocket("/raise-before/zero/"):
            pytest.fail("there is no connection")

    @pytest.mark.parametrize("name", ["exit", "interrupt"])
    def test_an_exception_that_ends_the_process(self, client, wire, name):
        with pytest.raises(type(ERRORS[name])):
            wire(f"/raise-before/{name}/")
        with pytest.raises(type(ERRORS[name])), client.websocket(f"/raise-before/{name}/"):
            pytest.fail("there is no connection")


class TestExceptionsAfterTheHandshake:
    @pytest.mark.parametrize("name", ["zero", "404", "403", "400", "bad"])
    def test_what_the_client_receives(self, quiet, wire, name):
        """The client receives Close 1011, and never a byte of HTTP."""
        assert wire(f"/raise-after/{name}/", b"", GOODBYE) == SWITCHING + texts(b"hello") + CLOSE[1011]
        assert wire.body == b""
        with quiet.websocket(f"/raise-after/{name}/") as websocket:
            assert list(websocket) == ["hello"]
        assert (websocket.close_code, websocket.close_reason) == (1011, "")
        assert websocket.response.status_code == 101

    @pytest.mark.parametrize("name", ["zero", "404", "400"])
    def test_no_debug_page_is_sent(self, quiet, wire, settings, name):
        """The page would show settings and local variables."""
        settings.DEBUG = True
        assert wire(f"/raise-after/{name}/", b"", GOODBYE) == SWITCHING + texts(b"hello") + CLOSE[1011]
        assert wire.body == b""

    @pytest.mark.parametrize("version", VERSIONS)
    def test_all_versions(self, quiet, version):
        with quiet.websocket("/raise-after/zero/", version=version) as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == (1005 if version in {75, 76} else 1011)
        assert websocket.response.status_code == 101

    def test_an_error_is_logged_once(self, quiet, caplog):
        with received(got_request_exception) as signals, quiet.websocket("/raise-after/zero/"):
            pass
        assert len(signals) == 1
        (record,) = records(caplog, "django.request")
        assert record.getMessage() == "Internal Server Error: /raise-after/zero/"
        assert record.exc_info[1] is ERRORS["zero"]

    @pytest.mark.parametrize("name", ["404", "403", "400", "bad"])
    def test_an_error_of_the_client_is_logged_as_over_http(self, quiet, caplog, name):
        def told():
            return [(record.name, record.levelno, record.getMessage()) for record in caplog.records]

        quiet.get(f"/raise-before/{name}/")
        expected = [(logger, level, text.replace("before", "after")) for logger, level, text in told()]
        assert expected
        caplog.clear()
        with received(got_request_exception) as signals, quiet.websocket(f"/raise-after/{name}/"):
            pass
        assert told() == expected
        assert signals == []

    def test_the_client_is_gone(self, quiet, caplog):
        """The view ends without an error."""
        with received(got_request_exception) as signals, quiet.websocket("/raise-after/closed/") as websocket:
            assert list(websocket) == ["hello"]
        assert (signals, caplog.records) == ([], [])
        assert websocket.response.status_code == 101

    def test_another_client_is_gone(self, quiet, caplog):
        """Only the end of the view's own connection is no error."""
        with quiet.websocket("/room/") as first:
            first.vanish()
        with received(got_request_exception) as signals, quiet.websocket("/room/") as second:
            second.send("hello")
            assert list(second) == []
        assert second.close_code == 1011
        assert len(signals) == 1
        (record,) = records(caplog, "django.request")
        assert type(record.exc_info[1]) is ConnectionClosed

    def test_the_client_is_gone_during_send(self, client, caplog):
        with received(got_request_exception) as signals, client.websocket("/chatter/") as websocket:
            assert websocket.wait() == "0"
            websocket.send("go on")
            assert websocket.wait() == "1"
            websocket.vanish()
        assert signals == []
        assert records(caplog, "django.request") == []
        assert websocket.response.status_code == 101

    @pytest.mark.parametrize("name", ["exit", "interrupt"])
    def test_an_exception_that_ends_the_process(self, client, name):
        with pytest.raises(type(ERRORS[name])), client.websocket(f"/raise-after/{name}/") as websocket:
            assert list(websocket) == ["hello"]
        assert websocket.close_code == 1011
        assert websocket.response is None

    def test_the_response_to_the_exception_is_closed(self, quiet):
        """The server closes the response that it sends; this one is not sent."""
        with quiet.websocket("/raise-after/zero/") as websocket:
            pass
        assert websocket.response.closed


@pytest.fixture(autouse=True)
def _empty_room():
    yield
    members.clear()


members = []


@route("room/")
@accept_websocket
def room(request):
    request.websocket.accept()
    members.append(request.websocket)
    for message in request.websocket:
        for member in members:
            member.send(message)


@route("chatter/")
@accept_websocket
def chatter(request):
    number = 0
    while True:
        request.websocket.send(number)
        request.websocket.wait()
        number += 1


@method_decorator(accept_websocket, name="dispatch")
class Echo(View):
    """A view whose wrapper is made for each request.

    Without a ``head()`` of its own, Django would set one that refers to the view, which refers to the request.
    """

    head = None

    def get(self, request):
        for message in request.websocket:
            request.websocket.send(message)


route("class/")(Echo.as_view())


# Signals of a request

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


class TestSignals:
    @pytest.fixture
    def counts(self):
        with received(request_started) as started, received(request_finished) as finished:
            yield lambda: (len(started), len(finished))

    @pytest.mark.parametrize("address", ["/echo/", "/status/204/", "/raise-after/zero/", "/raise-before/zero/"])
    def test_signals_are_sent_once(self, quiet, counts, address):
        with quiet.websocket(address):
            pass
        assert counts() == (1, 1)

    @pytest.mark.parametrize("server", [{}, {"close": False}, {"iterate": False}])
    def test_signals_are_sent_once_whatever_the_server_does(self, client, counts, wire, server):
        """Some servers find the socket shut down and never close the response, others only close it."""
        assert wire("/echo/", frames("hello"), GOODBYE, **server) == SWITCHING + texts(b"hello") + CLOSE[1000]
        assert counts() == (1, 1)

    def test_request_finished_comes_when_the_view_has_ended(self, client, counts):
        with client.websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
            assert counts() == (1, 0)
        assert counts() == (1, 1)

    @pytest.mark.parametrize("names", [[OURS], [OURS, SESSIONS], [], [SESSIONS]])
    @pytest.mark.parametrize("address", ["/echo/", "/class/"])
    def test_nothing_is_left_to_the_garbage_collector(self, settings, wire, names, address):
        """The collector runs late, and looks through everything then. MessageMiddleware leaves its requests to it."""

        def count():
            return sum(issubclass(type(each), (WebSocket, HttpRequest)) for each in gc.get_objects())

        settings.MIDDLEWARE = names
        gc.collect()
        gc.disable()
        try:
            before = count()
            wire(address, frames("hello"), GOODBYE)
            assert count() == before
        finally:
            gc.enable()
