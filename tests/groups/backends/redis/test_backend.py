"""Groups on a real Redis: what several processes see of each other."""

import threading
import time
from collections import Counter

import pytest

from django_websocket.connection.backlog import Delivery
from django_websocket.exceptions import GroupConfigurationError, GroupUnavailable
from django_websocket.groups import logout
from django_websocket.groups.backends.redis import RedisBackend, channels, keeper, subscriber
from django_websocket.groups.backends.redis.log_outs import LOG_OUTS
from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position, Replay
from django_websocket.signals import member_joined, member_left
from lab.servers import eventually

from ...recording import member
from ..making import make_redis


def send(backend, text, group="g", history=0, **more):
    return backend.publish(group, Payload("text", text, **more), history=history)


def add(backend, group="g", name=None, since=None, **more):
    one, recorder = member(group, name, **more)
    return one, recorder, backend.add(one, since=since)


@pytest.fixture
def two(make):
    """Return the backends of two processes."""
    return make(), make()


@pytest.fixture
def quick(monkeypatch):
    """Let processes beat, and die, in fractions of a second."""
    monkeypatch.setattr(keeper, "BEAT", 0.05)
    monkeypatch.setattr(keeper, "TICK", 0.02)
    monkeypatch.setattr(keeper, "TTL", 0.5)


# Messages


def test_messages_reach_other_processes(two):
    here, there = two
    _, ann, _ = add(here)
    _, bob, _ = add(there)
    assert send(here, "1") < send(there, "2")
    ann.expect("1", "2")
    bob.expect("1", "2")


def test_all_processes_see_one_order(two):
    assert len(two) == 2
    recorders = [add(one)[1] for one in two for _ in range(2)]
    threads = [threading.Thread(target=lambda one=one: [send(one, str(n)) for n in range(200)]) for one in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for recorder in recorders:
        recorder.wait_for(lambda it: len(it.texts) == 400)
    assert len({recorder.data for recorder in recorders}) == 1


def test_a_process_that_only_publishes_has_no_thread_and_no_subscription(make, redis_server, prefix):
    here = make()
    send(here, "hello")
    here.position("g")
    here.disconnect("user", "1")
    assert redis_server.command("PUBSUB CHANNELS", f"{prefix}:*") == []
    assert here.status() == (True, "", 0, 0, 0, 0, 0)


def test_a_member_excluded_in_another_process(two):
    here, there = two
    _, ann, _ = add(here)
    _, bob, _ = add(there)
    send(there, "1", exclude=ann.member_id)
    send(there, "2")
    ann.expect("2")
    bob.expect("1", "2")


def test_a_client_that_comes_back_to_another_process(two):
    here, there = two
    _, recorder, _ = add(here, enveloped=True)
    first = send(here, "1", history=10)
    recorder.wait_for(lambda it: it.texts)
    send(here, "2", history=10)
    _, again, replay = add(there, enveloped=True, since=first)
    assert replay == Replay(complete=True, missed=0)
    assert [one.data for one in again.envelopes] == ["2"]


def test_members_that_join_and_leave_while_others_publish(make):
    """Each member gets, from its position on, every message once and in order."""
    publisher, here, there = make(), make(), make()
    over = threading.Event()
    failures = []

    def publish():
        while not over.is_set():
            send(publisher, "x", history=1000)

    def come_and_go(backend):
        position = backend.position("g")
        for _ in range(40):
            one, recorder, replay = add(backend, since=position, enveloped=True)
            time.sleep(0.005)
            backend.discard(one)
            numbers = [envelope.id.number for envelope in recorder.envelopes]
            expected = list(range(position.number + 1, position.number + 1 + len(numbers)))
            if numbers != expected or not replay.complete:
                failures.append((position, numbers, replay))
            if numbers:
                position = Position.make(position.epoch, numbers[-1])

    threads = [threading.Thread(target=come_and_go, args=(one,)) for one in (here, there) for _ in range(2)]
    publishing = threading.Thread(target=publish)
    publishing.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    publishing.join()
    assert failures == []


def test_a_closing_reaches_other_processes(two):
    here, there = two
    _, recorder, _ = add(there)
    send(here, "last")
    here.close("g", 4000, "für heute")
    recorder.wait_for(lambda it: it.closed)
    assert (recorder.texts, recorder.closed) == (["last"], (4000, "für heute"))


def test_what_redis_keeps(make, redis_server, prefix):
    here = make(HISTORY_TTL=100)
    send(here, "1", history=2)
    send(here, "2", history=2)
    send(here, "3", history=2)
    assert redis_server.command("XLEN", f"{prefix}:{{g}}:h") == 2
    for kind in "mh":
        assert 90_000 < redis_server.command("PTTL", f"{prefix}:{{g}}:{kind}") <= 100_000


def test_an_epoch_ends_when_redis_forgets_the_group(make, redis_server, prefix):
    here = make()
    _, recorder, _ = add(here, enveloped=True)
    first = send(here, "1", history=2)
    redis_server.command("DEL", f"{prefix}:{{g}}:m")
    second = send(here, "2", history=2)
    assert first.epoch != second.epoch
    assert second.number == 1
    recorder.wait_for(lambda it: len(it.texts) == 2)
    assert [envelope.data for envelope in recorder.envelopes] == ["1", "2"]
    assert here.status().lost == 0


# Presence


def test_members_of_other_processes(two):
    here, there = two
    add(here, name="ann")
    add(there, name="ann")
    bob, _, _ = add(there, name="bob")
    for one in two:
        assert one.names("g") == {"ann", "bob"}
        eventually(lambda one=one: one.count("g"), lambda number: number == 3)
    there.discard(bob)
    for one in two:
        eventually(lambda one=one: one.names("g"), lambda names: names == {"ann"})
        eventually(lambda one=one: one.count("g"), lambda number: number == 2)


def test_a_group_whose_last_member_leaves_is_forgotten(make, redis_server, prefix):
    here = make()
    one, _, _ = add(here, name="ann")
    here.discard(one)
    eventually(lambda: redis_server.command("KEYS", f"{prefix}:{{g}}:[nw]"), lambda keys: keys == [])
    assert redis_server.command("KEYS", f"{prefix}:{{p}}:g:*") == []


def test_many_members_of_one_process(make):
    here, there = make(), make()
    for number in range(300):
        add(here, name=f"name {number % 150}")
    eventually(lambda: there.count("g"), lambda number: number == 300)
    assert len(there.names("g")) == 150


def test_a_process_that_has_died_is_swept(make, quick, redis_server, prefix):
    here, there = make(), make()
    add(here, name="ann")
    add(here, "other", name="ann")
    add(there, name="bob")
    # It has died: nothing says so.
    here.stop()
    assert there.names("g") == {"ann", "bob"}
    eventually(lambda: there.names("g"), lambda names: names == {"bob"})
    assert there.count("g") == 1
    eventually(lambda: redis_server.command("KEYS", f"{prefix}:*:[nwg]*"), lambda keys: len(keys) == 3)
    assert redis_server.command("ZCARD", f"{prefix}:{{p}}:z") == 1


def test_a_process_that_was_taken_for_dead_comes_back(make, quick, redis_server, prefix):
    here, there = make(), make()
    add(here, name="ann")
    add(there, name="bob")
    redis_server.command("ZADD", f"{prefix}:{{p}}:z", 1, here.process)
    eventually(lambda: there.names("g"), lambda names: names == {"ann", "bob"})
    eventually(lambda: there.count("g"), lambda number: number == 2)


def test_a_redis_that_was_wiped_is_told_again(make, quick, redis_server, prefix):
    here, there = make(), make()
    add(here, name="ann")
    add(here, "other", name="cy")
    add(there, name="bob")
    redis_server.command("EVAL", "redis.call('DEL', unpack(redis.call('KEYS', ARGV[1])))", 0, f"{prefix}:*")
    eventually(lambda: there.names("g"), lambda names: names == {"ann", "bob"})
    eventually(lambda: there.names("other"), lambda names: names == {"cy"})
    eventually(lambda: there.count("g"), lambda number: number == 2)


def test_names_in_signals(two):
    """Every process that has a member of the group, and a receiver, hears of the names."""
    here, there = two
    heard, changed = [], threading.Condition()

    def note(what):
        def receive(sender, signal, group, name):
            with changed:
                heard.append((what, sender, group, name))
                changed.notify_all()

        return receive

    joined, left = note("joined"), note("left")
    member_joined.connect(joined)
    member_left.connect(left)
    try:
        add(here)
        ann, _, _ = add(there, name="ann")
        more, _, _ = add(here, name="ann")
        there.discard(ann)
        here.discard(more)
        with changed:
            # Both hear of it, also the one whose last member has left.
            assert changed.wait_for(lambda: len(heard) == 4, 20), heard
            expected = [(what, RedisBackend, "g", "ann") for what in ("joined", "left")]
            assert Counter(heard) == Counter(expected * 2)
    finally:
        member_joined.disconnect(joined)
        member_left.disconnect(left)


# Log-outs


def test_log_outs_are_heard_of_in_other_processes(two, monkeypatch):
    here, there = two
    heard, event = [], threading.Event()
    monkeypatch.setattr(logout, "disconnect_here", lambda owner, key: (heard.append((owner, key)), event.set()))
    there.watch()
    eventually(lambda: there._channels.find(LOG_OUTS).settled)
    there.disconnect("user", "own")
    here.disconnect("user", "7")
    assert event.wait(20)
    assert heard == [("user", "7")]


def test_log_outs_that_were_missed_are_made_good(make, monkeypatch, redis_server):
    here, there = make(), make()
    heard = []
    monkeypatch.setattr(logout, "disconnect_here", lambda owner, key: heard.append((owner, key)))
    there.watch()
    eventually(lambda: there._channels.find(LOG_OUTS).settled)
    monkeypatch.setattr(subscriber, "FIRST_PAUSE", 0.5)
    redis_server.command("CLIENT KILL", "TYPE", "pubsub")
    eventually(lambda: not there.status().healthy)
    here.disconnect("session", "abc")
    eventually(lambda: heard, lambda heard: heard == [("session", "abc")])


# Secrets


def test_processes_with_the_same_secret(make):
    here, there = make(SECRET="0123456789abcdef"), make(SECRET="0123456789abcdef")
    _, recorder, _ = add(there, name="ann", enveloped=True)
    send(here, "hello", history=3)
    recorder.wait_for(lambda it: it.texts)
    assert here.names("g") == {"ann"}
    _, other, _ = add(here, since=Position.make("", 0), enveloped=True)
    assert [one.data for one in other.envelopes] == [None, "hello"]
    here.close("g", 4000, "over")
    recorder.wait_for(lambda it: it.closed == (4000, "over"))


def test_somebody_without_the_secret_is_not_believed(make, redis_server, prefix, caplog):
    stranger, here = make(), make(SECRET="0123456789abcdef")
    add(stranger, name="mallory")
    _, recorder, _ = add(here, name="ann")
    send(stranger, "forged")
    stranger.close("g", 4000, "forged")
    channel = f"{prefix}:{{g}}:c"
    redis_server.command("PUBLISH", channel, "rubbish")
    redis_server.command("PUBLISH", channel, "x 1 2 3")
    redis_server.command("PUBLISH", channel, "j mallory")
    send(here, "true")
    recorder.expect("true")
    assert recorder.closed is None
    assert here.names("g") == {"ann"}
    assert "is ignored" in caplog.text
    # The number that the forged message has taken is missing.
    assert here.status().lost == 1


def test_a_message_is_signed_for_its_group(make, redis_server, prefix):
    here = make(SECRET="0123456789abcdef")
    _, recorder, _ = add(here)
    send(here, "for others", "other", history=1)
    ((_, raw),) = here._client.execute("XRANGE", f"{prefix}:{{other}}:h", "-", "+")
    here._client.execute("PUBLISH", f"{prefix}:{{g}}:c", b"m 01234567 1 " + raw[b"d"])
    send(here, "true")
    recorder.expect("true")


# Errors


def test_no_server(make):
    here = make("redis://127.0.0.1:1/0", TIMEOUT=0.2)
    for call in (
        lambda: send(here, "hello"),
        lambda: here.position("g"),
        lambda: here.count("g"),
        lambda: here.names("g"),
        lambda: here.close("g", 1000, ""),
        lambda: here.disconnect("user", "1"),
    ):
        with pytest.raises(GroupUnavailable, match="Redis is not available") as caught:
            call()
        assert not caught.value.maybe_sent
    with pytest.raises(GroupUnavailable, match="messages of other processes do not arrive"):
        add(here)
    status = here.status()
    assert not status.healthy
    assert "Connection refused" in status.problem
    assert status.members == 0


def test_a_member_that_was_not_added_gets_nothing(make, monkeypatch):
    here = make()
    add(here, name="ann")
    monkeypatch.setattr(here, "_fetch", lambda *_: (_ for _ in ()).throw(GroupUnavailable("away")))
    with pytest.raises(GroupUnavailable, match="away"):
        add(here, name="bob", since=Position.make("", 0))
    assert here.names("g") == {"ann"}
    assert here._channels.find("g")._joiners == {}


@pytest.mark.parametrize("bursts", [1, 4, 9])
def test_a_burst_while_the_history_is_fetched(make, monkeypatch, bursts):
    """The rest of the history is fetched again, a few times, as what has arrived does not fit."""
    here, there = make(QUEUE_MESSAGES=3), make()
    first = send(there, "1", history=100)
    add(here)
    real, fetched = here._fetch, []

    def fetch(channel, since):
        history = real(channel, since)
        fetched.append(since)
        if len(fetched) <= bursts:
            for _ in range(5):
                last = send(there, "more", history=100)
            eventually(lambda: channel.position == last)
        return history

    monkeypatch.setattr(here, "_fetch", fetch)
    _, recorder, replay = add(here, since=first, enveloped=True)
    assert [since.number for since in fetched] == [1, 1, 6, 11, 16, 21][: bursts + 1]
    if bursts < 9:
        assert replay == Replay(complete=True, missed=0)
        assert [one.id.number for one in recorder.envelopes] == list(range(2, 2 + 5 * bursts))
    else:
        assert replay == Replay(complete=False, missed=5)


class Away:
    """A client whose server is away."""

    def run(self, *_):
        raise GroupUnavailable("away")

    run_all = execute = run


def test_presence_that_cannot_be_told_refuses_no_member(make, quick, monkeypatch):
    here, there = make(), make()
    real = here._keeper._client
    monkeypatch.setattr(here._keeper, "_client", Away())
    _, recorder, _ = add(here, name="ann")
    send(there, "hello")
    recorder.expect("hello")
    assert there.names("g") == set()
    monkeypatch.setattr(here._keeper, "_client", real)
    eventually(lambda: there.names("g"), lambda names: names == {"ann"})


def test_redis_py_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(GroupConfigurationError, match="pip install"):
        make_redis("redis://127.0.0.1:1/0")
    with pytest.raises(GroupConfigurationError, match="pip install"):
        RedisBackend.check_location("redis://127.0.0.1:1/0")


# Subscriptions


def test_a_group_without_members_is_unsubscribed_from(make, quick, monkeypatch, redis_server, prefix):
    monkeypatch.setattr(channels, "IDLE", 0.1)
    here = make()
    one, _, _ = add(here, name="ann")
    subscribed = [f"{prefix}:{{g}}:c"]
    assert redis_server.command("PUBSUB CHANNELS", f"{prefix}:{{g}}:c") == subscribed
    here.discard(one)
    eventually(lambda: redis_server.command("PUBSUB CHANNELS", f"{prefix}:{{g}}:c"), lambda found: found == [])
    assert here._channels.find("g") is None
    _, recorder, _ = add(here)
    send(here, "hello")
    recorder.expect("hello")


def test_members_that_come_and_go_while_the_group_becomes_idle(make, quick, monkeypatch):
    monkeypatch.setattr(channels, "IDLE", 0.0)
    here, there = make(), make()
    for number in range(60):
        one, recorder, _ = add(here)
        send(there, str(number))
        recorder.expect(str(number))
        here.discard(one)
        time.sleep(0.001 * (number % 7))


def test_threads_that_join_groups_at_once(make):
    here = make()
    recorders = {}

    def join(group):
        recorders[group] = add(here, group)[1]

    threads = [threading.Thread(target=join, args=(f"g{number}",)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for group in recorders:
        send(here, group, group)
    for group, recorder in recorders.items():
        recorder.expect(group)


def test_a_member_that_cannot_keep_up(make):
    here, there = make(), make()
    _, recorder, _ = add(here, name="ann")
    recorder.answer = Delivery.OVERFLOW
    send(there, "hello")
    eventually(lambda: there.names("g"), lambda names: names == set())
    assert here.status().overflows == 1
