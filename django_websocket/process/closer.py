"""Finish closing handshakes that no view is waiting for.

A view that sleeps in a read does not notice that another thread, or a signal handler, has sent Close. If the peer
answers, that wakes the view; if it does not, the closer does, when the close timeout is over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from .threads import pause, start_thread

#: Seconds between two looks.
_INTERVAL: Final = 0.05


class Closer:
    """Follows closings to their end, in a thread of the system that runs while there are any."""

    # What is done to the set is atomic. It needs no lock, and must not have one: add() may run in a signal handler.
    _closings: set[Callable[[], bool]]
    _running: bool

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, in a forked child: the closings are its parent's, and the thread is not there."""
        self._closings = set()
        self._running = False

    def add(self, finish_if_due: Callable[[], bool]) -> None:
        """Call ``finish_if_due`` again and again until it returns that nothing is left to do.

        It must not wait, and must take no lock that a greenlet waits for. Never waits; thread-safe, and safe in a
        signal handler.
        """
        self._closings.add(finish_if_due)
        if not self._running:
            self._running = True
            try:
                start_thread(self._run)
            except RuntimeError:
                pass  # the interpreter is ending, and takes no more threads

    def _run(self) -> None:
        while True:
            while self._closings:
                for finish_if_due in self._closings.copy():
                    if finish_if_due():
                        self._closings.discard(finish_if_due)
                pause(_INTERVAL)
            self._running = False
            # A closing may have been added just before that, when this thread still counted as running.
            if not self._closings or self._running:
                return
            self._running = True


closer: Final = Closer()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=closer.reset)
