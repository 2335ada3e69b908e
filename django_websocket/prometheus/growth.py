"""What has been added to counts."""

from __future__ import annotations


class Growth:
    """What has come on top of the counts of one route."""

    __slots__ = ("bytes_received", "bytes_sent", "messages_received", "messages_sent", "round_trips")

    def __init__(self) -> None:
        self.messages_received = 0
        self.messages_sent = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        #: Seconds from a ping to its pong, for each ping.
        self.round_trips: list[float] = []
