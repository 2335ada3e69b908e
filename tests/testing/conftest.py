"""Fixtures of the tests of the test client."""

import pytest

from django_websocket.process.registry import registry
from django_websocket.testing.client import WebSocketClient
from django_websocket.testing.scheduler import scheduler

from .views import seen


@pytest.fixture
def client():
    return WebSocketClient()


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """Check that every view has ended when its session has."""
    yield
    assert scheduler().views == []
    assert len(registry) == 0


@pytest.fixture(autouse=True)
def _nothing_seen():
    seen.clear()
