"""Connects the metrics: to the registry of prometheus_client, and to the signals of this package."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

from prometheus_client import REGISTRY

from ..signals import websocket_accepted, websocket_closed, websocket_refused
from .collector import Collector
from .writer import Writer

logger = logging.getLogger("django_websocket.prometheus")

_UID = "django_websocket.prometheus"


@cache
def install() -> tuple[Collector, Writer | None]:
    """Register the metrics of this process, and begin to count; do so once, however often the function is called.

    The writer is ``None`` unless prometheus_client is in its multiprocess mode.
    """
    collector = Collector()
    REGISTRY.register(collector)
    websocket_accepted.connect(collector.on_accepted, dispatch_uid=_UID)
    websocket_closed.connect(collector.on_closed, dispatch_uid=_UID)
    websocket_refused.connect(collector.on_refused, dispatch_uid=_UID)
    resets = [collector.reset]
    writer = None
    directory = _directory()
    if directory is not None:
        if not Path(directory).is_dir():
            logger.warning(
                "PROMETHEUS_MULTIPROC_DIR is %s, which is no directory, so that WebSockets cannot be counted: make it "
                "before the server starts its processes",
                ascii(directory),
            )
        writer = Writer(collector.look)
        websocket_accepted.connect(writer.on_accepted, dispatch_uid=f"{_UID}.writer")
        resets.append(writer.reset)
    if hasattr(os, "register_at_fork"):
        for reset in resets:
            os.register_at_fork(after_in_child=reset)
    return collector, writer


def _directory() -> str | None:
    """Return the directory of the multiprocess mode of prometheus_client, ``None`` if it is not in this mode."""
    older = os.environ.get("prometheus_multiproc_dir")  # noqa: SIM112 - prometheus_client still takes the older name
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR", older)
