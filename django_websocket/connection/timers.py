"""Signs of life: when a silent peer is pinged, and when it is given up (RFC 6455 section 5.5.2)."""

from __future__ import annotations

import os


class Keepalive:
    """The pings of one connection. Times are seconds on its clock; whoever reads the connection asks."""

    __slots__ = ("_last", "_timeout", "heard", "interval", "latency", "pinged")

    def __init__(self, interval: float | None, timeout: float | None) -> None:
        """Ping after ``interval`` seconds of silence, and wait ``timeout`` for a sign of life; ``None``: for ever."""
        self.interval = interval
        self._timeout = timeout
        #: When bytes came in last.
        self.heard = 0.0
        #: When the ping went out that has had no answer.
        self.pinged: float | None = None
        #: Seconds that the last answered ping took there and back.
        self.latency: float | None = None
        self._last: tuple[bytes, float] | None = None

    @property
    def due(self) -> float | None:
        """When it is time for a ping, or after one for giving the peer up."""
        start, seconds = (self.heard, self.interval) if self.pinged is None else (self.pinged, self._timeout)
        return None if seconds is None else start + seconds

    def ping(self, now: float) -> bytes:
        """Give the payload of a ping that is sent now; the peer has to answer it in time."""
        data = os.urandom(4)
        self.pinged = now
        self.note_ping(data, now)
        return data

    def note_ping(self, data: bytes, now: float) -> None:
        """Take note of a ping that is sent now, whoever sends it."""
        self._last = data, now

    def note_pong(self, data: bytes, now: float) -> None:
        """Take note of a pong."""
        if self._last is not None and self._last[0] == data:
            self.latency = now - self._last[1]
            self._last = None
