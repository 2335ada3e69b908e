"""Which subscriber has a channel: one for each node. :mod:`.test_topologies` has it on real clusters."""

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.exceptions import GroupUnavailable
from django_websocket.groups.backends.redis import subscribers as module
from django_websocket.groups.backends.redis.channel import Channel
from django_websocket.groups.backends.redis.subscribers import Subscribers


class Client:
    """Routes channels by their first letter."""

    def __init__(self):
        self.away = False
        self.moved = {}

    def route(self, key):
        if self.away:
            raise GroupUnavailable("away")
        return self.moved.get(key, key[0])


class Subscriber:
    stopped = False
    full = False

    def __init__(self, client, receiver, owner, *, route, own_channel, key_of):
        self.route, self.requests, self.wakes = route, [], 0
        self.owner = owner
        self.problem, self.connects = "", 1

    def start(self):
        if self.full:
            self.owner.retire(self, self.route)
            raise GroupUnavailable("no room")

    def stop(self):
        self.stopped = True

    def request(self, channel, *, wanted):
        self.requests.append((channel.name, wanted))

    def wake(self):
        self.wakes += 1


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def subscribers(client, monkeypatch):
    monkeypatch.setattr(module, "Subscriber", Subscriber)
    return Subscribers(client, None, "own", lambda name: name)


def channel(name):
    return Channel(name, DEFAULT_LIMITS)


def test_channels_of_one_node_share_a_subscriber(subscribers):
    channels = [channel(name) for name in ("a1", "a2", "b1")]
    subscribers.ensure_all(channels)
    first, second, other = (one.subscriber for one in channels)
    assert first is second is not other
    assert first.requests == [("a1", True), ("a2", True)]
    assert (first.route, other.route) == ("a", "b")


def test_a_channel_that_has_one_already(subscribers):
    one = channel("a")
    subscribers.ensure(one)
    subscribers.ensure(one)
    assert one.subscriber.requests == [("a", True)]
    assert one.subscriber.wakes == 2


def test_releasing(subscribers):
    one = channel("a")
    subscribers.release(one)
    subscribers.ensure(one)
    subscribers.release(one)
    assert one.subscriber.requests == [("a", True), ("a", False)]


def test_moving(subscribers, client):
    one = channel("a")
    subscribers.ensure(one)
    one.mark("0" * 8, 0, 0, None)
    client.moved["a"] = "z"
    subscribers.move([one])
    assert one.subscriber.route == "z"
    assert not one.settled
    assert subscribers.reconnects == 1
    subscribers.move([])
    assert subscribers.reconnects == 1


def test_moving_while_the_cluster_is_away(subscribers, client):
    one = channel("a")
    subscribers.ensure(one)
    client.away = True
    subscribers.move([one])
    assert one.subscriber is None
    client.away = False
    subscribers.ensure_all([one])
    assert one.subscriber.route == "a"


def test_a_subscriber_that_has_just_ended(subscribers):
    one = channel("a")
    subscribers.ensure(channel("a2"))
    found = subscribers._subscribers["a"]
    found.stopped = True
    subscribers.ensure(one)
    assert one.subscriber is None
    subscribers.retire(found, "a")
    subscribers.ensure(one)
    assert one.subscriber not in {None, found}


def test_reconnections_of_one_that_has_ended(subscribers):
    subscribers.ensure(channel("a"))
    found = subscribers._subscribers["a"]
    found.connects = 3
    subscribers.retire(found, "a")
    subscribers.retire(found, "a")
    assert subscribers.reconnects == 2


def test_a_subscriber_that_ends_while_it_is_asked(subscribers, monkeypatch):
    other = Subscriber(None, None, None, route="z", own_channel="", key_of=str)
    one = channel("a")

    def request(self, asked, *, wanted):
        # It has handed over what it was asked for.
        self.stopped, asked.subscriber = True, other

    monkeypatch.setattr(Subscriber, "request", request)
    subscribers.ensure(one)
    assert one.subscriber is other


def test_no_room_for_a_thread(subscribers, monkeypatch):
    monkeypatch.setattr(Subscriber, "full", True)
    one = channel("a")
    with pytest.raises(GroupUnavailable, match="no room"):
        subscribers.ensure(one)
    monkeypatch.setattr(Subscriber, "full", False)
    subscribers.ensure(one)
    assert one.subscriber is not None


def test_the_state(subscribers):
    assert (subscribers.problem, subscribers.reconnects) == ("", 0)
    one = channel("a")
    subscribers.ensure(one)
    one.subscriber.problem, one.subscriber.connects = "deaf", 3
    assert (subscribers.problem, subscribers.reconnects) == ("deaf", 2)


def test_the_end_while_a_channel_is_routed(subscribers, client, monkeypatch):
    one = channel("a")
    monkeypatch.setattr(client, "route", lambda key: subscribers.stop())
    with pytest.raises(GroupUnavailable, match="were stopped"):
        subscribers.ensure(one)
    assert one.subscriber is None
    assert not subscribers._subscribers


def test_the_end(subscribers):
    one = channel("a")
    subscribers.ensure(one)
    subscribers.stop()
    assert one.subscriber.stopped
    other = channel("b")
    subscribers.ensure(other)
    assert other.subscriber is None
