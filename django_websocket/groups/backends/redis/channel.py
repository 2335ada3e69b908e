"""A group in this process: what of its messages has arrived, what is missing, and who is to get it. Does no I/O."""

from __future__ import annotations

import threading
import time
from typing import Final, NamedTuple, Protocol, TypeAlias

from ....connection.backlog import QueueLimits
from ....process.threads import native_rlock
from ...member import Member
from ...members import Members
from ...payload import Payload
from ...position import Position, Replay
from ...replay import CatchUp
from .presence import Told

#: What a closing says: a close code and a reason.
Closing: TypeAlias = tuple[int, str]
#: The code and the reason by which the members are closed that have missed messages, if ON_GAP is ``"close"``.
RESTART: Final = (1012, "messages were lost")


class Subscription(Protocol):
    """What receives channels. :class:`.Subscriber` is one."""

    def request(self, channel: Channel, *, wanted: bool) -> None:
        """Subscribe to a channel, or end that; never waits."""

    def wake(self) -> None:
        """Look at the requests now."""


class Message(NamedTuple):
    """A message of a group."""

    number: int
    #: ``None`` if it is not understood, or not signed by this site.
    payload: Payload | None


class History(NamedTuple):
    """What the script REPLAY returns."""

    epoch: str
    #: The number of the last message.
    number: int
    #: The messages that are kept, oldest first.
    messages: list[Message]

    @property
    def position(self) -> Position:
        """The position of the last message."""
        return Position.make(self.epoch, self.number)

    def followed_by(self, later: History) -> History:
        """Return this history with the messages of another one that was fetched for :attr:`position`."""
        if later.epoch != self.epoch or later.number < self.number:
            # Redis does not know the position any more, and has returned everything.
            return later
        return History(later.epoch, later.number, self.messages + later.messages)


class Gap(NamedTuple):
    """Messages that did not arrive."""

    #: The epoch of the next message, or of the mark.
    epoch: str
    #: The first and the last missing message of that epoch; none if the first is greater.
    first: int
    last: int
    #: Whether an unknown number of messages of an earlier epoch may be missing too.
    more: bool


class Effects(NamedTuple):
    """What is to be done after a message, without the lock."""

    #: Members that have left by it.
    gone: list[Member]
    #: Losses that the members were told of: numbers of messages, ``None`` if not known.
    losses: list[int | None]


class _Joiner:
    """Collects what arrives while the history is fetched for a new member."""

    __slots__ = ("_limits", "_size", "counted_again", "epochs", "messages", "overflowed")

    def __init__(self, limits: QueueLimits, epoch: str | None) -> None:
        self._limits = limits
        self._size = 0
        #: The epochs of the channel meanwhile, in their order.
        self.epochs = [epoch]
        #: Messages with their positions. Without a payload: an unknown number of messages is missing there.
        self.messages: list[tuple[Payload | None, Position]] = []
        #: Whether an epoch went on ahead of its last message.
        self.counted_again = False
        #: Whether there were too many messages: then there are none.
        self.overflowed = False

    def append(self, payload: Payload | None, position: Position) -> None:
        self._size += 0 if payload is None else len(payload.data)
        if self._size > self._limits.size or len(self.messages) >= self._limits.messages:
            self.overflowed = True
            self.messages.clear()
        if not self.overflowed:
            self.messages.append((payload, position))


class _Hold(NamedTuple):
    """Why a member is held: its history has messages that have not arrived by the subscription yet."""

    #: The last message that it has got.
    epoch: str
    number: int
    #: The epoch of the subscription then.
    before: str | None


class Channel:
    """A group in this process. Thread-safe, by a lock under which nothing waits.

    Messages are numbered without holes, so that a message shows which ones are missing before it. A mark has the number
    of the last message, and shows what is missing at the end; it is published after each subscription, and the channel
    is *settled* from then on. A member is *held*, and gets nothing, while messages are still to arrive that it has got
    from the history. Only one thread at a time hands over what arrives; between :meth:`find_gap` and the call that
    delivers, it may ask Redis for the history.
    """

    def __init__(self, name: str, limits: QueueLimits, *, close_on_gap: bool = False) -> None:
        """Make the channel of the group ``name``, whose position is not known yet."""
        self.name = name
        self.lock = native_rlock()
        self.members = Members(limits)
        #: What Redis was told of the members.
        self.told = Told()
        #: Calls that use the channel, besides its members. The lock of all channels guards it.
        self.users = 0
        #: The time on the monotonic clock since which nobody uses it.
        self.idle_since = time.monotonic()
        self._limits = limits
        self._close_on_gap = close_on_gap
        #: The subscriber that receives it; ``None`` while none does.
        self.subscriber: Subscription | None = None
        #: What wakes the calls that wait until it is settled.
        self.waiters: list[threading.Event] = []
        self._joiners: dict[Member, _Joiner] = {}
        self._holds: dict[Member, _Hold] = {}
        self._epoch: str | None = None
        self._last = 0
        #: The epoch and the number of the last closing.
        self._closings: tuple[str, int] | None = None
        self._settled = False

    # The state

    @property
    def settled(self) -> bool:
        """Whether a mark has passed since the subscription began, so that what gets lost from now on is found."""
        return self._settled

    @property
    def position(self) -> Position | None:
        """The position of the last message that was delivered; ``None`` if none is known."""
        with self.lock:
            return None if self._epoch is None else Position.make(self._epoch, self._last)

    def unsettle(self) -> None:
        """Note that the subscription is broken."""
        self._settled = False

    # What arrives

    def find_gap(self, epoch: str, number: int) -> Gap | None:
        """Return what is missing ahead of a message, ``None`` if nothing is."""
        with self.lock:
            if self._epoch is None:
                return None
            if epoch != self._epoch:
                # An unbroken subscription has seen the end of the old epoch: it was forgotten while nothing was sent.
                more = not self._settled
                return Gap(epoch, 1, number - 1, more) if number > 1 or more else None
            if number > self._last + 1:
                return Gap(epoch, self._last + 1, number - 1, more=False)
            if number <= self._last and not self._settled:
                # On a new subscription nothing comes twice: Redis has lost its last messages, and counts again.
                return Gap(epoch, number, number - 1, more=True)
            return None

    def find_gap_at_mark(self, epoch: str, number: int) -> Gap | None:
        """Return what is missing according to a mark, ``None`` if nothing is."""
        with self.lock:
            if self._epoch is None or (epoch == self._epoch and number == self._last):
                return None
            if epoch == self._epoch and number > self._last:
                return Gap(epoch, self._last + 1, number, more=False)
            same = epoch == self._epoch
            # Fewer messages than before: Redis has lost the last ones, and may have counted again since.
            return Gap(epoch, number + 1 if same else 1, number, more=same or not self._settled)

    def fill(self, gap: Gap, history: History | None) -> Effects:
        """Deliver of the missing messages what the history has, and tell the members of the others.

        ``history`` is what REPLAY has returned for the position ahead of the gap; ``None`` if there was no answer.
        """
        with self.lock:
            found = history.messages if history is not None and history.epoch == gap.epoch else []
            messages = [one for one in found if gap.first <= one.number <= gap.last and one.payload is not None]
            gone: list[Member] = []
            losses: list[int | None] = []
            # Where the same epoch goes on ahead of its last message, its numbers mean other messages now.
            again = gap.more and gap.epoch == self._epoch
            self._release(gap.epoch, gap.first - 1, everybody=again)
            if gap.more:
                gone += self._lose(None)
                losses.append(None)
            self._move(gap.epoch, gap.first - 1)
            if gap.more:
                for joiner in self._joiners.values():
                    joiner.counted_again = joiner.counted_again or again
                    joiner.append(None, Position.make(gap.epoch, 0))
            for number, payload in [*messages, Message(gap.last + 1, None)]:
                if number > self._last + 1:
                    gone += self._lose((self._last + 1, number - 1))
                    self._tell_held(number - 1)
                    losses.append(number - 1 - self._last)
                    self._last = number - 1
                if payload is not None:
                    gone += self._deliver(payload, number)
            return Effects(gone, losses)

    def _lose(self, gap: tuple[int, int] | None) -> list[Member]:
        if not self._close_on_gap:
            return self.members.deliver_gap(gap)
        self.members.close(*RESTART)
        return []

    def _tell_held(self, last: int) -> None:
        """Announce a gap up to ``last`` to the members that have got the first of the missing messages."""
        for member, hold in list(self._holds.items()):
            if hold.epoch == self._epoch and hold.number < last:
                item = member.make_gap((hold.number + 1, last))
                member.deliver_history([] if item is None else [item])
                self._release(hold.epoch, hold.number)

    def deliver(self, epoch: str, number: int, payload: Payload) -> Effects:
        """Deliver a message, after :meth:`fill` if there was a gap. One that was delivered before is dropped."""
        with self.lock:
            if epoch == self._epoch and number <= self._last:
                return Effects([], [])
            self._move(epoch, number - 1)
            return Effects(self._deliver(payload, number), [])

    def _move(self, epoch: str, last: int) -> None:
        if self._epoch != epoch:
            for joiner in self._joiners.values():
                joiner.epochs.append(epoch)
        self._epoch, self._last = epoch, last

    def _deliver(self, payload: Payload, number: int) -> list[Member]:
        assert self._epoch is not None
        position = Position.make(self._epoch, number)
        if self._holds:
            self._release(self._epoch, number - 1)
        for joiner in self._joiners.values():
            joiner.append(payload, position)
        self._last = number
        return self.hand_out(payload, position)

    def hand_out(self, payload: Payload, position: Position) -> list[Member]:
        """Deliver a message to the members, with the lock; return those that have left by it."""
        return self.members.deliver(payload, position) if self.members else []

    def _release(self, epoch: str, number: int, *, everybody: bool = False) -> None:
        """Release the members whose history does not reach beyond a position, or ``everybody``."""
        for member, hold in list(self._holds.items()):
            passed = number >= hold.number if epoch == hold.epoch else epoch != hold.before
            if passed or everybody:
                del self._holds[member]
                self.members.release(member)

    def mark(self, epoch: str, number: int, closings: int, closing: Closing | None) -> None:
        """Note the position of a mark, after :meth:`fill` if there was a gap.

        ``closings`` is the number of them in the epoch, and ``closing`` the last one. If it was missed, the members are
        closed now.
        """
        with self.lock:
            self._move(epoch, number)
            self._release(epoch, number)
            if closings and self._closings is not None and closing is not None and self._is_new(epoch, closings):
                self.members.close(*closing)
            self._closings = (epoch, closings)
            self._settled = True

    def close(self, epoch: str, closings: int, closing: Closing) -> None:
        """Close all members, unless they were by the same closing."""
        with self.lock:
            if self._is_new(epoch, closings):
                self._closings = (epoch, closings)
                self.members.close(*closing)

    def _is_new(self, epoch: str, closings: int) -> bool:
        return self._closings is None or epoch != self._closings[0] or closings > self._closings[1]

    # Members

    def add(self, member: Member) -> None:
        """Add a member that gets what arrives from now on."""
        with self.lock:
            self.told.note(self.members.add(member))

    def discard(self, member: Member) -> bool:
        """Remove a member; return whether it was one."""
        with self.lock:
            self._holds.pop(member, None)
            change = self.members.discard(member)
            if change is not None:
                self.told.note(change)
                self.idle_since = time.monotonic()
            return change is not None

    def begin_joining(self, member: Member) -> Position:
        """Begin to collect what arrives, before the history of a member is fetched; return the channel's position.

        It may be called again ahead of the call that fetches the rest of the history.
        """
        with self.lock:
            assert self._epoch is not None, "the channel is settled"
            before = self._joiners.get(member)
            self._joiners[member] = joiner = _Joiner(self._limits, self._epoch)
            # The numbers of what was fetched already may mean other messages now.
            joiner.counted_again = before is not None and before.counted_again
            return Position.make(self._epoch, self._last)

    def has_overflowed(self, member: Member) -> bool:
        """Return whether more has arrived since :meth:`begin_joining` than may wait."""
        with self.lock:
            return self._joiners[member].overflowed

    def give_up_joining(self, member: Member) -> None:
        """Forget a member whose history could not be fetched."""
        with self.lock:
            self._joiners.pop(member, None)

    def finish_joining(self, member: Member, since: Position, history: History) -> Replay:
        """Add a member that first gets the messages after ``since``, none of them missing or twice.

        ``history`` is what REPLAY has returned for ``since``, the last of it after :meth:`begin_joining`. It may have
        messages that are still to arrive here: the member is held until they have passed.
        """
        with self.lock:
            joiner = self._joiners.pop(member)
            assert self._epoch is not None, "the channel was settled"
            if history.epoch not in joiner.epochs and len(joiner.epochs) > 1:
                # Epochs have no order: whether that of the history is to come here, or was skipped, is not known.
                history = History(self._epoch, self._last, [])
            catch_up = CatchUp(member, since, history.position)
            for number, old in history.messages:
                if old is not None:
                    catch_up.take(old, Position.make(history.epoch, number))
            if history.epoch in joiner.epochs:
                # What arrived of earlier epochs is older than the history.
                first = joiner.epochs.index(history.epoch)
                for payload, position in joiner.messages:
                    if joiner.epochs.index(position.epoch) >= first:
                        catch_up.take(payload, position)
            # What is neither in the history nor here, and will not arrive, is missed.
            if joiner.counted_again or (catch_up.epoch in joiner.epochs and catch_up.epoch != self._epoch):
                catch_up.lose(self._epoch, self._last)
            elif catch_up.epoch == self._epoch:
                catch_up.reach(self._last)
            member.deliver_history(catch_up.items)
            self.told.note(self.members.add(member))
            if (catch_up.epoch, catch_up.last) != (self._epoch, self._last):
                self.members.hold(member)
                self._holds[member] = _Hold(catch_up.epoch, catch_up.last, self._epoch)
            return catch_up.replay

    def names(self) -> set[str]:
        """Return the names of the members in this process."""
        with self.lock:
            return self.members.names

    def take_overflows(self) -> int:
        """Return the number of members that could not keep up, since the last call."""
        with self.lock:
            number, self.members.overflows = self.members.overflows, 0
            return number
