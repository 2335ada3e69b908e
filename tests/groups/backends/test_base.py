"""What all backends have in common: options, limits, and what a backend within one process need not do."""

import pytest

from django_websocket.conf.validators import GroupsConfig
from django_websocket.connection.backlog import DEFAULT_LIMITS, QueueLimits
from django_websocket.groups.backends import backend_options
from django_websocket.groups.backends.base import COMMON_OPTIONS, Backend
from django_websocket.groups.backends.memory import MemoryBackend

from ..spy import PATH


def options_of(**options):
    return backend_options(MemoryBackend, GroupsConfig(PATH, None, options))


def test_the_defaults():
    assert options_of() == {
        "ON_ERROR": "raise",
        "QUEUE_BYTES": 1 << 20,
        "QUEUE_MESSAGES": 1000,
        "HISTORY_TTL": 86400,
    }
    assert set(options_of()) == set(COMMON_OPTIONS)
    assert MemoryBackend("default", None, options_of()).limits == DEFAULT_LIMITS


def test_limits():
    backend = MemoryBackend("default", None, options_of(QUEUE_BYTES=10, QUEUE_MESSAGES=2))
    assert backend.limits == QueueLimits(10, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ON_ERROR", "ignore"), ("ON_ERROR", None), ("QUEUE_BYTES", "1"), ("QUEUE_MESSAGES", -1), ("HISTORY_TTL", "1")],
)
def test_values_that_an_option_cannot_have(name, value):
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        options_of(**{name: value})


def test_a_backend_within_one_process_need_not_do_anything():
    backend = MemoryBackend("default", None, options_of())
    assert backend.watch() is None
    assert backend.stop() is None
    assert MemoryBackend.check_location(None) is None


def test_the_methods_that_every_backend_has():
    with pytest.raises(TypeError, match="abstract"):
        Backend("default", None, options_of())
