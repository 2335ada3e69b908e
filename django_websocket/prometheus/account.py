"""What was counted of one open WebSocket."""

from __future__ import annotations

from ..connection.info import ConnectionInfo
from ..connection.stats import ConnectionStats
from .growth import Growth


class Account:
    """What was counted already of one open WebSocket."""

    __slots__ = ("_bytes_received", "_bytes_sent", "_latency", "_messages_received", "_messages_sent", "route")

    def __init__(self, route: str) -> None:
        self.route = route
        self._messages_received = 0
        self._messages_sent = 0
        self._bytes_received = 0
        self._bytes_sent = 0
        self._latency: float | None = None

    def settle(self, counts: ConnectionInfo | ConnectionStats, latency: float | None, growth: Growth) -> None:
        """Add to ``growth`` what was not counted yet.

        Counts may be older than those of the call before: two threads look at the same time. Nothing of these is added.
        ``latency`` is the round trip of the last ping; one that is the same as before is the same ping.
        """
        if counts.messages_received > self._messages_received:
            growth.messages_received += counts.messages_received - self._messages_received
            self._messages_received = counts.messages_received
        if counts.messages_sent > self._messages_sent:
            growth.messages_sent += counts.messages_sent - self._messages_sent
            self._messages_sent = counts.messages_sent
        if counts.bytes_received > self._bytes_received:
            growth.bytes_received += counts.bytes_received - self._bytes_received
            self._bytes_received = counts.bytes_received
        if counts.bytes_sent > self._bytes_sent:
            growth.bytes_sent += counts.bytes_sent - self._bytes_sent
            self._bytes_sent = counts.bytes_sent
        if latency is not None and latency != self._latency:
            growth.round_trips.append(latency)
            self._latency = latency
