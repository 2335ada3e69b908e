"""What is said about gunicorn's settings."""

import logging
from types import SimpleNamespace

import pytest

from django_websocket import gunicorn
from django_websocket.gunicorn import workers
from django_websocket.gunicorn.workers import warnings_for
from django_websocket.process import shutdown as lifetime


def cfg(**settings):
    return SimpleNamespace(**{"threads": 1, "worker_connections": 1000, "timeout": 30, **settings})


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


def test_the_hook(monkeypatch, settings, caplog):
    """A worker is warned of once, in its own log, however often it is met."""
    monkeypatch.setattr(lifetime, "_lifetime", lifetime._Lifetime())
    settings.WEBSOCKET_CLOSE_ON_SIGTERM = False
    worker = type("ThreadWorker", (), {})()
    worker.alive, worker.cfg, worker.log = True, cfg(threads=4), logging.getLogger("gunicorn.test")
    gunicorn.post_worker_init(worker)
    gunicorn.post_worker_init(worker)
    workers.meet_worker()
    (record,) = caplog.records
    assert record.getMessage().startswith("django-websocket: 4 WebSockets take all 4 threads")


def test_there_is_nothing_else_in_the_module():
    with pytest.raises(AttributeError, match="GeventWorker"):
        _ = gunicorn.GeventWorker
