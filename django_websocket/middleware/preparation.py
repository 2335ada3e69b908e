"""The preparation of a process for its first WebSocket."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from ..conf import MEMORY_BACKEND, GroupsConfig, conf
from ..conf.installed import warn_unless_installed
from ..gunicorn.workers import adopt_worker, find_worker
from ..process.shutdown import close_on_exit
from ..servers.asgi import warn_on_asgi


class _Checked:
    """What was looked at in this process already."""

    #: The value of ``WEBSOCKET_GROUPS``.
    groups: Mapping[str, GroupsConfig] | None = None


_checked: Final = _Checked()


def _reset() -> None:
    _checked.groups = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


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


def watch_log_outs() -> None:
    """Begin to receive log-outs of other processes, if the groups of this project cross processes."""
    if conf.groups is not _checked.groups:
        if any(config.backend != MEMORY_BACKEND for config in conf.groups.values()):
            # Projects without such groups load nothing of theirs.
            from ..groups.logout import watch_log_outs

            watch_log_outs()
        _checked.groups = conf.groups
