"""Presence: :mod:`.test_backend` has what other processes see. Here is what goes wrong, and what is told when."""

import contextlib
import threading
import time

import pytest

from django_websocket.exceptions import GroupUnavailable
from django_websocket.groups.backends.redis import keeper as module
from django_websocket.groups.backends.redis.log_outs import LOG_OUTS
from lab.servers import eventually

from ...recording import member


@pytest.fixture
def keeper(make, monkeypatch):
    """Return the keeper of a backend whose thread does not run, and its backend."""
    monkeypatch.setattr(module, "start_worker", lambda *_: True)
    backend = make()
    backend._keeper.backend = backend
    return backend._keeper


def join(keeper, group="g", name=None):
    """Add a member without the rest of the backend."""
    channel = keeper._channels.enter(group)
    one, _ = member(group, name)
    channel.add(one)
    keeper.joined(channel)
    return channel, one


def redis_names(redis_server, prefix, group="g"):
    return redis_server.command("HGETALL", f"{prefix}:{{{group}}}:w")


def redis_number(redis_server, prefix, group="g"):
    return sum(map(int, redis_server.command("HGETALL", f"{prefix}:{{{group}}}:n").values()))


def test_a_new_name_is_told_at_once(keeper, redis_server, prefix):
    join(keeper, name="ann")
    assert redis_names(redis_server, prefix) == {"ann": keeper._process}
    assert redis_server.command("ZCARD", f"{prefix}:{{p}}:z") == 1
    assert redis_server.command("SMEMBERS", f"{prefix}:{{p}}:g:{keeper._process}") == {"g"}


def test_another_member_is_told_by_the_thread(keeper, redis_server, prefix):
    join(keeper, name="ann")
    join(keeper, name="ann")
    assert redis_number(redis_server, prefix) == 1
    keeper._work()
    assert redis_number(redis_server, prefix) == 2


def test_who_leaves_is_told_by_the_thread(keeper, redis_server, prefix):
    channel, one = join(keeper, name="ann")
    channel.discard(one)
    keeper.left(channel)
    assert redis_names(redis_server, prefix) != {}
    keeper._work()
    assert redis_names(redis_server, prefix) == {}
    assert keeper._dirty == {}


def test_numbers_are_told_once_a_second(keeper, redis_server, prefix, monkeypatch):
    join(keeper)
    keeper._work()
    monkeypatch.setattr(module, "TICK", 1000)
    keeper._next_tick = time.monotonic() + 1000
    join(keeper)
    keeper._work()
    assert redis_number(redis_server, prefix) == 1


def test_what_could_not_be_told_is_told_later(keeper, redis_server, prefix, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(keeper._client, "run_all", lambda _: (_ for _ in ()).throw(GroupUnavailable("away")))
        channel, _ = join(keeper, name="ann")
        with pytest.raises(GroupUnavailable):
            keeper._work()
    assert redis_names(redis_server, prefix) == {}
    assert channel in keeper._dirty
    keeper._work()
    assert redis_names(redis_server, prefix) == {"ann": keeper._process}


def test_many_names_are_told_in_parts(keeper, redis_server, prefix, monkeypatch):
    monkeypatch.setattr(module, "NAMES_AT_ONCE", 3)
    monkeypatch.setattr(module, "GROUPS_AT_ONCE", 2)
    keeper._beat()
    for number in range(20):
        channel = keeper._channels.enter(f"g{number % 4}")
        channel.add(member(channel.name, f"name{number}")[0])
        keeper._dirty[channel] = None
    keeper._work()
    for number in range(4):
        assert len(redis_names(redis_server, prefix, f"g{number}")) == 5


def test_only_one_process_sweeps_a_dead_one(keeper, redis_server, prefix):
    redis_server.command("ZADD", f"{prefix}:{{p}}:z", 1, "dead/1")
    redis_server.command("SET", f"{prefix}:{{p}}:s:dead/1", "other/1", "PX", 100_000)
    keeper._beat()
    keeper._work()
    assert redis_server.command("ZCARD", f"{prefix}:{{p}}:z") == 2
    redis_server.command("DEL", f"{prefix}:{{p}}:s:dead/1")
    keeper._beat()
    while keeper._sweeps:
        keeper._work()
    assert redis_server.command("ZRANGE", f"{prefix}:{{p}}:z", 0, -1) == [keeper._process]


def test_a_sweep_that_fails_begins_anew(keeper, redis_server, prefix, monkeypatch):
    redis_server.command("ZADD", f"{prefix}:{{p}}:z", 1, "dead/1")
    keeper._beat()
    with monkeypatch.context() as patch:
        patch.setattr(keeper._client, "execute", lambda *_: (_ for _ in ()).throw(GroupUnavailable("away")))
        with pytest.raises(GroupUnavailable):
            keeper._work()
    keeper._work()
    assert keeper._sweeps == []
    keeper._beat()
    assert len(keeper._sweeps) == 1


def test_errors_are_logged_once(make, monkeypatch, caplog):
    monkeypatch.setattr(module, "TICK", 0.01)
    backend = make("redis://127.0.0.1:1/0", TIMEOUT=0.2)
    backend.watch()
    eventually(lambda: "is not told of the members" in caplog.text)
    time.sleep(0.1)
    assert caplog.text.count("is not told of the members") == 1


def test_a_bug_does_not_end_the_thread(make, monkeypatch, caplog):
    monkeypatch.setattr(module, "TICK", 0.01)
    backend = make()
    calls = []
    monkeypatch.setattr(backend._keeper, "_work", lambda: calls.append(1 / 0))
    backend.watch()
    eventually(lambda: caplog.text.count("the presence of the members is not kept") >= 2)


def test_no_room_for_the_thread(make, monkeypatch, caplog):
    backend = make()
    with monkeypatch.context() as patch:
        patch.setattr(module, "start_worker", lambda *_: False)
        backend.watch()
        backend.watch()
    assert caplog.text.count("members of this process: no room for another thread") == 1
    backend.watch()
    eventually(lambda: backend._channels.find(LOG_OUTS).settled)


def test_threads_that_begin_to_watch_at_once(make, monkeypatch):
    """They start one keeper."""
    backend = make()
    started, both = [], threading.Barrier(2)

    class Slow(type(backend)):
        @property
        def _watching(self):
            watching = vars(self)["_watching"]
            # Another thread that gets here at the same time has found the same.
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.2)
            return watching

        @_watching.setter
        def _watching(self, value):
            vars(self)["_watching"] = value

    monkeypatch.setattr(backend._keeper, "start", lambda: started.append(True) or True)
    monkeypatch.setattr(backend, "__class__", Slow)
    threads = [threading.Thread(target=backend.watch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1


def test_nothing_is_logged_when_it_is_stopped(make, monkeypatch, caplog):
    backend = make()
    keeper = backend._keeper

    def work():
        keeper.stop()
        raise GroupUnavailable("groups were stopped")

    monkeypatch.setattr(keeper, "_work", work)
    keeper._run()
    assert caplog.text == ""
