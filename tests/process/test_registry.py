"""The process's WebSockets: counting them, and closing them all."""

from __future__ import annotations

import threading
import time

from django_websocket.process import registry as module
from django_websocket.process.registry import Closing, Registry
from tests.promptness import within

#: Seconds for what has to happen, and takes no time unless it is broken.
PATIENCE = 20


class Fake:
    """A connection that takes note of its closing."""

    def __init__(self):
        self.codes = []

    def request_close(self, code, *, cause):
        assert cause == "restart"
        self.codes.append(code)


# In one process


def test_counting():
    registry = Registry()
    assert all(registry.enter(None) for _ in range(1000))
    for _ in range(998):
        registry.leave()
    assert registry.enter(3)
    assert not registry.enter(3)
    assert not registry.enter(2)
    assert registry.enter(4)
    assert not registry.enter(4)
    registry.leave()
    assert registry.enter(4)


def test_no_room_at_all():
    registry = Registry()
    assert not registry.enter(0)
    # What was refused has not been counted.
    assert registry.enter(1)


def test_counting_from_many_threads():
    registry = Registry()
    start = threading.Barrier(8, timeout=PATIENCE)
    entered = []

    def enter():
        start.wait()
        entered.extend(registry.enter(100) for _ in range(50))

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sum(entered) == 100
    assert len(entered) == 400


def test_the_open_ones():
    registry, one, two = Registry(), Fake(), Fake()
    assert not registry
    registry.add(one)
    registry.add(two)
    registry.add(two)
    assert len(registry) == 2
    registry.discard(one)
    registry.discard(one)
    assert len(registry) == 1
    assert one.codes == two.codes == []


def test_the_open_ones_are_copied():
    """They may change while somebody goes through them."""
    registry, connection = Registry(), Fake()
    registry.add(connection)
    for found in registry.connections():
        assert found is connection
        registry.discard(found)
    assert registry.connections() == set()


def test_close_all():
    registry, one, gone = Registry(), Fake(), Fake()
    registry.add(one)
    registry.add(gone)
    registry.discard(gone)
    assert not registry.draining
    registry.close_all()
    assert registry.draining
    assert one.codes == [1012]
    assert gone.codes == []
    registry.close_all(1001)
    assert one.codes == [1012, 1001]


def test_a_process_that_goes_on(monkeypatch):
    """It accepts connections again; a longer time, asked for earlier, is not shortened."""
    registry, now = Registry(), [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    registry.close_all(drain=0)
    assert not registry.draining
    registry.close_all(drain=30)
    now[0] += 20
    registry.close_all(drain=5)
    assert registry.draining
    now[0] += 10
    assert not registry.draining
    registry.close_all()
    now[0] += 1_000_000
    assert registry.draining


def test_an_error_of_one_connection():
    """The others are closed all the same, and a signal handler does not raise."""
    registry, fakes = Registry(), [Fake() for _ in range(3)]
    for fake in fakes:
        registry.add(fake)

    def fail(code, *, cause):
        raise ZeroDivisionError

    fakes[1].request_close = fail
    registry.close_all()
    assert [fake.codes for fake in fakes] == [[1012], [], [1012]]


def test_who_comes_while_the_process_ends_is_closed_at_once():
    registry, late = Registry(), Fake()
    registry.close_all()
    registry.add(late)
    assert late.codes == [1012]
    assert len(registry) == 1


class Owned:
    """A connection of an owner."""

    def __init__(self, owner, key):
        self.whose = owner, key
        self.closings = []

    def belongs_to(self, owner, key):
        return self.whose == (owner, key)

    def request_close(self, code, reason, *, cause):
        self.closings.append((code, reason, cause))


def test_those_of_an_owner():
    registry, one, spare, other = Registry(), Owned("user", "1"), Owned("user", "1"), Owned("session", "1")
    for connection in (one, spare, other):
        registry.add(connection)
    registry.close_owned(Closing("user", "1", 4401, "logged out", "logged_out"), spare=spare)
    assert one.closings == [(4401, "logged out", "logged_out")]
    assert spare.closings == other.closings == []


def test_handshakes_that_began_before_their_owner_was_closed(monkeypatch):
    registry, now = Registry(), [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    before, after, another, unknown = (Owned("user", key) for key in "1121")
    registry.close_owned(Closing("user", "1", 1008, "a reason"))
    registry.add(before, 99.9)
    registry.add(after, 100.1)
    registry.add(another, 99.9)
    registry.add(unknown)
    assert before.closings == [(1008, "a reason", "normal")]
    assert after.closings == another.closings == unknown.closings == []


def test_closings_are_forgotten(monkeypatch):
    registry, now = Registry(), [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    for key in range(module._MAX_CLOSINGS + 10):
        registry.close_owned(Closing("user", str(key), 4401, ""))
    assert len(registry._closings) == module._MAX_CLOSINGS
    now[0] += module._CLOSING_TIME + 1
    registry.close_owned(Closing("user", "1", 4401, ""))
    assert len(registry._closings) == 1
    registry.reset()
    assert not registry._closings


def test_close_all_in_the_midst_of_everything():
    """As in a signal handler, which may interrupt the thread that holds the lock."""
    registry, one = Registry(), Fake()
    registry.add(one)
    with registry._lock:
        registry.close_all()
    assert one.codes == [1012]


def test_a_connection_that_ends_while_all_are_closed():
    registry = Registry()
    fakes = [Fake() for _ in range(10)]
    for fake in fakes:
        registry.add(fake)
        fake.request_close = lambda code, cause, fake=fake: (fake.codes.append(code), registry.discard(fake))
    registry.close_all()
    assert [fake.codes for fake in fakes] == [[1012]] * 10
    assert not registry


def test_wait_empty():
    registry, one = Registry(), Fake()
    registry.wait_empty(PATIENCE)  # at once
    registry.add(one)
    began = time.monotonic()
    registry.wait_empty(0.05)
    assert 0.05 <= time.monotonic() - began < PATIENCE
    timer = threading.Timer(0.05, registry.discard, [one])
    timer.start()
    began = time.monotonic()
    registry.wait_empty(PATIENCE)
    assert within(time.monotonic() - began, PATIENCE / 2)
    timer.join()


def test_reset():
    registry = Registry()
    registry.add(Fake())
    registry.enter(None)
    registry.close_all()
    held = registry._lock
    held.acquire()  # a thread of the parent had it when it forked
    registry.reset()
    assert not registry
    assert not registry.draining
    assert registry.enter(1)
