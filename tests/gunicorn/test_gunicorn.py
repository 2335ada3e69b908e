"""What gunicorn is told."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from django_websocket import gunicorn
from django_websocket.gunicorn import workers
from django_websocket.process import shutdown


def test_the_hook(monkeypatch, settings, caplog):
    """A worker is warned of once, in its own log, however often it is met."""
    monkeypatch.setattr(shutdown, "_shutdown", shutdown._Shutdown())
    shutdown._shutdown.at_exit = True
    monkeypatch.setattr(workers, "_process", SimpleNamespace(worker=None, watched=False))
    settings.WEBSOCKET_CLOSE_ON_SIGTERM = False
    worker = type("ThreadWorker", (), {})()
    worker.alive, worker.log = True, logging.getLogger("gunicorn.test")
    worker.cfg = SimpleNamespace(workers=1, threads=4, worker_connections=1000, timeout=30)
    gunicorn.post_worker_init(worker)
    gunicorn.post_worker_init(worker)
    (record,) = caplog.records
    assert record.getMessage().startswith("django-websocket: 4 WebSockets take all 4 threads")


def test_there_is_nothing_else_in_the_module():
    with pytest.raises(AttributeError, match="GeventWorker"):
        _ = gunicorn.GeventWorker
