"""gunicorn's workers: how many WebSockets they have room for, and what happens to the rest."""

from __future__ import annotations

from typing import Any

from ..conf.settings import conf
from ..process.shutdown import follow_worker


def meet_worker(worker: Any = None) -> None:
    """Take note of the worker that this process is, when that is seen first, and warn of what its settings lead to."""
    if (worker := follow_worker(worker, close=conf.close_on_sigterm)) is not None:
        for warning in warnings_for(type(worker).__name__, worker.cfg, conf.max_connections):
            worker.log.warning("django-websocket: %s", warning)


def warnings_for(worker: str, cfg: Any, limit: int | None) -> list[str]:
    """Say what a worker's settings lead to.

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
