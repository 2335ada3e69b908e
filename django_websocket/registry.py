"""The process's WebSockets: how many there are, and closing them all when the process is asked to end."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from .protocols.base import CloseCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from .connection import Connection

#: Seconds that views and their peers get, at most, to say goodbye before a process that would die at once goes on
#: dying. Without it a frame may be cut in two, and an answer may meet a closed port: the reset that follows can
#: overtake our Close.
GRACE: Final = 0.5
_LOOK: Final = 0.01


class Registry:
    """The WebSockets of this process. Thread-safe; a forked child starts empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views = 0
        self._open: set[Connection] = set()
        #: Whether the process has been asked to end: no more connections are taken.
        self.draining = False

    def enter(self, limit: int | None) -> bool:
        """Count a view that is to serve a WebSocket, unless ``limit`` of them do; gives whether it was counted."""
        with self._lock:
            room = limit is None or self._views < limit
            self._views += room
        return room

    def leave(self) -> None:
        """A view that was counted has ended."""
        with self._lock:
            self._views -= 1

    # Adding to, discarding from and copying a set are atomic. They need no lock, and must not have one: close_all() may
    # run in a signal handler, between two instructions of the thread that holds it.

    def add(self, websocket: Connection) -> None:
        """Take in a connection whose handshake is being sent."""
        self._open.add(websocket)
        if self.draining:
            websocket.request_close(CloseCode.SERVICE_RESTART)

    def discard(self, websocket: Connection) -> None:
        """Let go of a connection that has ended."""
        self._open.discard(websocket)

    def __len__(self) -> int:
        """Give the number of open connections."""
        return len(self._open)

    @property
    def busy(self) -> bool:
        """Whether there is a connection, or a view that may be making one at the moment."""
        return bool(self._open or self._views)

    def close_all(self, code: int = CloseCode.SERVICE_RESTART) -> None:
        """Send Close on every connection and take no more. Never waits: safe in a signal handler."""
        self.draining = True
        for websocket in self._open.copy():
            websocket.request_close(code)

    def wait_empty(self, timeout: float) -> None:
        """Wait until every connection has ended, ``timeout`` seconds at most."""
        deadline = time.monotonic() + timeout
        while self.busy and time.monotonic() < deadline:
            _pause(_LOOK)

    def forget(self) -> None:
        """Start anew, in a forked child: its parent's connections are none of its own."""
        self.__init__()  # type: ignore[misc]


def _die(signum: int) -> None:
    registry.wait_empty(GRACE)
    os.kill(os.getpid(), signum)


def _start_native_thread(function: Callable[..., object], *args: object) -> None:
    """Start a thread of the system, also where threads are patched to be greenlets."""
    if "eventlet" in sys.modules or "gevent" in sys.modules:
        from .green import start_native_thread

        start_native_thread(function, args)
    else:
        _thread.start_new_thread(function, args)


def _pause(seconds: float) -> None:
    """Sleep, natively where the system can: a patched ``time.sleep()`` cannot be called from an event hub."""
    if hasattr(signal, "sigtimedwait"):
        signal.sigtimedwait((), seconds)
    else:
        time.sleep(seconds)


registry: Final = Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=registry.forget)

_watched: set[int] = set()


def close_on_exit() -> None:
    """Close all WebSockets with 1012 when the process is asked to end, by SIGTERM, SIGINT or its interpreter's exit.

    Called when a middleware is constructed: that is in the main thread under nearly every server, and after the
    server has set its own handlers, which are called after ours. In another thread only the interpreter's exit is left.
    """
    if not _watched:
        _watched.add(0)
        atexit.register(_close_at_exit)
    for number in (signal.SIGTERM, signal.SIGINT):
        if number not in _watched:
            _chain(number)


def _close_at_exit() -> None:
    if registry.busy:
        registry.close_all()
        registry.wait_empty(GRACE)


def _chain(number: signal.Signals) -> None:
    """Put our handler before the process's own."""
    previous = signal.getsignal(number)
    # None is a handler that Python does not know; a process that ignores the signal is not asked to end by it.
    if previous is None or previous == signal.SIG_IGN:
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        registry.close_all()
        if callable(previous):
            previous(signum, frame)
            return
        # The default is to die at once. Views that are sending are to finish their frame: with greenlets, and in a
        # server of one thread, in the very thread that has been interrupted here.
        signal.signal(signum, signal.SIG_DFL)
        _start_native_thread(_die, signum)

    try:
        signal.signal(number, handle)
    except ValueError:
        return  # not the main thread
    _watched.add(number)
