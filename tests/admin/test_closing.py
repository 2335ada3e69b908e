"""What is closed, and how long that is waited for."""

import pytest

from django_websocket.admin import closing as module
from django_websocket.admin.closing import AllOfUser, OneConnection
from django_websocket.groups.listing import AllConnections
from django_websocket.groups.snapshot import Snapshot, Totals

from ..groups.infos import make_info

PROCESS = Snapshot("0123456789ab", "web-1", 7, 0, Totals(), [])


def found(*infos, processes=(PROCESS,)):
    return AllConnections(list(infos), Totals.of(infos), list(processes), [], [], False)


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that moves while somebody sleeps, and what is open by its time."""

    class Clock:
        now = 100.0
        open = ()

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "all_connections", lambda *_, **__: found(*clock.open))
    return clock


def test_what_is_searched_and_what_is_closed(monkeypatch):
    calls = []
    for name in ("disconnect_connection", "disconnect_user"):
        monkeypatch.setattr(module, name, lambda value, name=name: calls.append((name, value)))
    monkeypatch.setattr(module, "all_connections", lambda *arguments, **more: calls.append((arguments, more)))
    for target in (OneConnection("a/1"), AllOfUser("12")):
        target.find(0.5)
        target.disconnect()
    assert calls == [
        ((0.5,), {"id": "a/1"}),
        ("disconnect_connection", "a/1"),
        ((0.5,), {"users": ["12"]}),
        ("disconnect_user", "12"),
    ]


def test_what_has_gone_is_not_waited_for(clock):
    assert OneConnection("a/1").wait_until_gone(found(make_info()))
    assert OneConnection("a/1").wait_until_gone(found())
    assert clock.now == 100


def test_what_stays_is_waited_for_until_the_deadline(clock):
    info = make_info()
    clock.open = [info]
    assert not OneConnection("a/1").wait_until_gone(found(info))
    assert clock.now == pytest.approx(100 + module.PATIENCE, abs=module.PAUSE * 1.5)


def test_a_client_that_comes_back_at_once_is_not_waited_for(clock):
    """Guards pages that connect again, by whose new WebSockets it would never end."""
    clock.open = [make_info()]
    assert AllOfUser("12").wait_until_gone(found(make_info()))


def test_what_a_silent_process_has_is_not_taken_for_gone(clock, monkeypatch):
    monkeypatch.setattr(module, "all_connections", lambda *_, **__: found(processes=[]))
    assert not OneConnection("a/1").wait_until_gone(found(make_info()))


def test_a_silent_process_does_not_take_all_the_time(clock, monkeypatch):
    """Guards that what has gone is noticed at once, though another process never answers."""
    timeouts = []

    def look(timeout, **_):
        timeouts.append(timeout)
        clock.now += timeout
        return found()

    monkeypatch.setattr(module, "all_connections", look)
    assert OneConnection("a/1").wait_until_gone(found(make_info()))
    assert timeouts == [module.LOOK]
