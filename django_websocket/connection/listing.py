"""The open connections of this process, for people who want to see them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
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
    infos = (info_of(connection, threads) for connection in sorted(found, key=lambda connection: connection.opened_at))
    return [info for info in infos if info is not None]


def info_of(connection: Connection, threads: Mapping[object, str]) -> ConnectionInfo | None:
    """Return what can be told of a connection now; ``None`` if nobody knows whose it is. Thread-safe.

    ``threads`` are the names of the threads by their identifiers.
    """
    peer = connection.describe()
    if peer is None:
        return None
    opened_at, heard_at = connection.opened_at, connection.heard_at
    now, clock = datetime.now(timezone.utc), connection.clock()
    return ConnectionInfo(
        peer.id,
        peer.path,
        peer.route,
        peer.user_id,
        connection.protocol.version,
        connection.protocol.subprotocol,
        now - timedelta(seconds=clock - opened_at),
        connection.messages_received,
        connection.messages_sent,
        connection.bytes_received,
        connection.bytes_sent,
        None if heard_at is None else now - timedelta(seconds=clock - heard_at),
        connection.latency,
        threads.get(connection.owner) or f"greenlet {id(connection.owner):#x}",
    )
