"""Fixtures: servers that run as long as the session, and servers for one test."""

import os
import resource
import signal

import pytest

from lab.project.server import Server
from lab.servers import stop_together

from . import needs
from .clients import Raw
from .scheduling import arrange, show_group

#: The number of idle connections that a worker on greenlets has to hold.
IDLE = int(os.environ.get("IDLE_CONNECTIONS", "500"))
#: The open descriptors that a test with more than 1024 connections needs, on both sides.
DESCRIPTORS = 4096 + IDLE


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Arrange the tests for the workers, after all that changes their order for other reasons."""
    if config.getoption("loadgroup", False):
        items[:] = arrange(items)
        for item in items:
            show_group(item)


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
    """Make a server import all that a WebSocket needs."""
    with Raw(server) as client:
        client.open("/echo/")
        client.send_frame("warm")
        assert client.message() == "warm"
        client.end()
    # The view may not have returned yet.
    server.settle()


@pytest.fixture(scope="session", autouse=True)
def _terminable():
    """End the tests on SIGTERM as on Ctrl-C, so that no server outlives them."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def servers(descriptors, tmp_path_factory):
    """Return a function that returns a server of the session, and starts it the first time."""
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
    stop_together(running.values())


@pytest.fixture(scope="session")
def old_client():
    """Skip the tests that talk with Perl's Protocol::WebSocket where it is missing."""
    needs.perl_with("Protocol::WebSocket", "libprotocol-websocket-perl")


@pytest.fixture(scope="session")
def nginx():
    """Skip the tests with nginx in front where it is missing, or the program that makes its certificate."""
    needs.program("nginx", "nginx")
    needs.program("openssl", "openssl")


@pytest.fixture
def server(request, servers):
    """Return a server that other tests use as well, and check that this test leaves it unchanged."""
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
