"""The preparation of a process: signals that are watched, and the worker of gunicorn."""

import pytest

from django_websocket.middleware import WebSocketMiddleware, preparation

from ..urls import plain


@pytest.fixture
def workers(monkeypatch):
    """Make the process one of gunicorn's, and return the arguments with which its worker was adopted."""
    adopted = []
    monkeypatch.setattr(preparation, "find_worker", lambda: "worker")
    monkeypatch.setattr(preparation, "adopt_worker", lambda worker, **options: adopted.append((worker, options)))
    return adopted


@pytest.mark.parametrize("value", [True, False])
def test_signals_are_watched_when_the_middleware_is_made(settings, monkeypatch, workers, value):
    settings.WEBSOCKET_CLOSE_ON_SIGTERM = value
    settings.WEBSOCKET_MAX_CONNECTIONS = 7
    calls = []
    monkeypatch.setattr(preparation, "close_on_exit", lambda: calls.append(True))
    WebSocketMiddleware(plain)
    assert calls == [True] * value
    assert workers == [("worker", {"close": value, "limit": 7})]


def test_a_process_of_another_server(monkeypatch, workers):
    monkeypatch.setattr(preparation, "find_worker", lambda: None)
    monkeypatch.setattr(preparation, "close_on_exit", lambda: None)
    preparation.prepare_process()
    assert workers == []
