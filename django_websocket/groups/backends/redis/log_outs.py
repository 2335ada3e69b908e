"""The channel of log-outs: a group without members, whose messages close WebSockets of this process."""

from __future__ import annotations

import json
from typing import Final

from ....connection.backlog import QueueLimits
from ...member import Member
from ...payload import Payload
from ...position import Position
from .channel import Channel

#: The name of the group; no project can have it.
LOG_OUTS: Final = "~log-outs"
#: The number of log-outs that are kept for processes that do not get them at once.
KEPT: Final = 1000
_OWNERS: Final = ("user", "session", "connection")


class LogOuts(Channel):
    """Collects log-outs until they are taken, so that the WebSockets are closed without the lock."""

    def __init__(self, limits: QueueLimits) -> None:
        super().__init__(LOG_OUTS, limits)
        self._collected: list[Payload] = []

    def hand_out(self, payload: Payload, position: Position) -> list[Member]:  # noqa: ARG002 - for those of a group
        """Collect a log-out."""
        self._collected.append(payload)
        return []

    def take(self) -> list[Payload]:
        """Return the messages since the last call, for :func:`read_log_out`."""
        with self.lock:
            collected, self._collected = self._collected, []
        return collected


def log_out(owner: str, key: str, process: str) -> Payload:
    """Return the message for a log-out; ``process`` has closed its own WebSockets already."""
    return Payload("json", json.dumps([owner, key]), process)


def read_log_out(payload: Payload) -> tuple[str, str] | None:
    """Return whose log-out a message tells of, one of :data:`.Owner`, and the key; ``None`` if of nobody's."""
    try:
        owner, key = json.loads(payload.data)
    except (ValueError, TypeError, RecursionError):
        return None
    return (owner, key) if owner in _OWNERS and isinstance(key, str) else None
