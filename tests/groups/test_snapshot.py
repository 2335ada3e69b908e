"""What a process tells of its WebSockets: those that are looked for, the newest of them, and the sums."""

import os
import platform

import pytest

from django_websocket.groups import snapshot as module
from django_websocket.groups.snapshot import Search, Totals, newest, take_snapshot
from django_websocket.process.identity import identity

from .infos import make_info


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(), True),
        (Search("ROOM/7"), True),
        (Search("<INT:number>"), True),
        (Search("lobby"), False),
        (Search(users=("3", "12")), True),
        (Search(users=("1",)), False),
        (Search(users=()), False),
        (Search(id="a/1"), True),
        (Search(id="a/2"), False),
        (Search("room", ("12",), "a/1"), True),
        (Search("lobby", ("12",), "a/1"), False),
    ],
)
def test_a_search(search, expected):
    assert search.matches(make_info(id="a/1")) is expected


def test_a_websocket_without_a_route_and_without_a_user():
    info = make_info(path="/Echo/", route=None, user_id=None)
    assert Search("echo").matches(info)
    assert not Search("none").matches(info)
    assert not Search(users=("None", "")).matches(info)


def test_totals():
    infos = [make_info(), make_info(bytes_sent=1000)]
    assert Totals.of(infos) == (2, 2, 4, 6, 1004)
    assert Totals.of([]) == (0, 0, 0, 0, 0)
    assert Totals.sum([Totals(1, 2, 3, 4, 5), Totals(5, 4, 3, 2, 1)]) == (6, 6, 6, 6, 6)


def test_the_newest_come_first():
    infos = [make_info() for _ in range(4)]
    assert newest(infos, 10) == infos[::-1]
    assert newest(infos, 2) == [infos[3], infos[2]]


def test_filters_are_applied_before_the_cut(monkeypatch):
    """Guards that old WebSockets are found among many newer ones, and that the totals are those of all."""
    old = [make_info(path="/old/") for _ in range(3)]
    monkeypatch.setattr(module, "connections", lambda: [*old, *(make_info() for _ in range(20))])
    taken = take_snapshot(Search("old"), 2)
    assert taken.connections == [old[2], old[1]]
    assert taken.totals.connections == 3
    assert taken.open == 23
    assert (taken.process, taken.host, taken.pid) == (identity.process_id, platform.node(), os.getpid())
