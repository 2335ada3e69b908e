"""What green transports do without either library. ``green_checks.py`` has them in real hubs."""

from __future__ import annotations

import threading

import pytest

from django_websocket.transports.base import TimedOut
from django_websocket.transports.green import GreenTransport

from .pairs import tcp_pair
from .test_green_library import Waiter
from .test_green_locks import Library


@pytest.fixture
def plain():
    ours, theirs = tcp_pair()
    with ours, theirs:
        yield ours


class GreenLibrary(Library):
    """A green library whose mutexes are native."""

    make_rlock = staticmethod(threading.RLock)


class Core:
    engaged = None

    def engage(self, *args):
        self.engaged = args


@pytest.mark.parametrize(
    ("default_timeout", "has_waiter"),
    [
        (15.0, True),
        # A wait without a limit would outlast the deadlines of the connection.
        (None, True),
        # TLS.
        (15.0, False),
    ],
)
def test_the_core_is_engaged_on_plain_sockets(plain, default_timeout, has_waiter):
    waiter = Waiter() if has_waiter else None
    transport = GreenTransport(plain, plain, default_timeout, GreenLibrary(), waiter)
    core, locks = Core(), (transport.lock(), transport.lock())
    transport.engage(core, locks)
    if default_timeout is None or not has_waiter:
        assert core.engaged is None
    else:
        assert core.engaged == (locks, plain, (waiter.wait, 15.0, TimedOut))


def test_the_core_is_not_engaged_in_another_thread(plain):
    transport = GreenTransport(plain, plain, 15.0, GreenLibrary(), Waiter())
    transport._thread = "another"
    core = Core()
    transport.engage(core, (transport.lock(), transport.lock()))
    assert core.engaged is None
