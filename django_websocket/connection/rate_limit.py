"""How often something may happen."""

from __future__ import annotations


class Allowance:
    """So many a second, and some more at once. Times are seconds on whatever clock."""

    __slots__ = ("_burst", "_left", "_rate", "_taken")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._taken: float | None = None

    def take(self, number: int, now: float, *, caught_up: bool = True) -> bool:
        """Take ``number`` at the time ``now``; gives whether that was not too many.

        What the time since the last call allows counts in full: they may have come one by one, and lain there. Of what
        is left no more than the burst is kept, once they are ``caught_up`` with.
        """
        if self._taken is not None:
            self._left += (now - self._taken) * self._rate
        self._taken = now
        self._left -= number
        allowed = self._left >= 0
        self._left = max(0.0, self._left)
        if caught_up:
            self._left = min(self._left, self._burst)
        return allowed
