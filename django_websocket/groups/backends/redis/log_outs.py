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
#: The log-outs that are kept for processes that did not hear of them at once.
KEPT: Final = 1000


class LogOuts(Channel):
    """Collects log-outs until they are taken: whoever closes the WebSockets does not hold the lock."""

    def __init__(self, limits: QueueLimits) -> None:
        super().__init__(LOG_OUTS, limits)
        self._collected: list[Payload] = []

    def hand_out(self, payload: Payload, position: Position) -> list[Member]:  # noqa: ARG002 - for those of a group
        """Collect a log-out."""
        self._collected.append(payload)
        return []

    def take(self) -> list[tuple[str, str, str | None]]:
        """Return the log-outs since the last call: ``"user"`` or ``"session"``, the key, and the sending process."""
        with self.lock:
            collected, self._collected = self._collected, []
        return [(*json.loads(payload.data), payload.exclude) for payload in collected]


def log_out(owner: str, key: str, process: str) -> Payload:
    """Return the message for a log-out; ``process`` has closed its own WebSockets already."""
    return Payload("json", json.dumps([owner, key]), process)
