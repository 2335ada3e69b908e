"""Threads of the system."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest

from django_websocket.process import threads as native

#: Seconds for what has to happen, and takes no time unless it is broken.
PATIENCE = 20

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")


def test_a_pause_where_the_system_has_no_sigtimedwait(monkeypatch):
    monkeypatch.delattr(signal, "sigtimedwait", raising=False)
    began = time.monotonic()
    native.pause(0.01)
    assert 0.01 <= time.monotonic() - began < PATIENCE


@unix
def test_a_native_thread_takes_no_signals():
    """Python handles them in the main thread, which would sleep on."""
    seen, over = [], threading.Event()
    native.start_thread(lambda *names: (seen.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())), over.set()), 1)
    assert over.wait(PATIENCE)
    assert seen[0] >= {signal.SIGTERM, signal.SIGINT}


def test_a_native_thread_where_there_are_no_masks(monkeypatch):
    monkeypatch.delattr(signal, "pthread_sigmask", raising=False)
    over = threading.Event()
    assert native.start_thread(over.set)
    assert over.wait(PATIENCE)


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_thread_that_cannot_be_started(monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(native, "original", lambda *_: refuse)
    assert not native.start_thread(print)


def test_a_worker_is_a_thread_as_the_process_has_them():
    seen, over = [], threading.Event()

    def work():
        seen.append((threading.current_thread().name, threading.current_thread().daemon))
        over.set()

    assert native.start_worker(work, "a name")
    assert over.wait(PATIENCE)
    assert seen == [("a name", True)]


@unix
def test_a_worker_in_a_native_thread_takes_no_signals():
    seen, over = [], threading.Event()
    native.start_worker(lambda: (seen.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())), over.set()), "worker")
    assert over.wait(PATIENCE)
    assert seen[0] >= {signal.SIGTERM, signal.SIGINT}


@unix
def test_a_worker_that_is_a_greenlet_leaves_the_signals_to_its_thread(monkeypatch):
    """Its native thread may be the main one."""
    monkeypatch.setattr(threading.Thread, "start", lambda thread: thread.run())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    seen = []
    assert native.start_worker(lambda: seen.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "worker")
    assert seen == [before]


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_worker_that_cannot_be_started(monkeypatch, error):
    def refuse(_):
        raise error

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert not native.start_worker(print, "worker")
