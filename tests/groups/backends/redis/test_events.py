"""Signals, in a thread of their own."""

import threading

import pytest
from django.dispatch import Signal

from django_websocket.groups.backends.redis import events
from django_websocket.groups.backends.redis.events import Events

from ..making import wait_for_threads

PATIENCE = 20


@pytest.fixture
def queue(monkeypatch):
    closed = []
    monkeypatch.setattr(events, "close_old_connections", lambda: closed.append(threading.get_ident()))
    queue = Events(Events)
    queue.closed = closed
    yield queue
    queue.stop()
    wait_for_threads()


def listen(signal, receiver):
    signal.connect(receiver, weak=False)
    return signal


def test_a_signal_without_receivers_starts_no_thread(queue):
    queue.put(Signal(), group="g")
    assert not queue._running


def test_receivers_run_in_another_thread(queue):
    heard, over = [], threading.Event()

    def receive(sender, signal, group):
        heard.append((sender, group, threading.get_ident() != threading.main_thread().ident))
        over.set()

    queue.put(listen(Signal(), receive), group="g")
    assert over.wait(PATIENCE)
    assert heard == [(Events, "g", True)]


def test_their_connections_to_the_database_are_closed(queue):
    over = threading.Event()
    signal = listen(Signal(), lambda **_: None)
    queue.put(signal)
    queue.put(listen(Signal(), lambda **_: over.set()))
    assert over.wait(PATIENCE)
    assert queue.closed


def test_a_receiver_that_fails_is_logged_and_stops_nobody(queue, caplog):
    over = threading.Event()

    def fail(**_):
        raise RuntimeError("a bug")

    queue.put(listen(Signal(), fail))
    queue.put(listen(Signal(), lambda **_: over.set()))
    assert over.wait(PATIENCE)
    assert "a bug" in caplog.text


def test_an_error_beside_the_receivers_is_logged(queue, caplog, monkeypatch):
    monkeypatch.setattr(events, "TICK", 0.01)
    over = threading.Event()
    broken = listen(Signal(), lambda **_: None)
    monkeypatch.setattr(broken, "send_robust", lambda *_, **__: 1 / 0)
    queue.put(broken)
    queue.put(listen(Signal(), lambda **_: over.set()))
    assert over.wait(PATIENCE)
    assert "a signal could not be sent" in caplog.text


def test_a_receiver_that_is_too_slow(queue, caplog, monkeypatch):
    monkeypatch.setattr(events, "LIMIT", 3)
    begun, go_on, heard = threading.Event(), threading.Event(), []

    def receive(signal, sender, number):
        begun.set()
        assert go_on.wait(PATIENCE)
        heard.append(number)

    signal = listen(Signal(), receive)
    queue.put(signal, number=0)
    assert begun.wait(PATIENCE)
    for number in range(1, 8):
        queue.put(signal, number=number)
    over = threading.Event()
    go_on.set()
    while not over.is_set():
        queue.put(listen(Signal(), lambda **_: over.set()))
    assert heard == [0, 1, 2, 3]
    assert caplog.text.count("signals are dropped") >= 1


def test_no_room_for_a_thread(queue, monkeypatch):
    monkeypatch.setattr(events, "start_worker", lambda *_: False)
    signal = listen(Signal(), lambda **_: None)
    queue.put(signal)
    assert not queue._running
