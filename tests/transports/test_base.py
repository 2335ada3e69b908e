"""The contract of transports: what a subclass inherits, and what a timeout is."""

from __future__ import annotations

import errno
import threading
import time

from django_websocket.transports.base import is_timeout

from .pairs import MemoryTransport


def test_a_transport_inherits_a_clock_and_locks_for_threads():
    transport = MemoryTransport()
    assert transport.current() == threading.get_ident()
    with transport.lock() as _, transport.mutex() as _:
        pass
    assert transport.clock() <= time.monotonic()


def test_is_timeout():
    """Python raises TimeoutError for ETIMEDOUT too, but that means that the peer has vanished."""
    assert not is_timeout(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))
    assert is_timeout(TimeoutError())
