"""Receives what Redis publishes, in one thread of the process; in a cluster, in one for each node."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from ....exceptions import GroupError, GroupUnavailable
from ....process.threads import start_worker
from .channel import Channel
from .client import Client
from .errors import failures, translate
from .topologies import Route

logger = logging.getLogger("django_websocket.groups")

#: Seconds between two probes: messages that a subscriber sends to itself, to test its connection.
PROBE: Final = 5.0
#: Seconds until the first attempt to connect anew, and the most; each doubles the last.
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0
#: Seconds between two looks at the requests of other threads, if Redis does not wake the subscriber.
TICK: Final = 1.0
#: Seconds of work after which other greenlets get a turn, even if more has arrived.
SLICE: Final = 0.01
#: Channels that are marked with each probe, where the connection does not show that messages were lost.
MARKED_AT_ONCE: Final = 100
#: Channels that are subscribed by one command.
AT_ONCE: Final = 500


class Receiver(Protocol):
    """What gets all that arrives. :class:`.receiver.Receiver` is one."""

    def mark(self, channels: list[Channel]) -> None:
        """Publish the positions of groups on their channels."""

    def receive(self, channel: Channel, data: bytes) -> None:
        """Handle what was published on the channel of a group. May ask Redis, but not wait for anything else."""

    def receive_own(self, data: bytes) -> None:
        """Handle what was published on the channel of this process, as for :meth:`receive`."""


class Owner(Protocol):
    """What has the subscribers. :class:`.Subscribers` is one."""

    def move(self, channels: list[Channel]) -> None:
        """Subscribe to channels which a subscriber has lost, where they are now."""

    def retire(self, subscriber: Subscriber, route: Route) -> None:
        """Forget a subscriber that has no channel."""


class Subscriber:
    """Holds one connection for subscriptions, and makes it anew whenever it breaks.

    A connection may be dead without an error: the subscriber publishes probes to itself, and makes a new connection if
    nothing arrives. Marks show what was published while there was none; see :class:`.Channel`.
    """

    def __init__(
        self,
        client: Client,
        receiver: Receiver,
        owner: Owner,
        *,
        route: Route,
        own_channel: str,
        key_of: Callable[[str], str],
    ) -> None:
        self._client = client
        self._receiver = receiver
        self._owner = owner
        self._route = route
        self._own = own_channel
        self._key_of = key_of
        self._sharded = client.topology.sharded
        self._timeout: float = client.timeout
        #: What other threads ask for: channels, and whether they are wanted.
        self._requests: deque[tuple[Channel, bool]] = deque()
        self._woken = False
        #: The channels that are wanted, by their names in Redis. Only the thread uses it.
        self._wanted: dict[bytes, Channel] = {}
        #: Channels whose subscription was confirmed, and which wait for a mark.
        self._unmarked: list[Channel] = []
        #: The names of channels that another node serves now.
        self._taken_away: list[bytes] = []
        self._connection: Any = None
        self._next_probe = 0.0
        #: The channel from which :meth:`_mark_some` goes on.
        self._next_marked = 0
        #: The time on the monotonic clock at which the connection is dead unless something arrives.
        self._deadline: float | None = None
        self._stopped = False
        self._failures = failures()
        #: Why nothing is received; ``""`` if all is well.
        self.problem = "not connected yet"
        #: How often the connection was made.
        self.connects = 0

    def start(self) -> None:
        """Start the thread.

        :raises GroupUnavailable: the system has no room for it.
        """
        if not start_worker(self._run, "groups-subscriber"):
            self._retire()
            raise GroupUnavailable("the system has no room for another thread")

    def stop(self) -> None:
        """End the thread soon."""
        self._stopped = True
        self.wake()

    # From any thread

    @property
    def stopped(self) -> bool:
        """Whether requests are handled no more."""
        return self._stopped

    def request(self, channel: Channel, *, wanted: bool) -> None:
        """Subscribe to a channel, or end that; never waits. It may take a second without :meth:`wake`."""
        self._requests.append((channel, wanted))

    def wake(self) -> None:
        """Make the thread look at the requests now, by way of Redis. Raises no error."""
        if self._woken or self.problem:
            return
        self._woken = True
        try:
            self._client.publish(self._route, self._own, b"wake")
        except GroupError:
            # The thread will notice by itself.
            self._woken = False

    # In the thread

    def _run(self) -> None:
        pause, last_turn = FIRST_PAUSE, time.monotonic()
        while not self._stopped:
            try:
                if time.monotonic() - last_turn > SLICE:
                    time.sleep(0)
                    last_turn = time.monotonic()
                if self._connection is None:
                    self._connect()
                self._step()
                if self.problem and self._deadline is None:
                    self._note_success()
                    pause = FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - whatever has happened, the thread has to go on
                if self.stopped:
                    break
                self._give_up(error)
                time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
                pause = min(pause * 2, LONGEST_PAUSE)
        self._disconnect()

    def _note_success(self) -> None:
        if self.connects > 1 or self.problem != "not connected yet":
            logger.warning("Groups: messages of other processes arrive again")
        self.problem = ""

    def _give_up(self, error: Exception) -> None:
        """Forget the connection, as it has failed."""
        known = isinstance(error, (GroupError, *self._failures))
        problem = str(translate(error)) if known else repr(error)
        if not known:
            logger.error("Groups: the subscriber has failed, and begins anew", exc_info=error)
        elif not self.problem or self.problem == "not connected yet":
            logger.warning("Groups: messages of other processes do not arrive; trying again: %s", problem)
        self.problem = problem or "unknown"
        # Otherwise they would pile up for as long as Redis is away.
        self._take_requests()
        for channel in self._wanted.values():
            channel.unsettle()
        self._disconnect()
        try:
            if self._sharded:
                self._client.refresh()
                self._hand_over()
        except GroupError:
            pass

    def _hand_over(self) -> None:
        """Leave the channels to others that another node serves now."""
        lost = [name for name in list(self._wanted) if self._client.route(name.decode()) != self._route]
        if lost:
            self._owner.move([self._wanted.pop(name) for name in lost])
        if not self._wanted:
            self._retire()

    def _retire(self) -> None:
        """Handle no more requests."""
        self._owner.retire(self, self._route)
        # Nobody finds it any more, but somebody may have found it before, and sees this if the request comes too late.
        self._stopped = True
        self._take_requests()
        self._owner.move(list(self._wanted.values()))

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._deadline = None
        if connection is not None:
            try:
                connection.disconnect()
            except self._failures:
                pass

    def _connect(self) -> None:
        self._connection = self._client.connect(self._route)
        self.connects += 1
        self._unmarked.clear()
        self._taken_away.clear()
        self._connection.send_command("SUBSCRIBE", self._own)
        self._take_requests()
        self._subscribe(list(self._wanted))
        self._next_probe = 0.0

    def _take_requests(self) -> tuple[list[bytes], list[bytes]]:
        """Return the names of channels to subscribe to, and to unsubscribe from."""
        self._woken = False
        before = dict(self._wanted)
        while self._requests:
            channel, wanted = self._requests.popleft()
            name = self._key_of(channel.name).encode()
            if wanted:
                self._wanted[name] = channel
            elif self._wanted.get(name) is channel:
                del self._wanted[name]
        # A channel that was replaced by another of the same name is subscribed to again, so that it gets its mark.
        new = [name for name, channel in self._wanted.items() if before.get(name) is not channel]
        return new, [name for name in before if name not in self._wanted]

    def _subscribe(self, names: list[bytes]) -> None:
        if self._sharded:
            for name in names:
                self._connection.send_command("SSUBSCRIBE", name)
            return
        for at in range(0, len(names), AT_ONCE):
            self._connection.send_command("SUBSCRIBE", *names[at : at + AT_ONCE])

    def _unsubscribe(self, names: Iterable[bytes]) -> None:
        for name in names:
            self._connection.send_command("SUNSUBSCRIBE" if self._sharded else "UNSUBSCRIBE", name)

    def _step(self) -> None:
        """Handle requests, probes, and the next message if one arrives."""
        if self._requests:
            new, old = self._take_requests()
            self._unsubscribe(old)
            self._subscribe(new)
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            raise GroupUnavailable("Redis takes commands, but nothing arrives on the connection for subscriptions")
        if now >= self._next_probe:
            self._next_probe = now + PROBE
            self._client.publish(self._route, self._own, b"probe")
            if self._deadline is None:
                self._deadline = time.monotonic() + self._timeout
            if self._client.topology.loses:
                self._mark_some()
        if not self._connection.can_read(0 if self._unmarked or self._taken_away else self._patience(now)):
            if self._taken_away:
                self._move_taken_away()
            if self._unmarked:
                unmarked, self._unmarked = self._unmarked, []
                self._receiver.mark(unmarked)
            return
        # A part of a message is waited for as long as for the answer to a command.
        self._take(self._connection.read_response())

    def _move_taken_away(self) -> None:
        # If the cluster cannot be asked now, they are still among those for whom the connection is made anew.
        self._client.refresh()
        names, self._taken_away = self._taken_away, []
        self._owner.move([self._wanted.pop(name) for name in names if name in self._wanted])

    def _mark_some(self) -> None:
        """Mark the next channels, so that each of them is marked again and again."""
        names = list(self._wanted)
        first = self._next_marked if self._next_marked < len(names) else 0
        self._next_marked = first + MARKED_AT_ONCE
        self._unmarked += [self._wanted[name] for name in names[first : self._next_marked]]

    def _patience(self, now: float) -> float:
        until = self._next_probe if self._deadline is None else min(self._next_probe, self._deadline)
        return max(0.0, min(TICK, until - now))

    def _take(self, message: list[Any]) -> None:
        kind, name, data = message[0], message[1], message[2]
        if self._deadline is not None:
            # What has arrived may have waited behind other messages, but the connection lives.
            self._deadline = time.monotonic() + self._timeout
        if name == self._own.encode():
            if data == b"probe":
                self._deadline = None
            elif kind == b"message":
                self._receiver.receive_own(data)
            return
        channel = self._wanted.get(name)
        if channel is None:
            return
        if kind in {b"message", b"smessage"}:
            self._receiver.receive(channel, data)
        elif kind in {b"subscribe", b"ssubscribe"}:
            self._unmarked.append(channel)
        elif kind == b"sunsubscribe":
            # Another node has got the slot, and perhaps many more, for each of which there is one of these.
            channel.unsettle()
            self._taken_away.append(name)
