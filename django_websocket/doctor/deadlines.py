"""The time that is left for something."""

from __future__ import annotations

import time
from typing import Final

#: The shortest timeout of a socket; 0 would make the socket non-blocking.
_SHORTEST: Final = 0.001


class Deadline:
    """A point in time until which something may be waited for."""

    def __init__(self, seconds: float) -> None:
        self._begin = time.monotonic()
        self._end = self._begin + seconds

    @property
    def over(self) -> bool:
        """Whether there is no time left."""
        return time.monotonic() >= self._end

    @property
    def left(self) -> float:
        """The seconds that are left, as a timeout for a socket: never 0."""
        return max(self._end - time.monotonic(), _SHORTEST)

    @property
    def spent(self) -> float:
        """The seconds since the beginning."""
        return time.monotonic() - self._begin

    @property
    def spent_ms(self) -> float:
        """The milliseconds since the beginning."""
        return self.spent * 1000
