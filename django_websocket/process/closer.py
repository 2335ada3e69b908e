"""An end for closings that nobody waits for.

A view that sleeps in a read does not see that another thread, or a signal handler, has sent Close: a peer that answers
wakes it, and this one wakes it where the peer does not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from .threads import pause, start_thread

if TYPE_CHECKING:
    from ..connection.sending import Sender

_LOOK: Final = 0.05


class Reaper:
    """Sees connections through their closing. It has a thread of the system for as long as there are any."""

    def __init__(self) -> None:
        # What is done to it is atomic. It needs no lock, and must not have one: add() may run in a signal handler.
        self._closing: set[Sender] = set()
        self._running = False

    def add(self, connection: Sender) -> None:
        """See a connection through its closing. Never waits; thread-safe."""
        self._closing.add(connection)
        if not self._running:
            self._running = True
            try:
                start_thread(self._run)
            except RuntimeError:
                pass  # the interpreter is ending, and takes no more threads

    def _run(self) -> None:
        while True:
            while self._closing:
                for connection in self._closing.copy():
                    if connection.hurry():
                        self._closing.discard(connection)
                pause(_LOOK)
            self._running = False
            # One may have come just before that, and have found a thread that ran.
            if not self._closing or self._running:
                return
            self._running = True

    def forget(self) -> None:
        """Start anew, in a forked child."""
        self.__init__()  # type: ignore[misc]


reaper: Final = Reaper()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=reaper.forget)
