"""The open WebSockets of one process at one moment, as another process may see them."""

from __future__ import annotations

import heapq
import os
import platform
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..connection.info import ConnectionInfo
from ..connection.listing import connections
from ..process.identity import identity

#: WebSockets that are listed at most.
LIMIT: Final = 500
#: Characters of a text in a question or an answer: paths, for example, come from clients.
TEXT_SIZE: Final = 500
#: Users that a question can name.
MAX_USERS: Final = 100


class Search(NamedTuple):
    """Which WebSockets are looked for: those that match all of this."""

    #: A part of the path, or of the route, in upper or lower case; ``""`` matches all.
    text: str = ""
    #: Primary keys of users, as text; ``None`` matches all, those of nobody as well.
    users: tuple[str, ...] | None = None
    #: The :attr:`.ConnectionInfo.id` of the only one; ``None`` matches all.
    id: str | None = None

    @classmethod
    def check(cls, text: str, users: Iterable[object] | None, identifier: str | None) -> Search:
        """Return the search for these arguments, which other processes understand.

        :raises TypeError: an argument of the wrong type.
        :raises ValueError: a text that is too long, or too many users.
        """
        if not isinstance(text, str) or not (identifier is None or isinstance(identifier, str)):
            raise TypeError("text and id are str")
        if isinstance(users, (str, bytes)):
            raise TypeError("users are several primary keys, not one")
        keys = None if users is None else tuple(map(str, users))
        if max(map(len, (text, identifier or "", *(keys or ())))) > TEXT_SIZE:
            raise ValueError(f"nothing that is looked for has more than {TEXT_SIZE} characters")
        if len(keys or ()) > MAX_USERS:
            raise ValueError(f"a search names at most {MAX_USERS} users")
        return cls(text, keys, identifier)

    def matches(self, info: ConnectionInfo) -> bool:
        """Return whether a WebSocket is one of those."""
        if self.id is not None and info.id != self.id:
            return False
        if self.users is not None and info.user_id not in self.users:
            return False
        text = self.text.lower()
        return text in info.path.lower() or text in (info.route or "").lower()


class Totals(NamedTuple):
    """How many WebSockets there are, and their sums."""

    connections: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0

    @classmethod
    def of(cls, infos: Iterable[ConnectionInfo]) -> Totals:
        """Return the totals of some WebSockets."""
        return cls.sum(cls(1, *(getattr(info, name) for name in cls._fields[1:])) for info in infos)

    @classmethod
    def sum(cls, all_totals: Iterable[Totals]) -> Totals:
        """Return the sum of several."""
        return cls(*map(sum, zip(cls(), *all_totals, strict=True)))


class Snapshot(NamedTuple):
    """The WebSockets of one process."""

    #: What the :attr:`.ConnectionInfo.id` of each of them begins with, ahead of the slash.
    process: str
    #: The name of its machine, and its number there.
    host: str
    pid: int
    #: How many are open, whether they match or not.
    open: int
    #: Of those that match, listed or not.
    totals: Totals
    #: The newest of those that match, the newest first.
    connections: list[ConnectionInfo]


def take_snapshot(search: Search, limit: int) -> Snapshot:
    """Return the WebSockets of this process; ``limit`` of them are listed at most."""
    everything = connections()
    found = [info for info in everything if search.matches(info)]
    return Snapshot(
        identity.process_id, platform.node(), os.getpid(), len(everything), Totals.of(found), newest(found, limit)
    )


def newest(infos: Iterable[ConnectionInfo], limit: int) -> list[ConnectionInfo]:
    """Return the newest WebSockets, the newest first."""
    return heapq.nlargest(limit, infos, key=lambda info: info.since)
