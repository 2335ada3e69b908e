"""Messages of groups that wait for a view which takes them itself."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from ..connection.backlog import NO_LIMITS, Delivery, QueueLimits
from ..process.threads import native_rlock
from .member import Member
from .payload import Payload
from .position import Position

if TYPE_CHECKING:
    from ..connection.connection import Connection

Kind: TypeAlias = Literal["client", "group", "gap", "timeout"]


class Event(NamedTuple):
    """What a view gets from :meth:`.Group.listen`."""

    #: ``"client"``: a message of the client. ``"group"``: a message of a group. ``"gap"``: messages of a group are
    #: missing here. ``"timeout"``: nothing has come in time.
    kind: Kind
    #: The message: ``str`` or ``bytes``, or the object that was passed to ``send_json()`` of the group. The numbers of
    #: the first and the last missing message of a gap; ``None`` if they are not known.
    data: Any = None
    #: The name of the group; ``None`` for a message of the client and for a timeout.
    group: str | None = None
    #: The position of a message of a group, which :meth:`.Group.add` takes as ``since``.
    position: Position | None = None


class Item(NamedTuple):
    """A message of a group, or a gap, as all listening members of the group get it."""

    group: str
    #: ``None`` for a gap.
    payload: Payload | None
    position: Position | None = None
    #: The numbers of the first and the last missing message; ``None`` if they are not known.
    gap: tuple[int, int] | None = None
    #: Bytes that count as waiting.
    size: int = 0

    def event(self) -> Event:
        """Return the event for a view, with an object of its own if the message was sent as JSON."""
        if self.payload is None:
            return Event("gap", self.gap, self.group)
        data = self.payload.data
        return Event("group", json.loads(data) if self.payload.kind == "json" else data, self.group, self.position)


class Mailbox:
    """The items that wait for one view, oldest first, and the bell that wakes it. Thread-safe."""

    def __init__(self, connection: Connection) -> None:
        """Make the mailbox of a connection, in the thread that will wait.

        :raises OSError: the process has too many open descriptors.
        """
        self.connection = connection
        self.bell = connection.bell()
        self.closed = False
        #: Held for moments only, in which no greenlet switches.
        self.lock = native_rlock()
        #: Each item with its inlet, and whether it counts as waiting: a history does not.
        self._items: deque[tuple[Inlet, Item, bool]] = deque()
        self._size = self._count = 0

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._items)

    def put(self, inlet: Inlet, item: Item, limits: QueueLimits) -> Delivery:
        """Append an item and ring. If it is over the limits, drop all items and close the connection with 1013."""
        with self.lock:
            if self.closed or not self.connection.is_open:
                return Delivery.GONE
            counts = limits is not NO_LIMITS
            if counts:
                self._size += item.size
                self._count += 1
            fits = self._size <= limits.size and self._count <= limits.messages
            if fits:
                self._items.append((inlet, item, counts))
            else:
                self._items.clear()
                self._size = self._count = 0
        if not fits:
            self.connection.close_overloaded("its view")
            return Delivery.OVERFLOW
        self.bell.ring()
        return Delivery.QUEUED

    def take(self) -> Item | None:
        """Return the oldest item, ``None`` if there is none."""
        with self.lock:
            if not self._items:
                return None
            _, item, counts = self._items.popleft()
            self._discount(item, counts)
        return item

    def take_from(self, inlet: Inlet) -> list[Item]:
        """Return the items of one inlet, oldest first."""
        with self.lock:
            taken = [(item, counts) for one, item, counts in self._items if one is inlet]
            self._items = deque(entry for entry in self._items if entry[0] is not inlet)
            for item, counts in taken:
                self._discount(item, counts)
        return [item for item, _ in taken]

    def _discount(self, item: Item, counts: bool) -> None:
        if counts:
            self._size -= item.size
            self._count -= 1

    def close(self) -> None:
        """Wake the view, if it waits, and take nothing more."""
        self.closed = True
        self.bell.ring()
        self.bell.close()


class Inlet:
    """What a listening member hands its messages to: the mailbox of the view."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._successor: Member | None = None
        #: Whether the view has stopped listening, and was no member before.
        self.closed = False

    def deliver(self, item: Item, limits: QueueLimits) -> Delivery:
        """Put an item into the mailbox, or pass it on to the successor; never wait."""
        with self._mailbox.lock:
            if self._successor is not None:
                return _pass_on(item, self._successor, limits)
            return Delivery.GONE if self.closed else self._mailbox.put(self, item, limits)

    @staticmethod
    def deliver_to_all(inlets: Iterable[Inlet], item: Item, limits: QueueLimits) -> list[tuple[Inlet, Delivery]]:
        """Deliver an item to each inlet; return those that will get nothing more, with the reason."""
        results = [(inlet, inlet.deliver(item, limits)) for inlet in inlets]
        return [(inlet, delivery) for inlet, delivery in results if delivery <= 0]

    def request_close(self, code: int, reason: str = "") -> None:
        """Close the connection; the view can still take what is in the mailbox."""
        self._mailbox.connection.request_close(code, reason)

    def end(self, successor: Member | None) -> None:
        """Pass what the view has not taken, and all that still comes, on to the successor, if there is one."""
        with self._mailbox.lock:
            items = self._mailbox.take_from(self)
            self._successor, self.closed = successor, successor is None
            if successor is not None:
                for item in items:
                    _pass_on(item, successor, NO_LIMITS)


def _pass_on(item: Item, member: Member, limits: QueueLimits) -> Delivery:
    """Hand an item to another member of the group, in the form that it gets."""
    if item.payload is None:
        made = member.make_gap(item.gap)
    else:
        assert item.position is not None
        made = member.make(item.payload, item.position)
    return Delivery.SENT if made is None else member.receiver.deliver(made, limits)
