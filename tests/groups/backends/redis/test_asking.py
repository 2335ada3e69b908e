"""All processes are asked for their WebSockets, on a real Redis: who answers, and who is not waited for."""

import time
from types import SimpleNamespace

import pytest

from django_websocket.exceptions import GroupUnavailable
from django_websocket.groups import snapshot
from django_websocket.groups.backends.redis import answering, asking
from django_websocket.groups.backends.redis.questions import Answer, write_answer
from django_websocket.groups.snapshot import Search
from lab.servers import eventually

from ...infos import make_info

#: Seconds within which everybody answers.
PATIENCE = 20
ALL = Search()


@pytest.fixture
def infos(monkeypatch):
    """Return the WebSockets that each process of the test has."""
    infos = [make_info(path="/old/"), make_info(), make_info()]
    monkeypatch.setattr(snapshot, "connections", lambda: infos)
    return infos


def serve(*backends):
    """Make processes serve WebSockets, and wait until they hear questions."""
    for backend in backends:
        backend.watch()
    eventually(
        lambda: [_hears(backend) for backend in backends],
        all,
    )


def _hears(backend):
    channel = backend._channels.find("~log-outs")
    return channel.settled and backend._keeper._beating


def ask(backend, search=ALL, limit=500, timeout=PATIENCE):
    return backend.call_roll(search, limit).collect(time.monotonic() + timeout)


def short(*backends):
    return sorted(backend.process.partition("/")[0] for backend in backends)


def test_everybody_answers(make, infos):
    here, there, elsewhere = make(), make(), make()
    serve(there, elsewhere)
    snapshots, silent = ask(here)
    assert silent == []
    assert [one.connections for one in snapshots] == [infos[::-1]] * 2


def test_filters_and_the_limit_reach_the_source(make, infos):
    here, there = make(), make()
    serve(there)
    (found,), _ = ask(here, Search("OLD"))
    assert found.connections == infos[:1]
    assert found.open == 3
    (found,), _ = ask(here, limit=1)
    assert found.connections == infos[-1:]
    assert found.totals.connections == 3


def test_signed(make, infos):
    here, there, other = (make(SECRET=secret * 16) for secret in "aab")
    serve(there, other)
    snapshots, silent = ask(here, timeout=0.5)
    assert len(snapshots) == 1
    assert silent == short(other)


def test_who_asks_is_not_asked(make, infos):
    here = make()
    serve(here)
    assert ask(here) == ([], [])


def test_who_only_publishes_is_not_asked(make, infos):
    """Guards a worker of Celery, which nobody has to wait for."""
    here, there = make(), make()
    there.disconnect("user", "1")
    assert ask(here) == ([], [])


def test_a_dead_process_is_not_waited_for(make, infos):
    here, there = make(), make()
    serve(there)
    there.stop()
    channel = there._keys.own_channel(there.process)
    eventually(lambda: here._client.execute("PUBSUB", "NUMSUB", channel)[1], lambda number: not number)
    began = time.monotonic()
    assert ask(here, timeout=3600) == ([], short(there))
    assert time.monotonic() - began < PATIENCE


def test_a_process_of_an_older_version_is_waited_for_and_not_disturbed(make, infos, monkeypatch, caplog):
    here, there = make(), make()
    monkeypatch.setattr(there._receiver, "_answer", lambda _: None)
    serve(there)
    assert ask(here, timeout=0.05) == ([], short(there))
    assert caplog.text == ""
    assert there.status().healthy


def test_there_is_a_last_look_at_the_deadline(make, infos, redis_server):
    here, there = make(), make()
    serve(there)
    question = here.call_roll(Search(), 500)
    eventually(lambda: redis_server.command("EXISTS", question._key))
    assert len(question.collect(time.monotonic() - 1)[0]) == 1


def test_nothing_is_left_in_redis(make, infos, redis_server, prefix):
    here, there = make(), make()
    serve(there)
    before = set(redis_server.command("KEYS", f"{prefix}:*"))
    ask(here)
    assert set(redis_server.command("KEYS", f"{prefix}:*")) == before
    question = here.call_roll(Search(), 500)
    eventually(lambda: redis_server.command("EXISTS", question._key))
    assert 0 < redis_server.command("PTTL", question._key) <= answering.LIFE


def test_an_answer_that_is_not_understood(make, infos, monkeypatch, caplog):
    here, there = make(), make()
    monkeypatch.setattr(answering, "write_answer", lambda *_: b"rubbish")
    serve(there)
    assert ask(here, timeout=0.3) == ([], short(there))
    assert "is not understood, or is not signed with SECRET" in caplog.text


def test_nobody_answers_who_was_not_asked(make, infos, monkeypatch, redis_server, caplog):
    """Guards against more answers than there are processes; they are logged once."""
    here, there = make(), make()
    serve(there)
    question = here.call_roll(Search(), 500)
    eventually(lambda: redis_server.command("LLEN", question._key) == 1)
    stranger = write_answer(here._wire, question._id, Answer("stranger/1", snapshot.take_snapshot(Search(), 500)))
    for _ in range(3):
        redis_server.command("RPUSH", question._key, stranger)
    question._waiting.add("nobody")
    snapshots, _ = question.collect(time.monotonic() + 0.1)
    assert len(snapshots) == 1
    assert caplog.text.count("and is ignored") == 1


def test_without_redis(start, make, infos):
    server = start()
    here = make(server.url, TIMEOUT=0.5)
    question = here.call_roll(Search(), 500)
    question._waiting = {"somebody"}
    server.stop()
    with pytest.raises(GroupUnavailable):
        question.collect(time.monotonic() + PATIENCE)
    with pytest.raises(GroupUnavailable):
        ask(here)


def test_looks_become_rarer(make, infos, monkeypatch):
    pauses = []
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append))
    here = make()
    question = here.call_roll(Search(), 500)
    question._waiting = {"somebody"}
    question.collect(time.monotonic() + 0.2)
    assert pauses[:3] == [0.002, 0.004, 0.008]
    assert max(pauses) <= asking.LONGEST_PAUSE


def test_answers_are_not_lost_because_they_cannot_be_deleted(make, infos, monkeypatch):
    """A server may just have become a replica, which is read only."""
    here, there = make(), make()
    serve(there)
    call = here.call_roll(ALL, 500)
    execute = call._client.execute

    def refuse(command, *arguments):
        if command == "DEL":
            raise GroupUnavailable("read only")
        return execute(command, *arguments)

    monkeypatch.setattr(call._client, "execute", refuse)
    snapshots, silent = call.collect(time.monotonic() + PATIENCE)
    assert silent == []
    assert [one.connections for one in snapshots] == [infos[::-1]]
