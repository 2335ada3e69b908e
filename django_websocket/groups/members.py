"""The members of one group in this process, and the delivery of a message to all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..connection.backlog import Delivery, QueueLimits
from .member import Member, Receiver
from .payload import Payload
from .position import Position

if TYPE_CHECKING:
    from ..websocket import WebSocket


class Change(NamedTuple):
    """The change of the names in a group in this process."""

    #: A name that was not there before, or ``None``.
    joined: str | None = None
    #: A name that is there no more, or ``None``.
    left: str | None = None


class Members:
    """The members of one group in this process.

    Not thread-safe: the backend serializes the calls by a lock. No call waits or runs code of the project, so that a
    native lock will do, and greenlets may hold it.
    """

    __slots__ = ("_held", "_limits", "_members", "_names", "_parts", "overflows")

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._members: dict[WebSocket, Member] = {}
        #: Members that get nothing at the moment.
        self._held: set[Member] = set()
        self._names: Counter[str] = Counter()
        #: The receivers of members that get the same item for a message, each list with its first member, which makes
        #: the item. ``None`` if members have come or gone since the last message.
        self._parts: list[tuple[Member, list[Receiver]]] | None = None
        #: Members that could not keep up, since the number was last taken.
        self.overflows = 0

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        """Return an iterator over the members; they may change meanwhile."""
        return iter(list(self._members.values()))

    @property
    def names(self) -> set[str]:
        """The names of the members, each once."""
        return set(self._names)

    def add(self, member: Member) -> Change:
        """Add a member, in place of the one with the same WebSocket if there is one; return what changes."""
        before = self._members.get(member.websocket)
        self._members[member.websocket] = member
        self._parts = None
        old = None if before is None else before.name
        if old == member.name:
            return Change()
        return Change(self._count(member.name, 1), self._count(old, -1))

    def discard(self, member: Member) -> Change | None:
        """Remove a member; return what changes, ``None`` if it is no member."""
        if self._members.get(member.websocket) is not member:
            return None
        del self._members[member.websocket]
        self.release(member)
        self._parts = None
        return Change(left=self._count(member.name, -1))

    def hold(self, member: Member) -> None:
        """Deliver nothing to a member until :meth:`release`: it has got the next messages in another way."""
        self._held.add(member)
        self._parts = None

    def release(self, member: Member) -> None:
        """End what :meth:`hold` has begun, if it has."""
        if member in self._held:
            self._held.discard(member)
            self._parts = None

    def _count(self, name: str | None, number: int) -> str | None:
        """Count a member of a name in or out, and return the name if it is there for the first or the last time."""
        if name is None:
            return None
        before = self._names[name]
        if before + number:
            self._names[name] = before + number
        else:
            del self._names[name]
        return name if not before or not before + number else None

    def deliver(self, payload: Payload, position: Position) -> list[Member]:
        """Send a message to all members; return those that have left by it, whom the caller discards."""
        return self._deliver(lambda member: member.make(payload, position), payload.exclude)

    def deliver_gap(self, gap: tuple[int, int] | None) -> list[Member]:
        """Announce to the members of a group with history that messages are missing; the rest as :meth:`deliver`."""
        return self._deliver(lambda member: member.make_gap(gap), None)

    def _deliver(self, make: Callable[[Member], Any], exclude: str | None) -> list[Member]:
        limits, excluded, lost = self._limits, self._find(exclude), []
        for first, receivers in self._parts if self._parts is not None else self._divide():
            item = make(first)
            if item is None:
                continue
            if excluded is not None:
                receivers = [receiver for receiver in receivers if receiver is not excluded]  # noqa: PLW2901
            for receiver, delivery in first.receiver.deliver_to_all(receivers, item, limits):
                lost.append(receiver)
                self.overflows += delivery is Delivery.OVERFLOW
        return self._find_all(lost) if lost else []

    def _divide(self) -> list[tuple[Member, list[Receiver]]]:
        parts: dict[object, tuple[Member, list[Receiver]]] = {}
        members = list(self)
        for member in members:
            if member in self._held:
                continue
            key = member.key
            _, receivers = parts.setdefault(member if key is None else key, (member, []))
            receivers.append(member.receiver)
        found = list(parts.values())
        # A finalizer that interrupts this call may remove a member: a view has dropped the iterator of its events.
        self._parts = found if members == list(self) else None
        return found

    def _find(self, member_id: str | None) -> Receiver | None:
        """Return the receiver of the WebSocket with this ``member_id``, ``None`` if there is none here."""
        if member_id is None:
            return None
        return next((one.receiver for one in self if one.has_id(member_id)), None)

    def _find_all(self, receivers: Iterable[Receiver]) -> list[Member]:
        found = set(receivers)
        return [member for member in self if member.receiver in found]

    def close(self, code: int, reason: str) -> None:
        """Close the WebSockets of all members."""
        for member in self:
            member.receiver.request_close(code, reason)
