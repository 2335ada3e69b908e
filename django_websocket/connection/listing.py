"""The open connections of this process, for people who want to see them."""

from __future__ import annotations

import threading
from typing import cast

from ..process.registry import registry
from .connection import Connection
from .info import ConnectionInfo


def connections() -> list[ConnectionInfo]:
    """Return the open WebSockets of this process, the oldest first, as they are now. Thread-safe.

    A WebSocket is open from its handshake to the end of its view.
    """
    threads: dict[object, str] = {thread.ident: thread.name for thread in threading.enumerate()}
    found = cast("set[Connection]", registry.connections())
    infos = (connection.info(threads) for connection in sorted(found, key=lambda connection: connection.opened_at))
    return [info for info in infos if info is not None]
