"""Pings, and how often something may happen: the arithmetic alone."""

from __future__ import annotations

import pytest

from django_websocket.connection.rate_limit import Allowance
from django_websocket.connection.timers import Keepalive


@pytest.mark.parametrize(
    ("interval", "timeout", "before", "after"), [(20, 10, 120, 140), (None, 10, None, 140), (20, None, 120, None)]
)
def test_due(interval, timeout, before, after):
    keepalive = Keepalive(interval, timeout)
    keepalive.heard = 100.0
    assert keepalive.due == before
    assert len(keepalive.ping(130.0)) == 4
    assert keepalive.due == after


def test_latency_is_that_of_the_ping_that_was_answered():
    keepalive = Keepalive(20, 20)
    assert keepalive.latency is None
    data = keepalive.ping(100.0)
    keepalive.note_pong(b"other", 100.5)
    assert keepalive.latency is None
    keepalive.note_pong(data, 101.0)
    keepalive.note_pong(data, 109.0)
    assert keepalive.latency == 1.0


def test_a_later_ping_takes_the_place_of_an_earlier():
    keepalive = Keepalive(20, 20)
    data = keepalive.ping(100.0)
    keepalive.note_ping(b"mine", 102.0)
    keepalive.note_pong(data, 103.0)
    assert keepalive.latency is None
    keepalive.note_pong(b"mine", 104.0)
    assert keepalive.latency == 2.0


def test_allowance():
    allowance = Allowance(10, 20)
    assert allowance.take(20, 100.0)
    assert not allowance.take(1, 100.0)
    assert allowance.take(10, 101.0)
    assert not allowance.take(1, 101.05)
    # However long nothing is taken, no more than the burst is left over; but what came meanwhile may have.
    assert allowance.take(980, 200.0)
    assert not allowance.take(21, 200.0)


def test_allowance_for_what_has_lain_there():
    allowance = Allowance(10, 20)
    assert allowance.take(0, 100.0)
    for _ in range(10):
        assert allowance.take(100, 200.0, caught_up=False)
    assert allowance.take(0, 200.0)
    assert not allowance.take(21, 200.0)
