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

    def take(self, number: int, now: float, *, caught_up: bool = True) -> bool:
        """Take ``number`` tokens at the time ``now``, and return whether there were as many.

        The tokens of the time since the last call count in full: the events may have come one by one and waited to be
        read. Only when the reader has ``caught_up`` with them is the bucket cut down to the burst.
        """
        if self._taken_at is not None:
            self._tokens += (now - self._taken_at) * self._rate
        self._taken_at = now
        self._tokens -= number
        allowed = self._tokens >= 0
        self._tokens = max(0.0, self._tokens)
        if caught_up:
            self._tokens = min(self._tokens, self._burst)
        return allowed
