"""The metrics in the registry of prometheus_client, and connected to the signals."""

import os

import prometheus_client
import pytest

from django_websocket.prometheus import installation
from django_websocket.prometheus.installation import install
from django_websocket.signals import websocket_accepted, websocket_closed, websocket_refused
from django_websocket.testing import WebSocketClient

from ..observing import records
from .figures import ROUTE, a_request, a_websocket, samples, stats

SIGNALS = {websocket_accepted: 1, websocket_closed: 1, websocket_refused: 1}


@pytest.fixture
def forks(monkeypatch):
    """Return the functions that a forked child would call."""
    functions = []

    def register_at_fork(*, after_in_child):
        functions.append(after_in_child)

    monkeypatch.setattr(os, "register_at_fork", register_at_fork)
    return functions


@pytest.fixture
def registry(monkeypatch, forks):
    """Install into a registry of the test, and remove everything afterwards."""
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        monkeypatch.delenv(name, raising=False)
    registry = prometheus_client.CollectorRegistry(auto_describe=True)
    monkeypatch.setattr(installation, "REGISTRY", registry)
    install.cache_clear()
    yield registry
    install.cache_clear()
    for signal in SIGNALS:
        for uid in (installation._UID, f"{installation._UID}.writer"):
            signal.disconnect(dispatch_uid=uid)


def receivers():
    return {signal: len(signal.receivers) for signal in SIGNALS}


def test_signals_reach_the_registry(registry, forks):
    install()
    request, websocket = a_request(), a_websocket()
    websocket_accepted.send_robust(None, request=request, websocket=websocket)
    websocket_refused.send_robust(None, request=request, status=403, reason="no")
    assert samples(registry)["django_websocket_connections", ROUTE] == 1
    websocket_closed.send_robust(None, request=request, websocket=websocket, stats=stats((1, 0, 2, 0)))
    found = samples(registry)
    assert found["django_websocket_messages_total", ROUTE, "received"] == 1
    assert found["django_websocket_handshakes_total", ROUTE, "403"] == 1
    assert ("django_websocket_connections", ROUTE) not in found
    assert len(forks) == 1


@pytest.mark.django_db
def test_a_websocket_is_counted_while_it_is_open_and_when_it_has_ended(registry):
    install()
    with WebSocketClient().websocket("/echo/") as websocket:
        websocket.send("héllo")
        websocket.assert_message("héllo")
        found = samples(registry)
        assert found["django_websocket_connections", "echo/"] == 1
        assert found["django_websocket_messages_total", "echo/", "received"] == 1
        assert found["django_websocket_message_bytes_total", "echo/", "sent"] == 6
        websocket.send("again")
        websocket.assert_message("again")
        websocket.close(4999)
    found = samples(registry)
    assert ("django_websocket_connections", "echo/") not in found
    assert found["django_websocket_messages_total", "echo/", "sent"] == 2
    assert found["django_websocket_message_bytes_total", "echo/", "received"] == 11
    assert found["django_websocket_closes_total", "echo/", "4xxx", "client", "normal"] == 1
    assert found["django_websocket_connection_duration_seconds_count", "echo/"] == 1


@pytest.mark.django_db
def test_a_refused_websocket_is_counted_by_its_status(registry):
    install()
    for address in ("/plain/", "/plain/", "/nowhere/"):
        with WebSocketClient().websocket(address) as websocket:
            assert websocket.response.status_code >= 400
    found = samples(registry)
    assert found["django_websocket_handshakes_total", "plain/", "400"] == 2
    assert found["django_websocket_handshakes_total", "unknown", "404"] == 1
    assert len([name for name, *_ in found if name == "django_websocket_connections"]) == 0


def test_a_second_call_does_nothing(registry, forks):
    assert install() is install()
    assert receivers() == SIGNALS
    assert len(forks) == 1


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_the_multiprocess_mode_has_a_writer(registry, forks, monkeypatch, name, tmp_path):
    monkeypatch.setenv(name, str(tmp_path))
    _, writer = install()
    assert writer is not None
    assert receivers() == {**SIGNALS, websocket_accepted: 2}
    assert len(forks) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_scrapes_itself_has_no_writer(registry, caplog):
    _, writer = install()
    assert writer is None
    assert records(caplog, "django_websocket.prometheus") == []


@pytest.mark.parametrize("there", [True, False])
def test_a_directory_that_is_not_there(registry, monkeypatch, tmp_path, caplog, there):
    directory = tmp_path / "metrics"
    if there:
        directory.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(directory))
    install()
    found = [record.getMessage() for record in records(caplog, "django_websocket.prometheus")]
    warning = (
        f"PROMETHEUS_MULTIPROC_DIR is '{directory}', which is no directory, so that WebSockets cannot be counted: make "
        "it before the server starts its processes"
    )
    assert found == ([] if there else [warning])


def test_a_system_that_cannot_fork(registry, monkeypatch):
    monkeypatch.delattr(os, "register_at_fork")
    install()
    assert receivers() == SIGNALS
