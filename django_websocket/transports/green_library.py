"""The contract of the green libraries: what their transports, locks and bells need of eventlet and gevent.

This module imports neither. A :class:`GreenLibrary` takes the originals of functions that the library may have
monkey-patched, so that the same code is right in patched and in unpatched processes.
"""

from __future__ import annotations

import _socket
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from .base import TimedOut


class GreenLibrary(Protocol):
    """The functions of a green library that a transport needs."""

    #: The originals of ``_thread.allocate_lock``, ``_thread.RLock``, ``_thread.get_ident`` and the module ``select``.
    allocate_lock: Any
    make_rlock: Any
    get_ident: Any
    select: Any
    #: Return the running greenlet.
    getcurrent: Any
    #: Make the running greenlet sleep.
    sleep: Any
    #: A native lock around the making of objects that are not made before they are needed.
    guard: Any
    #: Whether the hub has a greenlet, which becomes the parent of each greenlet that waits; if not, it is one itself.
    hub_adopts: bool

    def wait(self, fd: int, write: bool, timeout: float | None) -> None:
        """Wait until ``fd`` can be written to, or read, and run other greenlets meanwhile.

        :raises TimedOut: ``fd`` was not ready within ``timeout`` seconds.
        """

    def in_hub(self) -> bool:
        """Return whether the hub of the running thread is running, which cannot wait."""

    def call_soon(self, call: Callable[[], object]) -> None:
        """Make the hub of the running thread call ``call`` at its next turn."""

    def hub(self) -> Any:
        """Return the hub of the running thread."""

    def watch(self, fd: int, call: Callable[[], object]) -> Callable[[], object]:
        """Make the hub of the running thread call ``call`` whenever ``fd`` can be read, until the result is called.

        The watch alone does not keep the hub from ending.
        """

    def keep_alive(self, hub: Any, keep: bool) -> None:
        """Keep a hub from ending for want of anything to wait for, or let it end."""

    def handle_error(self, hub: Any, greenlet: Any, error: BaseException) -> None:
        """Handle an exception that a greenlet has let out into its hub."""

    def start_timer(self, seconds: float, call: Callable[[], object]) -> Any:
        """Return a new timer of the hub of the running thread, which will call ``call``."""

    def stop_timer(self, timer: Any) -> None:
        """Stop a timer, which may have expired already."""

    def unwrap(self, sock: Any) -> tuple[Any, _socket.socket] | None:
        """Return the socket to use and the plain one below it, ``None`` for a socket that is not the library's."""

    def waiter(self, sock: Any) -> HubWaiter:
        """Return a new waiter for a socket of the library."""


class HubWaiter(ABC):
    """Waits at the hub of a green library until one socket can be read.

    The libraries' own waits register the descriptor with the system, and start a timer, for each wait. A waiter keeps
    one listener and one timer at the hub from one message to the next.

    Only greenlets of the thread that created the waiter may use it, and only one of them may wait at a time.
    """

    #: The greenlet that waits; ``None`` if none does.
    _greenlet: Any = None
    #: The time on the monotonic clock when the wait ends.
    _deadline: float = math.inf
    _timer: Any = None
    #: The time when the timer expires: never after the deadline, but perhaps before.
    _timer_expires: float = 0.0
    #: Whether the socket was shut down, so that no other wait will follow.
    _detached = False

    def __init__(self, library: GreenLibrary) -> None:
        self._library = library

    @abstractmethod
    def wait(self, timeout: float | None) -> None:
        """Wait for bytes or the end of the stream; ``timeout`` is in seconds, ``None`` means no limit.

        Subclasses implement the whole wait in one function, because each waiting connection keeps the stack frames of
        its wait in memory.

        :raises TimedOut: neither arrived in time.
        """

    def detach(self) -> None:
        """Remove the listener and the timer, because the socket was shut down.

        If a greenlet waits, they are removed once it has been woken.
        """
        self._detached = True
        if self._greenlet is not None:
            return
        if self._timer is not None:
            self._stop_timer(self._timer)
            self._timer = None
        self._remove_listener()

    def _start_wait(self, timeout: float | None) -> None:
        """Record the running greenlet as the one that waits, and set its deadline."""
        if timeout is None:
            self._deadline = math.inf
        else:
            deadline = self._deadline = time.monotonic() + timeout
            # A timer that expires before the deadline is kept, and is set again when it expires, which happens once in
            # many messages.
            if self._timer is None or self._timer_expires > deadline:
                self._set_timer(timeout, deadline)
        self._greenlet = self._library.getcurrent()

    def _finish_wait(self) -> None:
        """Clean up after a wait, whether it returned or raised."""
        self._greenlet = None
        if self._detached:
            self.detach()

    def _set_timer(self, seconds: float, deadline: float) -> None:
        if self._timer is not None:
            self._stop_timer(self._timer)
        self._timer_expires = deadline
        self._timer = self._start_timer(seconds)

    def _on_timer(self) -> None:
        """Throw a :exc:`.TimedOut` into the greenlet if its deadline has passed; the timer calls this."""
        self._stop_timer(self._timer)
        self._timer = None
        # Without a greenlet that has a deadline, no timer is needed; the next wait sets one.
        if self._greenlet is None or self._deadline == math.inf:
            return
        left = self._deadline - time.monotonic()
        if left > 0:
            self._set_timer(left, self._deadline)
        else:
            self._greenlet.throw(TimedOut())

    @abstractmethod
    def _remove_listener(self) -> None:
        """Remove the listener from the hub, if one is there."""

    def _start_timer(self, seconds: float) -> Any:
        return self._library.start_timer(seconds, self._on_timer)

    def _stop_timer(self, timer: Any) -> None:
        self._library.stop_timer(timer)
