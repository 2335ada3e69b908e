"""The open connections of this process, as people see them."""

import datetime as dt
import sys
import threading

import pytest
from django.contrib.auth.models import User

from django_websocket import connections, require_websocket
from django_websocket.connection.hooks import Hooks, Peer
from django_websocket.connection.info import ConnectionInfo
from django_websocket.signals import websocket_accepted

from ..observing import received
from ..views import VERSIONS, echo, make_route_by_name
from .line import connect

urlpatterns = []
route = make_route_by_name(urlpatterns)


@pytest.fixture(autouse=True)
def _project(settings):
    settings.ROOT_URLCONF = sys.modules[__name__]


route(require_websocket(subprotocols=["chat"])(echo))


@route
@require_websocket
def answering(request):
    for message in request.websocket:
        request.websocket.send(request.user.get_username() if message == "who" else message)


@route
@require_websocket
def rejecting(request):
    request.websocket.reject(4404)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_connection(client, version):
    begin = dt.datetime.now(dt.timezone.utc)
    with client.websocket("/echo/?secret=1", version=version, subprotocols=["chat"]) as websocket:
        websocket.send("grüße")
        websocket.send("x")
        assert (websocket.wait(), websocket.wait()) == ("grüße", "x")
        (info,) = connections()
    assert isinstance(info, ConnectionInfo)
    assert info[1:6] == ("/echo/", "echo/", None, version, "chat")
    assert info[7:11] == (2, 2, 8, 8)
    assert begin <= info.since <= info.last_received <= dt.datetime.now(dt.timezone.utc)
    assert info.latency is None
    assert info.thread.startswith("greenlet 0x")
    assert connections() == []


def test_a_silent_connection(client):
    with client.websocket("/echo/"):
        (info,) = connections()
    assert info.last_received is None
    assert info[7:11] == (0, 0, 0, 0)


def test_latency(client):
    with client.websocket("/echo/") as websocket:
        websocket.expect_nothing(timeout=25)
        (info,) = connections()
    assert info.latency is not None
    assert info.last_received > info.since


@pytest.mark.django_db
def test_a_user_is_known_once_the_view_knows(client):
    user = User.objects.create_user("ann")
    client.force_login(user)
    with client.websocket("/answering/") as websocket:
        websocket.send("hello")
        assert connections()[0].user_id is None
        websocket.send("who")
        assert connections()[0].user_id == str(user.pk)


def test_many_are_in_the_order_of_their_ages_and_each_has_an_id(client):
    sessions = [client.websocket("/echo/") for _ in range(3)]
    for session in sessions:
        session.__enter__()
    try:
        infos = connections()
        assert len({info.id for info in infos}) == 3
        assert [info.id for info in connections()] == [info.id for info in infos], "the ids stay"
    finally:
        for session in sessions:
            session.__exit__(None, None, None)


def test_the_order_does_not_depend_on_the_time_that_listing_takes(clean_registry):
    class Known(Hooks):
        def __init__(self, number):
            self.number = number

        def describe(self):
            return Peer(f"0123456789ab/{self.number}", "/", "", None)

    for number in range(300):
        ws, line = connect(hooks=Known(number), accept=False)
        line.now += number / 1e6
        ws.accept()
    assert [info.id.partition("/")[2] for info in connections()] == [str(number) for number in range(300)]


def test_what_is_rejected_is_not_listed(client):
    with client.websocket("/rejecting/") as websocket:
        assert connections() == []
        assert list(websocket) == []


def test_a_connection_of_nobody(clean_registry):
    """It has no request, as in tests of the connection itself."""
    connect()
    assert connections() == []


def test_threads_are_named(wire):
    """The view of a server with threads runs in one of them."""
    with received(websocket_accepted) as accepted:
        websocket_accepted.connect(list_connections)
        try:
            wire("/echo/")
        finally:
            websocket_accepted.disconnect(list_connections)
    assert len(accepted) == 1
    assert listed.pop() == [threading.current_thread().name]
    assert listed == []


listed = []


def list_connections(**_):
    listed.append([info.thread for info in connections()])
