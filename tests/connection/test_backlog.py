"""Frames that wait for room."""

from __future__ import annotations

from django_websocket.connection.backlog import Backlog, QueueLimits


def test_frames_are_taken_in_their_order():
    backlog = Backlog()
    assert backlog.take() == b""
    for frame in (b"a", b"bc", b"d"):
        assert backlog.append(frame, QueueLimits())
    assert len(backlog) == 3
    assert backlog.take() == b"abcd"
    assert not len(backlog)
    assert backlog.take() == b""


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
