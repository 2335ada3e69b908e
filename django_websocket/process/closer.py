"""Finish closing handshakes that no view is waiting for.

A view that waits in a read does not notice that another thread, or a signal handler, has sent Close. The peer's answer
wakes the view. If the peer does not answer, the closer wakes the view when the close timeout is over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from .threads import pause, start_thread

#: Seconds between two calls of each ``finish_if_due``.
_POLL_INTERVAL: Final = 0.05


class Closer:
    """Finishes closing handshakes in a native thread, which runs while there are any."""

    # Each operation on the set is atomic and needs no lock. A lock would be wrong: add() may run in a signal handler
    # that has interrupted the thread holding it.
    _closings: set[Callable[[], bool]]
    _running: bool

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, in a forked child: the closings and the thread are those of its parent."""
        self._closings = set()
        self._running = False

    def add(self, finish_if_due: Callable[[], bool]) -> None:
        """Call ``finish_if_due`` repeatedly in a native thread until it returns ``True``.

        ``finish_if_due`` must not wait, nor acquire a lock that a greenlet may wait for. :meth:`add` itself never
        waits; it is thread-safe, and safe in a signal handler. If no thread can be started, the next call tries again.
        """
        self._closings.add(finish_if_due)
        if not self._running:
            # The thread may have ended again before start_thread() returns.
            self._running = True
            if not start_thread(self._run):
                self._running = False

    def discard(self, finish_if_due: Callable[[], bool]) -> None:
        """Forget a closing that is over, whether or not a thread has seen that; thread-safe."""
        self._closings.discard(finish_if_due)

    def _run(self) -> None:
        while True:
            try:
                while self._closings:
                    for finish_if_due in self._closings.copy():
                        if _is_over(finish_if_due):
                            self._closings.discard(finish_if_due)
                    pause(_POLL_INTERVAL)
            finally:
                # Even if this thread dies of an error, the next closing starts another.
                self._running = False
            # A closing may have been added just before this assignment, when this thread still counted as running.
            if not self._closings or self._running:
                return
            self._running = True


def _is_over(finish_if_due: Callable[[], bool]) -> bool:
    """Return whether a closing is over. An error ends a closing too, so that it does not stop all the others."""
    try:
        return finish_if_due()
    except Exception:  # noqa: BLE001 - this thread must not log
        return True


closer: Final = Closer()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=closer.reset)
