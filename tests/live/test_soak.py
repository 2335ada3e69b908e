"""A few seconds of ``python -m lab.soak``: it works, and there is no gross mistake."""

import pytest

from lab.kinds import BY_NAME
from lab.soak import clients
from lab.soak.limits import check_flood
from lab.soak.run import SETTINGS, cycles, mix, run

pytestmark = pytest.mark.live

KINDS = [pytest.param(BY_NAME[name], marks=pytest.mark.xdist_group(name)) for name in ("gunicorn_gthread", "eventlet")]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_mixed(kind, monkeypatch):
    """Guards clients of all kinds at once: good ones are served, and the server holds nothing of any afterwards."""
    # With a second each, the clients that keep a server waiting are soon done.
    for name, settings in (("PING", ("PING_INTERVAL", "PING_TIMEOUT")), ("SEND", ("SEND_TIMEOUT",))):
        monkeypatch.setattr(clients, name, 1)
        for setting in settings:
            monkeypatch.setitem(SETTINGS, f"WEBSOCKET_{setting}", 1)
    outcome = run(kind, "test-mixed", 40, lambda *to: mix(*to, 40, 1.5))
    assert not outcome.deviations
    assert len(outcome.connections) > 8


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_cycles(kind):
    """Guards that opening and closing a connection leaves nothing behind."""
    outcome = run(kind, "test-cycles", 10, lambda *to: cycles(*to, 10, 500))
    assert not outcome.deviations
    assert outcome.connections == {"cycle": 500}


def test_flood():
    """Guards the measurement of the effect of one client's pings on the others."""
    lines, _ = check_flood(BY_NAME["eventlet"], 2000, 0.5)
    assert lines
