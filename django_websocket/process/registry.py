"""The WebSockets of this process: how many there are, and closing them all at once."""

from __future__ import annotations

import os
import threading
import time
from typing import Final, Protocol

from ..protocols.base import CloseCode
from .threads import pause

#: Seconds between two looks at whether all connections have ended.
_INTERVAL: Final = 0.01


class OpenConnection(Protocol):
    """What the registry knows of a connection."""

    def request_close(self, code: int) -> None:
        """Send Close without waiting for anything; safe in a signal handler."""


class Registry:
    """The WebSockets of this process. Thread-safe; a forked child starts empty."""

    _lock: threading.Lock
    #: Views that serve a WebSocket, or are about to.
    _views: int
    # Adding to, discarding from and copying a set are atomic. They need no lock, and must not have one: close_all() may
    # run in a signal handler, between two instructions of the thread that holds it.
    _open: set[OpenConnection]
    #: Whether the process has been asked to end: no more connections are taken.
    draining: bool

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, in a forked child: the connections are its parent's."""
        self._lock = threading.Lock()
        self._views = 0
        self._open = set()
        self.draining = False

    def enter(self, limit: int | None) -> bool:
        """Count a view that is to serve a WebSocket, unless ``limit`` views do; return whether it was counted.

        ``None`` is no limit. :meth:`leave` has to follow if it was counted.
        """
        with self._lock:
            room = limit is None or self._views < limit
            self._views += room
        return room

    def leave(self) -> None:
        """Count a view no more: it has ended."""
        with self._lock:
            self._views -= 1

    def add(self, connection: OpenConnection) -> None:
        """Add a connection whose handshake was sent; a draining process closes it at once."""
        self._open.add(connection)
        if self.draining:
            connection.request_close(CloseCode.SERVICE_RESTART)

    def discard(self, connection: OpenConnection) -> None:
        """Remove a connection that has ended."""
        self._open.discard(connection)

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    @property
    def busy(self) -> bool:
        """Whether there is a connection, or a view that may be opening one at the moment."""
        return bool(self._open or self._views)

    def close_all(self, code: int = CloseCode.SERVICE_RESTART, *, drain: bool = True) -> None:
        """Send Close on every connection, and with ``drain`` take no more. Never waits: safe in a signal handler."""
        self.draining |= drain
        for connection in self._open.copy():
            connection.request_close(code)

    def wait_empty(self, timeout: float) -> None:
        """Wait until every connection has ended, ``timeout`` seconds at most."""
        deadline = time.monotonic() + timeout
        while self.busy and time.monotonic() < deadline:
            pause(_INTERVAL)


registry: Final = Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=registry.reset)
