"""The process's WebSockets: how many there are, and closing them all at once."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final

from ..protocols.base import CloseCode
from .threads import pause

if TYPE_CHECKING:
    from ..connection.sending import Sender

_LOOK: Final = 0.01


class Registry:
    """The WebSockets of this process. Thread-safe; a forked child starts empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views = 0
        self._open: set[Sender] = set()
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

    def add(self, websocket: Sender) -> None:
        """Take in a connection whose handshake is being sent."""
        self._open.add(websocket)
        if self.draining:
            websocket.request_close(CloseCode.SERVICE_RESTART)

    def discard(self, websocket: Sender) -> None:
        """Let go of a connection that has ended."""
        self._open.discard(websocket)

    def __len__(self) -> int:
        """Give the number of open connections."""
        return len(self._open)

    @property
    def busy(self) -> bool:
        """Whether there is a connection, or a view that may be making one at the moment."""
        return bool(self._open or self._views)

    def close_all(self, code: int = CloseCode.SERVICE_RESTART, *, drain: bool = True) -> None:
        """Send Close on every connection, and with ``drain`` take no more. Never waits: safe in a signal handler."""
        self.draining |= drain
        for websocket in self._open.copy():
            websocket.request_close(code)

    def wait_empty(self, timeout: float) -> None:
        """Wait until every connection has ended, ``timeout`` seconds at most."""
        deadline = time.monotonic() + timeout
        while self.busy and time.monotonic() < deadline:
            pause(_LOOK)

    def forget(self) -> None:
        """Start anew, in a forked child: its parent's connections are none of its own."""
        self.__init__()  # type: ignore[misc]


registry: Final = Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=registry.forget)
