"""Frames that were made for many connections and wait for room on one of them."""

from __future__ import annotations

import enum
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
        self._frames: deque[bytes] = deque()
        #: The number of frames that count, and their bytes.
        self._count = self._size = 0

    def append(self, frame: bytes, limits: QueueLimits) -> bool:
        """Append a frame, and return whether it was within the limits; if not, drop all frames.

        With :data:`NO_LIMITS` the frame does not count.
        """
        if limits is not NO_LIMITS:
            self._size += len(frame)
            self._count += 1
            if self._size > limits.size or self._count > limits.messages:
                self.take()
                return False
        self._frames.append(frame)
        return True

    def take(self) -> bytes:
        """Return the bytes of all frames, and forget them."""
        data = b"".join(self._frames)
        self._frames.clear()
        self._count = self._size = 0
        return data

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)
