"""What is due when on a connection: pings (RFC 6455 section 5.5.2), the answer to Close, idleness and revalidation."""

from __future__ import annotations

import math
import os


class Timers:
    """The deadlines of one connection.

    Times are seconds on the connection's clock; nothing here asks a clock. Not thread-safe: the thread that reads the
    connection uses it, and others only write single attributes.
    """

    __slots__ = (
        "_close_timeout",
        "_idle_told",
        "_last_ping",
        "_ping_timeout",
        "close_deadline",
        "heard",
        "latency",
        "ping_interval",
        "pinged",
        "revalidate_at",
    )

    def __init__(
        self, now: float, *, ping_interval: float | None, ping_timeout: float | None, close_timeout: float
    ) -> None:
        """Begin at the time ``now``.

        A peer is pinged after ``ping_interval`` seconds of silence (``None``: never), and has ``ping_timeout`` seconds
        for a sign of life after that (``None``: for ever).
        """
        self.ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._close_timeout = close_timeout
        #: When bytes came in last.
        self.heard = now
        #: When the ping was sent that has had no answer; ``None``: there is none.
        self.pinged: float | None = None
        #: Seconds between the last answered ping and its pong; ``None`` before the first.
        self.latency: float | None = None
        #: When the peer's time to answer Close is over; or the view's time to answer the messages that came ahead of
        #: the peer's mistake. ``None``: nothing is closing.
        self.close_deadline: float | None = None
        #: When the peer is to be revalidated.
        self.revalidate_at = math.inf
        #: When the hooks were told last that the connection is idle.
        self._idle_told = -math.inf
        self._last_ping: tuple[bytes, float] | None = None

    # Pings

    @property
    def ping_due(self) -> float | None:
        """When a ping is due, or, after one, when the peer is to be given up; ``None``: never."""
        start, seconds = (self.heard, self.ping_interval) if self.pinged is None else (self.pinged, self._ping_timeout)
        return None if seconds is None else start + seconds

    def make_ping(self, now: float) -> bytes:
        """Return the payload of a ping that is sent now, and expect an answer to it in time."""
        data = os.urandom(4)
        self.pinged = now
        self.note_ping(data, now)
        return data

    def note_ping(self, data: bytes, now: float) -> None:
        """Remember a ping that is sent now, so that its pong gives the :attr:`latency`."""
        self._last_ping = data, now

    def note_pong(self, data: bytes, now: float) -> None:
        """Measure the :attr:`latency`, if this pong answers the last ping."""
        if self._last_ping is not None and self._last_ping[0] == data:
            self.latency = now - self._last_ping[1]
            self._last_ping = None

    # Closing

    def start_closing(self, now: float) -> None:
        """Start, or start anew, the time within which the closing has to be over."""
        self.close_deadline = now + self._close_timeout

    def is_close_overdue(self, now: float) -> bool:
        """Return whether the time for the closing is over."""
        return self.close_deadline is not None and now >= self.close_deadline

    # Idleness

    def is_idle(self, now: float, seconds: float) -> bool:
        """Return whether nothing has come for ``seconds``, since the hooks were told so last."""
        return now >= self._quiet_since + seconds

    def note_idle(self, now: float) -> None:
        """Remember that the hooks are told now that the connection is idle."""
        self._idle_told = now

    @property
    def _quiet_since(self) -> float:
        return max(self.heard, self._idle_told)

    # Revalidation

    def plan_revalidation(self, now: float, interval: float | None) -> None:
        """Plan the next revalidation in ``interval`` seconds; ``None``: never."""
        self.revalidate_at = math.inf if interval is None else now + interval

    # All of them

    def time_left(
        self, now: float, *, deadline: float | None, idle_after: float | None, closing: bool, at_most: float
    ) -> float:
        """Return the seconds until the first of all these is due, ``at_most`` of them.

        ``deadline`` is the reader's own, and ``idle_after`` the seconds without a byte after which the hooks are to be
        told; ``None``: not at all. While the connection is ``closing`` nobody is pinged.
        """
        limits = (
            deadline,
            self.close_deadline if closing else self.ping_due,
            None if idle_after is None else self._quiet_since + idle_after,
            self.revalidate_at,
            now + at_most,
        )
        return max(0.0, min(limit for limit in limits if limit is not None) - now)
