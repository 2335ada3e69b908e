"""The WebSockets of this process: how many there are, and closing them all at once."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final, Literal, NamedTuple, Protocol

from ..protocols.close_codes import CloseCode
from .threads import pause

#: Seconds between two checks of whether all connections have ended.
_POLL_INTERVAL: Final = 0.01
#: Seconds for which a closing holds for handshakes that had begun before it, and how many closings are kept.
_CLOSING_TIME: Final = 60.0
_MAX_CLOSINGS: Final = 1000

#: Why a connection is closed for the whole process.
Cause = Literal["normal", "logged_out", "restart"]


class Closing(NamedTuple):
    """Whose WebSockets are to be closed, see :meth:`.Hooks.belongs_to`, and how."""

    owner: str
    key: str
    code: int
    reason: str
    cause: Cause = "normal"


class OpenConnection(Protocol):
    """The methods of a connection that are called for the whole process."""

    def request_close(self, code: int, reason: str = "", cause: Cause = ...) -> None:
        """Send Close without waiting for anything; safe in a signal handler."""

    def belongs_to(self, owner: str, key: str) -> bool:
        """Return whether the connection is that of an owner; see :meth:`.Hooks.belongs_to`."""


class Registry:
    """The WebSockets of this process. Thread-safe; a forked child starts empty."""

    _lock: threading.Lock
    #: The number of views that serve a WebSocket, or are about to.
    _view_count: int
    # Adding to, discarding from and copying a set are atomic and need no lock. A lock would be wrong: close_all() may
    # run in a signal handler that has interrupted the thread holding it.
    _open: set[OpenConnection]
    #: The last closings, each with its time on the monotonic clock, oldest first. Appending and copying are atomic.
    _closings: deque[tuple[float, Closing]]
    #: The time on the monotonic clock until which no more connections are accepted.
    _drained_until: float
    #: Whether other processes of the same server are known to serve the site.
    one_of_many: bool

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, in a forked child: the connections are those of its parent."""
        self._lock = threading.Lock()
        self._view_count = 0
        self._open = set()
        self._closings = deque(maxlen=_MAX_CLOSINGS)
        self._drained_until = -math.inf
        self.one_of_many = False

    @property
    def draining(self) -> bool:
        """Whether the process has been asked to end, so that it accepts no more connections."""
        return time.monotonic() < self._drained_until

    @draining.setter
    def draining(self, value: bool) -> None:
        self._drained_until = math.inf if value else -math.inf

    def enter(self, limit: int | None) -> bool:
        """Return whether there was room for another view with a WebSocket, and count the view if so.

        At most ``limit`` views are counted; ``None`` is no limit. :meth:`leave` has to be called for each counted view.
        """
        with self._lock:
            room = limit is None or self._view_count < limit
            self._view_count += room
        return room

    def leave(self) -> None:
        """Stop counting a view that has ended."""
        with self._lock:
            self._view_count -= 1

    def add(self, connection: OpenConnection, began: float = math.inf) -> None:
        """Add a connection whose handshake was sent; a draining process closes it at once.

        ``began`` is the time on the monotonic clock at which the handshake arrived. What was to be closed since then is
        closed now: the view may have read the session just before it was deleted.
        """
        self._open.add(connection)
        if self.draining:
            connection.request_close(CloseCode.SERVICE_RESTART, cause="restart")
        if self._closings:
            for when, closing in self._closings.copy():
                if began <= when:
                    _close(connection, closing)

    def discard(self, connection: OpenConnection) -> None:
        """Remove a connection that has ended."""
        self._open.discard(connection)

    def connections(self) -> set[OpenConnection]:
        """Return the open connections."""
        return self._open.copy()

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    @property
    def busy(self) -> bool:
        """Whether there is a connection, or a view that may be opening one at the moment."""
        return bool(self._open or self._view_count)

    def close_all(self, code: int = CloseCode.SERVICE_RESTART, *, drain: float = math.inf) -> None:
        """Send Close on every connection, and accept no more for ``drain`` seconds; 0: go on accepting.

        This method never waits, raises nothing, and is safe in a signal handler.
        """
        self._drained_until = max(self._drained_until, time.monotonic() + drain)
        for connection in self._open.copy():
            # An error of one connection must neither keep the others open nor leave a signal handler.
            with suppress(Exception):
                connection.request_close(code, cause="restart")

    def close_owned(self, closing: Closing, *, spare: object = None) -> None:
        """Close the WebSockets of an owner, also those whose handshakes have begun and are answered later.

        The connection ``spare`` stays open. This method never waits and raises nothing.
        """
        now = time.monotonic()
        # It is kept first: a connection that is added meanwhile is found here or there.
        self._closings.append((now, closing))
        while self._closings[0][0] < now - _CLOSING_TIME:
            self._closings.popleft()
        for connection in self.connections():
            if connection is not spare:
                _close(connection, closing)

    def wait_empty(self, timeout: float) -> None:
        """Wait until every connection and every counted view has ended, for ``timeout`` seconds at most."""
        deadline = time.monotonic() + timeout
        while self.busy and time.monotonic() < deadline:
            pause(_POLL_INTERVAL)


def _close(connection: OpenConnection, closing: Closing) -> None:
    # An error of one, such as of a project's user, must not keep the others open.
    with suppress(Exception):
        if connection.belongs_to(closing.owner, closing.key):
            connection.request_close(closing.code, closing.reason, cause=closing.cause)


registry: Final = Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=registry.reset)
