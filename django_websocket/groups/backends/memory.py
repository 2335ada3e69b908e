"""Groups within one process: nothing to install, and what tests use."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from ...process.registry import registry
from ...process.threads import native_rlock
from ...signals import member_joined, member_left
from ..member import Member
from ..members import Change, Members
from ..payload import Payload
from ..position import Position, Replay, new_epoch
from ..replay import CatchUp
from .base import Backend, GroupsStatus, Owner

logger = logging.getLogger("django_websocket.groups")

#: Seconds for which the position of a group without messages is remembered: until its page has opened its WebSocket.
UNUSED_TTL: Final = 600.0
#: The number of new groups after which the memory backend looks for groups that it may forget.
_SWEEP_EVERY: Final = 1000


class _Group:
    """One group: its members, the position of its last message, and its history. The backend's lock is held."""

    __slots__ = ("due", "epoch", "history", "kept_until", "members", "number")

    def __init__(self, members: Members) -> None:
        self.members = members
        self.epoch = new_epoch()
        #: The number of the last message.
        self.number = 0
        self.history: deque[tuple[Payload, Position]] = deque()
        #: Messages that are to be delivered by the call of :meth:`MemoryBackend.publish` that is running.
        self.due: deque[tuple[Payload, Position]] | None = None
        #: The time on the monotonic clock until which the position is remembered though there are no members.
        self.kept_until = 0.0

    @property
    def position(self) -> Position:
        return Position.make(self.epoch, self.number)


class MemoryBackend(Backend):
    """Carries messages within one process.

    The thread that publishes delivers, under a lock: deliveries never wait. The last messages of a group, and its
    position, are remembered for ``HISTORY_TTL`` seconds after the last message.
    """

    def __init__(self, alias: str, location: Any, options: Mapping[str, Any]) -> None:
        super().__init__(alias, location, options)
        self._lock = native_rlock()
        self._groups: dict[str, _Group] = {}
        self._made = 0
        self._overflows = 0
        self._warned = False

    def publish(self, group: str, payload: Payload, *, history: int) -> Position:
        """Deliver a message; see :meth:`Backend.publish`."""
        self._warn_of_other_processes(group)
        with self._lock:
            found = self._groups.get(group) or self._make(group, keep=history > 0)
            found.number += 1
            position = found.position
            if history:
                found.history.append((payload, position))
                found.kept_until = time.monotonic() + self.options["HISTORY_TTL"]
                while len(found.history) > history:
                    found.history.popleft()
            if found.due is None:
                gone = self._deliver(found, payload, position)
            else:
                # A signal handler or a finalizer has interrupted a delivery of this thread.
                found.due.append((payload, position))
                gone = []
        self._discard_all(gone)
        return position

    def _deliver(self, group: _Group, payload: Payload, position: Position) -> list[Member]:
        gone: list[Member] = []
        group.due = deque([(payload, position)])
        try:
            while group.due:
                gone += group.members.deliver(*group.due.popleft())
        finally:
            group.due = None
            self._overflows += group.members.overflows
            group.members.overflows = 0
        return gone

    def _discard_all(self, members: list[Member]) -> None:
        for member in members:
            self.discard(member)

    def close(self, group: str, code: int, reason: str) -> None:
        """Close the WebSockets of all members; see :meth:`Backend.close`."""
        with self._lock:
            if group in self._groups:
                self._groups[group].members.close(code, reason)

    def add(self, member: Member, *, since: Position | None) -> Replay:
        """Add a member; see :meth:`Backend.add`."""
        with self._lock:
            group = self._groups.get(member.group) or self._make(member.group, keep=True)
            replay = Replay(complete=True, missed=0)
            if since is not None:
                replay = _replay(group, member, since)
            change = group.members.add(member)
        _report(member.group, change)
        return replay

    def discard(self, member: Member) -> None:
        """Remove a member; see :meth:`Backend.discard`."""
        with self._lock:
            group = self._groups.get(member.group)
            change = None if group is None else group.members.discard(member)
            if group is not None and not group.members and time.monotonic() >= group.kept_until:
                del self._groups[member.group]
        if change is not None:
            _report(member.group, change)

    def count(self, group: str) -> int:
        """Return the number of members."""
        with self._lock:
            return len(self._groups[group].members) if group in self._groups else 0

    def names(self, group: str) -> set[str]:
        """Return the names of the members."""
        with self._lock:
            return self._groups[group].members.names if group in self._groups else set()

    def position(self, group: str) -> Position:
        """Return the position of the last message; see :meth:`Backend.position`."""
        with self._lock:
            found = self._groups.get(group) or self._make(group, keep=True)
            # Anybody may ask for the pages of groups that do not exist, any number of them.
            life = self.options["HISTORY_TTL"] if found.number else min(UNUSED_TTL, self.options["HISTORY_TTL"])
            found.kept_until = max(found.kept_until, time.monotonic() + life)
            return found.position

    def disconnect(self, owner: Owner, key: str) -> None:
        """Do nothing: there are no other processes."""

    def status(self) -> GroupsStatus:
        """Return the state of the backend."""
        with self._lock:
            groups = [group for group in self._groups.values() if group.members]
            return GroupsStatus(
                healthy=True,
                problem="",
                groups=len(groups),
                members=sum(len(group.members) for group in groups),
                overflows=self._overflows,
            )

    def _make(self, name: str, *, keep: bool) -> _Group:
        """Return a new group; with ``keep`` it is found again."""
        group = _Group(Members(self.limits))
        if keep:
            self._made += 1
            if self._made % _SWEEP_EVERY == 0:
                # The new group would be swept as well: it has no members yet.
                self._sweep()
            self._groups[name] = group
        return group

    def _sweep(self) -> None:
        """Forget the groups without members whose time is over."""
        now = time.monotonic()
        for name, group in list(self._groups.items()):
            if not group.members and now >= group.kept_until:
                del self._groups[name]

    def _warn_of_other_processes(self, group: str) -> None:
        """Log once that members in other processes do not get the messages, if it is known that there may be some."""
        if self._warned or not (registry.one_of_many or "django.core.handlers.wsgi" not in sys.modules):
            return
        self._warned = True
        logger.warning(
            "Group %s: %s. Without Redis in WEBSOCKET_GROUPS a message reaches members in the same process only",
            ascii(group),
            "its server has several processes" if registry.one_of_many else "this process serves no requests",
        )


def _replay(group: _Group, member: Member, since: Position) -> Replay:
    """Hand the messages after ``since`` to a new member, as far as they are kept."""
    catch_up = CatchUp(member, since, group.position)
    for payload, position in group.history:
        catch_up.take(payload, position)
    catch_up.reach(group.number)
    member.deliver_history(catch_up.items)
    return catch_up.replay


def _report(group: str, change: Change) -> None:
    """Send the signals for a change of the names."""
    if change.joined is not None:
        member_joined.send_robust(MemoryBackend, group=group, name=change.joined)
    if change.left is not None:
        member_left.send_robust(MemoryBackend, group=group, name=change.left)
