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
        self.marked, self.received = [], []

    def mark(self, channels):
        self.marked += [channel.name for channel in channels]

    def receive(self, channel, data):
        self.received.append((channel.name, data))


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def subscriber(redis_server, prefix, receiver):
    client = make_client(redis_server.url)
    subscriber = Subscriber(
        client, receiver, None, route=None, own_channel=f"{prefix}:own", key_of=lambda name: f"{prefix}:{name}"
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
    monkeypatch.setattr(module, "BEAT", 0.05)
    monkeypatch.setattr(subscriber, "_timeout", 0.1)
    subscriber.start()
    eventually(lambda: subscriber.problem == "")
    monkeypatch.setattr(subscriber._client, "publish", lambda *_: None)
    eventually(lambda: "nothing arrives on the connection" in caplog.text)


def test_channels_are_marked_again_where_messages_may_be_lost(subscriber, receiver, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.05)
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


def test_no_room_for_the_thread(subscriber, monkeypatch):
    monkeypatch.setattr(module, "start_worker", lambda *_: False)
    with pytest.raises(GroupUnavailable, match="no room"):
        subscriber.start()
