"""Some seconds of ``python -m lab.groups``: groups across processes on a real Redis, and what happens when it fails."""

from dataclasses import replace

import pytest

from lab.groups.deliver import deliver
from lab.groups.failing import fail
from lab.groups.faults import BY_NAME
from lab.groups.presence import presence
from lab.groups.replay import replay

from . import needs

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

EVENTLET, GEVENT, GTHREAD = "gunicorn_eventlet", "gunicorn_gevent", "gunicorn_gthread"


def on(server, *more):
    """Return the parameters of one run, which waits for the others on the same server."""
    return pytest.param(server, *more, id="-".join(map(str, [server, *more])), marks=pytest.mark.xdist_group(server))


@pytest.fixture(autouse=True)
def _programs(monkeypatch):
    """Skip the tests where Redis is missing, and leave the limit of open files unchanged for those that follow."""
    needs.program("redis-server", "redis-server")
    needs.module("gevent", "gevent")
    monkeypatch.setattr("lab.groups.stage.raise_limits", lambda: None)


@pytest.mark.parametrize(("server", "preload"), [on(EVENTLET, False), on(GEVENT, True), on(GTHREAD, False)])
def test_deliver(server, preload, tmp_path):
    """Guards that each message of another process reaches each member of each worker once, in order."""
    found = deliver(server, members=60, messages=300, preload=preload, folder=tmp_path)
    assert found.deviations == []
    assert (found.acknowledged, found.delivered) == (300, 60 * 300)


@pytest.mark.parametrize(
    ("server", "carrier"), [on(GTHREAD, "unix"), on(GEVENT, "tls"), on(EVENTLET, "password"), on(GTHREAD, "sharded")]
)
def test_carriers(server, carrier, tmp_path):
    """Guards ways to reach Redis."""
    found = deliver(server, carrier=carrier, members=6, messages=50, workers=2, folder=tmp_path)
    assert found.deviations == []
    assert found.delivered == 300


@pytest.mark.parametrize(("server", "history"), [on(GEVENT, 10_000), on(GTHREAD, 5)])
def test_replay(server, history, tmp_path):
    """Guards members that come and go while subscribers are cut: nothing twice, and no loss without a word."""
    found = replay(server, seconds=4, rate=100, history=history, workers=2, folder=tmp_path)
    assert found.deviations == []
    assert found.more["joins"] > 8
    assert found.more["connections killed"] > 0
    assert (found.more["incomplete replays"] > 0) is (history == 5)


@pytest.mark.parametrize(
    ("server", "name", "history"),
    [
        on(EVENTLET, "redis-killed-for-2-s", 0),
        on(GTHREAD, "redis-killed-for-2-s-AOF", 2000),
        on(EVENTLET, "subscribers-cut-then-no-message", 0),
        on(GTHREAD, "worker-killed", 2000),
    ],
)
def test_faults(server, name, history, tmp_path):
    """Guards that nothing that was acknowledged is lost in silence, and that messages arrive again afterwards."""
    fault = BY_NAME[name]
    fault = replace(fault, after=min(fault.after, 5))
    found = fail(fault, server, history=history, members=12, workers=2, folder=tmp_path)
    assert found.deviations == []
    assert found.delivered > 0


@pytest.mark.xdist_group(GEVENT)
def test_native_threads_beside_greenlets(tmp_path):
    """Guards a publisher in a native thread of a process that gevent has patched."""
    fault = replace(BY_NAME["nothing"], after=1)
    found = fail(fault, GEVENT, members=6, workers=2, native=True, folder=tmp_path)
    assert found.deviations == []
    assert found.failed == found.uncertain == 0


# It waits for most of a minute: those that may take long come early.
@pytest.mark.timeout(180)
@pytest.mark.xdist_group("groups-presence")
def test_presence(tmp_path):
    """Guards that the names of a killed worker go."""
    found = presence(GEVENT, names=400, groups=20, folder=tmp_path)
    assert found.deviations == []
