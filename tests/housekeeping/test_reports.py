"""What a project learns of each WebSocket: three signals, and two lines in the log."""

import logging
import sys

import pytest
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpResponse
from django.urls import path

from django_websocket import (
    ConnectionClosed,
    WebSocket,
    accept_websocket,
    connections,
    disconnect_connection,
    require_websocket,
)
from django_websocket.connection.connection import Connection
from django_websocket.connection.stats import ConnectionStats
from django_websocket.middleware.upgrade import Upgrade
from django_websocket.process.registry import registry
from django_websocket.signals import websocket_accepted, websocket_closed, websocket_refused

from ..observing import received, records
from ..views import OLD, OURS, VERSIONS, echo, make_route_by_name

LOGGER = "django_websocket.connection"

#: What a view raises, and the status that Django makes of it.
ERRORS = {
    "404": (Http404(), 404),
    "403": (PermissionDenied(), 403),
    "bad": (BadRequest(), 400),
    "suspicious": (SuspiciousOperation(), 400),
    "zero": (ZeroDivisionError(), 500),
}
#: The hooks of a view that has ended.
late = []

urlpatterns = []
route = make_route_by_name(urlpatterns)


@pytest.fixture(autouse=True)
def _project(settings):
    settings.ROOT_URLCONF = sys.modules[__name__]


echoing = route(require_websocket(subprotocols=["chat"])(echo))


@route
@login_required
@require_websocket
def personal(request):
    request.websocket.send(request.user.get_username())


class Broken:
    @property
    def pk(self):
        raise RuntimeError("no key today")


@route
@require_websocket
def stranger(request):
    request.user = object() if request.GET["kind"] == "object" else Broken()
    request.websocket.wait()


@route
@require_websocket
def failing(request):
    request.websocket.accept()
    raise RuntimeError("the view fails")


@require_websocket
def raising(request, name):
    raise ERRORS[name][0]


@route
@accept_websocket
def trying(request):
    response = echoing(request)
    return response if request.is_websocket() else HttpResponse("a page")


@route
@require_websocket
def abandoning(request):
    late[:] = [Upgrade.of(request).hooks]
    return HttpResponse("no")


@route
@require_websocket
def closing(request):
    request.websocket.wait()
    request.websocket.close(int(request.GET["code"]))


@route
@require_websocket
def rejecting(request):
    request.websocket.reject(4404, "no such room")


@route
@accept_websocket
def both(request):
    if request.websocket is None:
        return HttpResponse("page")
    request.websocket.wait()
    return None


@accept_websocket
def room(request, name):
    request.websocket.wait()


urlpatterns += [path("room/<str:name>/", room), path("raising/<str:name>/", raising)]


@pytest.fixture
def seen():
    """Collect what the signals say, in order."""
    calls = []

    def collect(name):
        def receive(sender, signal, **arguments):
            assert sender is WebSocket
            calls.append((name, arguments))

        return receive

    kept = [
        (signal, collect(name))
        for name, signal in (
            ("accepted", websocket_accepted),
            ("closed", websocket_closed),
            ("refused", websocket_refused),
        )
    ]
    for signal, receive in kept:
        signal.connect(receive)
    yield calls
    for signal, receive in kept:
        signal.disconnect(receive)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_websocket_that_the_client_closes(client, seen, version, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    with client.websocket("/echo/", version=version, subprotocols=["chat"]) as websocket:
        websocket.send("grüße")
        assert websocket.wait() == "grüße"
        ((kind, arguments),) = seen
        assert (kind, arguments.keys()) == ("accepted", {"request", "websocket"})
        assert arguments["websocket"] is arguments["request"].websocket
    accepted, (kind, arguments) = seen
    assert (kind, arguments.keys()) == ("closed", {"request", "websocket", "stats"})
    assert (arguments["request"], arguments["websocket"]) == (accepted[1]["request"], accepted[1]["websocket"])
    stats = arguments["stats"]
    assert isinstance(stats, ConnectionStats)
    assert stats._replace(duration=0, close_code=0, closed_by="") == (0, 1, 1, 7, 7, 0, "", "normal")
    assert 0 <= stats.duration < 60
    code = 1005 if version in OLD else 1000
    assert (stats.close_code, stats.closed_by) == (code, "client")
    name = {13: "RFC 6455", 8: "hybi-08", 7: "hybi-07", 76: "hixie-76", 75: "hixie-75"}[version]
    first, last = records(caplog, LOGGER)
    assert first.getMessage() == f"WebSocket accepted: /echo/ ({name})"
    end = f"{code} by client after {stats.duration:.1f} s"
    assert last.getMessage() == f"WebSocket closed: /echo/ {end}, 1 messages in (7 bytes), 1 out (7 bytes)"
    assert (first.levelno, last.levelno) == (logging.INFO, logging.INFO)
    for record in (first, last):
        said = {key: getattr(record, key) for key in ("path", "route", "user_id", "version", "subprotocol")}
        assert said == {"path": "/echo/", "route": "echo/", "user_id": None, "version": version, "subprotocol": "chat"}
        assert record.id == arguments["websocket"].member_id
    assert {key: getattr(last, key) for key in stats._fields} == stats._asdict()


def test_a_client_that_vanishes(client, seen, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    with client.websocket("/echo/") as websocket:
        websocket.vanish()
    assert seen[1][1]["stats"][5:] == (1006, "network", "normal")
    assert records(caplog, LOGGER)[-1].getMessage().startswith("WebSocket closed: /echo/ 1006 without a Close after ")


@pytest.mark.django_db
def test_the_user(client, seen, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    user = User.objects.create_user("ann")
    client.force_login(user)
    with client.websocket("/personal/") as websocket:
        assert websocket.wait() == "ann"
    first, last = records(caplog, LOGGER)
    assert first.getMessage() == f"WebSocket accepted: /personal/ (user {user.pk}, RFC 6455)"
    assert last.getMessage().startswith(f"WebSocket closed: /personal/ (user {user.pk}) 1000 by server after ")
    assert first.user_id == last.user_id == str(user.pk)
    assert [kind for kind, _ in seen] == ["accepted", "closed"]
    assert seen[1][1]["stats"].closed_by == "server"


@pytest.mark.django_db
def test_the_user_is_not_loaded_for_a_line(client, caplog, django_assert_num_queries):
    caplog.set_level(logging.INFO, LOGGER)
    client.force_login(User.objects.create_user("ann"))
    with django_assert_num_queries(0), client.websocket("/echo/") as websocket:
        websocket.close()
    assert [record.user_id for record in records(caplog, LOGGER)] == [None, None]


@pytest.mark.parametrize("kind", ["object", "broken"])
def test_a_user_without_a_key(client, caplog, kind):
    """Other packages let a project put any object there."""
    caplog.set_level(logging.INFO, LOGGER)
    with client.websocket(f"/stranger/?kind={kind}"):
        (info,) = connections()
    assert info.user_id is None
    assert [record.user_id for record in records(caplog, LOGGER)] == [None, None]


def test_a_view_that_fails(client, seen, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    client.raise_request_exception = False
    with client.websocket("/failing/") as websocket:
        assert websocket.wait() is None
    assert [kind for kind, _ in seen] == ["accepted", "closed"]
    assert seen[1][1]["stats"][5:] == (1011, "server", "error")
    last = records(caplog, LOGGER)[-1]
    assert last.getMessage().startswith("WebSocket closed: /failing/ 1011 by server (error) after ")
    assert last.levelno == logging.INFO, "Django has logged the exception"


def test_what_breaks_a_limit_or_the_protocol_is_a_warning(client, settings, caplog):
    settings.WEBSOCKET_MAX_MESSAGE_SIZE = 10
    with client.websocket("/echo/") as websocket:
        websocket.send("x" * 11)
        assert websocket.wait() is None
    assert [record.getMessage().partition(" after")[0] for record in records(caplog, LOGGER)] == [
        "WebSocket /echo/ failed with 1009: a message is too big",
        "WebSocket closed: /echo/ 1009 by server (limit)",
    ]
    assert {record.levelno for record in records(caplog, LOGGER)} == {logging.WARNING}


#: The level of the line of an end by the code of its first Close, whoever has sent it.
LEVELS = {
    1000: logging.INFO,
    1002: logging.WARNING,
    1007: logging.WARNING,
    # Applications have other reasons for these two, such as a message that a view does not like.
    1008: logging.INFO,
    1009: logging.INFO,
    4000: logging.INFO,
}


@pytest.mark.parametrize("wanted", [logging.INFO, logging.WARNING])
@pytest.mark.parametrize("closer", ["client", "server"])
@pytest.mark.parametrize("code", LEVELS)
def test_a_close_that_finds_a_fault_is_a_warning(client, caplog, code, closer, wanted):
    caplog.set_level(wanted, LOGGER)
    with client.websocket(f"/closing/?code={code}") as websocket:
        if closer == "client":
            websocket.close(code)
        else:
            websocket.send("now")
            assert websocket.wait() is None
    lines = [record for record in records(caplog, LOGGER) if record.getMessage().startswith("WebSocket closed: ")]
    expected = [(LEVELS[code], closer)] if LEVELS[code] >= wanted else []
    assert [(record.levelno, record.closed_by) for record in lines] == expected


@pytest.mark.parametrize("wanted", [logging.INFO, logging.WARNING])
def test_a_websocket_that_an_administrator_closes_has_no_fault(client, caplog, wanted):
    """The code is that of a broken limit."""
    caplog.set_level(wanted, LOGGER)
    with client.websocket("/echo/") as websocket:
        disconnect_connection(connections()[0].id)
        assert websocket.wait() is None
    assert websocket.close_code == 1008
    ends = [record for record in records(caplog, LOGGER) if record.getMessage().startswith("WebSocket closed: ")]
    assert [record.levelno for record in ends] == [logging.INFO] * (wanted == logging.INFO)


def test_a_limit_with_the_same_code_is_a_warning(client, caplog):
    def flood(websocket):
        for _ in range(500):
            websocket.ping()

    with client.websocket("/echo/") as websocket, pytest.raises(ConnectionClosed, match="too many control frames"):
        flood(websocket)
    assert websocket.close_code == 1008
    last = records(caplog, LOGGER)[-1]
    assert (last.levelno, last.cause) == (logging.WARNING, "limit")


def test_an_answer_of_other_code_than_ours(client, settings, seen):
    """Only the middleware sees what others answer."""
    with client.websocket("/personal/") as websocket:
        pass
    assert websocket.response.status_code == 302
    if OURS in settings.MIDDLEWARE:
        ((kind, arguments),) = seen
        assert (kind, arguments.pop("request").path) == ("refused", "/personal/")
        assert arguments == {"status": 302, "reason": "answered with 302 before the handshake"}
    else:
        assert seen == []
    assert not registry.busy


@pytest.mark.parametrize("name", ERRORS)
def test_an_exception_before_the_handshake(client, seen, name):
    client.raise_request_exception = False
    with client.websocket(f"/raising/{name}/") as websocket:
        pass
    status = websocket.response.status_code
    assert status == ERRORS[name][1]
    ((kind, arguments),) = seen
    assert (kind, arguments.pop("request").path) == ("refused", f"/raising/{name}/")
    assert arguments == {"status": status, "reason": f"answered with {status} before the handshake"}
    assert not registry.busy


def test_another_page_in_place_of_a_refusal(client, seen):
    """A view tries one that takes WebSockets only, for a plain request."""
    assert client.get("/trying/").content == b"a page"
    assert seen == []


def test_the_end_of_the_process_waits_for_the_receivers(client):
    busy = []

    def look(**_):
        busy.append(registry.busy)

    websocket_closed.connect(look)
    try:
        with client.websocket("/echo/"):
            pass
    finally:
        websocket_closed.disconnect(look)
    assert busy == [True]
    assert not registry.busy


def test_the_view_ends_while_another_thread_opens_the_websocket(client, seen):
    """Whoever is the first decides: it is refused, and neither accepted nor closed."""
    with client.websocket("/abandoning/"):
        pass
    hooks, websocket = late.pop(), seen[0][1]["request"].websocket
    hooks.after_handshake(websocket)
    hooks.after_rejection(websocket, 4403, "")
    assert [kind for kind, _ in seen] == ["refused"]


def test_a_client_is_rejected_before_the_receivers_run(client):
    """They may take long, and must not reach it."""
    states = []

    def look(request, **_):
        states.append(request.websocket.closed)

    websocket_refused.connect(look)
    try:
        with client.websocket("/rejecting/") as websocket:
            assert list(websocket) == []
    finally:
        websocket_refused.disconnect(look)
    assert states == [True]


def test_a_websocket_that_is_rejected(client, seen):
    """It is refused, and neither accepted nor closed."""
    with client.websocket("/rejecting/") as websocket:
        assert list(websocket) == []
    ((kind, arguments),) = seen
    assert (kind, arguments.pop("request").path) == ("refused", "/rejecting/")
    assert arguments == {"status": 4404, "reason": "no such room"}


def test_a_foreign_page(client, seen):
    with client.websocket("/echo/", headers={"origin": "http://evil.example"}) as websocket:
        assert websocket.response.status_code == 403
    ((kind, arguments),) = seen
    assert (kind, arguments["status"], arguments["reason"]) == ("refused", 403, "the Origin is not allowed")


def test_a_malformed_handshake(settings, client, seen):
    """The view is not even known."""
    settings.MIDDLEWARE = [OURS]
    response = client.get("/echo/", headers={"upgrade": "websocket", "connection": "upgrade"})
    ((kind, arguments),) = seen
    assert (kind, arguments["status"], response.status_code) == ("refused", 400, 400)
    assert arguments["reason"] + "\n" == response.content.decode()


def test_an_unmarked_view(settings, client, seen):
    settings.MIDDLEWARE = [OURS]
    urlpatterns.append(path("plain/", lambda request: HttpResponse("page")))
    with client.websocket("/plain/") as websocket:
        assert websocket.response.status_code == 400
    ((kind, arguments),) = seen
    assert (kind, arguments["status"], arguments["reason"]) == ("refused", 400, "this address takes no WebSockets")


def test_a_plain_request_to_a_view_that_takes_websockets_only(client, seen):
    """A proxy may have dropped the Upgrade."""
    assert client.get("/echo/").status_code == 400
    ((kind, arguments),) = seen
    assert (kind, arguments["status"], arguments["reason"]) == ("refused", 400, "this address takes WebSockets only")


def test_a_plain_request_is_no_refusal(client, seen):
    assert client.get("/both/").content == b"page"
    assert seen == []


def test_a_receiver_that_fails_stops_nothing(client, caplog):
    def fail(**_):
        raise RuntimeError("the receiver fails")

    for signal in (websocket_accepted, websocket_closed, websocket_refused):
        signal.connect(fail)
    try:
        with client.websocket("/echo/") as websocket:
            websocket.send("hello")
            assert websocket.wait() == "hello"
        assert client.get("/echo/").status_code == 400
    finally:
        for signal in (websocket_accepted, websocket_closed, websocket_refused):
            signal.disconnect(fail)
    errors = [record for record in caplog.records if record.name == "django.dispatch"]
    assert [record.exc_info[1].args for record in errors] == [("the receiver fails",)] * 3
    assert not registry.busy


def test_a_receiver_may_send(client):
    def greet(websocket, **_):
        websocket.send("welcome")

    websocket_accepted.connect(greet)
    try:
        with client.websocket("/echo/") as websocket:
            assert websocket.wait() == "welcome"
    finally:
        websocket_accepted.disconnect(greet)


def test_names_of_clients_are_escaped(client, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    with client.websocket("/room/a%0Ab%1b[31m/") as websocket:
        websocket.close()
    first, last = records(caplog, LOGGER)
    assert first.getMessage() == r"WebSocket accepted: /room/a\nb\x1b[31m/ (RFC 6455)"
    assert last.getMessage().startswith(r"WebSocket closed: /room/a\nb\x1b[31m/ 1000 by client after ")
    assert (first.path, first.route) == ("/room/a\nb\x1b[31m/", "room/<str:name>/"), "the extra is for machines"


def test_nothing_is_made_for_lines_that_nobody_wants(client, caplog):
    caplog.set_level(logging.WARNING, LOGGER)
    with received(websocket_accepted) as accepted, client.websocket("/echo/") as websocket:
        websocket.close()
    assert not accepted[0]["websocket"].has_member_id
    assert connections() == []


@pytest.mark.parametrize("code", [1000, 1008, 1009])
def test_no_report_is_made_for_nobody(client, caplog, monkeypatch, code):
    """An end is looked at for a fault, and that is all."""

    def fail(_):
        raise AssertionError("figures that nobody wants")

    caplog.set_level(logging.WARNING, LOGGER)
    monkeypatch.setattr(Connection, "stats", fail)
    with client.websocket(f"/closing/?code={code}") as websocket:
        websocket.send("now")
        assert websocket.wait() is None
    assert websocket.close_code == code
