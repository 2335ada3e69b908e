"""What was counted of one open WebSocket."""

import pytest

from django_websocket.prometheus.account import Account
from django_websocket.prometheus.growth import Growth

from .figures import ROUTE, grown, info, stats


def settle(account, *looks):
    growth = Growth()
    for look in looks:
        account.settle(look, getattr(look, "latency", None), growth)
    return growth


def test_only_what_has_come_since_is_added():
    account = Account(ROUTE)
    assert grown(settle(account, info(counts=(1, 2, 30, 40)))) == (1, 2, 30, 40)
    assert grown(settle(account, info(counts=(1, 2, 30, 40)))) == (0, 0, 0, 0)
    assert grown(settle(account, info(counts=(2, 4, 60, 80)))) == (1, 2, 30, 40)
    assert grown(settle(account, stats((3, 6, 70, 90)))) == (1, 2, 10, 10)


@pytest.mark.parametrize("late", [(0, 0, 0, 0), (1, 4, 30, 80), (2, 2, 60, 40)])
def test_a_look_that_is_entered_late_takes_nothing_away(late):
    """Guards two scrapes at once: the one that has looked first may be entered last."""
    account = Account(ROUTE)
    settle(account, info(counts=(2, 4, 60, 80)))
    assert grown(settle(account, info(counts=late))) == (0, 0, 0, 0)
    assert grown(settle(account, info(counts=(2, 4, 60, 80)))) == (0, 0, 0, 0)


def test_each_round_trip_is_counted_once():
    account = Account(ROUTE)
    looks = [info(latency=latency) for latency in (None, 0.25, 0.25, 0.5, 0.5, 0.25)]
    assert settle(account, *looks).round_trips == [0.25, 0.5, 0.25]
