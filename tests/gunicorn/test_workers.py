"""gunicorn's workers: finding and watching them, and the warnings of their settings."""

from __future__ import annotations

import logging
import signal
import sys
import time
from types import SimpleNamespace

import pytest

from django_websocket.gunicorn import workers
from django_websocket.gunicorn.workers import adopt_worker, find_worker, warnings_for
from django_websocket.process import shutdown
from django_websocket.process.registry import Registry

#: Seconds for what has to happen, and takes no time unless it is broken.
PATIENCE = 20


def cfg(**settings):
    return SimpleNamespace(**{"workers": 1, "threads": 1, "worker_connections": 1000, "timeout": 30, **settings})


@pytest.mark.parametrize(
    ("worker", "settings", "limit", "words"),
    [
        ("SyncWorker", {}, None, ["nothing else", "--timeout 30"]),
        ("SyncWorker", {"timeout": 0}, 5, ["nothing else"]),
        ("ThreadWorker", {}, None, ["only thread"]),
        ("ThreadWorker", {}, 1, ["only thread"]),
        ("ThreadWorker", {"threads": 8}, None, ["8 WebSockets take all 8 threads"]),
        ("ThreadWorker", {"threads": 8}, 8, ["set WEBSOCKET_MAX_CONNECTIONS below 8"]),
        ("ThreadWorker", {"threads": 8}, 7, []),
        ("GeventWorker", {}, None, ["all 1000 connections"]),
        ("GeventWorker", {"threads": 8}, 999, []),
        ("EventletWorker", {"worker_connections": 10}, 10, ["(--worker-connections)"]),
        ("EventletWorker", {"worker_connections": 10}, 0, []),
    ],
)
def test_warnings(worker, settings, limit, words):
    warnings = warnings_for(worker, cfg(**settings), limit)
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning


class Fake:
    """A connection that takes note of its closing."""

    def __init__(self):
        self.codes = []

    def request_close(self, code, *, cause):
        self.codes.append(code)


class Worker:
    """What is known of one."""

    def __init__(self):
        self.alive = True
        self.cfg = cfg(threads=4)
        self.log = logging.getLogger("gunicorn.test")

    def handle_exit(self, number, frame):
        self.alive = False


@pytest.fixture
def registry(monkeypatch):
    """The process's signals and workers for a test alone, and a registry of its own."""
    registry = Registry()
    monkeypatch.setattr(shutdown, "_shutdown", shutdown._Shutdown())
    shutdown._shutdown.at_exit = True
    monkeypatch.setattr(workers, "_process", SimpleNamespace(worker=None, watched=False))
    monkeypatch.setitem(sys.modules, "gunicorn", SimpleNamespace())
    for module in (shutdown, workers):
        monkeypatch.setattr(module, "registry", registry)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)}
    yield registry
    for number, handler in before.items():
        signal.signal(number, handler)


def test_there_is_no_worker(registry):
    for handler in (signal.SIG_DFL, lambda number, frame: None, Fake().request_close):
        signal.signal(signal.SIGTERM, handler)
        assert find_worker() is None


def test_a_worker_is_found_by_its_handler(registry):
    worker = Worker()
    signal.signal(signal.SIGTERM, worker.handle_exit)
    assert find_worker() is worker
    shutdown.close_on_exit()
    assert signal.getsignal(signal.SIGTERM) != worker.handle_exit
    assert find_worker() is worker, "behind our own handler"
    adopt_worker(worker, close=False, limit=1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert find_worker() is worker


def test_nothing_is_found_without_gunicorn(registry, monkeypatch):
    monkeypatch.delitem(sys.modules, "gunicorn")
    signal.signal(signal.SIGTERM, Worker().handle_exit)
    assert find_worker() is None


def test_a_worker_that_makes_itself_known(registry):
    worker = Worker()
    adopt_worker(worker, close=False, limit=1)
    assert find_worker() is worker
    workers._reset()
    assert find_worker() is None, "a forked child is another"


def test_the_end_of_a_worker_without_a_signal(registry):
    worker, one = Worker(), Fake()
    registry.add(one)
    adopt_worker(worker, close=True, limit=1)
    time.sleep(3 * workers._POLL_INTERVAL)
    assert one.codes == []
    worker.alive = False
    deadline = time.monotonic() + PATIENCE
    while not one.codes and time.monotonic() < deadline:
        time.sleep(0.01)
    assert one.codes == [1012]
    # It may accept for a little longer, and who comes is served until then.
    assert not registry.draining
    assert registry.enter(None)
    while not registry.draining and time.monotonic() < deadline:
        time.sleep(0.01)
    assert registry.draining
    assert one.codes == [1012, 1012]


def test_a_worker_for_which_no_thread_can_be_started(registry, monkeypatch, caplog):
    """The next attempt to open a WebSocket tries again; the warnings come once."""
    worker, one = Worker(), Fake()
    registry.add(one)
    with monkeypatch.context() as patch:
        patch.setattr(workers, "start_thread", lambda *_: False)
        adopt_worker(worker, close=True, limit=None)
    worker.alive = False
    assert one.codes == []
    for _ in range(2):
        adopt_worker(worker, close=True, limit=None)
    deadline = time.monotonic() + PATIENCE
    while not registry.draining and time.monotonic() < deadline:
        time.sleep(0.01)
    assert one.codes == [1012, 1012]
    assert len(caplog.records) == 1


def test_a_signal_to_a_worker(registry):
    worker, one = Worker(), Fake()
    registry.add(one)
    signal.signal(signal.SIGTERM, worker.handle_exit)
    shutdown.close_on_exit()
    adopt_worker(worker, close=False, limit=1)
    signal.raise_signal(signal.SIGTERM)
    assert one.codes == [1012]
    assert not worker.alive
    assert not registry.draining
