"""The open connections of this process, for people who want to see them."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import cast

from ..process.registry import registry
from .connection import Connection
from .info import ConnectionInfo


def connections() -> list[ConnectionInfo]:
    """Return the open WebSockets of this process, the oldest first, as they are now. Thread-safe.

    A WebSocket is open from its handshake to the end of its view.
    """
    threads: dict[object, str] = {thread.ident: thread.name for thread in threading.enumerate()}
    now = datetime.now(timezone.utc)
    found = [cast(Connection, connection).info(now, threads) for connection in registry.connections()]
    return sorted((info for info in found if info is not None), key=lambda info: info.since)
