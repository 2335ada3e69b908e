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
