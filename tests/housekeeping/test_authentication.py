"""Connections whose session or user is no longer valid get Close 4401."""

import datetime as dt
import sys
import time

import pytest
from django.contrib.auth import SESSION_KEY, login, logout
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache.backends.base import BaseCache
from django.db import OperationalError, transaction
from django.http import HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from django_websocket import ConnectionClosed, require_websocket
from django_websocket.housekeeping.authentication import hash_session_key, is_made_by, user_id
from django_websocket.housekeeping.hooks import RETRY_INTERVAL
from django_websocket.testing.client import WebSocketClient

from ..views import make_route_by_name

pytestmark = pytest.mark.django_db

STORED = ["db", "cached_db", "cache", "file"]
#: Seconds between two checks: the default of WEBSOCKET_REVALIDATE.
INTERVAL = 60
#: Seconds in which one check happens, and no second one.
ONE_CHECK = INTERVAL * 1.5
urlpatterns = []
route = make_route_by_name(urlpatterns)


@pytest.fixture(autouse=True)
def _project(settings, _session_files):
    settings.ROOT_URLCONF = sys.modules[__name__]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def user():
    return User.objects.create_user("ann", password="old")


@pytest.fixture
def client(user):
    client = WebSocketClient()
    client.force_login(user)
    return client


@pytest.fixture(params=STORED)
def stored(request, settings):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"


@route
@require_websocket
def known(request):
    request.websocket.send(str(request.user))
    for message in request.websocket:
        request.websocket.send(message)


@route
@require_websocket
def unknown(request):
    """Use neither session nor user until a message asks for the user's name."""
    for message in request.websocket:
        request.websocket.send(request.user.username if message == "who" else message)


@route
@require_websocket
def sender(request):
    """Send messages without ever waiting for one; a second goes by between two of them."""
    request.websocket.send(str(request.user))
    for _ in range(2 * INTERVAL):
        time.sleep(1)
        request.websocket.send("news")


def stays(websocket, timeout=ONE_CHECK):
    with pytest.raises(TimeoutError):
        websocket.wait(timeout)
    assert not websocket.closed
    websocket.send("still here")
    assert websocket.wait() == "still here"


def is_sent_away(websocket, reason):
    assert websocket.wait(ONE_CHECK) is None
    assert (websocket.close_code, websocket.close_reason) == (4401, reason)


class TestGood:
    @pytest.mark.usefixtures("stored")
    def test_user(self, client):
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            for _ in range(3):
                stays(websocket)
        assert client.get("/page/").content == b"ann"

    def test_user_of_signed_cookies(self, settings, user):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        client = WebSocketClient()
        client.force_login(user)
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            stays(websocket)

    @pytest.mark.parametrize("engine", [*STORED, "signed_cookies"])
    @pytest.mark.parametrize("cookie", [None, "a", "nobody" * 5])
    def test_nobody(self, settings, engine, cookie):
        """A client that never had a session cannot lose it."""
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        client = WebSocketClient()
        if cookie:
            client.cookies["sessionid"] = cookie
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "AnonymousUser"
            stays(websocket)

    def test_a_session_that_was_never_saved(self):
        with WebSocketClient().websocket("/late/") as websocket:
            stays(websocket)

    def test_a_user_that_the_view_has_logged_out(self, client):
        with client.websocket("/leaving/") as websocket:
            assert websocket.wait() == "AnonymousUser"
            stays(websocket)

    def test_a_new_secret_key(self, client, settings, caplog):
        """The old key is still accepted; and the check, unlike a login, does not give the session another key."""
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
            stays(websocket)
            assert Session.objects.get().session_key == client.cookies["sessionid"].value
            assert complaints(caplog) == []

    @pytest.mark.usefixtures("stored")
    def test_a_check_does_not_prolong_a_session(self, client, settings):
        settings.SESSION_SAVE_EVERY_REQUEST = True
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            before = list(Session.objects.values())
            for _ in range(3):
                stays(websocket)
            assert list(Session.objects.values()) == before

    def test_never(self, client, user, settings, django_assert_num_queries):
        settings.WEBSOCKET_REVALIDATE = None
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            user.delete()
            with django_assert_num_queries(0):
                stays(websocket, timeout=3000)


class TestQueries:
    def test_a_request_that_uses_no_session(self, client, django_assert_num_queries):
        with client.websocket("/unknown/") as websocket:
            Session.objects.all().delete()
            with django_assert_num_queries(0):
                stays(websocket, timeout=10 * INTERVAL)

    def test_from_its_first_use(self, client, django_assert_num_queries):
        with client.websocket("/unknown/") as websocket:
            websocket.send("who")
            assert websocket.wait() == "ann"
            with django_assert_num_queries(2):
                stays(websocket)
            Session.objects.all().delete()
            is_sent_away(websocket, "session ended")

    @pytest.mark.parametrize("save_every_request", [True, False])
    def test_the_handshake_does_not_count_as_use(self, client, settings, save_every_request, django_assert_num_queries):
        settings.SESSION_SAVE_EVERY_REQUEST = save_every_request
        with client.websocket("/unknown/") as websocket, django_assert_num_queries(0):
            stays(websocket)

    def test_another_interval(self, client, settings, django_assert_num_queries):
        settings.WEBSOCKET_REVALIDATE = 5
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            with django_assert_num_queries(2 * 4):
                stays(websocket, timeout=22)


def still_there(answers):
    """Return a method that returns some answers first, and then ``False``."""
    return lambda *_: bool(answers) and answers.pop()


class TestBad:
    @pytest.mark.usefixtures("stored")
    def test_logged_out(self, client):
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            client.logout()
            # The close does not wait for the next check.
            assert websocket.wait(timeout=0) is None
            assert (websocket.close_code, websocket.close_reason) == (4401, "logged out")

    @pytest.mark.usefixtures("stored")
    def test_a_session_that_was_deleted(self, client):
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            client.session.delete()
            is_sent_away(websocket, "session ended")

    def test_expired(self, client):
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            Session.objects.update(expire_date=timezone.now() - dt.timedelta(seconds=1))
            is_sent_away(websocket, "session ended")

    @pytest.mark.parametrize("engine", ["file", "signed_cookies"])
    def test_expired_outside_the_database(self, user, settings, tmp_path, engine):
        settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
        client = WebSocketClient()
        client.force_login(user)
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            settings.SESSION_COOKIE_AGE = -1
            is_sent_away(websocket, "session ended")
        assert list(tmp_path.iterdir()) == [], "no file is left"

    def test_a_date_in_a_signed_cookie(self, user, settings):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        client = WebSocketClient()
        client.force_login(user)
        session = client.session
        # Django accepts it in a request all the same.
        session.set_expiry(timezone.now() - dt.timedelta(seconds=1))
        session.save()
        client.cookies["sessionid"] = session.session_key
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            is_sent_away(websocket, "session ended")

    def test_deactivated(self, client, user):
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            User.objects.update(is_active=False)
            is_sent_away(websocket, "login no longer valid")

    def test_deactivated_and_allowed(self, user, settings):
        """The project's backend decides what an inactive user may do."""
        settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
        client = WebSocketClient()
        client.force_login(user)
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            User.objects.update(is_active=False)
            stays(websocket)

    def test_deleted(self, client, user):
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            user.delete()
            is_sent_away(websocket, "login no longer valid")

    @pytest.mark.usefixtures("stored")
    def test_another_password(self, client, user):
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            user.set_password("new")
            user.save()
            is_sent_away(websocket, "login no longer valid")

    def test_another_user_in_the_same_session(self, client):
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            session = client.session
            session["_auth_user_id"] = str(User.objects.create_user("eve").pk)
            session.save()
            is_sent_away(websocket, "logged out")

    def test_a_login_that_was_not_saved(self):
        User.objects.create_user("bob")
        with WebSocketClient().websocket("/entering/") as websocket:
            assert websocket.wait() == "bob"
            is_sent_away(websocket, "logged out")

    def test_in_send(self, client, settings, monkeypatch):
        # The client does not run while the view sends.
        settings.WEBSOCKET_PING_INTERVAL = None
        # The user is valid when it is read for the handshake, and no longer at the first check.
        monkeypatch.setattr("django.contrib.auth.backends.ModelBackend.user_can_authenticate", still_there([True]))
        with client.websocket("/sender/") as websocket:
            assert websocket.wait() == "ann"
            assert list(websocket) == ["news"] * (INTERVAL - 1)
            assert (websocket.close_code, websocket.close_reason) == (4401, "login no longer valid")

    def test_while_messages_keep_coming(self, client, user):
        with client.websocket("/recording/") as websocket:
            assert websocket.wait() == "ann"
            for number in range(INTERVAL):
                # Time goes by in the view, and at each of its reads there is a message.
                websocket._scheduler.now += 1
                if number == INTERVAL - 1:
                    user.delete()
                websocket.send(str(number))
            assert websocket.wait() is None
            assert websocket.close_code == 4401
        # The message that came when the check was due is dropped.
        assert recorded == [str(number) for number in range(INTERVAL - 1)]

    def test_a_message_behind_the_close(self, client, user, settings):
        """A message that was under way when the Close was sent is dropped."""
        settings.WEBSOCKET_PING_INTERVAL = None
        with client.websocket("/recording/") as websocket:
            assert websocket.wait() == "ann"
            user.delete()
            # The view sends Close; the client has not read it yet.
            while not websocket._transport.sent:
                assert websocket._scheduler.advance(websocket._scheduler.now + ONE_CHECK)
            websocket._protocol.send("too late")
            websocket._feed()
            assert websocket.wait() is None
            assert websocket.close_code == 4401
        assert recorded == []

    @pytest.mark.parametrize("version", [76, 75])
    def test_versions_without_codes(self, client, user, version):
        with client.websocket("/known/", version=version) as websocket:
            assert websocket.wait() == "ann"
            user.delete()
            assert websocket.wait(ONE_CHECK) is None
            assert websocket.closed


recorded = []


@route
@require_websocket
def recording(request):
    recorded.clear()
    request.websocket.send(str(request.user))
    recorded.extend(request.websocket)


@route
def page(request):
    return HttpResponse(str(request.user))


@route
@require_websocket
def late(request):
    request.websocket.accept()
    request.session["late"] = 1
    for message in request.websocket:
        request.websocket.send(message)


@route
@require_websocket
def leaving(request):
    request.websocket.accept()
    logout(request)
    request.websocket.send(str(request.user))
    for message in request.websocket:
        request.websocket.send(message)


@route
@require_websocket
def entering(request):
    request.websocket.accept()
    login(request, User.objects.get(username="bob"))
    request.websocket.send(request.user.username)
    request.websocket.wait()


@route
@require_websocket
def in_a_transaction(request):
    websocket = request.websocket
    websocket.send(str(request.user))
    with transaction.atomic():
        websocket.send(websocket.wait())
    websocket.send("left")
    websocket.wait()


class Down(BaseCache):
    """A cache that may not answer."""

    down = False
    data = {}

    def __init__(self, *_):
        super().__init__({})

    def get(self, key, default=None, version=None):
        self._ask()
        return self.data.get(key, default)

    def set(self, key, value, timeout=None, version=None):
        self._ask()
        self.data[key] = value

    def add(self, key, value, timeout=None, version=None):
        self.set(key, value)
        return True

    def has_key(self, key, version=None):
        self._ask()
        return key in self.data

    def delete(self, key, version=None):
        self._ask()
        return self.data.pop(key, None) is not None

    def _ask(self):
        if Down.down:
            raise ConnectionError("no route to the cache\n")


class BrokenStore(SessionStore):
    """Sessions of a database that may not answer."""

    broken = False

    def load(self):
        if self.broken:
            raise OperationalError("server closed the connection unexpectedly\n")
        return super().load()


def complaints(caplog):
    return [record for record in caplog.records if record.name == "django_websocket.session"]


class TestErrors:
    def test_a_database_that_does_not_answer(self, user, settings, monkeypatch, caplog):
        settings.SESSION_ENGINE = __name__.replace("test_authentication", "broken_sessions")
        monkeypatch.setitem(sys.modules, settings.SESSION_ENGINE, type("engine", (), {"SessionStore": BrokenStore}))
        client = WebSocketClient()
        client.force_login(user)
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            monkeypatch.setattr(BrokenStore, "broken", True)
            stays(websocket)
            (record,) = complaints(caplog)
            assert record.getMessage() == (
                "WebSocket /known/: its session could not be checked, and will be later: "
                "OperationalError('server closed the connection unexpectedly\\n')"
            )
            assert record.exc_info is None
            monkeypatch.setattr(BrokenStore, "broken", False)
            stays(websocket)
            Session.objects.all().delete()
            is_sent_away(websocket, "session ended")

    def test_a_cache_that_does_not_answer(self, user, settings, monkeypatch, caplog):
        """Django's session store cannot tell it from a cache without the session."""
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
        settings.CACHES = {"default": {"BACKEND": f"{__name__}.Down"}}
        client = WebSocketClient()
        client.force_login(user)
        with client.websocket("/known/") as websocket:
            assert websocket.wait() == "ann"
            monkeypatch.setattr(Down, "down", True)
            stays(websocket)
            assert len(complaints(caplog)) == 1
            monkeypatch.setattr(Down, "down", False)
            stays(websocket)
            Down.data.clear()
            is_sent_away(websocket, "session ended")

    def test_in_a_transaction_of_the_views(self, client, user, django_assert_num_queries):
        """Inside it a check might see old data, and its error would break the transaction."""
        with client.websocket("/in_a_transaction/") as websocket:
            assert websocket.wait() == "ann"
            with django_assert_num_queries(0), pytest.raises(TimeoutError):
                websocket.wait(3 * INTERVAL)
            User.objects.filter(pk=user.pk).update(is_active=False)
            websocket.send("go on")
            assert [websocket.wait(), websocket.wait()] == ["go on", "left"]
            assert websocket.wait(RETRY_INTERVAL * 2) is None
            assert websocket.close_code == 4401

    def test_the_view_sees_a_closed_connection(self, client, user):
        ends = []

        @require_websocket
        def view(request):
            websocket = request.websocket
            websocket.send(str(request.user))
            ends.append(websocket.wait())
            ends.append((websocket.closed, websocket.close_code))
            with pytest.raises(ConnectionClosed):
                websocket.send("too late")

        urlpatterns.append(path("view/", view))
        with client.websocket("/view/") as websocket:
            assert websocket.wait() == "ann"
            user.delete()
            is_sent_away(websocket, "login no longer valid")
        assert ends == [None, (True, 4401)]


class TestWhoMadeARequest:
    """Any thread may ask, so that nothing is loaded for it."""

    @pytest.fixture
    def request_of(self, rf):
        def make(session):
            request = rf.get("/")
            request.session = session
            return request

        return make

    def test_a_session_that_is_being_loaded(self, request_of):
        session = SessionStore("key")
        session.accessed = True
        assert user_id(request_of(session)) is None
        assert not is_made_by(request_of(session), "session", hash_session_key("key"))
        assert "_session_cache" not in vars(session)

    @pytest.mark.parametrize("lazy", [False, True])
    def test_a_session_that_was_loaded(self, request_of, user, lazy):
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session.create()
        request = request_of(SimpleLazyObject(lambda: session) if lazy else session)
        if lazy:
            assert user_id(request) is None
            assert request.session.session_key
        assert user_id(request) == str(user.pk)
        assert is_made_by(request, "user", str(user.pk))
        assert is_made_by(request, "session", hash_session_key(session.session_key))
        session.flush()
        assert user_id(request) is None
        assert not is_made_by(request, "user", str(user.pk))
        assert not is_made_by(request, "user", "None")

    def test_a_request_without_a_session(self, rf):
        assert user_id(rf.get("/")) is None
