"""Which code is compiled, and the compiled lock. The rest of it is tested where its twins in Python are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from django_websocket import speedups
from django_websocket.speedups import NAMES, VARIABLE, load

from ..running import PATIENCE, Running

lock = load("lock")
compiled = pytest.mark.skipif(lock is None, reason="nothing is compiled, or it is turned off")


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_turns_it_off(monkeypatch, name):
    monkeypatch.setenv(VARIABLE, "0")
    assert load(name) is None


def test_what_was_not_compiled(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert load("nothing") is None
    assert speedups.NAMES == ("frames", "lock", "core", "poller")


def test_a_process_without_it():
    """Every twin in Python is in its place."""
    program = """
import sys
from django_websocket.connection.connection import Connection
from django_websocket.connection.core import Core, PythonCore
assert Core is PythonCore
assert not any("speedups._" in name for name in sys.modules), sys.modules
"""
    subprocess.run([sys.executable, "-c", program], env={**os.environ, VARIABLE: "0"}, check=True, timeout=PATIENCE)


# The lock


@compiled
def test_acquiring_and_releasing():
    one = lock.Lock()
    assert one.acquire()
    assert one.locked()
    assert not one.acquire(False)
    assert not one.acquire(blocking=False)
    assert not one.acquire(timeout=0)
    assert not one.acquire(timeout=0.01)
    one.release()
    assert not one.locked()
    with pytest.raises(RuntimeError, match="unlocked"):
        one.release()
    with one as acquired:
        assert acquired
        assert one.locked()
    assert not one.locked()


@compiled
def test_threads_wait_until_it_is_passed_on_to_them():
    one, order = lock.Lock(), []

    def work(number, *how):
        assert one.acquire(*how)
        order.append(number)
        one.release()

    one.acquire()
    threads = [Running(work, 0), Running(work, 1, True, PATIENCE), Running(work, 2, True, 1e12)]
    time.sleep(0.02)
    assert order == []
    one.release()
    for thread in threads:
        thread.result()
    assert sorted(order) == [0, 1, 2]
    assert not one.locked()


@compiled
def test_a_thread_that_sends_in_a_loop_lets_others_have_their_turn():
    one, stop, turns = lock.Lock(), threading.Event(), []

    def flood():
        while not stop.is_set():
            one.acquire()
            time.sleep(0)
            one.release()

    flooding = [Running(flood) for _ in range(2)]
    try:
        for _ in range(20):
            assert one.acquire(timeout=PATIENCE)
            turns.append(one.locked())
            one.release()
    finally:
        stop.set()
    for thread in flooding:
        thread.result()
    assert turns == [True] * 20


@compiled
def test_one_thread_at_a_time():
    one, inside, seen, turns = lock.Lock(), [], [], 200

    def work(number):
        for turn in range(turns):
            # Some ways to wait give up now and then.
            while not one.acquire(*[(), (True, 0.001), (False,)][(turn + number) % 3]):
                time.sleep(0)
            inside.append(number)
            seen.append(len(inside))
            time.sleep(0)
            inside.pop()
            one.release()

    for thread in [Running(work, number) for number in range(6)]:
        thread.result()
    assert seen == [1] * (6 * turns)
    assert not one.locked()


@compiled
def test_whoever_gives_up_leaves_the_turn_to_another():
    one = lock.Lock()
    for _ in range(50):
        one.acquire()
        brief, patient = Running(one.acquire, True, 0.002), Running(one.acquire, True, PATIENCE)
        time.sleep(0.002)
        one.release()
        if brief.result():
            one.release()
        assert patient.result()
        one.release()


@compiled
def test_a_signal_handler_interrupts_the_wait():
    one = lock.Lock()
    one.acquire()
    before = signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(KeyboardInterrupt):
            one.acquire()
    finally:
        signal.signal(signal.SIGUSR1, before)
    one.release()
    assert one.acquire(False)


@compiled
def test_locks_that_are_forgotten_while_they_are_acquired():
    for waits in (False, True):
        one = lock.Lock()
        one.acquire()
        if waits:
            assert not one.acquire(timeout=0.001)
        del one
