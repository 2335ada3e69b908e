"""Fixtures of the tests of transports: connections of each kind that threads use."""

from __future__ import annotations

import pytest

from django_websocket.transports.sockets import BlockingTransport, NonBlockingTransport

from .pairs import DEFAULT_TIMEOUT, tcp_pair, tls_pair

KINDS = ["blocking", "nonblocking", "tls"]


@pytest.fixture(scope="session")
def folder_of_run(request, tmp_path_factory):
    """Return a temporary folder that all workers of this run of pytest have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def connect(kind, request):
    """A function that makes a transport, and returns it and the socket of its peer."""
    opened = []

    def make(default_timeout=DEFAULT_TIMEOUT):
        if kind == "tls":
            ours, theirs = tls_pair(request.getfixturevalue("certificate"))
        else:
            ours, theirs = tcp_pair()
        theirs.settimeout(DEFAULT_TIMEOUT)
        opened.extend((ours, theirs))
        if kind == "blocking":
            return BlockingTransport(ours, default_timeout), theirs
        return NonBlockingTransport(ours, ours, default_timeout), theirs

    yield make
    for sock in opened:
        sock.close()
