"""Native threads and locks, even in a process where eventlet or gevent has replaced them by those of greenlets."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any


def start_thread(function: Callable[..., object], *args: object) -> bool:
    """Start a native thread, which ends with the process; return whether it was started.

    The system may have no room for a thread at the moment, and an interpreter that is shutting down starts none.

    In a process with greenlets, ``function`` must not acquire a lock that a greenlet may wait for. Logging acquires
    such locks, so ``function`` must not log.
    """
    try:
        original("_thread", "start_new_thread")(_run, (function, args))
    except (RuntimeError, MemoryError):
        return False
    return True


def start_worker(function: Callable[[], object], name: str) -> bool:
    """Start a thread as this process has them, a greenlet where they were replaced; return whether it was started.

    It does not keep the process from ending.
    """
    native_id = original("_thread", "get_native_id")
    starter = native_id()

    def run() -> None:
        if native_id() != starter:
            _block_signals()
        function()

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except (RuntimeError, MemoryError):
        return False
    return True


def native_rlock() -> Any:
    """Return a new re-entrant lock of the system, for sections in which no greenlet switches.

    Greenlets of one thread never wait for each other at such a lock, and threads do so only for a moment.
    """
    return original("_thread", "RLock")()


def original(module: str, name: str) -> Any:
    """Return an object of the standard library as it was before eventlet or gevent patched it.

    Return ``None`` if the system has none of that name.
    """
    if "eventlet" in sys.modules:
        from eventlet import patcher

        return getattr(patcher.original(module), name, None)
    if "gevent" in sys.modules:
        from gevent import monkey

        try:
            return monkey.get_original(module, name)
        except AttributeError:
            return None
    return getattr(import_module(module), name, None)


def _run(function: Callable[..., object], args: tuple[object, ...]) -> None:
    _block_signals()
    function(*args)


def _block_signals() -> None:
    if hasattr(signal, "pthread_sigmask"):
        # The system may deliver a signal to any thread that does not block it, but Python handles signals in the main
        # thread, which the signal would then not wake.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def pause(seconds: float) -> None:
    """Sleep by a system call if possible: a patched ``time.sleep()`` cannot be called from the hub of greenlets."""
    if hasattr(signal, "sigtimedwait"):
        signal.sigtimedwait((), seconds)
    else:
        time.sleep(seconds)
