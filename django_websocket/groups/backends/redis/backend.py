"""The backend: what a group does, by means of Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from ....exceptions import GroupUnavailable
from ....process.identity import identity
from ....process.threads import native_rlock
from ...member import Member
from ...payload import Payload
from ...position import Position, Replay, new_epoch
from ...snapshot import Search
from ..base import Backend, GroupsStatus, Owner
from . import scripts
from .answering import Answering
from .asking import Asking
from .channel import Channel, History
from .channels import Channels
from .client import Client
from .errors import import_redis
from .events import Events
from .keeper import Keeper
from .keys import Keys
from .log_outs import KEPT, LOG_OUTS, LogOuts, log_out
from .options import OPTIONS, check_location
from .receiver import Receiver, fetch
from .subscribers import Subscribers
from .topologies import make_topology
from .wire import Wire, read_position

#: Seconds after which a call that waits for a subscription looks at it again, if nothing wakes the thread.
LOOK: Final = 0.1
#: How often a history is fetched at most, if meanwhile more arrives than may wait. Less is missing each time, unless
#: more is published than this process can fetch.
ATTEMPTS: Final = 6


class RedisBackend(Backend):
    """Carries messages by Redis or Valkey, between processes and machines.

    Members in the process of the publisher get a message through Redis as well, so that all members get the messages of
    a group in the same order. The first call that needs them starts two threads: a subscriber, and the keeper of the
    presence. A process that only publishes has neither.
    """

    option_names: ClassVar[Mapping[str, tuple[Callable[[object], Any], object]]] = OPTIONS
    crosses_processes: ClassVar[bool] = True

    def __init__(self, alias: str, location: Any, options: Mapping[str, Any]) -> None:
        """Make the backend; nothing is connected.

        :raises GroupConfigurationError: redis-py is missing, or the settings do not fit together.
        """
        super().__init__(alias, location, options)
        topology = make_topology(location, options)
        #: Who this backend is among those of all processes.
        self.process = identity.next_id()
        self._timeout: float = options["TIMEOUT"]
        self._life = max(1, int(options["HISTORY_TTL"] * 1000))
        self._verb = "SPUBLISH" if topology.sharded else "PUBLISH"
        self._client = Client(topology, self._timeout)
        self._keys = Keys(options["PREFIX"])
        self._wire = Wire(options["SECRET"])
        self._events = Events(type(self))
        # The threads of the backend must not wait for connections that callers keep busy.
        self._inner = inner = Client(topology, self._timeout)
        self._receiver = Receiver(
            inner,
            self._keys,
            self._wire,
            self._events,
            process=self.process,
            verb=self._verb,
            life=self._life,
            discard=self.discard,
            disconnect=_disconnect_here,
            answer=Answering(inner, self._keys, self._wire, self.process).receive,
        )
        own_channel = self._keys.own_channel(self.process)
        self._subscribers = Subscribers(inner, self._receiver, own_channel, self._keys.channel)
        self._channels = Channels(self._make_channel, self._subscribers.release)
        self._keeper = Keeper(
            inner,
            self._channels,
            self._subscribers,
            self._keys,
            self._wire,
            process=self.process,
            verb=self._verb,
        )
        self._lock = native_rlock()
        self._watching = False

    @classmethod
    def check_location(cls, location: Any) -> None:
        """Check a ``LOCATION``; see :meth:`Backend.check_location`.

        :raises GroupConfigurationError: redis-py is missing.
        """
        check_location(location)
        import_redis()

    def _make_channel(self, group: str) -> Channel:
        if group == LOG_OUTS:
            return LogOuts(self.limits)
        return Channel(group, self.limits, close_on_gap=self.options["ON_GAP"] == "close")

    # Messages

    def publish(self, group: str, payload: Payload, *, history: int) -> Position:
        """Send a message; see :meth:`Backend.publish`."""
        answer = self._client.run(
            scripts.PUBLISH,
            self._keys.numbers(group),
            self._keys.channel(group),
            self._verb,
            new_epoch(),
            self._life,
            history,
            self._wire.write(group, payload),
        )
        return read_position(answer)

    def close(self, group: str, code: int, reason: str) -> None:
        """Close the WebSockets of all members; see :meth:`Backend.close`.

        Closings have numbers of their own, by which a process notices that it has missed one.
        """
        self._client.run(
            scripts.CLOSE,
            self._keys.numbers(group),
            self._keys.channel(group),
            self._verb,
            new_epoch(),
            self._life,
            self._wire.write_closing(group, code, reason),
        )

    def position(self, group: str) -> Position:
        """Return the position of the last message; see :meth:`Backend.position`."""
        return read_position(self._client.run(scripts.POSITION, self._keys.numbers(group), new_epoch(), self._life))

    def disconnect(self, owner: Owner, key: str) -> None:
        """Make other processes close the WebSockets of a user or a session; see :meth:`Backend.disconnect`."""
        self.publish(LOG_OUTS, log_out(owner, key, self.process), history=KEPT)

    def call_roll(self, search: Search, limit: int) -> Asking:
        """Ask the other processes for their WebSockets; see :meth:`Backend.call_roll`."""
        return Asking(self._client, self._keys, self._wire, process=self.process, search=search, limit=limit)

    # Members

    def add(self, member: Member, *, since: Position | None) -> Replay:
        """Add a member; see :meth:`Backend.add`.

        The first member of a group in this process waits until Redis has confirmed the subscription.
        """
        deadline = time.monotonic() + self._timeout
        self.watch()
        channel = self._channels.enter(member.group)
        try:
            self._subscribers.ensure(channel)
            self._wait_until_settled(channel, deadline)
            if since is None:
                replay = Replay(complete=True, missed=0)
                channel.add(member)
            else:
                replay = self._replay(channel, member, since)
        finally:
            self._channels.leave(channel)
        self._keeper.joined(channel)
        return replay

    def _wait_until_settled(self, channel: Channel, deadline: float) -> None:
        """Wait until everything that is published from now on arrives, or is found to be missing.

        :raises GroupUnavailable: the deadline is over.
        """
        if channel.settled:
            return
        event = threading.Event()
        channel.waiters.append(event)
        try:
            while not channel.settled:
                left = deadline - time.monotonic()
                if left <= 0:
                    problem = self._subscribers.problem or "Redis has not confirmed the subscription in time"
                    raise GroupUnavailable(f"messages of other processes do not arrive: {problem}")
                # The event may be lost on its way to a thread with a hub of its own.
                event.wait(min(left, LOOK))
        finally:
            channel.waiters.remove(event)

    def _replay(self, channel: Channel, member: Member, since: Position) -> Replay:
        try:
            channel.begin_joining(member)
            history = self._fetch(channel, since)
            for _ in range(ATTEMPTS - 1):
                if not channel.has_overflowed(member):
                    break
                channel.begin_joining(member)
                history = history.followed_by(self._fetch(channel, history.position))
        except BaseException:
            channel.give_up_joining(member)
            raise
        return channel.finish_joining(member, since, history)

    def _fetch(self, channel: Channel, since: Position) -> History:
        return fetch(self._client, self._keys, self._wire, channel.name, since)

    def discard(self, member: Member) -> None:
        """Remove a member; see :meth:`Backend.discard`."""
        channel = self._channels.find(member.group)
        if channel is not None and channel.discard(member):
            self._keeper.left(channel)

    def count(self, group: str) -> int:
        """Return the number of members, everywhere; those of this process are counted here."""
        others = self._keeper.others()
        counts = self._client.execute("HGETALL", self._keys.of_group(group, "n"))
        channel = self._channels.find(group)
        own = 0 if channel is None else len(channel.members)
        return own + sum(int(number) for process, number in _pairs(counts) if process in others)

    def names(self, group: str) -> set[str]:
        """Return the names of the members, everywhere; those of this process are known here."""
        others = self._keeper.others()
        found = self._client.execute("HGETALL", self._keys.of_group(group, "w"))
        raw_names = [raw for raw, processes in _pairs(found) if not others.isdisjoint(processes.split())]
        names = {name for name in (self._wire.read_name(group, raw) for raw in raw_names) if name is not None}
        channel = self._channels.find(group)
        return names if channel is None else names | channel.names()

    # This process

    def watch(self) -> None:
        """Begin to receive log-outs; see :meth:`Backend.watch`."""
        with self._lock:
            if self._watching:
                return
            self._watching = True
        # The channel is not left, so that its subscription does not end. The keeper subscribes to it.
        channel = self._channels.enter(LOG_OUTS)
        # A thread is started without the lock, as that waits.
        if not self._keeper.start():
            # The next WebSocket, or member, tries again.
            self._channels.leave(channel)
            self._watching = False

    def stop(self) -> None:
        """End the threads; see :meth:`Backend.stop`."""
        self._keeper.stop()
        self._subscribers.stop()
        self._events.stop()
        self._inner.close()
        self._client.close()

    def status(self) -> GroupsStatus:
        """Return the state of the backend; see :meth:`Backend.status`."""
        sizes = [len(channel.members) for channel in self._channels.all()]
        problem = self._subscribers.problem
        return GroupsStatus(
            healthy=not problem,
            problem=problem,
            groups=sum(1 for size in sizes if size),
            members=sum(sizes),
            overflows=self._receiver.overflows,
            lost=self._receiver.lost,
            reconnects=self._subscribers.reconnects,
        )


def _disconnect_here(owner: str, key: str) -> None:
    from ...logout import disconnect_here

    disconnect_here(owner, key)  # type: ignore[arg-type]


def _pairs(answer: Any) -> Iterable[tuple[bytes, bytes]]:
    """Return the fields and values of a hash: redis-py makes a dictionary of them, or leaves them in a list."""
    return answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
