"""Commands to Redis: from many threads, with a deadline, and never twice."""

import threading
import time

import pytest

from django_websocket.exceptions import GroupConfigurationError, GroupUnavailable
from django_websocket.groups.backends.redis import client as module
from django_websocket.groups.backends.redis.client import Call, Client
from django_websocket.groups.backends.redis.options import OPTIONS
from django_websocket.groups.backends.redis.scripts import Script
from django_websocket.groups.backends.redis.topologies import make_topology
from lab.servers import eventually

ECHO = Script("return ARGV[1]")
COUNT = Script("return redis.call('INCR', KEYS[1])")
SLOW = Script(
    "redis.call('INCR', KEYS[1]); local t = redis.call('TIME'); "
    "repeat local n = redis.call('TIME') until (n[1] - t[1]) * 1000000 + n[2] - t[2] > 1500000; return 1"
)


def make_client(url, **options):
    values = {name: validate(options.get(name, default)) for name, (validate, default) in OPTIONS.items()}
    return Client(make_topology(url, values), values["TIMEOUT"])


@pytest.fixture
def client(redis_server):
    client = make_client(redis_server.url)
    yield client
    client.close()


def test_a_script_that_redis_does_not_know_yet(client):
    client.execute("SCRIPT", "FLUSH")
    assert client.run(ECHO, [], b"a") == b"a"
    assert client.run(ECHO, [], b"b") == b"b"


def test_several_scripts_at_once(client, prefix):
    calls = [Call(COUNT, [f"{prefix}:{{a}}"], [])] * 3 + [Call(ECHO, [], ["x"])]
    assert client.run_all(calls) == [1, 2, 3, b"x"]
    assert client.run_all(calls[:1]) == [4]
    assert client.run_all([]) == []


def test_a_command_that_ends_after_the_client_was_closed(client, redis_server):
    kept = []

    def run(redis):
        client.close()
        redis.execute_command("CLIENT SETNAME", "too-late")
        kept.append(redis)

    client._attempt(run)
    eventually(lambda: "too-late" not in str(redis_server.command("CLIENT LIST")))


def test_an_error_among_several_scripts(client):
    with pytest.raises(GroupUnavailable):
        client.run_all([Call(ECHO, [], ["x"]), Call(Script("return redis.call('INCR')"), [], [])])


def test_a_command_that_takes_too_long_is_executed_once(redis_server, client, prefix):
    impatient = make_client(redis_server.url, TIMEOUT=0.5)
    impatient.execute("PING")
    began = time.monotonic()
    with pytest.raises(GroupUnavailable) as caught:
        impatient.run(SLOW, [f"{prefix}:n"])
    assert caught.value.maybe_sent
    assert time.monotonic() - began < 1.5
    impatient.close()
    assert client.execute("GET", f"{prefix}:n") == b"1"


def test_threads_share_a_few_connections(client, redis_server, monkeypatch):
    before = len(redis_server.command("CLIENT LIST", "TYPE", "normal"))
    threads = [threading.Thread(target=lambda: [client.run(ECHO, [], b"a") for _ in range(20)]) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(redis_server.command("CLIENT LIST", "TYPE", "normal")) - before <= module.CONNECTIONS


def test_no_connection_is_free(redis_server, monkeypatch, prefix):
    monkeypatch.setattr(module, "CONNECTIONS", 1)
    client = make_client(redis_server.url, TIMEOUT=0.5)
    client.execute("PING")
    begun, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: client._attempt(lambda _: (begun.set(), over.wait(20))))
    thread.start()
    assert begun.wait(20)
    with pytest.raises(GroupUnavailable, match="have taken longer") as caught:
        client.execute("PING")
    assert not caught.value.maybe_sent
    over.set()
    thread.join()
    assert client.execute("PING")
    client.close()


def test_a_connection_that_the_server_has_closed_in_the_meantime(client, redis_server):
    client.execute("PING")
    redis_server.command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
    assert client.execute("PING")


def test_a_native_thread_beside_greenlets_has_a_client_of_its_own(redis_server, monkeypatch):
    """What eventlet and gevent put in place of the functions of threads is written in Python."""
    monkeypatch.setattr("_thread.start_new_thread", lambda *_: None)
    client = make_client(redis_server.url)
    monkeypatch.undo()
    found = []

    def use():
        client.execute("PING")
        found.append(client._client())
        client.close()

    use()
    client._closed = False
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found[0] is not found[1]


def test_threads_without_greenlets_share_a_client(client):
    found = [client._client()]
    thread = threading.Thread(target=lambda: found.append(client._client()))
    thread.start()
    thread.join()
    assert found[0] is found[1]


def test_a_client_that_was_closed(client):
    client.execute("PING")
    client.close()
    client.close()
    with pytest.raises(GroupUnavailable, match="were stopped"):
        client.execute("PING")


def test_a_master_that_has_become_a_replica_is_connected_to_anew(client, monkeypatch):
    refreshed = []
    monkeypatch.setattr(client.topology, "refresh", refreshed.append)
    read_only = module.import_redis().exceptions.ReadOnlyError("You can't write against a read only replica.")
    with pytest.raises(GroupUnavailable, match="read only"):
        client._attempt(lambda _: (_ for _ in ()).throw(read_only))
    assert refreshed == [client._client()]


def test_connections_for_subscriptions(client, prefix):
    connection = client.connect(client.route("any"))
    connection.send_command("SUBSCRIBE", prefix)
    assert connection.read_response() == [b"subscribe", prefix.encode(), 1]
    client.publish(None, prefix, b"hello")
    assert connection.read_response() == [b"message", prefix.encode(), b"hello"]
    client.refresh()
    connection.disconnect()


def test_a_command_that_is_not_known(client):
    with pytest.raises(GroupConfigurationError, match="groups need Redis 5"):
        client.execute("NONSENSE")
