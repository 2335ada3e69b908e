"""A view that waits for its client and for its groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from ..connection.backlog import NO_LIMITS
from ..exceptions import GroupUnavailable
from .mailbox import Event, Inlet, Item, Mailbox
from .member import Member
from .membership import Membership
from .payload import Payload
from .position import Position, Replay

if TYPE_CHECKING:
    from ..websocket import WebSocket

__all__ = ["Event", "Listener", "Listening"]


class Listener(Member):
    """A WebSocket in a group whose messages go to its view, not to its client."""

    __slots__ = ("inlet",)

    def __init__(self, group: str, websocket: WebSocket, *, inlet: Inlet, name: str | None = None) -> None:
        super().__init__(group, websocket, name=name)
        self.inlet = inlet
        self.receiver = inlet

    @property
    def key(self) -> Hashable:
        """The same for all listening members."""
        return Listener

    def make(self, payload: Payload, position: Position) -> Item:
        """Return the item for a message."""
        data = payload.data
        size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
        return Item(self.group, payload, position, size=size)

    def make_gap(self, gap: tuple[int, int] | None) -> Item:
        """Return the item for missing messages, also in a group without history."""
        return Item(self.group, None, gap=gap)

    def deliver_history(self, items: list[Any]) -> None:
        """Hand over the messages that were sent before; they do not count as waiting."""
        for item in items:
            self.receiver.deliver(item, NO_LIMITS)


class ListenedGroup(Hashable, Protocol):
    """The methods of :class:`.Group` that a view which listens needs."""

    def enter(
        self, make: Callable[..., Member], websocket: WebSocket, name: str | None, since: str | None
    ) -> Replay: ...

    def discard(self, websocket: WebSocket) -> None: ...


class Listening(Iterator[Event], AbstractContextManager["Listening"]):
    """The events of one client and of the groups that its view listens to; :meth:`.Group.listen` returns it.

    The iteration ends when the client is gone, or after :meth:`close`. The object is also closed at the end of a
    ``with`` statement, or when nothing refers to it any more, as after a ``break``. As many messages wait for a slow
    view as would wait for a slow client; if there are more, the WebSocket is closed with 1013.

    The object belongs to one thread, which iterates; :meth:`close` may be called by any.
    """

    # __del__() is also called for an object that could not be made.
    _closed = True

    def __init__(self, websocket: WebSocket, timeout: float | None) -> None:
        """Begin to listen to the client only."""
        self._websocket = websocket
        #: What each group hands its messages to, and what the WebSocket was in that group before.
        self._joined: dict[ListenedGroup, tuple[Inlet, Membership | None]] = {}
        self._mailbox = mailbox = Mailbox(websocket.open())
        self._closed = False
        self._events = _events(websocket, mailbox, timeout)
        websocket.at_end(mailbox, mailbox.close)

    def add(self, group: ListenedGroup, name: str | None = None, since: str | None = None) -> Replay:
        """Listen to another group too; the arguments, the result and the errors are those of :meth:`.Group.add`.

        The messages behind ``since`` come as events, and so do gaps.
        """
        websocket = self._websocket
        if not hasattr(group, "enter"):
            raise TypeError(f"a view listens to a Group, not to {type(group).__name__}")
        if self._closed:
            raise ValueError("the view does not listen any more")
        inlet, before = self._joined.get(group) or (Inlet(self._mailbox), membership_of(websocket, group))
        if name is None and before is not None:
            name = before.member.name
        replay = group.enter(partial(Listener, inlet=inlet), websocket, name, since)
        self._joined[group] = inlet, before
        return replay

    def discard(self, group: ListenedGroup) -> None:
        """Stop listening to a group; do nothing if the view does not listen to it.

        If the WebSocket was a member before, it is one again, and its client gets what the view has not taken.
        """
        inlet, before = self._joined.pop(group, (None, None))
        if inlet is None:
            return
        current = membership_of(self._websocket, group)
        if before is not None and (current is None or not _can_receive(before.member)):
            # It was removed from the group meanwhile, or the view that listened before does not listen any more.
            before = None
        inlet.end(None if before is None else before.member)
        if current is None or current.member.receiver is not inlet:
            return
        if before is None:
            group.discard(self._websocket)
            return
        before.member.name = current.member.name
        try:
            before.begin()
        except GroupUnavailable:
            # The listening member stays, and its inlet passes the messages on.
            return
        self._websocket.at_end(group, before)

    def __iter__(self) -> Listening:
        return self

    def __next__(self) -> Event:
        """Wait for the next event, and return it.

        :raises StopIteration: the client is gone, or the object is closed.
        :raises RuntimeError: another thread is waiting for messages of the client.
        """
        if self._closed:
            raise StopIteration
        return next(self._events)

    def close(self) -> None:
        """Stop listening; do nothing if that was done. The WebSocket stays open. Thread-safe."""
        if self._closed:
            return
        self._closed = True
        if self._websocket.take_at_end(self._mailbox) is None:
            # The WebSocket has ended, and with it all memberships.
            return
        try:
            for group in list(self._joined):
                self.discard(group)
        finally:
            self._mailbox.close()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def membership_of(websocket: WebSocket, group: object) -> Membership | None:
    """Return the membership of a WebSocket in a group, ``None`` if it is no member."""
    found = websocket.find_at_end(group)
    return found if isinstance(found, Membership) else None


def _can_receive(member: Member) -> bool:
    """Return whether a member can become one again: its view has not stopped listening."""
    return not (isinstance(member, Listener) and member.inlet.closed)


def _events(websocket: WebSocket, mailbox: Mailbox, timeout: float | None) -> Iterator[Event]:
    """Return an iterator over the events; it does not refer to the :class:`Listening`, which could not end otherwise.

    Groups and client take turns: after all that has come from the groups, all that has come from the client.
    """
    connection, bell = mailbox.connection, mailbox.bell
    messages = connection.messages
    while True:
        bell.rung = False
        for _ in range(len(mailbox)):
            item = mailbox.take()
            if item is not None:
                yield item.event()
        for _ in range(len(messages)):
            if messages:
                yield Event("client", messages.pop(0))
        if not connection.fetch_unless_rung(bell, timeout) or mailbox.closed:
            break
        if not messages and not bell.rung:
            yield Event("timeout")
    if websocket.closed:
        websocket.report_closed()
