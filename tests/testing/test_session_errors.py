"""Handshakes that the view refuses, WebSockets that it rejects, and exceptions that it raises."""

import pytest

from django_websocket import ConnectionClosed
from django_websocket.testing.client import WebSocketClient

from ..views import VERSIONS
from . import views
from .views import ViewError

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


class TestRefusals:
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
            with pytest.raises(AssertionError, match=r"^the handshake was refused with status 418; see \.response$"):
                list(getattr(websocket, call)(*arguments) or ())

    def test_a_session_that_was_not_entered(self, client):
        websocket = client.websocket("/echo/")
        assert not websocket.accepted
        with pytest.raises(AssertionError, match=r"^the handshake was not sent: .* with statement$"):
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


@route("rejecting/with-a-code/")
def rejecting(request):
    request.websocket.reject(4401, "log in")


class TestWhatASessionShows:
    """pytest shows the object whose attribute an assertion was about."""

    def test_one_that_was_not_entered(self, client):
        shown = "<WebSocketSession /echo/: not sent: the session belongs into a with statement>"
        assert repr(client.websocket("/echo/")) == shown

    def test_a_refusal(self, client):
        with client.websocket("/rejecting/") as websocket:
            assert repr(websocket) == "<WebSocketSession /rejecting/: refused with status 418; see .response>"

    def test_an_open_one(self, client):
        with client.websocket("/echo/") as websocket:
            assert repr(websocket) == "<WebSocketSession /echo/: accepted>"
        assert repr(websocket) == "<WebSocketSession /echo/: accepted, then closed with 1000>"

    def test_a_rejection(self, client):
        """A page learns the code only from a WebSocket that was accepted."""
        with client.websocket("/rejecting/with-a-code/") as websocket:
            assert websocket.accepted
            assert repr(websocket).endswith("/with-a-code/: accepted, then closed with 4401 (log in)>")
            for call in (websocket.expect_nothing, lambda: websocket.assert_message("hello")):
                with pytest.raises(AssertionError, match=r"was accepted, then closed with 4401 \(log in\)$"):
                    call()


# Errors of the view


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
        """The view's exception is raised, and not the ConnectionClosed that it leads to."""
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

    def test_from_the_beginning_of_the_with_statement(self, client):
        with pytest.raises(ViewError), client.websocket("/raise-early/"):
            pytest.fail("there is no connection")

    def test_the_failure_of_the_test_comes_first(self, client):
        """The test raises its own exception, and not that of the view."""
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
