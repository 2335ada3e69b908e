"""The lock of green transports, without either library."""

from __future__ import annotations

import _thread
import select

import pytest

from django_websocket.speedups import load
from django_websocket.transports.green_locks import PythonLock, make_green_lock

BASES = {"python": PythonLock} | ({"compiled": load("lock").Lock} if load("lock") else {})


@pytest.fixture(params=BASES)
def green_lock(request):
    """A class of green locks, over each lock that there is."""
    return make_green_lock(BASES[request.param])


class Library:
    """A green library without greenlets; it records how long the running one would have slept."""

    allocate_lock = staticmethod(_thread.allocate_lock)
    select = select

    def __init__(self):
        self.pauses = []
        self.thread = _thread.get_ident()
        self.guard = _thread.allocate_lock()
        self.calls = []

    def getcurrent(self):
        return self

    def call_soon(self, call):
        self.calls.append(call)

    def get_ident(self):
        return self.thread

    def sleep(self, seconds):
        self.pauses.append(seconds)


def test_a_thread_waits_for_the_lock_natively(green_lock):
    library = Library()
    lock = green_lock(library)
    library.thread = "another"
    lock.acquire()
    assert not lock.acquire(timeout=0.01)
    assert library.pauses == []


def test_a_greenlet_waits_for_the_lock_at_its_hub(green_lock):
    library = Library()
    lock = green_lock(library)
    lock.acquire()

    def sleep(pause):
        library.pauses.append(pause)
        if len(library.pauses) == 3:
            lock.release()

    library.sleep = sleep
    assert lock.acquire()
    # It looks again and again, because a thread of the system cannot wake its hub.
    assert library.pauses == [0.05] * 3
    assert not lock.acquire(False)
    lock.release()
    assert lock.acquire(False)


def test_a_lock_that_is_released_while_a_greenlet_begins_to_wait(green_lock):
    library = Library()
    lock = green_lock(library)
    lock.acquire()
    library.getcurrent = lambda: pytest.fail("it waits")
    # The list is made before the greenlet stands in it.
    library.guard = ReleasingGuard(lock)
    assert lock.acquire()
    assert not lock.acquire(False)
    lock.release()


class ReleasingGuard:
    """A guard under which another thread releases a lock."""

    def __init__(self, lock):
        self.lock = lock

    def __enter__(self):
        self.lock.release()

    def __exit__(self, *_):
        pass


def test_the_last_waiter_stops_waiting_while_the_lock_is_passed_on(green_lock):
    class Interrupted(green_lock):
        def acquire(self, *args):
            if self._waiters:
                self._waiters.clear()
            return super().acquire(*args)

    lock = Interrupted(Library())
    lock.acquire()
    lock._waiters = ["gone"]
    lock.release()
    assert lock._waiters == []
    assert not lock.locked()
    assert lock.acquire(False)


def test_a_lock_that_nobody_has_acquired_is_not_released(green_lock):
    lock = green_lock(Library())
    with pytest.raises(RuntimeError):
        lock.release()
    with lock:
        assert lock.locked()
    assert not lock.locked()


def test_a_greenlet_that_is_killed_passes_the_lock_on(green_lock):
    library = Library()
    lock = green_lock(library)
    lock.acquire()

    def sleep(pause):
        lock.release()
        raise GeneratorExit

    library.sleep = sleep
    with pytest.raises(GeneratorExit):
        lock.acquire()
    assert lock.acquire(False)
