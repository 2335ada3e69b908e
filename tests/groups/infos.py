"""Infos of WebSockets that nobody has opened."""

import itertools
from datetime import datetime, timedelta, timezone

from django_websocket.connection.info import ConnectionInfo

#: When the first of them was opened.
BEGINNING = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
_serials = itertools.count(1)


def make_info(**fields):
    """Return the info of a WebSocket that was opened one second after the last."""
    serial = next(_serials)
    return ConnectionInfo(
        **{
            "id": f"0123456789ab/{serial}",
            "path": "/room/7/",
            "route": "room/<int:number>/",
            "user_id": "12",
            "version": 13,
            "subprotocol": None,
            "since": BEGINNING + timedelta(seconds=serial),
            "messages_received": 1,
            "messages_sent": 2,
            "bytes_received": 3,
            "bytes_sent": 4,
            "last_received": None,
            "latency": None,
            "thread": "Thread-1",
            **fields,
        }
    )
