"""The calls that other threads make at a hub, without a hub. ``green_checks.py`` has bells in real ones."""

from __future__ import annotations

import threading

import pytest

from django_websocket.transports.green_bells import HubCalls, _by_hub

from ..running import Running
from .pairs import count_descriptors


class Library:
    """A green library with a hub that does nothing by itself."""

    make_rlock = staticmethod(threading.RLock)
    get_ident = staticmethod(threading.get_ident)

    def __init__(self):
        self.soon, self.watched = [], []
        self.hub_runs = False

    def hub(self):
        return self

    def in_hub(self):
        return self.hub_runs

    def call_soon(self, call):
        self.soon.append(call)

    def watch(self, fd, call):
        self.watched.append(call)
        return self.watched.clear


@pytest.fixture
def library():
    return Library()


@pytest.fixture
def calls(library):
    before = count_descriptors()
    calls = HubCalls.of_this_thread(library)
    yield calls
    calls.release()
    assert count_descriptors() == before
    assert library.watched == []
    assert library not in _by_hub


def count_wakes(monkeypatch, calls):
    wakes = []
    monkeypatch.setattr(calls._waker, "wake", lambda: wakes.append(1))
    return wakes


def test_a_call_of_the_own_thread(library, calls, monkeypatch):
    wakes = count_wakes(monkeypatch, calls)
    calls.call(len)
    assert (library.soon, wakes) == ([len], [])


def test_calls_of_another_thread_are_made_at_once(library, calls, monkeypatch):
    """One system call is enough for all of them."""
    wakes, made = count_wakes(monkeypatch, calls), []
    for turn in (1, 2):
        for number in range(3):
            Running(calls.call, lambda number=number: made.append(number)).result()
        assert wakes == [1] * turn
        library.watched[0]()
        assert made == [0, 1, 2] * turn


def test_a_call_of_a_signal_handler_that_has_interrupted_the_hub(library, calls, monkeypatch):
    wakes = count_wakes(monkeypatch, calls)
    library.hub_runs = True
    calls.call(len)
    assert (library.soon, wakes) == ([], [1])


def test_a_call_during_a_call_is_made_too(library, calls):
    made = []

    def first():
        Running(calls.call, lambda: made.append("second")).result()
        made.append("first")

    Running(calls.call, first).result()
    library.watched[0]()
    assert made == ["first", "second"]


def test_one_for_each_hub(library, calls):
    assert HubCalls.of_this_thread(library) is calls
    other = HubCalls.of_this_thread(Library())
    assert other is not calls
    other.release()
    # Another thread leaves the release to the hub.
    Running(calls.release).result()
    assert library.watched
    library.watched[0]()
    assert library.watched
