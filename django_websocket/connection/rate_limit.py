"""Limiting how often something may happen."""

from __future__ import annotations


class RateLimit:
    """A token bucket: ``rate`` per second, up to ``burst`` at once. Times are seconds on any clock; not thread-safe."""

    __slots__ = ("_burst", "_rate", "_taken_at", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._taken_at: float | None = None

    def take(self, count: int, now: float, *, caught_up: bool = True) -> bool:
        """Take ``count`` tokens at the time ``now``, and return whether there were enough.

        The tokens since the last call are added without the limit of the burst, because the events may have arrived one
        by one and waited to be read. The limit is applied once the reader has ``caught_up`` with the events.
        """
        if self._taken_at is not None:
            self._tokens += (now - self._taken_at) * self._rate
        self._taken_at = now
        self._tokens -= count
        allowed = self._tokens >= 0
        self._tokens = max(0.0, self._tokens)
        if caught_up:
            self._tokens = min(self._tokens, self._burst)
        return allowed
