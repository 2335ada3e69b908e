"""Handles what arrives: messages are delivered, and missing ones taken from the history or reported as lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from ....exceptions import GroupError
from ....signals import group_gap, member_joined, member_left
from ...member import Member, log_warnings
from ...position import Position, new_epoch
from . import scripts
from .channel import Channel, Effects, Gap, History
from .client import Call, Client
from .events import Events
from .keys import Keys
from .log_outs import LogOuts, read_log_out
from .wire import Wire

logger = logging.getLogger("django_websocket.groups")

#: Seconds between two warnings of messages that are not understood.
WARNING_INTERVAL: Final = 60.0


class Receiver:
    """Handles what the subscribers receive, in their threads: it may ask Redis, but runs no code of the project."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        wire: Wire,
        events: Events,
        *,
        process: str,
        verb: str,
        life: int,
        discard: Callable[[Member], None],
        disconnect: Callable[[str, str], None],
        answer: Callable[[bytes], None],
    ) -> None:
        """Remember the parts of the backend.

        ``discard`` is called for each member that has left by a delivery, ``disconnect`` for a log-out of another
        process than ``process``, and ``answer`` for a question to this one. None of them waits.
        """
        self._client = client
        self._keys = keys
        self._wire = wire
        self._events = events
        self._process = process
        self._verb = verb
        self._life = life
        self._discard = discard
        self._disconnect = disconnect
        self._answer = answer
        self._next_warning = 0.0
        #: Messages that were lost.
        self.lost = 0
        #: Members that could not keep up.
        self.overflows = 0

    def mark(self, channels: Iterable[Channel]) -> None:
        """Publish the positions of groups on their channels.

        :raises GroupError: Redis is not available.
        """
        self._client.run_all(
            [
                Call(
                    scripts.MARK,
                    self._keys.numbers(channel.name),
                    [self._keys.channel(channel.name), self._verb, new_epoch(), self._life],
                )
                for channel in channels
            ]
        )

    def receive(self, channel: Channel, data: bytes) -> None:
        """Handle what was published on the channel of a group."""
        kind, _, rest = data.partition(b" ")
        if kind in {b"j", b"l"}:
            self._take_name(channel, kind, rest)
            return
        try:
            epoch, number, content = _split(rest)
        except ValueError:
            self._warn(channel, "is not understood")
            return
        if kind == b"m":
            self._take_message(channel, epoch, number, content)
        elif kind == b"s":
            self._take_mark(channel, epoch, number, content)
        elif kind == b"c":
            self._take_closing(channel, epoch, number, content)
        else:
            self._warn(channel, "is not understood")

    def receive_own(self, data: bytes) -> None:
        """Handle what was published on the channel of this process. What a later version has published is ignored."""
        kind, _, rest = data.partition(b" ")
        if kind == b"q":
            self._answer(rest)

    def _take_message(self, channel: Channel, epoch: str, number: int, content: bytes) -> None:
        payload = self._wire.read(channel.name, content)
        if payload is None:
            # Its number may be made up as well. If it is not, the next message shows the gap.
            self._warn(channel, "is not understood, or is not signed with SECRET")
            return
        gap = channel.find_gap(epoch, number)
        if gap is not None:
            self._fill_gap(channel, gap)
        self._settle(channel, channel.deliver(epoch, number, payload))

    def _take_mark(self, channel: Channel, epoch: str, number: int, content: bytes) -> None:
        raw_count, _, raw = content.partition(b" ")
        try:
            count = int(raw_count)
        except ValueError:
            self._warn(channel, "is not understood")
            return
        closing = self._wire.read_closing(channel.name, raw) if raw else None
        gap = channel.find_gap_at_mark(epoch, number)
        if gap is not None:
            self._fill_gap(channel, gap)
        channel.mark(epoch, number, count, closing)
        for event in list(channel.waiters):
            event.set()

    def _take_closing(self, channel: Channel, epoch: str, number: int, content: bytes) -> None:
        closing = self._wire.read_closing(channel.name, content)
        if closing is None:
            self._warn(channel, "is not understood, or is not signed with SECRET")
        else:
            channel.close(epoch, number, closing)

    def _take_name(self, channel: Channel, kind: bytes, raw: bytes) -> None:
        name = self._wire.read_name(channel.name, raw)
        if name is None:
            self._warn(channel, "is not signed with SECRET")
        else:
            # Who has left may have been the last member here, and nobody else would hear of it.
            self._events.put(member_joined if kind == b"j" else member_left, group=channel.name, name=name)

    def _fill_gap(self, channel: Channel, gap: Gap) -> None:
        """Deliver what is missing, as far as the history has it, and announce the rest as lost."""
        history = None
        if gap.last >= gap.first:
            try:
                since = Position.make(gap.epoch, gap.first - 1)
                history = fetch(self._client, self._keys, self._wire, channel.name, since)
            except GroupError as error:
                logger.warning("Group %s: missing messages could not be fetched: %s", ascii(channel.name), error)
        self._settle(channel, channel.fill(gap, history))

    def _settle(self, channel: Channel, effects: Effects) -> None:
        log_warnings()
        if isinstance(channel, LogOuts):
            for payload in channel.take():
                found = read_log_out(payload)
                if found is None:
                    self._warn(channel, "is not understood")
                elif payload.exclude != self._process:
                    self._disconnect(*found)
        if effects.losses:
            self._report_losses(channel, effects.losses)
        if effects.gone:
            self.overflows += channel.take_overflows()
            for member in effects.gone:
                self._discard(member)

    def _report_losses(self, channel: Channel, losses: list[int | None]) -> None:
        if isinstance(channel, LogOuts):
            logger.warning(
                "Groups: log-outs of other processes were missed; their WebSockets stay open until WEBSOCKET_REVALIDATE"
            )
            return
        # Of an unknown number at least one is counted.
        self.lost += sum(loss or 1 for loss in losses)
        total = None if None in losses else sum(loss or 0 for loss in losses)
        logger.warning(
            "Group %s: %s messages were lost on the way from Redis",
            ascii(channel.name),
            total or "an unknown number of",
        )
        if channel.members:
            self._events.put(group_gap, group=channel.name, lost=total)

    def _warn(self, channel: Channel, what: str) -> None:
        """Log that something was ignored, but not for each of many."""
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + WARNING_INTERVAL
            logger.warning("Group %s: what was published in Redis %s, and is ignored", ascii(channel.name), what)


def fetch(client: Client, keys: Keys, wire: Wire, group: str, since: Position) -> History:
    """Return the history of a group behind a position.

    :raises GroupError: Redis is not available.
    """
    return wire.read_history(group, client.run(scripts.REPLAY, keys.numbers(group), since.epoch, since.number))


def _split(data: bytes) -> tuple[str, int, bytes]:
    """Return an epoch, a number and what follows them.

    :raises ValueError: they are not there.
    """
    epoch, number, content = data.split(b" ", 2)
    position = Position.parse(f"{epoch.decode('ascii')}-{number.decode('ascii')}")
    if position is None:
        raise ValueError("no position")
    return position.epoch, position.number, content
