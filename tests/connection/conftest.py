"""Fixtures for tests of a connection."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from django_websocket.connection import connection as module
from django_websocket.process.registry import registry
from django_websocket.protocols.base import State
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.websocket import WebSocket

from ..options import make_options
from .line import PATIENCE, Browser, pair


@pytest.fixture
def live():
    """Return a function that makes a WebSocket over a socket pair, and its browser."""
    made = []

    def make(kind=RFC6455, **options):
        ours, theirs = socket.socketpair()
        client, server, key3 = pair(kind)
        options = {"close_timeout": PATIENCE, **options}
        ws = WebSocket(server, lambda: (ours, key3), make_options(**options))
        browser = Browser(theirs, client)
        made.append((ws, ours, theirs))
        ws.accept()
        while client.state is State.CONNECTING:
            assert browser.read()
        return ws, browser

    yield make
    for ws, ours, theirs in made:
        theirs.close()
        ws.end(wait=False)
        ours.close()


@pytest.fixture(autouse=True)
def followed(monkeypatch):
    """Keep connections whose clock is a test's own from the closer; return those that it would follow."""
    connections = []
    closer = SimpleNamespace(add=lambda finish: connections.append(finish.__self__), discard=lambda _: None)
    monkeypatch.setattr(module, "closer", closer)
    return connections


@pytest.fixture(autouse=True)
def clean_registry():
    yield
    registry.reset()
