"""Log-out closes WebSockets at once: those of the session, or of the user, and no others."""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import alogout, login, logout
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from django_websocket import (
    GroupConfigurationError,
    GroupUnavailable,
    accept_websocket,
    disconnect_connection,
    disconnect_session,
    disconnect_user,
    require_websocket,
)
from django_websocket.connection.listing import connections as list_connections
from django_websocket.groups import logout as module
from django_websocket.process.registry import registry
from django_websocket.testing import WebSocketClient

from . import spy

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@require_websocket
def member(request):
    request.websocket.send(f"hello {request.user}")
    list(request.websocket)


@require_websocket
def stranger(request):
    """Use neither the session nor the user."""
    request.websocket.send("hello")
    list(request.websocket)


@require_websocket
def own(request):
    """Log out in the WebSocket itself."""
    request.websocket.send(f"hello {request.user}")
    for _ in request.websocket:
        logout(request)
        request.websocket.send("logged out")


meanwhile = []


@require_websocket
def slow(request):
    """Do something between the check of the user and the answer to the handshake."""
    assert request.user.is_authenticated
    meanwhile.pop()()
    request.websocket.send("hello")
    list(request.websocket)


late = []
connections = registry.connections


@accept_websocket
def leave(request):
    """Log out; meanwhile a client comes back with the session."""
    if late:
        receiver = late.pop()
        logout_of(request, receiver)
    else:
        logout(request)
    return HttpResponse()


def logout_of(request, meanwhile):
    from django.contrib.auth.signals import user_logged_out

    def come_back(**_):
        meanwhile()

    user_logged_out.connect(come_back)
    try:
        logout(request)
    finally:
        user_logged_out.disconnect(come_back)


urlpatterns = [path(f"{view.__name__}/", view) for view in (member, stranger, own, slow, leave)]


@pytest.fixture
def ann():
    return User.objects.create(username="ann")


@pytest.fixture
def bob():
    return User.objects.create(username="bob")


def log_in(user):
    client = WebSocketClient()
    client.force_login(user)
    return client


def is_closed(ws):
    """Return whether a WebSocket was closed for the log-out; else nothing must have come."""
    if ws.closed:
        assert (ws.close_code, ws.close_reason) == (4401, "logged out")
        return True
    ws.expect_nothing()
    return False


def enter(client, address="/member/"):
    return client.websocket(address)


def greet(*sessions):
    for ws in sessions:
        assert ws.wait().startswith("hello")


def test_the_sockets_of_that_session_only(ann, bob):
    phone, desk, other = log_in(ann), log_in(ann), log_in(bob)
    addresses = [
        (phone, "/member/"),
        (phone, "/member/"),
        (phone, "/stranger/"),
        (desk, "/member/"),
        (other, "/member/"),
    ]
    with ExitStack() as stack:
        sessions = [stack.enter_context(enter(*address)) for address in addresses]
        greet(*sessions)
        phone.logout()
        assert [is_closed(ws) for ws in sessions] == [True, True, False, False, False]


def test_a_log_out_by_a_request(ann):
    phone = log_in(ann)
    with enter(phone) as ws:
        greet(ws)
        plain = Client()
        plain.cookies = phone.cookies
        plain.get("/leave/")
        assert is_closed(ws)


def test_a_client_that_comes_back_before_the_session_is_deleted(ann):
    """It is closed when the request has finished."""
    phone = log_in(ann)
    sessions = []

    def come_back():
        sessions.append(enter(phone).__enter__())
        greet(*sessions)

    late.append(come_back)
    plain = Client()
    plain.cookies = phone.cookies.copy()
    plain.get("/leave/")
    (ws,) = sessions
    try:
        assert is_closed(ws)
    finally:
        ws.__exit__(None, None, None)
    # Nothing is left for the next request of this thread.
    assert not hasattr(module._ended, "keys")


@pytest.fixture
def sessions_at_closing(monkeypatch):
    """The number of sessions that are stored at the time of each closing."""
    counts = []
    close_owned = registry.close_owned

    def count(closing, *, spare=None):
        counts.append(Session.objects.count())
        close_owned(closing, spare=spare)

    monkeypatch.setattr(registry, "close_owned", count)
    return counts


def test_no_client_comes_back_with_a_session_that_is_to_be_deleted(ann, sessions_at_closing):
    """Nor does a page that is loaded at that moment show somebody logged in."""
    plain = Client()
    plain.force_login(ann)
    plain.get("/leave/")
    # When it was deleted, and when the request had finished.
    assert sessions_at_closing == [0, 0]


def test_an_asynchronous_log_out(ann, sessions_at_closing):
    request = HttpRequest()
    request.session = SessionStore()
    login(request, ann, backend="django.contrib.auth.backends.ModelBackend")
    request.session.save()
    with enter(log_in(ann)) as other:
        greet(other)
        async_to_sync(alogout)(request)
        assert sessions_at_closing == [1]
        assert not is_closed(other)
    module._on_request_finished()


@pytest.mark.django_db(transaction=True)
def test_a_log_out_in_a_transaction(ann):
    """Others see the session until the transaction is committed."""
    phone = log_in(ann)
    with enter(phone) as ws:
        greet(ws)
        with transaction.atomic():
            phone.logout()
            assert not is_closed(ws)
        assert is_closed(ws)


def test_a_session_without_a_database(ann, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    phone = log_in(ann)
    with enter(phone) as ws:
        greet(ws)
        phone.logout()
        assert is_closed(ws)


def test_a_handshake_whose_session_is_deleted_before_it_is_answered(ann):
    """The view has loaded the session already, so that only its WebSocket is left to say so."""
    phone = log_in(ann)
    plain = Client()
    plain.cookies = phone.cookies.copy()
    meanwhile.append(lambda: plain.get("/leave/"))
    with enter(phone, "/slow/") as ws:
        assert not meanwhile
        ws.wait()
        assert is_closed(ws)


def test_a_handshake_whose_user_was_disconnected_before_it_began(ann):
    """Nobody was logged out."""
    disconnect_user(ann)
    with enter(log_in(ann)) as ws:
        greet(ws)
        assert not is_closed(ws)


def test_any_number_of_log_outs_outside_of_requests(ann):
    for _ in range(module._MAX_ENDED + 5):
        log_in(ann).logout()
    assert len(module._ended.keys) == module._MAX_ENDED
    module._on_request_finished()
    assert not hasattr(module._ended, "keys")


def test_a_view_that_logs_out_its_own_request(ann):
    phone = log_in(ann)
    with enter(phone, "/own/") as ws, enter(phone) as other:
        greet(ws, other)
        ws.send("bye")
        ws.assert_message("logged out")
        assert not is_closed(ws)
        assert is_closed(other)


def test_a_log_out_of_nobody():
    Client().get("/leave/")
    module.on_logged_out(request=None)
    assert not hasattr(module._ended, "keys")


@pytest.mark.parametrize("argument", [lambda user: user, lambda user: user.pk, lambda user: str(user.pk)])
def test_disconnect_user(ann, bob, argument):
    with enter(log_in(ann)) as one, enter(log_in(ann)) as two, enter(log_in(bob)) as three:
        greet(one, two, three)
        disconnect_user(argument(ann))
        assert [is_closed(ws) for ws in (one, two, three)] == [True, True, False]


def test_a_user_without_a_primary_key(ann):
    """Those whose user is not logged in have none either, and stay."""
    deleted = User.objects.create(username="deleted")
    deleted.delete()
    with enter(WebSocketClient()) as one, enter(log_in(ann)) as two:
        greet(one, two)
        for user in (None, "", AnonymousUser(), User(), deleted):
            with pytest.raises(ValueError, match="no primary key"):
                disconnect_user(user)
        # A user may be named so.
        disconnect_user("None")
        assert [is_closed(ws) for ws in (one, two)] == [False, False]


def test_disconnect_session(ann):
    phone, desk = log_in(ann), log_in(ann)
    with enter(phone) as one, enter(desk) as two:
        greet(one, two)
        disconnect_session(phone.session.session_key)
        assert [is_closed(ws) for ws in (one, two)] == [True, False]
        disconnect_session("another")
        assert not is_closed(two)


@pytest.mark.parametrize("key", [None, 1, b"key"])
def test_a_key_that_is_none(key):
    with pytest.raises(TypeError, match="key of a session is a str"):
        disconnect_session(key)


def test_disconnect_connection(ann):
    """Its user has others, which stay."""
    client = log_in(ann)
    with enter(client) as one, enter(client) as two:
        greet(one, two)
        with pytest.raises(TypeError, match="the id of a connection is a str"):
            disconnect_connection(7)
        disconnect_connection("0123456789ab/99")
        disconnect_connection(list_connections()[0].id)
        closed, left = (one, two) if one.closed else (two, one)
        assert (closed.close_code, closed.close_reason) == (1008, "closed by an administrator")
        assert not is_closed(left)


class TestOtherProcesses:
    @pytest.fixture(autouse=True)
    def _spy(self, settings):
        settings.WEBSOCKET_GROUPS = {**spy.SETTING, "second": spy.SETTING["default"]}
        spy.SpyBackend.calls.clear()

    @pytest.fixture
    def _away(self, monkeypatch):
        monkeypatch.setattr(spy.SpyBackend, "away", True)

    def test_all_backends_are_asked(self, ann):
        disconnect_user(ann)
        disconnect_session("key")
        # Whoever reads what other processes are told learns no session.
        disconnect_connection("0123456789ab/1")
        hashed = hashlib.sha256(b"key").hexdigest()
        told = [("user", str(ann.pk)), ("session", hashed), ("connection", "0123456789ab/1")]
        assert spy.SpyBackend.calls == [call for call in told for _ in range(2)]

    @pytest.mark.usefixtures("_away")
    def test_one_that_is_away(self, ann):
        with enter(log_in(ann)) as ws:
            greet(ws)
            with pytest.raises(GroupUnavailable):
                disconnect_user(ann)
            assert is_closed(ws)
            assert spy.SpyBackend.calls[-2:] == [("user", str(ann.pk))] * 2

    @pytest.mark.usefixtures("_away")
    def test_a_log_out_succeeds_all_the_same(self, ann, caplog):
        phone = log_in(ann)
        with enter(phone) as ws:
            greet(ws)
            phone.logout()
            assert is_closed(ws)
        texts = {record.getMessage() for record in caplog.records if record.levelno == logging.ERROR}
        assert texts == {"The WebSockets of a session that was logged out may stay open in other processes: it is away"}

    def test_log_outs_are_watched_for(self, ann, settings, caplog):
        with enter(log_in(ann)) as ws:
            greet(ws)
        assert "watch" in spy.SpyBackend.calls
        settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": "nowhere.Backend"}}
        module.watch_log_outs()
        assert any(
            isinstance(record.exc_info and record.exc_info[1], GroupConfigurationError) for record in caplog.records
        )


def test_an_error_of_one_connection_does_not_keep_the_others_open(ann, monkeypatch):
    class Broken:
        def belongs_to(self, owner, key):
            raise RuntimeError

    monkeypatch.setattr(registry, "connections", lambda: [Broken(), *connections()])
    with log_in(ann).websocket("/member/") as ws:
        assert ws.wait() == "hello ann"
        disconnect_user(ann)
        assert is_closed(ws)
