"""The preparation of a process: signals that are watched, and the worker of gunicorn."""

import subprocess
import sys

import pytest

from django_websocket.conf import MEMORY_BACKEND
from django_websocket.middleware import WebSocketMiddleware, preparation

from ..groups import spy
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


LOADED = """
import sys
import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["django_websocket"])
django.setup()
from django_websocket.middleware.preparation import watch_log_outs

watch_log_outs()
print([name for name in sys.modules if name.startswith("django_websocket.groups") or name == "redis"])
"""


def test_without_groups_that_cross_processes_nothing_of_them_is_loaded():
    command = [sys.executable, "-c", LOADED]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_log_outs_of_other_processes_are_heard_of(settings):
    """Once in a process."""
    settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": MEMORY_BACKEND}, "shared": spy.SETTING["default"]}
    spy.SpyBackend.calls.clear()
    preparation.watch_log_outs()
    preparation.watch_log_outs()
    assert spy.SpyBackend.calls == ["watch"]


def test_a_backend_that_is_not_right(settings, caplog):
    """WebSockets work all the same."""
    settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": "no.where"}}
    preparation.watch_log_outs()
    assert [record.getMessage() for record in caplog.records] == ["Log-outs in other processes do not reach this one"]
