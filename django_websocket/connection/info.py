"""What is known of an open connection at one moment."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class ConnectionInfo(NamedTuple):
    """An open connection at one moment. All bytes and messages are counted as in :class:`.ConnectionStats`."""

    #: The :attr:`.WebSocket.member_id`, unique among all processes of the site.
    id: str
    path: str
    #: The pattern by which Django has found the view, as in the URLconf; ``None`` if there is none.
    route: str | None
    #: The primary key of the user, as text; ``None`` if nobody is logged in, or the request has not used its user.
    user_id: str | None
    #: 75, 76, 13, 8 or 7.
    version: int
    subprotocol: str | None
    #: The time of the handshake, in UTC.
    since: datetime
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    #: When bytes of the peer arrived last, a pong for example; ``None`` if none have.
    last_received: datetime | None
    #: Seconds between the last answered ping and its pong; ``None`` before the first.
    latency: float | None
    #: The name of the thread of the view, or the address of its greenlet.
    thread: str
