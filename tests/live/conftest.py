"""Fixtures: servers that live as long as the session, and servers that a test has for itself."""

import os
import resource
import signal

import pytest

from lab.project.server import Server

from . import needs
from .clients import Raw

#: How many idle connections a worker on greenlets is to hold.
IDLE = int(os.environ.get("IDLE_CONNECTIONS", "500"))
#: What a test with more than 1024 connections needs, on both sides.
DESCRIPTORS = 4096 + IDLE


@pytest.fixture(scope="session", autouse=True)
def descriptors():
    """Raise the limit of open descriptors, for the servers too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, before[0]), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def warm_up(server):
    """Have everything imported that the first WebSocket imports."""
    with Raw(server) as client:
        client.open("/echo/")
        client.send_frame("warm")
        assert client.message() == "warm"
        client.end()
    # Its view may still be on its way out.
    server.settle()


@pytest.fixture(scope="session", autouse=True)
def _terminable():
    """Let SIGTERM end the tests as Ctrl-C does, so that no server outlives them."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def servers(descriptors, tmp_path_factory):
    """Give the servers of the session, started when a test first asks for them."""
    running = {}

    def get(kind, middleware, settings):
        key = kind.name, middleware, repr(sorted(settings.items()))
        if key not in running or running[key].process.poll() is not None:
            needs.of_kind(kind)
            log = tmp_path_factory.mktemp(kind.name) / "log"
            server = running[key] = Server(kind, log, middleware=middleware, settings=settings)
            warm_up(server)
        return running[key]

    yield get
    for server in running.values():
        server.stop()


@pytest.fixture
def server(request, servers):
    """Give a server that other tests use as well; see that this one leaves it as it was."""
    server = servers(*request.param)
    server.begin()
    yield server
    server.check()


@pytest.fixture
def launch(tmp_path):
    """Start a server for one test."""
    running = []

    def start(kind, *, warm=True, **options):
        needs.of_kind(kind)
        server = Server(kind, tmp_path / f"log{len(running)}", **options)
        running.append(server)
        if warm:
            warm_up(server)
        server.begin()
        return server

    yield start
    for server in running:
        server.stop()
