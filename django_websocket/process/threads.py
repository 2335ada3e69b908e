"""Native threads, even in a process where eventlet or gevent has replaced threads by greenlets."""

from __future__ import annotations

import _thread
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def start_thread(function: Callable[..., object], *args: object) -> bool:
    """Start a native thread, which ends with the process; return whether it was started.

    The system may have no room for a thread at the moment, and an interpreter that is shutting down starts none.

    In a process with greenlets, ``function`` must not acquire a lock that a greenlet may wait for. Logging acquires
    such locks, so ``function`` must not log.
    """
    try:
        _original_start_new_thread()(_run, (function, args))
    except (RuntimeError, MemoryError):
        return False
    return True


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
        # The system may deliver a signal to any thread that does not block it, but Python handles signals in the main
        # thread, which the signal would then not wake.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    function(*args)


def pause(seconds: float) -> None:
    """Sleep by a system call if possible: a patched ``time.sleep()`` cannot be called from the hub of greenlets."""
    if hasattr(signal, "sigtimedwait"):
        signal.sigtimedwait((), seconds)
    else:
        time.sleep(seconds)
