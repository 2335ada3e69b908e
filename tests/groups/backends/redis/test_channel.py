"""A group in one process: nothing twice, and nothing missing in silence."""

import random

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS, Delivery, QueueLimits
from django_websocket.groups.backends.redis.channel import Channel, Gap, History
from django_websocket.groups.payload import Envelope, Payload
from django_websocket.groups.position import Position, Replay

from ...recording import member
from .model import Model, Reader, choose, settled

ELSEWHERE = Position.make("ffffffff", 7)


def join(model, since=None, **options):
    """Add a member at once, and return its recorder."""
    one, recorder = member(model.name, enveloped=True, **options)
    if since is None:
        model.channel.add(one)
        return recorder
    model.channel.begin_joining(one)
    replay = model.channel.finish_joining(one, since, model.fetch(since))
    return recorder, replay


def told(recorder):
    """Return the numbers of the messages that a member has got, and the gaps."""
    return [one.gap if one.is_gap else one.id.number for one in recorder.envelopes]


# Gaps


def test_messages_in_order():
    model = settled()
    recorder = join(model)
    for _ in range(3):
        model.publish()
    model.drain()
    assert told(recorder) == [1, 2, 3]


def test_the_position_is_not_known_before_the_first_mark():
    model = Model()
    assert model.channel.position is None
    assert not model.channel.settled
    model.publish()
    model.settle()
    assert model.channel.position == model.position
    assert model.channel.settled


def test_what_is_published_between_the_subscription_and_its_mark():
    model = Model()
    model.publish()
    model.connect()
    mark = model.pipe.pop()
    model.publish()
    model.pipe.append(mark.replace(b" 1 0", b" 2 0"))
    model.drain()
    assert model.channel.position == model.position
    assert model.receiver.lost == 0


def test_a_loss_is_found_by_the_mark_without_a_next_message():
    model = settled()
    recorder = join(model)
    model.publish()
    model.drain()
    model.disconnect()
    model.publish()
    model.publish()
    model.settle()
    assert told(recorder) == [1, (2, 3)]
    assert model.receiver.lost == 2


def test_a_loss_is_found_by_the_next_message_ahead_of_the_mark():
    model = settled()
    recorder = join(model)
    model.disconnect()
    model.publish()
    model.connect()
    mark = model.pipe.pop()
    model.publish()
    model.pipe.append(mark.replace(b" 1 0", b" 2 0"))
    model.drain()
    assert told(recorder) == [(1, 1), 2]


def test_a_loss_is_healed_from_the_history():
    model = settled(history=10)
    recorder = join(model)
    model.disconnect()
    for _ in range(3):
        model.publish()
    model.settle()
    assert told(recorder) == [1, 2, 3]
    assert model.receiver.lost == 0


def test_a_loss_of_which_the_history_has_a_part():
    model = settled(history=2)
    recorder = join(model)
    model.disconnect()
    for _ in range(5):
        model.publish()
    model.settle()
    assert told(recorder) == [(1, 3), 4, 5]
    assert model.receiver.lost == 3


def test_a_loss_whose_history_cannot_be_fetched():
    model = settled(history=10)
    recorder = join(model)
    model.disconnect()
    model.publish()
    model.connect()
    model.away = True
    model.drain()
    model.publish()
    model.drain()
    assert told(recorder) == [(1, 1), 2]


def test_an_epoch_that_ends_while_nothing_is_sent_is_no_loss():
    model = settled()
    recorder = join(model)
    model.publish()
    model.drain()
    model.wipe()
    model.publish()
    model.drain()
    assert told(recorder) == [1, 1]
    assert model.receiver.lost == 0


@pytest.mark.parametrize("history", [0, 10])
def test_an_epoch_that_ends_while_there_is_no_subscription(history):
    """How many messages the old one had is not known."""
    model = settled(history=history)
    recorder = join(model)
    model.publish()
    model.drain()
    model.disconnect()
    model.wipe()
    model.publish()
    model.publish()
    model.settle()
    assert told(recorder) == ([1, None, 1, 2] if history else [1, None, (1, 2)])
    assert model.receiver.lost == (1 if history else 3)


def test_an_epoch_that_has_begun_unseen_on_a_good_subscription():
    model = settled()
    recorder = join(model)
    model.wipe()
    model.publish()
    model.pipe.clear()
    model.publish()
    model.drain()
    assert told(recorder) == [(1, 1), 2]


@pytest.mark.parametrize("published", [0, 1, 2, 3, 4])
def test_redis_that_has_lost_its_last_messages(published):
    """It gives the same numbers again. What it has given out meanwhile is not known."""
    model = settled()
    recorder = join(model)
    for _ in range(3):
        model.publish()
    model.drain()
    model.disconnect()
    model.roll_back(1)
    for _ in range(published):
        model.publish()
    model.settle()
    model.publish()
    model.drain()
    if published == 2:
        # The numbers are the same by chance, and nothing shows it.
        assert told(recorder) == [1, 2, 3, 4]
    elif published < 2:
        assert told(recorder) == [1, 2, 3, None, published + 2]
    else:
        assert told(recorder) == [1, 2, 3, (4, published + 1), published + 2]


def test_redis_that_counts_again_ahead_of_the_mark():
    model = settled()
    recorder = join(model)
    for _ in range(3):
        model.publish()
    model.drain()
    model.disconnect()
    model.roll_back(1)
    model.connect()
    mark = model.pipe.pop()
    model.publish()
    model.pipe.append(mark.replace(b" 1 0", b" 2 0"))
    model.drain()
    assert told(recorder) == [1, 2, 3, None, 2]
    assert model.channel.position == model.position


def test_a_message_that_comes_twice_is_dropped():
    model = settled()
    recorder = join(model)
    model.publish()
    model.pipe.append(model.pipe[0])
    model.drain()
    assert told(recorder) == [1]


def test_members_are_closed_after_a_loss_if_the_project_wants_that():
    model = settled(close_on_gap=True)
    recorder = join(model)
    model.disconnect()
    model.publish()
    model.settle()
    assert told(recorder) == []
    assert recorder.closed == (1012, "messages were lost")
    assert model.receiver.lost == 1


def test_members_are_not_closed_after_a_loss_that_was_healed():
    model = settled(close_on_gap=True, history=3)
    recorder = join(model)
    model.disconnect()
    model.publish()
    model.settle()
    assert told(recorder) == [1]
    assert recorder.closed is None


def test_a_gap_reads_well():
    channel = Channel("g", DEFAULT_LIMITS)
    channel.mark("a" * 8, 3, 0, None)
    assert channel.find_gap("a" * 8, 4) is None
    assert channel.find_gap("a" * 8, 6) == Gap("a" * 8, 4, 5, more=False)
    assert channel.find_gap_at_mark("a" * 8, 6) == Gap("a" * 8, 4, 6, more=False)


# Closings


def test_a_closing_closes_behind_the_messages():
    model = settled()
    recorder = join(model)
    model.publish()
    model.close(4000, "over")
    model.step()
    assert (told(recorder), recorder.closed) == ([1], None)
    model.step()
    assert recorder.closed == (4000, "over")


def test_a_closing_that_was_missed_is_found_by_the_mark():
    model = settled(history=9)
    recorder = join(model)
    model.disconnect()
    model.publish()
    model.close(4000, "over")
    model.settle()
    assert told(recorder) == [1]
    assert recorder.closed == (4000, "over")


def test_a_closing_that_was_missed_together_with_an_epoch():
    model = settled()
    recorder = join(model)
    model.disconnect()
    model.wipe()
    model.close(4000, "over")
    model.settle()
    assert recorder.closed == (4000, "over")


def test_a_closing_closes_nobody_twice():
    model = settled()
    model.close(4000, "over")
    model.drain()
    recorder = join(model)
    model.disconnect()
    model.settle()
    assert recorder.closed is None


def test_a_closing_from_before_the_subscription_closes_nobody():
    model = Model()
    model.close(4000, "over")
    model.settle()
    recorder = join(model)
    model.disconnect()
    model.settle()
    assert recorder.closed is None


def test_the_same_closing_twice():
    model = settled()
    model.close(4000, "over")
    again = model.pipe[0]
    model.drain()
    recorder = join(model)
    model.receiver.receive(model.channel, again)
    assert recorder.closed is None


# Joining


def test_joining_with_a_position():
    model = settled(history=10)
    for _ in range(4):
        model.publish()
    model.drain()
    recorder, replay = join(model, Position.make(model.epoch, 2))
    assert told(recorder) == [3, 4]
    assert replay == Replay(complete=True, missed=0)
    model.publish()
    model.drain()
    assert told(recorder) == [3, 4, 5]


def test_joining_with_the_last_position():
    model = settled()
    model.publish()
    model.drain()
    recorder, replay = join(model, model.position)
    assert told(recorder) == []
    assert replay == Replay(complete=True, missed=0)


def test_joining_where_the_history_is_too_short():
    model = settled(history=2)
    for _ in range(6):
        model.publish()
    model.drain()
    recorder, replay = join(model, Position.make(model.epoch, 2))
    assert told(recorder) == [(3, 4), 5, 6]
    assert replay == Replay(complete=False, missed=2)


def test_joining_where_there_is_no_history():
    model = settled()
    for _ in range(3):
        model.publish()
    model.drain()
    recorder, replay = join(model, Position.make(model.epoch, 1))
    assert told(recorder) == [(2, 3)]
    assert replay == Replay(complete=False, missed=2)


@pytest.mark.parametrize("since", [ELSEWHERE, Position.make("", 0)])
def test_joining_with_a_position_of_another_epoch(since):
    model = settled(history=2)
    for _ in range(3):
        model.publish()
    model.drain()
    recorder, replay = join(model, since)
    assert told(recorder) == [None, 2, 3]
    assert replay == Replay(complete=False, missed=None)


def test_joining_with_a_position_that_is_yet_to_come():
    """A client may send any number, or Redis has lost messages."""
    model = settled(history=2)
    model.publish()
    model.drain()
    recorder, replay = join(model, Position.make(model.epoch, 9))
    assert told(recorder) == [None, 1]
    assert replay == Replay(complete=False, missed=None)


def test_a_history_that_is_ahead_of_the_subscription():
    model = settled(history=10)
    other = join(model)
    for _ in range(3):
        model.publish()
    model.step()
    recorder, replay = join(model, Position.make(model.epoch, 0))
    assert told(recorder) == [1, 2, 3]
    assert replay.complete
    model.publish()
    model.drain()
    assert told(recorder) == [1, 2, 3, 4]
    assert told(other) == [1, 2, 3, 4]


def test_a_position_that_is_ahead_of_the_subscription_without_a_history():
    model = settled()
    for _ in range(3):
        model.publish()
    recorder, replay = join(model, Position.make(model.epoch, 2))
    assert replay == Replay(complete=True, missed=0)
    model.publish()
    model.drain()
    assert told(recorder) == [3, 4]


def test_a_history_that_is_ahead_of_a_subscription_that_breaks():
    model = settled(history=10)
    for _ in range(3):
        model.publish()
    recorder, _ = join(model, Position.make(model.epoch, 0))
    model.disconnect()
    model.settle()
    model.publish()
    model.drain()
    assert told(recorder) == [1, 2, 3, 4]


def test_a_history_of_an_epoch_of_which_the_subscription_knows_nothing_yet():
    model = settled(history=10)
    model.publish()
    model.drain()
    model.publish()
    model.wipe()
    model.publish()
    model.publish()
    recorder, _ = join(model, Position.make(model.epoch, 1))
    assert told(recorder) == [2]
    model.publish()
    model.drain()
    assert told(recorder) == [2, 3]


def test_a_hold_ends_when_its_epoch_has_ended():
    model = settled(history=10)
    for _ in range(3):
        model.publish()
    recorder, _ = join(model, Position.make(model.epoch, 0))
    model.disconnect()
    model.wipe()
    model.settle()
    model.publish()
    model.drain()
    assert told(recorder) == [1, 2, 3, None, 1]


def test_messages_that_arrive_while_the_history_is_fetched():
    model = settled(history=10)
    model.publish()
    one, recorder = member("g", enveloped=True)
    model.channel.begin_joining(one)
    history = model.fetch(Position.make(model.epoch, 0))
    model.publish()
    model.publish()
    model.drain()
    assert model.channel.finish_joining(one, Position.make(model.epoch, 0), history).complete
    assert told(recorder) == [1, 2, 3]


def test_an_epoch_that_begins_while_the_history_is_fetched():
    model = settled(history=10)
    model.publish()
    one, recorder = member("g", enveloped=True)
    model.channel.begin_joining(one)
    history = model.fetch(Position.make(model.epoch, 0))
    model.wipe()
    model.publish()
    model.drain()
    model.channel.finish_joining(one, Position.make(history.epoch, 0), history)
    model.publish()
    model.drain()
    assert [str(one.id) for one in recorder.envelopes] == ["00000001-1", "00000002-1", "00000002-2"]


@pytest.mark.parametrize("wipe", [False, True])
def test_more_messages_arrive_than_may_wait_while_the_history_is_fetched(wipe):
    model = settled(history=2)
    model.channel._limits = QueueLimits(1000, 3)
    model.publish()
    one, recorder = member("g", enveloped=True)
    model.channel.begin_joining(one)
    since = Position.make(model.epoch, 0)
    history = model.fetch(since)
    if wipe:
        model.wipe()
    for _ in range(5):
        model.publish()
    model.drain()
    replay = model.channel.finish_joining(one, since, history)
    model.publish()
    model.drain()
    assert told(recorder) == ([1, None, 6] if wipe else [1, (2, 6), 7])
    assert replay == Replay(complete=False, missed=None if wipe else 5)


def test_a_member_that_gives_up_joining_gets_nothing():
    model = settled()
    one, recorder = member("g", enveloped=True)
    model.channel.begin_joining(one)
    model.channel.give_up_joining(one)
    model.publish()
    model.drain()
    assert told(recorder) == []


@pytest.mark.parametrize("change", ["wipe", "roll back"])
def test_a_history_whose_rest_is_of_other_messages(change):
    model = settled(history=9)
    for _ in range(3):
        model.publish()
    model.drain()
    one, recorder = member("g", enveloped=True)
    model.channel.begin_joining(one)
    history = model.fetch(Position.make(model.epoch, 0))
    model.disconnect()
    if change == "wipe":
        model.wipe()
    else:
        model.roll_back(1)
    model.connect()
    for _ in range(4):
        model.publish()
    model.drain()
    model.channel.begin_joining(one)
    history = history.followed_by(model.fetch(history.position))
    replay = model.channel.finish_joining(one, Position.make("00000001", 0), history)
    assert replay == Replay(complete=False, missed=None)
    model.publish()
    model.drain()
    assert told(recorder)[-1] == (5 if change == "wipe" else 6)
    assert None in told(recorder)


def test_a_message_in_the_history_that_is_not_signed_is_missing():
    model = settled(history=9, secret=b"s" * 16)
    model.publish()
    model.publish()
    model.history[0] = (1, b"forged")
    model.drain()
    recorder, replay = join(model, Position.make(model.epoch, 0))
    assert told(recorder) == [(1, 1), 2]
    assert replay == Replay(complete=False, missed=1)


# Members


def test_members_that_left_by_a_delivery_are_handed_back():
    model = settled()
    one, recorder = member("g")
    model.channel.add(one)
    recorder.answer = Delivery.OVERFLOW
    model.publish()
    model.drain()
    assert model.discarded == [one]
    assert model.receiver.overflows == 1


def test_a_discarded_member_gets_nothing():
    model = settled()
    one, recorder = member("g")
    model.channel.add(one)
    assert model.channel.discard(one)
    assert not model.channel.discard(one)
    model.publish()
    model.drain()
    assert recorder.texts == []


def test_a_member_that_is_discarded_while_it_is_held():
    model = settled(history=9)
    model.publish()
    one, _ = member("g", enveloped=True)
    since = Position.make(model.epoch, 0)
    model.channel.begin_joining(one)
    model.channel.finish_joining(one, since, model.fetch(since))
    assert model.channel.discard(one)
    model.drain()
    assert not model.channel.members


def test_the_names_of_the_members():
    model = settled()
    join(model, name="ann")
    join(model, name="ann")
    join(model)
    assert model.channel.names() == {"ann"}
    assert len(model.channel.members) == 3


def test_a_member_without_envelopes_hears_nothing_of_gaps():
    channel = Channel("g", DEFAULT_LIMITS)
    channel.mark("a" * 8, 0, 0, None)
    one, recorder = member("g")
    channel.add(one)
    assert channel.fill(Gap("a" * 8, 1, 2, more=False), History("a" * 8, 2, [])).losses == [2]
    channel.deliver("a" * 8, 3, Payload("text", "hello"))
    assert recorder.texts == ["hello"]


# Everything at once

WEIGHTS = {
    "publish": 12,
    "step": 14,
    "join": 2,
    "join with a position": 3,
    "fetch": 4,
    "fetch again": 3,
    "finish": 4,
    "leave": 1,
    "disconnect": 0.7,
    "connect": 3,
    "wipe": 0.15,
    "be away": 0.3,
    "be back": 1,
}


class Chaos:
    """Does things to a model in a random order, as a process does: what needs a settled channel waits for it."""

    def __init__(self, seed, history):
        self.rng = random.Random(seed)
        self.model = Model(history=history)
        self.members = []  # with the reader of each
        self.joining = []
        self.known = []

    def run(self, steps):
        for _ in range(steps):
            getattr(self, choose(self.rng, WEIGHTS).replace(" ", "_"))()
        while self.joining:
            self.model.settle()
            self.fetch()
            self.finish()
        self.model.settle()
        self.model.publish()
        self.model.drain()
        for _, recorder, reader in self.members:
            reader.read(self.model, recorder.envelopes)

    def publish(self):
        self.model.publish()
        self.known.append(self.model.position)

    def step(self):
        self.model.step()

    def join(self):
        if self.model.channel.settled:
            one, recorder = member("g", enveloped=True)
            start = self.model.channel.position
            self.model.channel.add(one)
            self.members.append((one, recorder, Reader(start)))

    def join_with_a_position(self):
        if self.model.channel.settled and self.known:
            one, recorder = member("g", enveloped=True)
            since = self.rng.choice(self.known[-20:])
            self.model.channel.begin_joining(one)
            self.joining.append([one, recorder, since, None])

    def fetch(self):
        for joiner in self.joining:
            if joiner[3] is None and not self.model.away:
                joiner[3] = self.model.fetch(joiner[2])
                return

    def fetch_again(self):
        for joiner in self.joining:
            if joiner[3] is not None and not self.model.away:
                self.model.channel.begin_joining(joiner[0])
                joiner[3] = joiner[3].followed_by(self.model.fetch(joiner[3].position))
                return

    def finish(self):
        for joiner in self.joining:
            one, recorder, since, history = joiner
            if history is not None:
                self.joining.remove(joiner)
                replay = self.model.channel.finish_joining(one, since, history)
                gaps = [envelope.gap for envelope in recorder.envelopes if envelope.is_gap]
                assert replay.complete == (not gaps)
                if replay.missed is not None:
                    assert replay.missed == sum(last - first + 1 for first, last in gaps)
                self.members.append((one, recorder, Reader(since)))
                return

    def leave(self):
        if self.members:
            one, *_ = self.members.pop(self.rng.randrange(len(self.members)))
            self.model.channel.discard(one)

    def disconnect(self):
        self.model.disconnect()

    def connect(self):
        if self.model.pipe is None and not self.model.away:
            self.model.connect()

    def wipe(self):
        self.model.wipe()

    def be_away(self):
        self.model.away = True

    def be_back(self):
        self.model.away = False


@pytest.mark.parametrize("history", [0, 3, 1000])
@pytest.mark.parametrize("seed", range(150))
def test_any_order(seed, history):
    Chaos(seed, history).run(300)


def fails(seed, history):
    try:
        Chaos(seed, history).run(300)
    except AssertionError:
        return True
    return False


def test_the_check_of_any_order_sees_a_loss(monkeypatch):
    monkeypatch.setattr(Channel, "find_gap_at_mark", lambda *_: None)
    assert any(fails(seed, 0) for seed in range(50))


def test_the_check_of_any_order_sees_a_double(monkeypatch):
    monkeypatch.setattr("django_websocket.groups.members.Members.hold", lambda *_: None)
    assert any(fails(seed, 1000) for seed in range(50))


def test_the_reader_reads_gaps():
    reader, model = Reader(Position.make("00000001", 1)), Model()
    model.number = 4
    at = Position.make("00000001", 4)
    reader.read(model, [Envelope("g", None, None, is_gap=True, gap=(2, 3)), Envelope("g", at, at)])
