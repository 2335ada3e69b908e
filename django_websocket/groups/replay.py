"""The messages after a position, and the gaps among them, for a member that comes back."""

from __future__ import annotations

from .member import Member
from .payload import Payload
from .position import Position, Replay


class CatchUp:
    """What a new member is to get of the messages after a position."""

    def __init__(self, member: Member, since: Position, last: Position) -> None:
        """Begin after ``since``; ``last`` is the position of the last message of the group.

        A ``since`` that is not among its positions counts as one of long ago.
        """
        self._member = member
        self._missed: int | None = 0
        self._lost = False
        #: What the member is to get.
        self.items: list[object] = []
        #: The position up to which it gets everything, or is told what is missing.
        self.epoch, self.last = since.epoch, since.number
        if since.epoch != last.epoch or since.number > last.number:
            self.lose(last.epoch, 0)

    @property
    def replay(self) -> Replay:
        """How many of the messages after the position the member gets."""
        return Replay(complete=self._missed == 0, missed=self._missed)

    def take(self, payload: Payload | None, position: Position) -> None:
        """Take the next message; a ``payload`` of ``None`` stands for an unknown number of missing ones."""
        if payload is None:
            # The history may belong to the epoch that has begun there already.
            if position.epoch != self.epoch:
                self.lose(position.epoch, 0)
            return
        if position.epoch != self.epoch:
            self.epoch, self.last = position.epoch, 0
        if position.number > self.last:
            self.reach(position.number - 1)
            self.last, self._lost = position.number, False
            item = self._member.make(payload, position)
            if item is not None:
                self.items.append(item)

    def reach(self, number: int) -> None:
        """Announce those of the messages up to ``number`` as missing that were not taken."""
        if number > self.last and not self._lost:
            self._announce((self.last + 1, number))
            if self._missed is not None:
                self._missed += number - self.last
        self.last = max(self.last, number)

    def lose(self, epoch: str, number: int) -> None:
        """Announce an unknown number of missing messages, and go on after the position that follows them."""
        self._announce(None)
        self.epoch, self.last = epoch, number
        self._missed = None
        self._lost = True

    def _announce(self, gap: tuple[int, int] | None) -> None:
        item = self._member.make_gap(gap)
        if item is not None:
            self.items.append(item)
