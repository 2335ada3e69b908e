"""What Redis was told of the members of a group in this process, and what it is still to be told. Does no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...members import Change


class Difference(NamedTuple):
    """What Redis is to be told."""

    #: The members.
    number: int
    joined: list[str]
    left: list[str]
    #: Whether Redis does not know yet that the process has members in the group.
    enters: bool


class Told:
    """What Redis was told of one group. Not thread-safe: the lock of the channel guards it.

    One thread at a time tells Redis, from :meth:`begin` to :meth:`finish`; the changes that come meanwhile are for the
    next time. So no call waits for another one. What could not be told is told again.
    """

    __slots__ = ("_busy", "_changes", "_count", "_entered", "_forgotten")

    def __init__(self) -> None:
        #: Names, and whether they are there now.
        self._changes: dict[str, bool] = {}
        #: The number of members that Redis has; ``None`` if that is not known.
        self._count: int | None = 0
        self._entered = False
        self._busy = False
        #: Whether Redis may have forgotten what it is being told.
        self._forgotten = False

    def note(self, change: Change) -> None:
        """Note a change of the names."""
        if change.joined is not None:
            self._changes[change.joined] = True
        if change.left is not None:
            self._changes[change.left] = False

    def is_urgent(self, count: int) -> bool:
        """Return whether there is more to tell than another number of members."""
        return bool(self._changes) or self._count is None or bool(self._count) != bool(count)

    def is_current(self, count: int) -> bool:
        """Return whether there is nothing to tell."""
        return not self._changes and self._count == count

    def begin(self, count: int) -> Difference | None:
        """Return what is to be told; ``None`` if that is nothing, or if another thread is telling."""
        if self._busy or self.is_current(count):
            return None
        joined = [name for name, is_there in self._changes.items() if is_there]
        left = [name for name, is_there in self._changes.items() if not is_there]
        self._changes = {}
        self._busy = True
        self._forgotten = False
        return Difference(count, joined, left, enters=count > 0 and not self._entered)

    def finish(self, difference: Difference, *, done: bool) -> None:
        """Note that Redis was told; without ``done`` it is not known what it has heard."""
        self._busy = False
        if done and not self._forgotten:
            self._count = difference.number
            self._entered = difference.number > 0
            return
        self._count = None
        self._entered = False
        for names, is_there in ((difference.joined, True), (difference.left, False)):
            for name in names:
                self._changes.setdefault(name, is_there)

    def forget(self, names: Iterable[str]) -> None:
        """Note that Redis has forgotten this process, which has these names now."""
        for name in names:
            self._changes[name] = True
        self._count = None
        self._entered = False
        self._forgotten = True
