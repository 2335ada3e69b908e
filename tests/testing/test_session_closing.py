"""How a session ends: by the test, by the view, or because the view does not end."""

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from greenlet import getcurrent

from django_websocket import ConnectionClosed
from django_websocket.process.registry import registry
from django_websocket.testing.scheduler import scheduler

from ..views import OLD, VERSIONS
from . import views
from .views import seen

pytestmark = pytest.mark.urls(__name__)

urlpatterns = [*views.urlpatterns]
route = views.make_route(urlpatterns)


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
    def test_codes_that_cannot_be_sent(self, client, code, reason):
        with client.websocket("/events/") as websocket:
            with pytest.raises(ValueError, match="close"):
                websocket.close(code, reason)
            assert not websocket.closed

    @pytest.mark.parametrize("version", VERSIONS)
    def test_all_versions(self, client, version):
        """The view ends at once, before any of its deadlines."""
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

    def test_the_view_sends_to_a_client_that_has_vanished(self, client):
        with client.websocket("/stubborn/") as websocket:
            websocket.vanish()
        assert seen == ["ConnectionClosed(1006)"] * 2

    def test_the_view_closes_when_the_client_has_vanished(self, client):
        with client.websocket("/close-later/") as websocket:
            websocket.vanish()
        assert seen == [1006]

    def test_vanish_after_the_end(self, client):
        with client.websocket("/close/") as websocket:
            websocket.vanish()
        assert websocket.close_code == 4001

    def test_the_process_ends(self, client, monkeypatch):
        """The signal handler of a shutdown sends Close without waiting."""
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
    """Be asked to close at the moment in which the client vanishes."""
    try:
        request.websocket.wait()
    finally:
        registry.close_all()
        seen.append(request.websocket.close_code)


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

    def test_a_message_of_a_view_that_is_stopped(self, client):
        with pytest.raises(AssertionError), client.websocket("/last-words/") as websocket:
            pass
        assert list(websocket) == ["last words"]
        assert websocket.close_code == 1011
        assert seen == []

    def test_a_message_of_a_view_that_is_stopped_to_a_client_that_has_vanished(self, client):
        with pytest.raises(AssertionError), client.websocket("/last-words/") as websocket:
            websocket.vanish()
        assert list(websocket) == []
        assert seen == [1006]

    def test_a_view_that_does_not_end_when_the_client_has_vanished(self, client):
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

    def test_a_view_that_is_stopped_makes_room(self, client, settings):
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
