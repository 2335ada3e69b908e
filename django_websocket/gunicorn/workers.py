"""gunicorn's workers: finding the one that this process is, watching it, and warning of its settings."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final

from ..process.registry import registry
from ..process.shutdown import keep_accepting_after_signals, server_handler
from ..process.threads import pause, start_thread

#: Seconds between two checks of whether a worker is to end.
_POLL_INTERVAL: Final = 0.2
#: Seconds that a worker may still accept after it began to stop: workers on greenlets check for that once a second.
#: Clients that connect meanwhile are served: a refusal would turn them away although another worker is there already.
_ACCEPT_TIME: Final = 1.2


class _Process:
    """The worker that this process is, and whether it is watched."""

    #: The worker, once it is known.
    worker: Any = None
    #: Whether a thread watches the worker, or need not.
    watched: bool = False


_process: Final = _Process()


def _reset() -> None:
    # A forked child inherits no thread, and it may be another worker's process.
    _process.worker = None
    _process.watched = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def find_worker() -> Any:
    """Return gunicorn's worker, which has a method that handles SIGTERM; ``None`` if this process is no worker."""
    if _process.worker is not None or "gunicorn" not in sys.modules:
        return _process.worker
    worker = getattr(server_handler(signal.SIGTERM), "__self__", None)
    return worker if hasattr(worker, "alive") and hasattr(worker, "cfg") else None


def adopt_worker(worker: Any, *, close: bool, limit: int | None) -> None:
    """Watch gunicorn's worker and warn of its settings, the first time that it is known in this process.

    ``close`` is ``WEBSOCKET_CLOSE_ON_SIGTERM``, ``limit`` is ``WEBSOCKET_MAX_CONNECTIONS``.

    With ``close``, all WebSockets are closed with 1012 when the worker stops, for whatever reason. Signal handlers are
    not enough for this: a worker also stops after ``max_requests`` requests or when a file has changed, and the worker
    of a preloaded application sets its signal handlers after the middleware was constructed, which replaces ours.
    WebSockets that are opened while the worker stops are served, and closed when it accepts no more.
    """
    if not _process.watched:
        # If no thread can be started, the next attempt to open a WebSocket tries again.
        _process.watched = not close or start_thread(_close_when_it_ends, worker)
    if _process.worker is not None:
        return
    _process.worker = worker
    registry.one_of_many = worker.cfg.workers > 1
    keep_accepting_after_signals()
    for warning in warnings_for(type(worker).__name__, worker.cfg, limit):
        worker.log.warning("django-websocket: %s", warning)


def _close_when_it_ends(worker: Any) -> None:
    while worker.alive:
        pause(_POLL_INTERVAL)
    registry.close_all(drain=0)
    pause(_ACCEPT_TIME)
    registry.close_all()


def warnings_for(worker: str, cfg: Any, limit: int | None) -> list[str]:
    """Return the warnings about a worker's settings, each a sentence.

    ``worker`` is the name of its class, ``cfg`` holds gunicorn's settings, and ``limit`` is
    ``WEBSOCKET_MAX_CONNECTIONS``.
    """
    if worker == "SyncWorker":
        warnings = ["a sync worker serves nothing else while a WebSocket is open: take gthread with --threads"]
        if cfg.timeout:
            warnings.append(f"a sync worker is killed with its WebSocket after --timeout {cfg.timeout} seconds")
        return warnings
    if worker == "ThreadWorker":
        if cfg.threads == 1:
            return ["one WebSocket takes a worker's only thread, and everything else waits: raise --threads"]
        room, unit, option = cfg.threads, "threads", "--threads"
    else:
        room, unit, option = cfg.worker_connections, "connections", "--worker-connections"
    if limit is not None and limit < room:
        return []
    warning = (
        f"{room} WebSockets take all {room} {unit} of a worker ({option}), and everything else waits until one ends: "
        f"set WEBSOCKET_MAX_CONNECTIONS below {room}"
    )
    return [warning]
