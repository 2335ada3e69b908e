"""The waiter at the hub of a green library, without either library."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from django_websocket.transports.green_library import HubWaiter


class Waiter(HubWaiter):
    """A waiter that is its own hub and its own greenlet; it records its timers."""

    def __init__(self):
        super().__init__(SimpleNamespace(getcurrent=lambda: self))
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
