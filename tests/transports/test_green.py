"""The parts of green transports that need neither eventlet nor gevent: the lock and the waiter."""

from __future__ import annotations

import _thread
import select

import pytest

from django_websocket.transports.green import GreenLock, HubWaiter


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


def test_a_thread_waits_for_the_lock_natively():
    library = Library()
    lock = GreenLock(library)
    library.thread = "another"
    lock.acquire()
    assert not lock.acquire(timeout=0.01)
    assert library.pauses == []


def test_a_greenlet_waits_for_the_lock_at_its_hub():
    library = Library()
    lock = GreenLock(library)
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


def test_a_lock_that_is_released_while_a_greenlet_begins_to_wait():
    library = Library()
    lock = GreenLock(library)
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


def test_the_last_waiter_stops_waiting_while_the_lock_is_passed_on():
    lock = GreenLock(Library())
    lock.acquire()

    class Waiters(list):
        def pop(self, index):
            self.clear()
            return super().pop(index)

    lock._waiters = Waiters(["gone"])
    lock.release()
    assert lock.acquire(False)


def test_a_greenlet_that_is_killed_passes_the_lock_on():
    library = Library()
    lock = GreenLock(library)
    lock.acquire()

    def sleep(pause):
        lock.release()
        raise GeneratorExit

    library.sleep = sleep
    with pytest.raises(GeneratorExit):
        lock.acquire()
    assert lock.acquire(False)


class Waiter(HubWaiter):
    """A waiter that is its own hub and its own greenlet; it records its timers."""

    def __init__(self):
        super().__init__(lambda: self)
        self.started, self.stopped, self.removed = [], [], 0
        self.while_waiting = lambda: None

    def wait(self, timeout):
        self._start_wait(timeout)
        try:
            self.while_waiting()
        finally:
            self._finish_wait()

    def throw(self, error):
        raise error

    def expire(self):
        self._on_timer()

    def _remove_listener(self):
        self.removed += 1

    def _start_timer(self, seconds):
        self.started.append(seconds)
        return len(self.started)

    def _stop_timer(self, timer):
        self.stopped.append(timer)


def test_one_timer_serves_many_waits():
    waiter = Waiter()
    for _ in range(3):
        waiter.wait(10)
    assert waiter.started == [10]
    waiter.wait(None)
    waiter.wait(20)
    assert waiter.started == [10]
    assert waiter.stopped == []


def test_a_wait_that_ends_before_the_timer_expires_sets_it_again():
    waiter = Waiter()
    waiter.wait(10)
    waiter.wait(5)
    assert waiter.started == [10, 5]
    assert waiter.stopped == [1]


def test_a_timer_that_expires_before_the_deadline_is_set_again():
    waiter = Waiter()
    waiter.wait(10)
    waiter.while_waiting = waiter.expire
    waiter.wait(20)
    assert waiter.started == [10, pytest.approx(20, abs=1)]
    assert waiter.stopped == [1]


def test_a_timer_that_expires_at_the_deadline_ends_the_wait():
    waiter = Waiter()
    waiter.while_waiting = waiter.expire
    with pytest.raises(TimeoutError):
        waiter.wait(0)
    waiter.while_waiting = lambda: None
    waiter.wait(0)
    assert waiter.started == [0, 0]


def test_a_timer_that_expires_while_nothing_waits_is_not_set_again():
    waiter = Waiter()
    waiter.wait(10)
    waiter.expire()
    assert waiter.started == [10]
    waiter.while_waiting = waiter.expire
    waiter.wait(10)
    waiter.wait(None)
    assert waiter.started == [10, 10, pytest.approx(10, abs=1)]


def test_detach_removes_the_timer_and_the_listener():
    waiter = Waiter()
    waiter.wait(10)
    waiter.detach()
    assert waiter.stopped == [1]
    assert waiter.removed == 1


def test_detach_during_a_wait_removes_them_after_it():
    waiter = Waiter()

    def detach():
        waiter.detach()
        assert waiter.removed == 0

    waiter.while_waiting = detach
    waiter.wait(10)
    assert waiter.stopped == [1]
    assert waiter.removed == 1
