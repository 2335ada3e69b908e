"""The session of a WebSocket's request: saved with the handshake, and afterwards only if the view saves it."""

import sys

import pytest
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import Http404, HttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.utils.crypto import get_random_string
from django.utils.functional import SimpleLazyObject

from django_websocket import accept_websocket, require_websocket
from django_websocket.testing.client import WebSocketClient

from ..views import OURS, make_route_by_name

pytestmark = pytest.mark.django_db

STORED = ["db", "cached_db", "cache", "file"]
ENGINES = [*STORED, "signed_cookies"]
WAYS = ["decorator", "behind", "unmarked"]
urlpatterns = []
route = make_route_by_name(urlpatterns)


@pytest.fixture(autouse=True)
def _project(settings, _session_files):
    settings.ROOT_URLCONF = sys.modules[__name__]


@pytest.fixture(params=[True, False], ids=["on every request", "when modified"])
def _save_every_request(request, settings):
    settings.SESSION_SAVE_EVERY_REQUEST = request.param


@pytest.fixture
def client(request, settings):
    """A client of a project with the middleware before or behind others, without it, and without a decorator."""
    engine, way = getattr(request, "param", ("db", "middleware"))
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    others = [name for name in settings.MIDDLEWARE if name != OURS]
    settings.MIDDLEWARE = {"decorator": others, "behind": [*others, OURS]}.get(way, [OURS, *others])
    if way == "unmarked":
        settings.WEBSOCKET_ACCEPT_ALL = True
        unmarked = [path(f"{view.__name__}/", undecorated(view)) for view in VIEWS]
        settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [*unmarked, *urlpatterns]})
    return WebSocketClient()


def clients(engines=ENGINES):
    pairs = [*((engine, "middleware") for engine in engines), *(("db", way) for way in WAYS)]
    return pytest.mark.parametrize("client", pairs, indirect=True, ids=map("-".join, pairs))


on_stored = clients(STORED)
on_all = clients()


def undecorated(view):
    def unmarked(request):
        return view.__wrapped__(request) or HttpResponse("ignored")

    return unmarked


@route
@accept_websocket
def plain(request):
    """Count, as any page does."""
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(f"{request.user} {request.session['count']}")


@route
@require_websocket
def keeping(request):
    """Count, and then again for each message."""
    session = request.session
    session["count"] = session.get("count", 0) + 1
    for message in request.websocket:
        session["count"] += 100
        if message == "save":
            session.save()
        if message == "fail":
            raise Http404
        request.websocket.send(session["count"])


@route
@require_websocket
def reading(request):
    request.websocket.send(str(request.session.get("count")))
    request.websocket.wait()


@route
@require_websocket
def touching(request):
    """Change the session after the handshake, when no cookie can be sent any more."""
    for message in request.websocket:
        request.session["count"] = int(message)
        request.websocket.send("ok")


@route
@require_websocket
def entering(request):
    user, _ = User.objects.get_or_create(username="ann")
    login(request, user)
    messages.info(request, "Welcome")
    get_token(request)
    request.websocket.send(request.user.username)
    request.websocket.wait()


@route
@require_websocket
def leaving(request):
    logout(request)
    request.websocket.send(str(request.user))
    request.websocket.wait()


@route
@require_websocket
def refusing(request):
    request.session["count"] = 7
    try:
        request.websocket.accept(headers={"Upgrade": "no"})
    except ValueError:
        return HttpResponse("refused", status=403)


@route
@require_websocket
def late_messages(request):
    request.websocket.accept()
    # Longer than a cookie may be, compressed as well.
    messages.info(request, get_random_string(5000))


@route
def shown(request):
    return HttpResponse(", ".join(map(str, messages.get_messages(request))))


VIEWS = [keeping, reading, touching, entering, leaving, refusing, late_messages]


def count(client):
    """Return the number in the client's session, as its next request sees it."""
    return int(client.get("/plain/").content.split()[-1]) - 1


@on_all
class TestHandshake:
    def test_changes_are_saved_with_it(self, client):
        with client.websocket("/keeping/") as websocket:
            assert count(client) == 1
            websocket.close()
        assert count(client) == 2

    def test_the_cookie_is_the_one_of_any_response(self, client):
        with client.websocket("/keeping/") as websocket:
            (cookie,) = websocket.headers["set-cookie"].splitlines()
            assert cookie.startswith("sessionid=")
            assert "; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax" in cookie
            websocket.close()

    def test_login(self, client):
        with client.websocket("/entering/") as websocket:
            assert websocket.wait() == "ann"
            assert {"sessionid", "csrftoken", "messages"} <= set(client.cookies)
            websocket.close()
        assert client.get("/shown/").content == b"Welcome"
        assert client.get("/plain/").content == b"ann 1"

    def test_logout(self, client):
        client.force_login(User.objects.create(username="ann"))
        with client.websocket("/leaving/") as websocket:
            assert websocket.wait() == "AnonymousUser"
            assert client.cookies["sessionid"].value == ""
            websocket.close()
        assert client.get("/plain/").content == b"AnonymousUser 1"

    @pytest.mark.parametrize("new", [True, False])
    def test_a_refusal_saves_as_any_response(self, client, new):
        if not new:
            client.get("/plain/")
        with client.websocket("/refusing/") as websocket:
            assert websocket.response.status_code == 403
        assert count(client) == 7


@pytest.mark.usefixtures("_save_every_request")
class TestAfterwards:
    """The client's session may have changed a hundred times while a WebSocket was open."""

    @on_all
    def test_nothing_is_saved_at_the_end(self, client):
        with client.websocket("/keeping/") as websocket:
            websocket.send("change")
            assert websocket.wait() == "101"
            websocket.close()
        assert count(client) == 1

    @on_stored
    @pytest.mark.parametrize("message", ["change", "fail"])
    def test_what_others_saved_stays(self, client, message):
        client.get("/plain/")
        with client.websocket("/keeping/") as websocket:
            assert count(client) == 2
            websocket.send(message)
            if message == "fail":
                assert websocket.wait() is None
                assert websocket.close_code == 1011
            else:
                assert websocket.wait() == "102"
                websocket.close()
        assert count(client) == 3

    @on_stored
    def test_the_view_may_save(self, client):
        client.get("/plain/")
        with client.websocket("/keeping/") as websocket:
            websocket.send("save")
            assert websocket.wait() == "102"
            assert count(client) == 102
            websocket.close()
        assert count(client) == 103

    @on_stored
    def test_a_session_that_was_logged_out_stays_so(self, client):
        client.get("/plain/")
        key = client.session.session_key
        with client.websocket("/keeping/") as websocket:
            websocket.send("change")
            assert websocket.wait() == "102"
            store = type(client.session)
            client.session.flush()
            websocket.close()
        assert not store(key).exists(key)
        assert store(key).load() == {}

    @on_stored
    def test_a_session_that_begins_after_the_handshake(self, client):
        with client.websocket("/touching/") as websocket:
            websocket.send("5")
            assert websocket.wait() == "ok"
            websocket.close()
        assert "sessionid" not in client.cookies

    @pytest.mark.parametrize("client", [("db", way) for way in ["middleware", *WAYS]], indirect=True)
    def test_messages(self, client, settings):
        """Messages that no cookie can hold are no error at the end, though Django raises one with DEBUG."""
        settings.DEBUG = True
        settings.MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
        with client.websocket("/late_messages/"):
            pass
        assert client.get("/shown/").content == b""


@route
@require_websocket
def undecided(request):
    """Fail to accept, and then accept or refuse."""
    request.session["count"] = 7
    messages.info(request, "seen")
    get_token(request)
    with pytest.raises(ValueError, match="did not offer"):
        request.websocket.accept(subprotocol="chat")
    if "refuse" in request.GET:
        return HttpResponse("refused", status=403)
    request.websocket.accept()
    return None


@pytest.mark.parametrize("query", ["", "?refuse"])
@pytest.mark.parametrize("client", [("db", way) for way in ["middleware", "decorator", "behind"]], indirect=True)
def test_a_handshake_that_could_not_be_sent_takes_no_cookies(client, query):
    """They go with the next handshake, or with the refusal."""
    with client.websocket(f"/undecided/{query}") as websocket:
        assert websocket.accepted is not bool(query)
    assert {"sessionid", "csrftoken", "messages"} <= set(client.cookies)
    assert client.get("/shown/").content == b"seen"
    assert count(client) == 7


def lazily(get_response):
    """A middleware that loads the session of a request only where it is used."""

    def middleware(request):
        session = request.session
        request.session = SimpleLazyObject(lambda: session)
        return get_response(request)

    return middleware


class TestLazySession:
    @pytest.fixture(autouse=True)
    def _middleware(self, settings):
        settings.MIDDLEWARE = [settings.MIDDLEWARE[0], settings.MIDDLEWARE[1], f"{__name__}.lazily"]
        assert settings.MIDDLEWARE[:2] == [OURS, "django.contrib.sessions.middleware.SessionMiddleware"]
        settings.WEBSOCKET_ACCEPT_ALL = True
        settings.ROOT_URLCONF = type(
            "urls", (), {"urlpatterns": [path("unmarked/", undecorated(keeping)), *urlpatterns]}
        )

    @pytest.mark.parametrize("address", ["/keeping/", "/unmarked/"])
    def test_from_the_handshake_to_the_end(self, address):
        client = WebSocketClient()
        with client.websocket(address) as websocket:
            assert client.session["count"] == 1
            websocket.send("change")
            assert websocket.wait() == "101"
        assert websocket.close_code == 1000
        assert client.session["count"] == 1

    @pytest.mark.parametrize("address", ["/keeping/", "/unmarked/"])
    def test_revalidation(self, address):
        client = WebSocketClient()
        with client.websocket(address) as websocket:
            client.session.flush()
            assert websocket.wait(timeout=100) is None
        assert (websocket.close_code, websocket.close_reason) == (4401, "session ended")


@on_all
def test_untouched(client, django_assert_num_queries):
    """A request that does not use its session gets no cookie, and takes no queries."""
    with django_assert_num_queries(0), client.websocket("/late_messages/"):
        pass
    assert not client.cookies


def test_deleted_meanwhile(settings):
    """A session that was deleted between the request and its handshake is refused, as in any other view."""

    @require_websocket
    def view(request):
        request.session["count"] = 1
        type(request.session)(request.session.session_key).delete()
        with pytest.raises(SessionInterrupted):
            request.websocket.accept()
        raise SessionInterrupted

    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("view/", view), *urlpatterns]})
    client = WebSocketClient(raise_request_exception=False)
    client.get("/plain/")
    with client.websocket("/view/") as websocket:
        assert not websocket.accepted
        assert websocket.response.status_code == 400


@route
@require_websocket
def doubting(request):
    request.session["count"] = 1
    request.websocket.send(not request.session)
    request.websocket.send(request.session.is_empty())


def test_the_view_sees_its_session():
    with WebSocketClient().websocket("/doubting/") as websocket:
        assert list(websocket) == ["False", "False"]


class NoSessions:
    """A middleware that makes sessions and is not derived from Django's."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        from django.contrib.sessions.backends.db import SessionStore

        request.session = SessionStore(request.COOKIES.get("sessionid"))
        return self.get_response(request)


def test_another_middleware_for_sessions(settings):
    settings.MIDDLEWARE = [OURS, f"{__name__}.NoSessions"]
    client = WebSocketClient()
    with client.websocket("/keeping/") as websocket:
        assert client.session["count"] == 1
        websocket.close()


@route
@require_websocket
def bare(request):
    request.websocket.send(str(hasattr(request, "session")))


def test_without_sessions(settings):
    settings.MIDDLEWARE = [OURS]
    with WebSocketClient().websocket("/bare/") as websocket:
        assert websocket.wait() == "False"
        assert "set-cookie" not in websocket.headers
