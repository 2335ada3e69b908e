"""A model of what Redis does with one group, and of a subscription that breaks: all in one thread, without time."""

from __future__ import annotations

import random
from collections import deque

from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.exceptions import GroupUnavailable
from django_websocket.groups.backends.redis import scripts
from django_websocket.groups.backends.redis.channel import Channel
from django_websocket.groups.backends.redis.events import Events
from django_websocket.groups.backends.redis.keys import Keys
from django_websocket.groups.backends.redis.receiver import Receiver, fetch
from django_websocket.groups.backends.redis.wire import Wire
from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position


class Model:
    """Stands for the client of Redis, and has one channel and the receiver of it."""

    def __init__(self, *, history: int = 0, close_on_gap: bool = False, name: str = "g", secret: bytes | None = None):
        self.name = name
        self.size = history
        self.epochs = 0
        self.history: deque[tuple[int, bytes]] = deque()
        self.wire = Wire(secret)
        #: What is on its way to the channel; ``None`` while there is no subscription.
        self.pipe: deque[bytes] | None = None
        self.away = False
        self.wipe()
        self.discarded = []
        self.disconnected = []
        self.asked = []
        self.channel = Channel(name, DEFAULT_LIMITS, close_on_gap=close_on_gap)
        self.receiver = Receiver(
            self,
            Keys("p"),
            self.wire,
            Events(Model),
            process="this",
            verb="PUBLISH",
            life=1000,
            discard=self.discarded.append,
            disconnect=lambda *owner: self.disconnected.append(owner),
            answer=self.asked.append,
        )

    # Redis

    def wipe(self):
        self.epochs += 1
        self.epoch = f"{self.epochs:08x}"
        self.number, self.closings, self.closing = 0, 0, b""
        self.history.clear()

    def roll_back(self, number):
        """Forget the last messages, as a server does that was killed before it had stored them."""
        self.number = number
        while self.history and self.history[-1][0] > number:
            self.history.pop()

    @property
    def position(self):
        return Position.make(self.epoch, self.number)

    def _emit(self, line):
        if self.pipe is not None:
            self.pipe.append(line)

    def publish(self, data=None):
        self.number += 1
        raw = self.wire.write(self.name, Payload("json", f'"{self.epoch}-{self.number}"' if data is None else data))
        if self.size:
            self.history.append((self.number, raw))
            while len(self.history) > self.size:
                self.history.popleft()
        self._emit(b"m %b %d %b" % (self.epoch.encode(), self.number, raw))

    def close(self, code, reason):
        self.closings += 1
        self.closing = self.wire.write_closing(self.name, code, reason)
        self._emit(b"c %b %d %b" % (self.epoch.encode(), self.closings, self.closing))

    def run(self, script, keys, epoch, since):
        assert script is scripts.REPLAY
        if self.away:
            raise GroupUnavailable("it is away")
        first = int(since) if epoch == self.epoch and int(since) <= self.number else 0
        entries = [(b"%d-0" % number, [b"d", raw]) for number, raw in self.history if number > first]
        return [self.epoch.encode(), b"%d" % self.number, entries]

    def fetch(self, since):
        return fetch(self, Keys("p"), self.wire, self.name, since)

    def run_all(self, calls):
        for call in calls:
            assert call.script is scripts.MARK
            self._emit(b"s %b %d %d %b" % (self.epoch.encode(), self.number, self.closings, self.closing))

    # The subscription

    def connect(self):
        """Subscribe, and have the position published, as a subscriber does."""
        self.pipe = deque()
        self.receiver.mark([self.channel])

    def disconnect(self):
        """Lose what is on its way."""
        self.pipe = None
        self.channel.unsettle()

    def step(self):
        """Take one thing from the pipe, if there is one."""
        if self.pipe:
            self.receiver.receive(self.channel, self.pipe.popleft())

    def drain(self):
        while self.pipe:
            self.step()

    def settle(self):
        """Bring everything in order: connected, and nothing on its way."""
        self.away = False
        if self.pipe is None:
            self.connect()
        self.drain()


def settled(**options):
    """Return a model that is connected."""
    model = Model(**options)
    model.settle()
    return model


class Reader:
    """Checks what a member has got: in order, nothing twice, and nothing missing that was not announced."""

    def __init__(self, start):
        self.position = start
        self.unknown = False

    def read(self, model, envelopes):
        for envelope in envelopes:
            if envelope.is_gap:
                self._take_gap(envelope.gap)
            else:
                assert envelope.data == envelope.id, "a message under another number"
                self._take(envelope.id)
        if not self.unknown:
            assert self.position == model.position

    def _take_gap(self, gap):
        if gap is None:
            self.unknown = True
            return
        first, last = gap
        assert first <= last
        if not self.unknown:
            assert first == self.position.number + 1, f"{gap} is announced at {self.position}"
        self.position = Position.make(self.position.epoch, last)

    def _take(self, position):
        same = position.epoch == self.position.epoch
        if self.unknown:
            assert not same or position.number > self.position.number, f"{position} behind {self.position}"
        else:
            expected = self.position.number + 1 if same else 1
            assert position.number == expected, f"{position} behind {self.position}"
        self.position, self.unknown = position, False


def choose(rng: random.Random, weights):
    names = list(weights)
    return rng.choices(names, [weights[name] for name in names])[0]
