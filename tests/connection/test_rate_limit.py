"""A token bucket: the arithmetic alone."""

from __future__ import annotations

from django_websocket.connection.rate_limit import RateLimit


def test_a_burst_and_a_rate():
    limit = RateLimit(10, 20)
    assert limit.take(20, 100.0)
    assert not limit.take(1, 100.0)
    assert limit.take(10, 101.0)
    assert not limit.take(1, 101.05)
    # However long nothing is taken, no more than the burst is left over; but what came meanwhile may have.
    assert limit.take(980, 200.0)
    assert not limit.take(21, 200.0)


def test_events_that_waited_to_be_read():
    limit = RateLimit(10, 20)
    assert limit.take(0, 100.0)
    for _ in range(10):
        assert limit.take(100, 200.0, caught_up=False)
    assert limit.take(0, 200.0)
    assert not limit.take(21, 200.0)
