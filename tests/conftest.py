"""Shared fixtures, and the profiles of Hypothesis. ``CONTRIBUTING.rst`` describes how to use the profile ``long``."""

import gc

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings

from django_websocket.testing.client import WebSocketClient

from .live.needs import program
from .transports.pairs import make_certificate
from .views import OURS
from .wire import Wire

# The time that an example takes depends mostly on the other work of the machine, so no deadline is set.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("unhurried"), max_examples=5)
settings.register_profile("long", settings.get_profile("unhurried"), max_examples=10_000, print_blob=True)
settings.load_profile("unhurried")


def pytest_collection_finish() -> None:
    """Leave the tests themselves out of all garbage collection.

    There are thousands of them, which live as long as the session. Each full collection, which measurements of memory
    begin with, would look at every one of their objects, and take longer than what is measured.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def _session_files(settings, tmp_path, monkeypatch):
    """Store sessions in files in a directory of the test."""
    # The session store caches the directory in a class attribute.
    monkeypatch.delattr("django.contrib.sessions.backends.file.SessionStore._storage_path", raising=False)
    settings.SESSION_FILE_PATH = str(tmp_path)


@pytest.fixture(params=["with the middleware", "without the middleware"])
def client(request, settings):
    """Return a client of the project with our middleware, and of the same project without it."""
    if request.param == "without the middleware":
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
    return WebSocketClient()


@pytest.fixture
def wire():
    """Return what serves requests over pairs of sockets: a :class:`Wire`."""
    # As Django's test client does: the connections to the database are those of the test.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    wire = Wire()
    yield wire
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
    wire.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Return the path of a certificate for ``localhost`` and its key."""
    program("openssl", "openssl")
    return make_certificate(tmp_path_factory.mktemp("certificate"))
