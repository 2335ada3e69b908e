"""What is due when: the arithmetic alone."""

from __future__ import annotations

import math

import pytest

from django_websocket.connection.timers import Timers
from django_websocket.transports import SendProgress

#: Nothing that was sent is on its way.
REST = SendProgress(100, pending=False)


def make_timers(**changes):
    return Timers(**{"ping_interval": 20, "ping_timeout": 20, "close_timeout": 5, **changes})


# Pings


@pytest.mark.parametrize(
    ("interval", "timeout", "before", "after"), [(20, 10, 120, 140), (None, 10, None, 140), (20, None, 120, None)]
)
def test_when_a_ping_is_due(interval, timeout, before, after):
    timers = make_timers(ping_interval=interval, ping_timeout=timeout)
    assert timers.ping_due(100.0) == before
    assert len(timers.make_ping(130.0, REST)) == 4
    assert timers.ping_due(100.0) == after


def test_latency_is_that_of_the_ping_that_was_answered():
    timers = make_timers()
    assert timers.latency is None
    data = timers.make_ping(100.0, REST)
    timers.note_pong(b"other", 100.5)
    assert timers.latency is None
    timers.note_pong(data, 101.0)
    timers.note_pong(data, 109.0)
    assert timers.latency == 1.0


def test_a_later_ping_takes_the_place_of_an_earlier():
    timers = make_timers()
    data = timers.make_ping(100.0, REST)
    timers.note_ping(b"mine", 102.0)
    timers.note_pong(data, 103.0)
    assert timers.latency is None
    timers.note_pong(b"mine", 104.0)
    assert timers.latency == 2.0


@pytest.mark.parametrize(
    ("before", "after", "more_time"),
    [
        # The ping stood behind bytes that the peer takes, or the peer takes what was sent behind the ping.
        ((100, True), (101, True), True),
        ((100, True), (101, False), True),
        ((100, False), (101, True), True),
        # The peer's system has taken the ping, and no program has answered it.
        ((100, False), (106, False), False),
        # The peer takes nothing.
        ((100, True), (100, True), False),
        ((100, False), (100, False), False),
    ],
)
def test_a_ping_has_more_time_while_the_peer_takes_what_was_sent(before, after, more_time):
    timers = make_timers()
    timers.make_ping(100.0, SendProgress(*before))
    assert timers.extend_ping(120.0, SendProgress(*after)) is more_time
    assert timers.ping_due(90.0) == (140.0 if more_time else 120.0)


def test_the_time_of_a_ping_is_extended_as_long_as_there_is_progress():
    timers = make_timers()
    timers.make_ping(100.0, SendProgress(100, pending=True))
    assert timers.extend_ping(120.0, SendProgress(200, pending=True))
    assert timers.extend_ping(140.0, SendProgress(300, pending=False))
    assert not timers.extend_ping(160.0, SendProgress(300, pending=False))


# Closing, idleness and revalidation


def test_the_time_of_a_closing():
    timers = make_timers()
    assert not timers.is_close_overdue(1e9), "nothing is closing"
    timers.start_closing(100.0)
    assert timers.close_deadline == 105.0
    assert not timers.is_close_overdue(104.9)
    assert timers.is_close_overdue(105.0)
    timers.start_closing(103.0)
    assert not timers.is_close_overdue(105.0), "it was started anew"


def test_the_time_for_the_messages_ahead_of_the_end():
    timers = make_timers()
    assert not timers.is_end_overdue(1e9), "the peer has not ended anything"
    timers.start_finishing(100.0)
    assert not timers.is_close_overdue(1e9), "we have not closed"
    assert not timers.is_end_overdue(104.9)
    assert timers.is_end_overdue(105.0)


def test_idleness_is_told_once_until_it_lasts_as_long_again():
    timers = make_timers()
    assert not timers.is_idle(100.9, 100.0, 1.0)
    assert timers.is_idle(101.0, 100.0, 1.0)
    timers.note_idle(101.0)
    assert not timers.is_idle(101.9, 100.0, 1.0)
    assert timers.is_idle(102.0, 100.0, 1.0)
    assert not timers.is_idle(102.0, 101.5, 1.0)


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({}, 10.0),
        ({"deadline": 103.0}, 3.0),
        ({"idle_after": 2.0}, 2.0),
        ({"closing": True}, 4.0),
        ({"at_most": 1.0}, 1.0),
        ({"deadline": 99.0}, 0.0),
        ({"revalidate_at": 109.0}, 9.0),
    ],
)
def test_the_first_deadline_counts(changes, left):
    timers = make_timers()
    timers.start_closing(99.0)
    wait = {"deadline": None, "idle_after": None, "revalidate_at": 110.0, "closing": False, "at_most": 20.0, **changes}
    assert timers.time_left(100.0, 100.0, **wait) == left


def test_a_ping_is_due_before_the_rest():
    timers = make_timers()
    never = {"deadline": None, "idle_after": None, "revalidate_at": math.inf, "closing": False}
    assert timers.time_left(100.0, 90.0, at_most=20.0, **never) == 10.0
    timers.make_ping(110.0, REST)
    assert timers.time_left(110.0, 90.0, at_most=60.0, **never) == 20.0
