"""Fixtures of the tests of groups."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from django_websocket.connection import connection as module
from django_websocket.process.registry import registry


@pytest.fixture(autouse=True)
def _no_closer(monkeypatch):
    """Keep connections whose clock is a test's own from the closer."""
    monkeypatch.setattr(module, "closer", SimpleNamespace(add=lambda _: None, discard=lambda _: None))


@pytest.fixture(autouse=True)
def _clean_registry():
    yield
    registry.reset()
