"""Keeps the presence of this process in Redis: its heartbeat, and its members. Removes that of dead processes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

from ....exceptions import GroupError
from ....process.threads import start_worker
from . import scripts
from .channel import Channel
from .channels import Channels
from .client import Call, Client, Word
from .keys import Keys
from .presence import Difference
from .subscribers import Subscribers
from .wire import Wire

logger = logging.getLogger("django_websocket.groups")

#: Seconds between two heartbeats of a process.
BEAT: Final = 5.0
#: Seconds without a heartbeat after which a process counts as dead.
TTL: Final = 20.0
#: Seconds between two looks at what is not urgent: numbers of members, and channels that nobody uses.
TICK: Final = 1.0
#: Milliseconds after which another process sweeps a dead one, if the first has not finished.
SWEEPING: Final = 10_000
#: Groups, and names of one group, that Redis is told of at once.
GROUPS_AT_ONCE: Final = 100
NAMES_AT_ONCE: Final = 500


class Keeper:
    """Tells Redis of the members of this process, in a thread of its own.

    The thread that adds a new name tells Redis of it. The thread of the keeper tells everything else, and what could
    not be told at once. Messages arrive without it: only presence depends on it.
    """

    def __init__(
        self,
        client: Client,
        channels: Channels,
        subscribers: Subscribers,
        keys: Keys,
        wire: Wire,
        *,
        process: str,
        verb: str,
    ) -> None:
        self._client = client
        self._channels = channels
        self._subscribers = subscribers
        self._keys = keys
        self._wire = wire
        self._process = process
        self._verb = verb
        #: Channels of which Redis is to be told something.
        self._dirty: dict[Channel, None] = {}
        self._wakeup = threading.Event()
        #: Whether Redis has got a heartbeat of this process.
        self._beating = False
        self._next_beat = 0.0
        self._next_tick = 0.0
        self._sweeps: list[Iterator[None]] = []
        self._sweeping: set[str] = set()
        self._stopped = False
        self._problem = ""

    def start(self) -> bool:
        """Start the thread; return whether there was room for it. If not, it may be tried again."""
        started = start_worker(self._run, "groups-presence")
        if not started and not self._problem:
            self._problem = "no room for another thread"
            logger.error("Groups: Redis is not told of the members of this process: %s", self._problem)
        return started

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._wakeup.set()

    # From any thread

    def joined(self, channel: Channel) -> None:
        """Register a new member, at once if its name is new. Raises no error: what fails is registered later."""
        with channel.lock:
            if channel.told.is_current(len(channel.members)):
                return
            urgent = channel.told.is_urgent(len(channel.members))
        self._dirty[channel] = None
        if not urgent:
            return
        try:
            if not self._beating:
                self._beat()
            self._tell([channel])
        except GroupError:
            self._wakeup.set()

    def left(self, channel: Channel) -> None:
        """Register soon that a member has left; never waits."""
        with channel.lock:
            urgent = channel.told.is_urgent(len(channel.members))
        self._dirty[channel] = None
        if urgent:
            self._wakeup.set()

    def others(self) -> set[bytes]:
        """Return the other processes that live.

        :raises GroupError: Redis cannot be asked.
        """
        return set(self._client.run(scripts.LIVE, [self._keys.processes], int(TTL * 1000))) - {self._process.encode()}

    # In the thread

    def _run(self) -> None:
        while not self._stopped:
            self._wakeup.wait(min(TICK, max(self._next_beat - time.monotonic(), 0.01)))
            self._wakeup.clear()
            try:
                self._work()
            except GroupError as error:
                self._report(str(error))
                # Redis is away; the others are told when it is back.
                time.sleep(TICK)
            except Exception:
                logger.exception("Groups: the presence of the members is not kept; trying again")
                time.sleep(TICK)

    def _work(self) -> None:
        now = time.monotonic()
        tick = now >= self._next_tick
        if tick:
            self._next_tick = now + TICK
            self._channels.close_idle()
            self._subscribers.ensure_all(self._channels.all())
        self._beat_if_due()
        due = [channel for channel in list(self._dirty) if tick or self._is_urgent(channel)]
        for at in range(0, len(due), GROUPS_AT_ONCE):
            self._tell(due[at : at + GROUPS_AT_ONCE])
            self._beat_if_due()
        if self._sweeps:
            if next(self._sweeps[0], self) is self:
                self._sweeps.pop(0)
            self._wakeup.set()
        self._report("")

    def _report(self, problem: str) -> None:
        if problem and not self._problem and not self._stopped:
            logger.warning("Groups: Redis is not told of the members of this process at the moment: %s", problem)
        self._problem = problem

    @staticmethod
    def _is_urgent(channel: Channel) -> bool:
        with channel.lock:
            return channel.told.is_urgent(len(channel.members))

    # Names

    def _tell(self, channels: Iterable[Channel]) -> None:
        """Register the members of some groups.

        :raises GroupError: it could not be told of all; that is tried again.
        """
        found: list[tuple[Channel, Difference]] = []
        for channel in channels:
            self._dirty.pop(channel, None)
            with channel.lock:
                difference = channel.told.begin(len(channel.members))
            if difference is not None:
                found.append((channel, difference))
        done = False
        try:
            calls = [call for channel, difference in found for call in self._calls(channel.name, difference)]
            for at in range(0, len(calls), GROUPS_AT_ONCE):
                self._client.run_all(calls[at : at + GROUPS_AT_ONCE])
            done = True
        finally:
            for channel, difference in found:
                with channel.lock:
                    channel.told.finish(difference, done=done)
                    current = channel.told.is_current(len(channel.members))
                if not current:
                    self._dirty[channel] = None
                    if done:
                        self._wakeup.set()

    def _calls(self, group: str, difference: Difference) -> Iterator[Call]:
        own = [self._keys.groups_of(self._process)]
        if difference.enters:
            # Ahead of the names: a process that dies in between leaves nothing that would not be swept.
            yield Call(scripts.ENTER, own, [group])
        if difference.number:
            yield from self._name_calls(scripts.JOIN, group, difference.joined, difference.number)
        if difference.left or not difference.number:
            yield from self._name_calls(scripts.LEAVE, group, difference.left, difference.number)
        if not difference.number:
            yield Call(scripts.EXIT, own, [group])

    def _name_calls(self, script: scripts.Script, group: str, names: list[str], count: int) -> Iterator[Call]:
        keys = self._keys.presence(group)
        head: list[Word] = [self._keys.channel(group), self._verb, self._process, count]
        for at in range(0, len(names) or 1, NAMES_AT_ONCE):
            written = [self._wire.write_name(group, name) for name in names[at : at + NAMES_AT_ONCE]]
            yield Call(script, keys, [*head, *written])

    # Processes

    def _beat_if_due(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._beat()

    def _beat(self) -> None:
        known, dead = self._client.run(scripts.BEAT, [self._keys.processes], self._process, int(TTL * 1000))
        self._next_beat = time.monotonic() + BEAT
        self._beating = True
        if not known:
            self._register()
        for process in dead:
            name = process.decode()
            if name not in self._sweeping:
                self._sweeping.add(name)
                self._sweeps.append(self._sweep(name))

    def _register(self) -> None:
        """Register all members anew: Redis was wiped, or another process has taken this one for dead."""
        for channel in self._channels.all():
            with channel.lock:
                if not channel.members:
                    continue
                channel.told.forget(channel.members.names)
            self._dirty[channel] = None
        self._wakeup.set()

    def _sweep(self, process: str) -> Iterator[None]:
        """Remove a dead process, step by step: heartbeats are sent in between.

        The time of its last heartbeat is removed last, so that another process begins anew if this one dies meanwhile.
        """
        try:
            sweeper = self._keys.sweeper_of(process)
            if not self._client.execute("SET", sweeper, self._process, "NX", "PX", SWEEPING):
                return
            own, cursor = self._keys.groups_of(process), b"0"
            while True:
                cursor, groups = self._client.execute("SSCAN", own, cursor, "COUNT", GROUPS_AT_ONCE)
                self._client.run_all([self._sweep_call(group.decode(), process) for group in groups])
                yield
                if int(cursor) == 0:
                    break
            self._client.execute("DEL", own)
            self._client.execute("ZREM", self._keys.processes, process)
            logger.info("Groups: the members of a process that has ended were removed: %s", process)
        finally:
            self._sweeping.discard(process)

    def _sweep_call(self, group: str, process: str) -> Call:
        return Call(scripts.SWEEP, self._keys.presence(group), [self._keys.channel(group), self._verb, process])
