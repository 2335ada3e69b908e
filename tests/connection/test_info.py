"""What can be told of a connection, with times that are exact."""

import datetime as dt

import pytest

from django_websocket.connection.hooks import Hooks, Peer
from django_websocket.connection.listing import info_of

from .line import connect, connection_of


class Known(Hooks):
    def describe(self):
        return Peer("0123456789ab/1", "/echo/", "echo/", "7")


def test_the_times():
    ws, line = connect(hooks=Known())
    line.say("hello", at=line.now + 5)
    assert ws.wait() == "hello"
    line.now += 2
    before = dt.datetime.now(dt.timezone.utc)
    info = info_of(connection_of(ws), {})
    after = dt.datetime.now(dt.timezone.utc)
    assert before <= info.since + dt.timedelta(seconds=7) <= after
    assert info.last_received - info.since == dt.timedelta(seconds=5)
    assert info[:4] == Known().describe()


@pytest.mark.parametrize("known", [True, False])
def test_the_thread(known):
    ws, _ = connect(hooks=Known())
    connection = connection_of(ws)
    names = {connection._owner: "Thread-7"} if known else {}
    assert info_of(connection, names).thread == ("Thread-7" if known else f"greenlet {id(connection._owner):#x}")


def test_a_connection_that_has_ended():
    ws, _ = connect(hooks=Known())
    ws.end()
    assert info_of(connection_of(ws), {}) is None
