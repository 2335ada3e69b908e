"""The metrics of one route."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram

from .growth import Growth


class RouteMetrics(NamedTuple):
    """The metrics whose labels are known once the route is. They are looked up once: a look compares all labels."""

    connections: Gauge
    accepted: Counter
    durations: Histogram
    messages_received: Counter
    messages_sent: Counter
    bytes_received: Counter
    bytes_sent: Counter
    pings: Histogram

    def add(self, growth: Growth) -> None:
        """Add what has come on top of the counts."""
        # Each by itself: a look may come between the count of a message and that of its bytes.
        self.messages_received.inc(growth.messages_received)
        self.messages_sent.inc(growth.messages_sent)
        self.bytes_received.inc(growth.bytes_received)
        self.bytes_sent.inc(growth.bytes_sent)
        for seconds in growth.round_trips:
            self.pings.observe(seconds)
