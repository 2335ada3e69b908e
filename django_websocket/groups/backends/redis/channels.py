"""The groups that this process has to do with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ....process.threads import native_rlock
from .channel import Channel

#: Seconds after which the subscription of a group ends that has no members here.
IDLE: Final = 30.0


class Channels:
    """The channels of this process, by the names of their groups. Thread-safe."""

    def __init__(self, make: Callable[[str], Channel], release: Callable[[Channel], None]) -> None:
        """Begin without any.

        ``make`` makes the channel of a group. ``release`` is called for a channel that nobody uses any more; it does
        not wait.
        """
        self._make = make
        self._release = release
        self._lock = native_rlock()
        self._channels: dict[str, Channel] = {}

    def enter(self, group: str) -> Channel:
        """Return the channel of a group for use until :meth:`leave`; it is made if there is none."""
        with self._lock:
            channel = self._channels.get(group)
            if channel is None:
                channel = self._channels[group] = self._make(group)
            channel.users += 1
            return channel

    def leave(self, channel: Channel) -> None:
        """End a use of a channel."""
        with self._lock:
            channel.users -= 1
            channel.idle_since = time.monotonic()

    def find(self, group: str) -> Channel | None:
        """Return the channel of a group, ``None`` if there is none."""
        return self._channels.get(group)

    def all(self) -> list[Channel]:
        """Return all channels."""
        return list(self._channels.values())

    def close_idle(self) -> None:
        """Unsubscribe from the channels that nobody has used for :data:`IDLE` seconds."""
        limit = time.monotonic() - IDLE
        for channel in self.all():
            if channel.members or channel.users or channel.idle_since > limit:
                continue
            with self._lock:
                # A new member enters the channel first.
                if not channel.members and not channel.users and channel.told.is_current(0):
                    del self._channels[channel.name]
                    self._release(channel)
