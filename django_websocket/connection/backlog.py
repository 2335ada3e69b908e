"""Frames that were made for many connections and wait for room on one of them."""

from __future__ import annotations

import enum
import math
import sys
from collections import deque
from typing import Final, NamedTuple


class Delivery(enum.IntEnum):
    """The result of :meth:`.Connection.deliver`. At 0 or less, nothing more is delivered to the connection."""

    #: The client cannot keep up: what had to wait was dropped, and the connection is being closed with 1013.
    OVERFLOW = -1
    #: The connection is closed, or its peer is gone.
    GONE = 0
    #: All bytes are on their way.
    SENT = 1
    #: Some bytes wait for room.
    QUEUED = 2


class QueueLimits(NamedTuple):
    """How much may wait for one client."""

    #: Bytes of frames, not counting the rest of a frame that was sent in part.
    size: int = 1 << 20
    #: Frames.
    messages: int = 1000


DEFAULT_LIMITS: Final = QueueLimits()
#: For what does not count, such as the history that a new member gets at once.
NO_LIMITS: Final = QueueLimits(sys.maxsize, sys.maxsize)


class Backlog:
    """Whole frames that wait for room, oldest first; not thread-safe."""

    __slots__ = ("_count", "_frames", "_size")

    def __init__(self) -> None:
        #: Each frame with whether it counts.
        self._frames: deque[tuple[bytes, bool]] = deque()
        #: The number of frames that count, and their bytes.
        self._count = self._size = 0

    def append(self, frame: bytes, limits: QueueLimits) -> bool:
        """Append a frame, and return whether it was within the limits; if not, drop all frames.

        A frame that waits alone may have any size: it is not slowness that makes it wait. With :data:`NO_LIMITS` the
        frame does not count.
        """
        counts = limits is not NO_LIMITS
        if counts:
            self._size += len(frame)
            self._count += 1
            if self._frames and (self._size > limits.size or self._count > limits.messages):
                self._frames.clear()
                self._count = self._size = 0
                return False
        self._frames.append((frame, counts))
        return True

    def take(self, size: float = math.inf) -> bytes:
        """Return the bytes of the oldest frames, and forget these: as many frames as it takes to reach ``size``."""
        taken, left = [], size
        while self._frames and left > 0:
            frame, counts = self._frames.popleft()
            left -= len(frame)
            if counts:
                self._size -= len(frame)
                self._count -= 1
            taken.append(frame)
        return b"".join(taken)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)
