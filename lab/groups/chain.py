"""What a member of a group with history has received, by the positions of the messages, over all of its connections."""

from __future__ import annotations

from typing import NamedTuple

from django_websocket.groups.position import Position


class Break(NamedTuple):
    """A place at which messages are missing, or at which a new epoch begins."""

    before: Position
    #: The first position after it; ``None`` if nothing has come since.
    after: Position | None
    #: Whether the member was told that messages are missing here.
    announced: bool

    def has(self, position: Position) -> bool:
        """Return whether a message with this position may be missing here."""
        if position.epoch == self.before.epoch and position.number <= self.before.number:
            return False
        return self.after is None or position.epoch != self.after.epoch or position.number < self.after.number


class Chain:
    """The positions of the messages that one client has received, from the one on at which it began."""

    __slots__ = ("_gaps", "breaks", "disorder", "last", "received", "unannounced")

    def __init__(self, since: Position) -> None:
        self.last = since
        self.received: set[str] = set()
        self.breaks: list[Break] = []
        #: Messages that came twice, or after a later one.
        self.disorder = 0
        #: Messages that are missing without a word.
        self.unannounced = 0
        self._gaps: list[tuple[int, int] | None] = []

    def gap(self, gap: tuple[int, int] | None) -> None:
        """Note that the server says that messages are missing here."""
        self._gaps.append(gap)

    def take(self, position: Position) -> None:
        """Note a message that has come."""
        last = self.last
        if position.epoch == last.epoch and position.number <= last.number:
            self.disorder += 1
            return
        if position.epoch != last.epoch:
            # Whether something is missing shows by what the publishers say.
            self.breaks.append(Break(last, position, bool(self._gaps)))
        elif position.number != last.number + 1:
            low, high = last.number + 1, position.number - 1
            announced = self._covers(low, high)
            self.breaks.append(Break(last, position, announced))
            self.unannounced += 0 if announced else high - low + 1
        self._gaps.clear()
        self.last = position
        self.received.add(position)

    def end(self) -> None:
        """Note that nothing comes any more."""
        self.breaks.append(Break(self.last, None, bool(self._gaps)))
        self._gaps.clear()

    def _covers(self, low: int, high: int) -> bool:
        """Return whether the gaps since the last message have all numbers from ``low`` to ``high``."""
        if None in self._gaps:
            return True
        for first, last in sorted(gap for gap in self._gaps if gap is not None):
            if first <= low:
                low = max(low, last + 1)
        return low > high

    def lacks(self, position: Position) -> bool | None:
        """Return ``None`` if a message has come, else whether the member was told that it is missing."""
        if position in self.received:
            return None
        return any(place.announced and place.has(position) for place in self.breaks)
