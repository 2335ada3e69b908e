"""The deadlines of a connection: pings (RFC 6455 section 5.5.2), the answer to Close, and idleness."""

from __future__ import annotations

import math
import os
from typing import Final

from ..transports import SendProgress

_NO_PROGRESS: Final = SendProgress(0, pending=False)


class Timers:
    """The deadlines of one connection.

    Times are seconds on the connection's clock, which the callers read. Not thread-safe: the thread that reads the
    connection calls the methods; other threads only set single attributes.
    """

    __slots__ = (
        "_close_timeout",
        "_end_deadline",
        "_idle_reported_at",
        "_last_ping",
        "_ping_timeout",
        "_progress",
        "close_deadline",
        "latency",
        "ping_interval",
        "pinged_at",
    )

    def __init__(self, *, ping_interval: float | None, ping_timeout: float | None, close_timeout: float) -> None:
        """Set the limits.

        A peer is pinged after ``ping_interval`` seconds of silence (``None``: never), and has ``ping_timeout`` seconds
        for a sign of life after that (``None``: for ever).
        """
        self.ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._close_timeout = close_timeout
        #: The time of the ping that is not answered yet; ``None`` if no ping is pending.
        self.pinged_at: float | None = None
        #: Seconds between the last answered ping and its pong; ``None`` before the first.
        self.latency: float | None = None
        #: The end of the close timeout for the peer's answer to our Close; ``None`` before the Close.
        self.close_deadline: float | None = None
        #: The end of the time that the view has to answer the messages ahead of the peer's Close or error; ``None``
        #: before the peer has sent either.
        self._end_deadline: float | None = None
        #: The time at which the hooks were told last that the connection is idle.
        self._idle_reported_at = -math.inf
        self._last_ping: tuple[bytes, float] | None = None
        #: The progress of what was sent, at the last ping or when its time was extended.
        self._progress = _NO_PROGRESS

    # Pings

    def ping_due(self, heard_at: float) -> float | None:
        """Return the time of the next ping or, while a ping is not answered, the end of the ping timeout.

        Bytes have arrived last at ``heard_at``. ``None`` means never.
        """
        start, seconds = (
            (heard_at, self.ping_interval) if self.pinged_at is None else (self.pinged_at, self._ping_timeout)
        )
        return None if seconds is None else start + seconds

    def make_ping(self, now: float, progress: SendProgress) -> bytes:
        """Return the payload of a ping that is sent now, and expect an answer to it in time."""
        data = os.urandom(4)
        self.pinged_at = now
        self._progress = progress
        self.note_ping(data, now)
        return data

    def extend_ping(self, now: float, progress: SendProgress) -> bool:
        """Return whether a ping that was not answered in time gets the same time again.

        It does while the peer takes what was sent ahead of the ping, or what is sent behind it: a peer that reads
        slowly is alive, and gets to the ping late. Bytes that its system takes at once, the ping among them, prove
        nothing.
        """
        before, self._progress = self._progress, progress
        if progress.taken == before.taken or not (progress.pending or before.pending):
            return False
        self.pinged_at = now
        return True

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
        """Start the close timeout of our Close, or restart it."""
        self.close_deadline = now + self._close_timeout

    def is_close_overdue(self, now: float) -> bool:
        """Return whether the close timeout of our Close is over."""
        return self.close_deadline is not None and now >= self.close_deadline

    def start_finishing(self, now: float) -> None:
        """Start the time that the view has for the messages ahead of the peer's Close or error."""
        self._end_deadline = now + self._close_timeout

    def is_end_overdue(self, now: float) -> bool:
        """Return whether the time that :meth:`start_finishing` started is over."""
        return self._end_deadline is not None and now >= self._end_deadline

    # Idleness

    def is_idle(self, now: float, heard_at: float, seconds: float) -> bool:
        """Return whether ``seconds`` have passed since bytes arrived, at ``heard_at``, and since :meth:`note_idle`."""
        return now >= max(heard_at, self._idle_reported_at) + seconds

    def note_idle(self, now: float) -> None:
        """Remember that the hooks are told now that the connection is idle."""
        self._idle_reported_at = now

    # The next deadline

    def time_left(
        self,
        now: float,
        heard_at: float,
        *,
        deadline: float | None,
        idle_after: float | None,
        revalidate_at: float,
        closing: bool,
        at_most: float,
    ) -> float:
        """Return the seconds until the earliest deadline, never more than ``at_most``.

        Bytes have arrived last at ``heard_at``. ``deadline`` is the time at which the reader gives up, and
        ``idle_after`` the seconds without a byte after which the hooks are told; ``None``: never. While the connection
        is ``closing``, the close timeout takes the place of the pings.
        """
        limits = (
            deadline,
            self.close_deadline if closing else self.ping_due(heard_at),
            None if idle_after is None else max(heard_at, self._idle_reported_at) + idle_after,
            revalidate_at,
            now + at_most,
        )
        return max(0.0, min(limit for limit in limits if limit is not None) - now)
