"""Threads of the system, also in a process where eventlet or gevent has put greenlets in their place."""

from __future__ import annotations

import _thread
import signal
import sys
import time
from collections.abc import Callable


def start_thread(function: Callable[..., object], *args: object) -> None:
    """Start a thread of the system, which ends with the process.

    Where others are greenlets it must not take a lock that they wait for: not log, for one.
    """
    if "eventlet" in sys.modules or "gevent" in sys.modules:
        from ..transports.green import start_native_thread

        start_native_thread(_run, (function, args))
    else:
        _thread.start_new_thread(_run, (function, args))


def _run(function: Callable[..., object], args: tuple[object, ...]) -> None:
    if hasattr(signal, "pthread_sigmask"):
        # A signal that the system gives to this thread would leave the main one, where Python handles it, asleep.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    function(*args)


def pause(seconds: float) -> None:
    """Sleep, natively where the system can: a patched ``time.sleep()`` cannot be called from an event hub."""
    if hasattr(signal, "sigtimedwait"):
        signal.sigtimedwait((), seconds)
    else:
        time.sleep(seconds)
