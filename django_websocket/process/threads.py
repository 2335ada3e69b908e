"""Threads of the system, also in a process where eventlet or gevent has put greenlets in their place."""

from __future__ import annotations

import _thread
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def start_thread(function: Callable[..., object], *args: object) -> None:
    """Start a thread of the system, which ends with the process.

    In a process with greenlets, the function must not acquire a lock that a greenlet may wait for; logging does.
    """
    _original_start_new_thread()(_run, (function, args))


def _original_start_new_thread() -> Any:
    """Return ``_thread.start_new_thread()`` as it was before eventlet or gevent patched it."""
    if "eventlet" in sys.modules:
        from eventlet import patcher

        return patcher.original("_thread").start_new_thread
    if "gevent" in sys.modules:
        from gevent import monkey

        return monkey.get_original("_thread", "start_new_thread")
    return _thread.start_new_thread


def _run(function: Callable[..., object], args: tuple[object, ...]) -> None:
    if hasattr(signal, "pthread_sigmask"):
        # The system may deliver a signal to any thread that does not block it. Python handles it in the main thread,
        # which would sleep on.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    function(*args)


def pause(seconds: float) -> None:
    """Sleep, in the system's own way if possible: a patched ``time.sleep()`` cannot be called from an event hub."""
    if hasattr(signal, "sigtimedwait"):
        signal.sigtimedwait((), seconds)
    else:
        time.sleep(seconds)
