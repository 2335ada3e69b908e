"""A member of a group in this process: what receives the messages, and in which form."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..connection.backlog import NO_LIMITS, Delivery, QueueLimits
from ..exceptions import UnsupportedFeature
from ..protocols.base import Shared
from .payload import Payload, gap_envelope
from .position import Position

if TYPE_CHECKING:
    from ..websocket import WebSocket

logger = logging.getLogger("django_websocket.groups")


class Receiver(Protocol):
    """What a member hands its messages to. :class:`.Connection` is one. Its methods are thread-safe and never wait."""

    def deliver(self, item: Any, limits: QueueLimits) -> Delivery:
        """Send an item, or queue it within ``limits``."""

    @staticmethod
    def deliver_to_all(receivers: Iterable[Any], item: Any, limits: QueueLimits) -> Iterable[tuple[Any, Delivery]]:
        """Deliver an item to receivers of this class; return those that will get nothing more, with the reason."""

    def request_close(self, code: int, reason: str = "") -> None:
        """Close, without waiting for anything."""


class Member:
    """A WebSocket in a group, whose client gets the messages."""

    __slots__ = ("_protocol", "_warned", "enveloped", "group", "name", "receiver", "websocket")

    def __init__(self, group: str, websocket: WebSocket, *, name: str | None = None, enveloped: bool = False) -> None:
        """Make the member; the handshake is sent if it was not yet.

        ``enveloped`` wraps the messages in envelopes, as in groups with history. ``name`` is the one that
        :meth:`.Group.members` returns.

        :raises Exception: the errors of :meth:`.WebSocket.accept`.
        """
        self.group = group
        self.websocket = websocket
        self.name = name
        self.enveloped = enveloped
        connection = websocket.open()
        self._protocol = connection.protocol
        #: What the messages are handed to.
        self.receiver: Receiver = connection
        self._warned = False

    @property
    def key(self) -> Hashable:
        """Equal for members that get the same item from :meth:`make`; ``None`` if no other member gets it."""
        key = self._protocol.frame_key
        return None if key is None else (key, self.enveloped)

    def make(self, payload: Payload, position: Position) -> object | None:
        """Return what this member and all with the same :attr:`key` get for a message; ``None`` if they cannot get it.

        Members cannot get bytes where their protocol version has text only, or where messages come in envelopes.
        """
        message = payload.data
        if self.enveloped:
            if payload.kind == "bytes":
                self._warn("messages of a group with history are text")
                return None
            message = payload.envelope(self.group, position)
        return self._encode(message)

    def make_gap(self, gap: tuple[int, int] | None) -> object | None:
        """Return what tells this member and all with the same :attr:`key` of missing messages; ``None`` if nothing."""
        return self._encode(gap_envelope(self.group, gap)) if self.enveloped else None

    def has_id(self, member_id: str) -> bool:
        """Return whether a :attr:`.WebSocket.member_id` is that of this member."""
        return self.websocket.has_member_id and self.websocket.member_id == member_id

    def deliver_history(self, items: list[Any]) -> None:
        """Hand over the messages that were sent before this member came, made by :meth:`make`, oldest first.

        However many they are, they do not count as a backlog.
        """
        if items:
            data = b"".join(item.data for item in items)
            self.receiver.deliver(Shared(data, sum(item.size for item in items), len(items)), NO_LIMITS)

    def _encode(self, message: str | bytes) -> Shared | None:
        try:
            return self._protocol.encode_shared(message)
        except UnsupportedFeature as error:
            self._warn(str(error))
            return None

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            _warnings.append((self.group, reason))


#: What is to be logged, once the lock of the backend is released: a handler of the log may send to a group itself.
_warnings: Final[deque[tuple[str, str]]] = deque()


def log_warnings() -> None:
    """Log what members could not get, without any lock held. Thread-safe."""
    while _warnings:
        try:
            group, reason = _warnings.popleft()
        except IndexError:
            return  # Another thread has logged the last one.
        logger.warning("Group %s: a message is not sent to some of its members: %s", ascii(group), reason)
