"""The connection for subscriptions: made anew, moved, and ended."""

import threading

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.exceptions import GroupUnavailable
from django_websocket.groups.backends.redis import subscriber as module
from django_websocket.groups.backends.redis.channel import Channel
from django_websocket.groups.backends.redis.subscriber import Subscriber
from lab.servers import eventually

from ..making import wait_for_threads
from .test_client import make_client


class Receiver:
    def __init__(self):
        self.marked, self.received, self.own = [], [], []

    def mark(self, channels):
        self.marked += [channel.name for channel in channels]

    def receive(self, channel, data):
        self.received.append((channel.name, data))

    def receive_own(self, data):
        self.own.append(data)


class Owner:
    def __init__(self):
        self.retired, self.moved = [], []
        self.late = None

    def retire(self, subscriber, route):
        self.retired.append(subscriber)
        if self.late is not None:
            subscriber.request(self.late, wanted=True)

    def move(self, channels):
        self.moved += [(channel, stopped.stopped) for channel in channels for stopped in self.retired]


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def subscriber(redis_server, prefix, receiver, owner):
    client = make_client(redis_server.url)
    subscriber = Subscriber(
        client, receiver, owner, route=None, own_channel=f"{prefix}:own", key_of=lambda name: f"{prefix}:{name}"
    )
    yield subscriber
    subscriber.stop()
    client.close()
    wait_for_threads()


def request(subscriber, name, *, wanted=True):
    channel = name if isinstance(name, Channel) else Channel(name, DEFAULT_LIMITS)
    subscriber.request(channel, wanted=wanted)
    subscriber.wake()
    return channel


def test_what_is_published_is_received(subscriber, receiver, redis_server, prefix):
    subscriber.start()
    request(subscriber, "a")
    eventually(lambda: receiver.marked, lambda marked: marked == ["a"])
    redis_server.command("PUBLISH", f"{prefix}:a", "hello")
    redis_server.command("PUBLISH", f"{prefix}:own", "anything")
    eventually(lambda: receiver.received, lambda received: received == [("a", b"hello")])
    assert subscriber.problem == ""


def test_what_is_published_on_its_own_channel_is_received(subscriber, receiver, redis_server, prefix):
    """Guards that a confirmation of the subscription is no message, and that probes stay with the subscriber."""
    subscriber.start()
    eventually(lambda: subscriber.problem, lambda problem: not problem)
    redis_server.command("PUBLISH", f"{prefix}:own", "q hello")
    eventually(lambda: b"q hello" in receiver.own)
    assert {*receiver.own} <= {b"q hello", b"wake"}


def test_many_channels(subscriber, receiver, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 7)
    names = [f"c{number}" for number in range(100)]
    for name in names[:50]:
        subscriber.request(Channel(name, DEFAULT_LIMITS), wanted=True)
    subscriber.start()
    for name in names[50:]:
        request(subscriber, name)
    eventually(lambda: sorted(receiver.marked), lambda marked: marked == sorted(names))


def test_a_channel_that_is_not_wanted_any_more(subscriber, receiver, redis_server, prefix):
    subscriber.start()
    channel = request(subscriber, "a")
    eventually(lambda: receiver.marked)
    request(subscriber, channel, wanted=False)
    eventually(
        lambda: redis_server.command("PUBSUB NUMSUB", f"{prefix}:a"), lambda found: found == [(f"{prefix}:a", 0)]
    )
    request(subscriber, Channel("a", DEFAULT_LIMITS), wanted=False)


def test_a_channel_that_is_replaced_gets_a_mark_of_its_own(subscriber, receiver):
    subscriber.start()
    first = request(subscriber, "a")
    eventually(lambda: receiver.marked == ["a"])
    subscriber.request(first, wanted=False)
    request(subscriber, "a")
    eventually(lambda: receiver.marked == ["a", "a"])


def test_all_channels_are_marked_after_a_reconnection(subscriber, receiver, redis_server, caplog):
    subscriber.start()
    channels = [request(subscriber, name) for name in "ab"]
    eventually(lambda: sorted(receiver.marked) == ["a", "b"])
    for channel in channels:
        channel.mark("0" * 8, 0, 0, None)
    redis_server.command("CLIENT KILL", "TYPE", "pubsub")
    eventually(lambda: sorted(receiver.marked) == ["a", "a", "b", "b"])
    assert not any(channel.settled for channel in channels)
    eventually(lambda: subscriber.problem == "")
    assert subscriber.connects == 2
    assert caplog.text.count("do not arrive; trying again") == 1
    assert caplog.text.count("arrive again") == 1


def test_a_bug_is_logged_and_the_connection_made_anew(subscriber, receiver, monkeypatch, caplog):
    failed = threading.Event()

    def mark(channels):
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError("a bug")
        Receiver.mark(receiver, channels)

    monkeypatch.setattr(receiver, "mark", mark)
    subscriber.start()
    request(subscriber, "a")
    eventually(lambda: receiver.marked == ["a"])
    assert "ZeroDivisionError: a bug" in caplog.text


def test_a_connection_that_is_silent_is_given_up(subscriber, receiver, monkeypatch, caplog):
    monkeypatch.setattr(module, "PROBE", 0.05)
    monkeypatch.setattr(subscriber, "_timeout", 0.1)
    subscriber.start()
    eventually(lambda: subscriber.problem == "")
    monkeypatch.setattr(subscriber._client, "publish", lambda *_: None)
    eventually(lambda: "nothing arrives on the connection" in caplog.text)


def test_channels_are_marked_again_where_messages_may_be_lost(subscriber, receiver, monkeypatch):
    monkeypatch.setattr(module, "PROBE", 0.05)
    monkeypatch.setattr(module, "MARKED_AT_ONCE", 2)
    monkeypatch.setattr(subscriber._client.topology, "loses", True)
    subscriber.start()
    for name in "abc":
        request(subscriber, name)
    eventually(lambda: all(receiver.marked.count(name) > 2 for name in "abc"))


def test_waking_does_not_fail(subscriber, monkeypatch):
    subscriber.wake()
    subscriber.problem = ""
    monkeypatch.setattr(subscriber._client, "publish", lambda *_: (_ for _ in ()).throw(GroupUnavailable("away")))
    subscriber.wake()
    assert not subscriber._woken


def test_requests_do_not_pile_up_while_redis_is_away(subscriber, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(subscriber._client, "connect", lambda *_: (_ for _ in ()).throw(GroupUnavailable("away")))
    subscriber.start()
    for number in range(10):
        channel = request(subscriber, f"c{number}")
        request(subscriber, channel, wanted=False)
    eventually(lambda: not subscriber._requests)
    assert not subscriber._wanted


def test_a_request_that_comes_when_it_ends(subscriber, owner):
    owner.late = Channel("a", DEFAULT_LIMITS)
    subscriber._hand_over()
    # One that comes later still finds that it has stopped.
    assert owner.moved == [(owner.late, True)]


def test_a_slot_that_has_moved_while_the_cluster_is_away(subscriber, owner, prefix, monkeypatch):
    channel = request(subscriber, "a")
    subscriber._take_requests()
    monkeypatch.setattr(subscriber._client, "refresh", lambda: (_ for _ in ()).throw(GroupUnavailable("away")))
    subscriber._take([b"sunsubscribe", f"{prefix}:a".encode(), 0])
    with pytest.raises(GroupUnavailable):
        subscriber._move_taken_away()
    assert list(subscriber._wanted.values()) == [channel]
    assert not owner.moved


def test_slots_that_have_moved_together(subscriber, owner, prefix, monkeypatch):
    channels = [request(subscriber, name) for name in "abc"]
    subscriber._take_requests()
    refreshed = []
    monkeypatch.setattr(subscriber._client, "refresh", lambda: refreshed.append(True))
    moves = []
    monkeypatch.setattr(owner, "move", moves.append)
    for name in "ab":
        subscriber._take([b"sunsubscribe", f"{prefix}:{name}".encode(), 0])
    subscriber._move_taken_away()
    assert moves == [channels[:2]]
    assert refreshed == [True]
    assert list(subscriber._wanted.values()) == channels[2:]


def test_no_room_for_the_thread(subscriber, owner, monkeypatch):
    monkeypatch.setattr(module, "start_worker", lambda *_: False)
    channel = request(subscriber, "a")
    with pytest.raises(GroupUnavailable, match="no room"):
        subscriber.start()
    assert owner.retired == [subscriber]
    assert owner.moved == [(channel, True)]
