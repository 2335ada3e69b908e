"""The preparation of a process for its first WebSocket."""

from __future__ import annotations

from ..conf import conf
from ..conf.installed import warn_unless_installed
from ..gunicorn.workers import adopt_worker, find_worker
from ..process.shutdown import close_on_exit
from ..servers.asgi import warn_on_asgi


def prepare_process() -> None:
    """Make the end of this process close its WebSockets, as far as the settings say so; watch gunicorn's worker.

    It also logs what keeps this package from working in the whole process.
    """
    warn_unless_installed()
    warn_on_asgi()
    if conf.close_on_sigterm:
        close_on_exit()
    worker = find_worker()
    if worker is not None:
        adopt_worker(worker, close=conf.close_on_sigterm, limit=conf.max_connections)
