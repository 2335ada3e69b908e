"""Backends, and the Redis server that some of them need."""

import itertools

import pytest

from lab.redis_servers import RedisServer, find_redis

from ...live.needs import missing
from .making import make_memory, make_redis, wait_for_threads

_serials = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """Return a Redis server which all tests of the session share; skip the test if there is none."""
    if find_redis() is None:
        missing("redis-server", "redis-server")
    pytest.importorskip("redis")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start(redis_server, tmp_path):
    """Return a function that starts a server of the test's own."""
    servers = []

    def start_one(*options, **more):
        server = RedisServer(tmp_path / f"redis{len(servers)}", *options, **more)
        servers.append(server)
        server.start()
        return server

    yield start_one
    for server in servers:
        server.stop()


@pytest.fixture
def prefix():
    """Return a prefix of keys that no other test has."""
    return f"test{next(_serials)}"


@pytest.fixture
def make(redis_server, prefix):
    """Return a function that makes a backend on the shared server, as another process has it."""
    made = []

    def make_one(location=None, **options):
        backend = make_redis(location or redis_server.url, **{"PREFIX": prefix, **options})
        made.append(backend)
        return backend

    yield make_one
    for backend in made:
        backend.stop()
    wait_for_threads()


@pytest.fixture(params=["memory", "redis"])
def backend(request):
    """Return a backend of each kind."""
    return make_memory() if request.param == "memory" else request.getfixturevalue("make")()
