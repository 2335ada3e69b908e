import time

from django_websocket.doctor.deadlines import Deadline


def test_time_passes(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    deadline = Deadline(2)
    assert (deadline.left, deadline.spent, deadline.spent_ms, deadline.over) == (2, 0, 0, False)
    now += 1.5
    assert (deadline.left, deadline.spent, deadline.spent_ms, deadline.over) == (0.5, 1.5, 1500, False)
    now += 1.5
    assert deadline.over
    # A timeout of 0 would make a socket non-blocking.
    assert 0 < deadline.left < 0.01
