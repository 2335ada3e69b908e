"""Batches of numbered messages, which the load client orders from a server, and which the server publishes and times.

Members connect to the path of a server for groups, and join by sending :data:`JOIN`, which comes back. A further
connection, to the path of :func:`control_path`, sends a command for each batch, and gets its answer when the server has
published it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from . import frames

#: The message by which a connection becomes a member. It is sent back like any other.
JOIN: Final = "join"
#: Digits of the number that each message begins with.
_DIGITS: Final = 8
#: The fewest bytes of a message.
LEAST: Final = _DIGITS


def control_path(path: str) -> str:
    """Return the path at which a server takes commands, if members connect to ``path``."""
    return f"{path}/publish"


def numbered(number: int, size: int) -> bytes:
    """Return the text with a number."""
    return b"%0*d" % (_DIGITS, number) + frames.text(size)[_DIGITS:]


def command(way: str, first: int, count: int, size: int) -> str:
    """Return the command to publish ``count`` messages in a way; ``first`` is the number of the first of them."""
    return json.dumps([way, first, count, size])


class Batch:
    """The messages of a command. A server iterates over them, and publishes each before it takes the next."""

    def __init__(self, text: str) -> None:
        self.way, self._first, self._count, self._size = json.loads(text)
        #: When each message was published, in nanoseconds of the monotonic clock, which all processes share.
        self._times: list[int] = []
        self._cpu = 0.0

    def __iter__(self) -> Iterator[str]:
        for number in range(self._first, self._first + self._count):
            message = numbered(number, self._size).decode()
            self._times.append(time.monotonic_ns())
            began = time.thread_time()
            yield message
            self._cpu += time.thread_time() - began

    def answer(self, more: Mapping[str, Any]) -> str:
        """Return the answer to the command.

        ``cpu_s`` are the seconds of processor time of the thread while it published, and ``process_s`` those of the
        whole process since it began; ``times`` is when each message was published.
        """
        known = {"cpu_s": self._cpu, "process_s": time.process_time(), "times": self._times}
        return json.dumps({**known, **more})
