"""The open WebSockets of all processes, for people who want to see them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from ..conf import MEMORY_BACKEND, conf
from ..connection.info import ConnectionInfo
from ..exceptions import GroupError
from .backends import get_backend
from .backends.base import RollCall
from .snapshot import LIMIT, Search, Snapshot, Totals, newest, take_snapshot


class AllConnections(NamedTuple):
    """The WebSockets of all processes at one moment, as far as they are known."""

    #: The newest of those that match, the newest first.
    connections: list[ConnectionInfo]
    #: Of those that match, listed or not.
    totals: Totals
    #: What each process has answered, this one first.
    processes: list[Snapshot]
    #: The processes that did not answer in time, or that ended just now: what their :attr:`.ConnectionInfo.id` begins
    #: with.
    silent: list[str]
    #: Why other processes could not be asked, a sentence each.
    problems: list[str]
    #: Whether a backend is configured by which other processes can be asked.
    asks_others: bool


def all_connections(
    timeout: float = 1.0,
    *,
    text: str = "",
    users: Iterable[object] | None = None,
    id: str | None = None,  # noqa: A002 - the name of the field
    limit: int = LIMIT,
) -> AllConnections:
    """Return the open WebSockets of this process, and of all that share a backend between processes with it.

    Other processes have ``timeout`` seconds to answer. A backend that is not available is no error, but one of the
    ``problems``; to notice that may take as long as its own ``TIMEOUT``. Thread-safe.

    ``text`` is a part of the path or the route, ``users`` are up to 100 primary keys, and ``id`` is that of a single
    WebSocket; by default all match. At most ``limit`` are listed, and at most 500 of each other process, whose texts
    are cut off after 500 characters.

    :raises TypeError: an argument of the wrong type.
    :raises ValueError: ``limit`` is negative, there are too many ``users``, or a text has over 500 characters.
    """
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit is a number of WebSockets, not {limit!r}")
    if limit < 0:
        raise ValueError(f"limit is a number of WebSockets, not {limit}")
    search = Search.check(text, users, id)
    deadline = time.monotonic() + timeout
    calls: list[tuple[str, RollCall]] = []
    problems: list[str] = []
    asks_others = False
    for alias, config in conf.groups.items():
        # A backend within one process is not even loaded.
        if config.backend == MEMORY_BACKEND:
            continue
        try:
            backend = get_backend(alias)
            asks_others |= backend.crosses_processes
            call = backend.call_roll(search, limit)
        except GroupError as error:
            asks_others = True
            problems.append(f"{alias}: {error}")
        else:
            if call is not None:
                calls.append((alias, call))
    here = take_snapshot(search, limit)
    # By two backends the same process may answer twice.
    answers = {here.process: here}
    silent: set[str] = set()
    for alias, call in calls:
        try:
            answered, missing = call.collect(deadline)
        except GroupError as error:
            problems.append(f"{alias}: {error}")
        else:
            answers = {snapshot.process: snapshot for snapshot in answered} | answers
            silent.update(missing)
    processes = [here, *sorted(answer for process, answer in answers.items() if process != here.process)]
    return AllConnections(
        newest((info for answer in processes for info in answer.connections), limit),
        Totals.sum(answer.totals for answer in processes),
        processes,
        sorted(silent - answers.keys()),
        problems,
        asks_others,
    )
