"""Database connections of views that wait, by PostgreSQL's own word."""

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import count

import pytest

from lab.kinds import BY_NAME
from lab.servers import eventually

from .clients import Raw
from .postgresql import PostgreSQL
from .test_processes import open_many

#: How many idle WebSockets there are; DATABASE_SOCKETS makes it more.
SOCKETS = int(os.environ.get("DATABASE_SOCKETS", "60"))
#: Of a pool, and the WebSockets that share it.
POOL, SHARING = 4, 50

pytestmark = [pytest.mark.live, pytest.mark.timeout(240), pytest.mark.xdist_group("postgresql")]

GTHREAD = BY_NAME["gunicorn_gthread"]
# psycopg's own way to wait stops a process with greenlets; it notices gevent, and has to be told of eventlet.
EVENTLET = replace(BY_NAME["gunicorn_eventlet"], environment={"PSYCOPG_WAIT_FUNC": "wait_select"})
KINDS = [GTHREAD, BY_NAME["gunicorn_gevent"], EVENTLET]
on_kinds = pytest.mark.parametrize("kind", KINDS, ids=str)
numbers = count()


@pytest.fixture(scope="session")
def postgresql(descriptors):
    server = PostgreSQL(connections=SOCKETS + 40)
    server.ask("CREATE TABLE said (name text, message text)")
    yield server
    server.stop()


@pytest.fixture
def name():
    return f"test {next(numbers)}"


@pytest.fixture
def start(launch, postgresql, name):
    """Start a server with a database of given settings."""

    def start(kind, settings=None, **database):
        threads = ("--threads", str(SOCKETS + 10)) if kind is GTHREAD else ()
        *arguments, application = kind.arguments
        kind = replace(kind, arguments=(*arguments, *threads, application), pool=SOCKETS + 10 if threads else 0)
        return launch(kind, settings={**postgresql.settings(name, **database), **(settings or {})}, strict=False)

    return start


def says(client, message):
    """Send a message to be saved, and return the process of the database that saved it."""
    client.send_frame(message)
    return int(client.message())


def released(postgresql, name):
    eventually(lambda: postgresql.backends(name), lambda pids: not pids, timeout=10)


@on_kinds
def test_idle_sockets_hold_no_connection(start, postgresql, name, kind):
    """Guards the database's connections: more WebSockets than those, once they are silent."""
    server = start(kind)
    with ExitStack() as stack:
        clients = open_many(stack, server, SOCKETS, "/database/")
        pids = {int(client.message()) for client in clients}
        assert len(pids) > 1
        released(postgresql, name)
        for client in clients:
            client.send_frame("again")
        assert pids.isdisjoint({int(client.message()) for client in clients})
        released(postgresql, name)
        for client in clients:
            client.end()
    server.check()


def test_a_chat_does_not_reconnect(start, postgresql, name):
    """Guards who saves every message: one connection to the database for all of a conversation."""
    server = start(GTHREAD)
    with Raw(server) as client:
        client.open("/database/")
        first = int(client.message())
        for number in range(20):
            assert says(client, f"{number}") == first
            time.sleep(0.02)
        assert postgresql.backends(name) == [first]
        assert postgresql.ask("SELECT message FROM said WHERE name = %s", name) == [f"{n}" for n in range(20)]
        released(postgresql, name)
        assert says(client, "later") != first
        client.end()
    server.check_log()


@on_kinds
def test_a_pool(start, postgresql, name, kind):
    """Guards psycopg's pool: its connections serve many times as many WebSockets, a query each at a time."""
    server = start(kind, OPTIONS={"pool": {"min_size": 1, "max_size": POOL, "timeout": 10}})
    with ExitStack() as stack:
        clients = open_many(stack, server, SHARING, "/database/")
        pids = {int(client.message()) for client in clients}
        for _ in range(3):
            for client in clients:
                client.send_frame("all at once")
            pids |= {int(client.message()) for client in clients}
        assert 1 <= len(postgresql.backends(name)) <= POOL
        assert len(pids) <= POOL
        for client in clients:
            client.end()
    # Which stays open.
    server.check_log()


def test_keep(start, postgresql, name):
    """Guards ``WEBSOCKET_DB = "keep"``, and with it that the tests above see what they think they see."""
    server = start(GTHREAD, settings={"WEBSOCKET_DB": "keep"})
    with Raw(server) as client:
        client.open("/database/")
        pid = int(client.message())
        time.sleep(2)
        assert postgresql.backends(name) == [pid]
        assert says(client, "still") == pid
        client.end()
    # Its request has ended.
    released(postgresql, name)
    server.check()


def test_a_database_that_restarts(start, postgresql, name):
    """Guards CONN_HEALTH_CHECKS, which otherwise are for the beginning of a request."""
    server = start(GTHREAD, CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
    with Raw(server) as client:
        client.open("/database/")
        first = int(client.message())
        postgresql.ask("SELECT pg_terminate_backend(%s, 5000)", first)
        assert says(client, "again") != first
        client.end()
    # With CONN_MAX_AGE a connection stays open, too.
    server.check_log()


def test_waiting_in_a_transaction(start, postgresql, name):
    """Guards the warning, once, and that nothing is closed in a transaction."""
    server = start(GTHREAD)
    with Raw(server) as client:
        client.open("/transaction/")
        pids = set()
        for number in range(3):
            pids.add(says(client, f"{number}"))
            time.sleep(1.2 if number == 0 else 0)
        client.end()
    assert len(pids) == 1
    released(postgresql, name)
    assert postgresql.ask("SELECT message FROM said WHERE name = %s", name) == ["0", "1", "2"]
    (record,) = server.records("django_websocket.database")
    assert record["message"].startswith("WebSocket /transaction/ waits inside a transaction of the database 'default'")
    server.check()
