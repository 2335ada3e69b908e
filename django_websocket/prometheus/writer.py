"""Brings the files of the multiprocess mode of prometheus_client up to date while WebSockets are open."""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from ..process.threads import native_rlock, start_worker

logger = logging.getLogger("django_websocket.prometheus")

#: Seconds between two writes. A scrape finds what is as old as this at most.
INTERVAL: Final = 10.0


class Writer:
    """Calls a function every :data:`INTERVAL` seconds, and when the process ends.

    In the multiprocess mode a scrape reads the files of all processes, and asks none of them. The thread starts with
    the first WebSocket of the process, so that it is one of the process that serves, after all forks. From then on it
    runs as long as the process: a backend of groups may fail, or recover, while no WebSocket is open. On greenlets it
    is a greenlet, so that it may log, and use the locks of prometheus_client.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._exits = False
        self.reset()

    def reset(self) -> None:
        """Forget the thread, in a forked child: it is that of its parent."""
        self._lock = native_rlock()
        self._running = False

    def on_accepted(self, **_: Any) -> None:
        """Start the thread, unless it runs; a receiver of ``websocket_accepted``.

        If the system has no room for a thread, the next WebSocket tries again.
        """
        with self._lock:
            if self._running:
                return
            self._running = True
        if not start_worker(self._run, "websocket-metrics"):
            self._running = False
        if not self._exits:
            # A forked child inherits this.
            self._exits = True
            atexit.register(self._write_once)

    def _run(self) -> None:
        try:
            while True:
                _pause()
                self._write_once()
        finally:
            self._running = False

    def _write_once(self) -> None:
        try:
            self._write()
        except Exception:
            logger.exception(
                "The metrics of WebSockets could not be written: see whether the directory PROMETHEUS_MULTIPROC_DIR is "
                "there, belongs to the user of the server, and has room"
            )


def _pause() -> None:
    """Sleep until the next write. A green library may have replaced ``time.sleep()`` since this module was imported."""
    time.sleep(INTERVAL)
