"""Sends the signals of groups, in a thread of its own: their receivers are code of the project, and may wait."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any, Final

from django.db import close_old_connections
from django.dispatch import Signal

from ....process.threads import start_worker

logger = logging.getLogger("django_websocket.groups")

#: Signals that may wait for their receivers; more are dropped.
LIMIT: Final = 10_000
#: Seconds between two looks at the queue, if nothing wakes the thread.
TICK: Final = 1.0


class Events:
    """A queue of signals, and the thread that sends them. The first signal with a receiver starts the thread."""

    def __init__(self, sender: type) -> None:
        self._sender = sender
        self._queue: deque[tuple[Signal, dict[str, Any]]] = deque()
        self._wakeup = threading.Event()
        self._running = False
        self._stopped = False
        #: Whether the last signal was dropped.
        self._dropping = False

    def put(self, signal: Signal, **arguments: Any) -> None:
        """Send a signal soon, if it has receivers; never waits. Only the subscriber's threads call it."""
        if not signal.has_listeners(self._sender):
            return
        if len(self._queue) >= LIMIT:
            if not self._dropping:
                self._dropping = True
                logger.error("Groups: signals are dropped, as their receivers have not finished with %d others", LIMIT)
            return
        self._dropping = False
        self._queue.append((signal, arguments))
        if not self._running:
            self._running = start_worker(self._run, "groups-signals")
        self._wakeup.set()

    def stop(self) -> None:
        """End the thread soon."""
        self._stopped = True
        self._wakeup.set()

    def _run(self) -> None:
        while not self._stopped:
            self._wakeup.wait(TICK)
            self._wakeup.clear()
            while self._queue and not self._stopped:
                self._send(*self._queue.popleft())

    def _send(self, signal: Signal, arguments: dict[str, Any]) -> None:
        try:
            # Django logs the errors of receivers.
            signal.send_robust(self._sender, **arguments)
            close_old_connections()
        except Exception:
            logger.exception("Groups: a signal could not be sent")
            time.sleep(TICK)
