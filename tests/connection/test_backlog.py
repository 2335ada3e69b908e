"""Frames that wait for room."""

from __future__ import annotations

from django_websocket.connection.backlog import NO_LIMITS, Backlog, QueueLimits


def test_frames_are_taken_in_their_order():
    backlog = Backlog()
    assert backlog.take() == b""
    for frame in (b"a", b"bc", b"d"):
        assert backlog.append(frame, QueueLimits())
    assert len(backlog) == 3
    assert backlog.take() == b"abcd"
    assert not len(backlog)
    assert backlog.take() == b""


def test_some_frames_are_taken():
    """What is left of them still counts."""
    backlog, limits = Backlog(), QueueLimits(size=6, messages=9)
    for frame in (b"ab", b"cd", b"e"):
        assert backlog.append(frame, limits)
    assert backlog.take(0) == backlog.take(-1) == b""
    assert backlog.take(3) == b"abcd"
    assert len(backlog) == 1
    assert backlog.append(b"x" * 5, limits)
    assert not backlog.append(b"y", limits)


def test_the_bytes_are_limited():
    backlog, limits = Backlog(), QueueLimits(size=10, messages=100)
    assert backlog.append(b"x" * 10, limits)
    assert not backlog.append(b"y", limits)
    assert backlog.take() == b""
    assert backlog.append(b"z" * 10, limits)


def test_the_frames_are_limited():
    backlog, limits = Backlog(), QueueLimits(size=100, messages=2)
    assert backlog.append(b"", limits)
    assert backlog.append(b"", limits)
    assert not backlog.append(b"", limits)
    assert not len(backlog)


def test_what_does_not_count():
    """The history of a new member leaves room for the messages behind it."""
    backlog, limits = Backlog(), QueueLimits(size=2, messages=2)
    for _ in range(3):
        assert backlog.append(b"history", NO_LIMITS)
    assert backlog.append(b"a", limits)
    assert backlog.append(b"b", limits)
    assert backlog.take() == b"history" * 3 + b"ab"
    assert backlog.append(b"cd", limits)
    assert not backlog.append(b"e", limits)
