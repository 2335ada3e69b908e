"""The WebSockets of all workers of a real server, on a real Redis: each worker sees and closes those of the others."""

import json
import os
import signal
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest

from lab.groups.crowd import Crowd
from lab.groups.member import Member
from lab.groups.stage import staged
from lab.servers import eventually

from . import needs

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

SERVERS = ["gunicorn_eventlet", "gunicorn_gevent", "gunicorn_gthread"]
#: Clients, for which one worker has no room.
MEMBERS = 40


@pytest.fixture(autouse=True)
def _programs(monkeypatch):
    needs.program("redis-server", "redis-server")
    needs.module("gevent", "gevent")
    monkeypatch.setattr("lab.groups.stage.raise_limits", lambda: None)


def look(stage, **query):
    """Return what some worker sees."""
    status, body = stage.server.get(f"/everyone/?{urlencode(query)}")
    assert status == 200, body
    return json.loads(body)


@contextmanager
def stopped(pid):
    """Let a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("server", SERVERS)
def test_every_worker_sees_and_closes_those_of_all(server, tmp_path):
    with staged("everyone", server, folder=tmp_path / "stage", workers=2, members=MEMBERS) as stage, Crowd() as crowd:
        crowd.add(Member(stage.server.port, "room") for _ in range(MEMBERS))
        crowd.wait()
        served = {pid: len(members) for pid, members in crowd.by_process().items()}
        assert len(served) == 2, "one worker serves all"
        found = eventually(lambda: look(stage), lambda found: found["total"] == MEMBERS)
        assert {int(pid): number for pid, number in found["pids"].items()} == served
        assert found["silent"] == found["problems"] == []
        assert len(set(found["ids"])) == MEMBERS
        assert look(stage, text="/JOIN/room/")["total"] == MEMBERS
        assert look(stage, text="nowhere")["total"] == 0
        # One by one, whichever worker is asked.
        for left, closed in enumerate(found["ids"][:4], 1):
            look(stage, close=closed)
            eventually(lambda: look(stage)["total"], lambda total, left=left: total == MEMBERS - left)
        assert [member.stay.code for member in crowd.members].count(1008) == 4


@pytest.mark.parametrize("server", SERVERS)
def test_a_worker_that_stands_still_is_named_in_time(server, tmp_path):
    with staged("everyone", server, folder=tmp_path / "stage", workers=2, members=MEMBERS) as stage, Crowd() as crowd:
        crowd.add(Member(stage.server.port, "room") for _ in range(MEMBERS))
        crowd.wait()
        served = crowd.by_process()
        assert len(served) == 2, "one worker serves all"
        eventually(lambda: look(stage)["total"], lambda total: total == MEMBERS)
        # A worker that is full would not answer.
        still, alive = sorted(served, key=lambda pid: len(served[pid]), reverse=True)
        with stopped(still):
            found = look(stage, timeout=0.5)
            assert list(map(int, found["pids"])) == [alive]
            assert found["total"] == len(served[alive])
            assert len(found["silent"]) == 1
            assert 0.5 <= found["seconds"] < 5
        eventually(lambda: look(stage)["total"], lambda total: total == MEMBERS)
