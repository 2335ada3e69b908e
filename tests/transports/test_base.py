"""The contract of transports: what a subclass inherits, and which exceptions are the system's."""

from __future__ import annotations

import errno
import threading
import time

from django_websocket.transports.base import TimedOut, is_interruption

from .pairs import MemoryTransport


def test_a_transport_inherits_a_clock_and_locks_for_threads():
    transport = MemoryTransport()
    assert transport.current() == threading.get_ident()
    with transport.lock() as _, transport.mutex() as _:
        pass
    assert transport.clock() <= time.monotonic()


def test_is_interruption():
    """Python raises TimeoutError for ETIMEDOUT too, but that means that the peer has vanished."""
    assert not is_interruption(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))
    assert not is_interruption(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"))
    for error in (TimedOut(), TimeoutError("of the view"), OSError("of the view")):
        assert is_interruption(error)
