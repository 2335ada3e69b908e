"""What was counted already of each open WebSocket."""

import pytest

from django_websocket.prometheus.ledger import Ledger

from .figures import ROUTE, grown, info, stats


@pytest.fixture
def ledger():
    return Ledger()


def looked(ledger, *infos):
    return {route: grown(growth) for route, growth in ledger.look(infos).items()}


def test_the_connections_of_a_route_are_added_up(ledger):
    for number in range(3):
        ledger.open(f"a/{number}", ROUTE)
    ledger.open("a/9", "other/")
    infos = [info(f"a/{number}", (1, 2, 10, 20)) for number in range(3)]
    assert looked(ledger, *infos, info("a/9", (1, 0, 5, 0))) == {ROUTE: (3, 6, 30, 60), "other/": (1, 0, 5, 0)}
    assert ledger.open_by_route == {ROUTE: 3, "other/": 1}


def test_the_route_is_that_of_the_beginning(ledger):
    """Guards the sum of the gauge: a connection leaves the route that it has entered."""
    ledger.open("a/1", "first/")
    assert looked(ledger, info(counts=(1, 1, 1, 1))) == {"first/": (1, 1, 1, 1)}


def test_the_end_has_the_rest(ledger):
    ledger.open("a/1", ROUTE)
    looked(ledger, info(counts=(4, 5, 60, 70)))
    route, growth = ledger.close("a/1", stats((5, 5, 80, 70)), 0.25)
    assert (route, grown(growth), growth.round_trips) == (ROUTE, (1, 0, 20, 0), [0.25])
    assert ledger.open_by_route == {ROUTE: 0}
    assert len(ledger) == 0


def test_a_look_from_before_the_end_is_entered_after_it(ledger):
    """Guards against counting twice: the look was taken by another thread, which had to wait for the lock."""
    ledger.open("a/1", ROUTE)
    earlier = info(counts=(4, 5, 60, 70))
    ledger.close("a/1", stats((5, 5, 80, 70)), None)
    assert looked(ledger, earlier) == {}


def test_a_look_at_a_connection_that_is_not_known_yet(ledger):
    """Guards against counting twice: a connection is open a moment before it is reported, and is counted then."""
    assert looked(ledger, info(counts=(1, 1, 1, 1))) == {}
    ledger.open("a/1", ROUTE)
    assert looked(ledger, info(counts=(1, 1, 1, 1))) == {ROUTE: (1, 1, 1, 1)}


def test_a_connection_of_nobody_has_no_end(ledger):
    assert ledger.close("a/1", stats(), None) is None
    assert ledger.open_by_route == {}


def test_a_forked_child_has_no_connections(ledger):
    ledger.open("a/1", ROUTE)
    ledger.forget()
    assert len(ledger) == 0
    assert ledger.open_by_route == {ROUTE: 0}
    assert ledger.close("a/1", stats(), None) is None
    assert ledger.open_by_route == {ROUTE: 0}


def test_nothing_is_kept_of_what_is_over(ledger):
    for number in range(100):
        ledger.open(f"a/{number}", ROUTE)
        ledger.close(f"a/{number}", stats(), None)
    assert len(ledger) == 0
