"""gunicorn's workers: finding the one that this process is, watching it, and warning of its settings."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final

from ..process.registry import registry
from ..process.shutdown import keep_accepting_after_signals, server_handler
from ..process.threads import pause, start_thread

#: Seconds between two looks at whether a worker is to end.
_INTERVAL: Final = 0.2
#: Seconds after its end has begun in which a worker may still accept: those on greenlets look once a second. Clients
#: that come then would be turned away, though another worker is there already.
_ACCEPTING: Final = 1.2


class _Process:
    """The worker that this process is, once it is known."""

    worker: Any = None


_process: Final = _Process()


def _reset() -> None:
    # A forked child inherits no thread, and it may be another worker's process.
    _process.worker = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def find_worker() -> Any:
    """Return gunicorn's worker if this process is one, else ``None``: its handler of SIGTERM is a method of it."""
    if _process.worker is not None or "gunicorn" not in sys.modules:
        return _process.worker
    worker = getattr(server_handler(signal.SIGTERM), "__self__", None)
    return worker if hasattr(worker, "alive") and hasattr(worker, "cfg") else None


def adopt_worker(worker: Any, *, close: bool, limit: int | None) -> None:
    """Watch gunicorn's worker and warn of its settings, the first time that it is known in this process.

    ``close`` is ``WEBSOCKET_CLOSE_ON_SIGTERM``, ``limit`` is ``WEBSOCKET_MAX_CONNECTIONS``.

    With ``close``, all WebSockets are closed with 1012 when the worker is to end, for whatever reason. A signal is one
    of them; the others are the number of requests that it has served, and a changed file. And a worker of a preloaded
    application has set its signal handlers after the middleware was constructed. WebSockets that are opened when the
    worker has begun to end are served, and closed when it accepts no more.
    """
    if _process.worker is not None:
        return
    _process.worker = worker
    keep_accepting_after_signals()
    if close:
        start_thread(_close_when_it_ends, worker)
    for warning in warnings_for(type(worker).__name__, worker.cfg, limit):
        worker.log.warning("django-websocket: %s", warning)


def _close_when_it_ends(worker: Any) -> None:
    while worker.alive:
        pause(_INTERVAL)
    registry.close_all(drain=False)
    pause(_ACCEPTING)
    registry.close_all()


def warnings_for(worker: str, cfg: Any, limit: int | None) -> list[str]:
    """Return what a worker's settings lead to, a sentence each.

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
