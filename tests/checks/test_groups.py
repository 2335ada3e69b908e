"""The checks of the backends of groups."""

from __future__ import annotations

import sys

import pytest
from django.core.checks import ERROR, WARNING

from django_websocket import checks

from .reports import ids, with_defaults

MEMORY = "django_websocket.groups.backends.memory.MemoryBackend"


def set_default(settings, **entry):
    settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": MEMORY, **entry}}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"BACKEND": "nowhere.Backend"}, "WEBSOCKET_GROUPS has a BACKEND that cannot be imported: 'nowhere.Backend'"),
        ({"BACKEND": "django_websocket.conf.Conf"}, "WEBSOCKET_GROUPS has a BACKEND that is no subclass of "),
        (
            {"OPTIONS": {"SPEED": 1}},
            "WEBSOCKET_GROUPS has an option that does not exist: 'SPEED'; there are ON_",
        ),
        ({"OPTIONS": {"QUEUE_BYTES": 0}}, "WEBSOCKET_GROUPS QUEUE_BYTES must be above 0, not 0, for 'default'."),
        ({"OPTIONS": {"QUEUE_MESSAGES": "9"}}, "WEBSOCKET_GROUPS QUEUE_MESSAGES must be a whole number, not '9'"),
        ({"OPTIONS": {"ON_ERROR": "ignore"}}, "WEBSOCKET_GROUPS ON_ERROR must be 'raise' or 'log', not 'ignore'"),
        ({"OPTIONS": {"HISTORY_TTL": 0}}, "WEBSOCKET_GROUPS HISTORY_TTL must be above 0"),
        ({"LOCATION": "redis://localhost"}, "WEBSOCKET_GROUPS has a LOCATION, which this backend does not take"),
    ],
)
def test_a_bad_backend(settings, entry, message):
    set_default(settings, **entry)
    assert ids() == ["E018"]
    (error,) = checks.check_backends()
    assert error.msg.startswith(message)
    assert error.is_serious(ERROR)


@pytest.mark.parametrize(
    "options", [{"ON_ERROR": "log", "QUEUE_BYTES": 9, "QUEUE_MESSAGES": 1, "HISTORY_TTL": 0.5}, {}]
)
def test_a_good_backend(settings, options):
    set_default(settings, OPTIONS=options)
    assert ids() == []


def test_a_bad_setting_is_reported_once(settings):
    settings.WEBSOCKET_GROUPS = {}
    assert ids(deploy=True) == with_defaults("E017")


def test_groups_within_one_process(monkeypatch):
    """A project that has no groups is not told of them."""
    import django_websocket.groups.group  # noqa: F401 - a project has imported it

    assert ids(deploy=True) == with_defaults("W214")
    (message,) = checks.check_groups_deployment()
    assert message.is_serious(WARNING)
    monkeypatch.delitem(sys.modules, "django_websocket.groups.group")
    assert ids(deploy=True) == with_defaults()


@pytest.mark.parametrize(
    ("location", "remote"),
    [
        ("redis://example.com:6379/0", "example.com"),
        ("valkey://10.0.0.1", "10.0.0.1"),
        (["redis://localhost", "redis://a.example", "redis://b.example"], "a.example, b.example"),
        ("redis://localhost:6379", None),
        ("redis://127.0.0.1", None),
        ("redis://[::1]:1", None),
        ("rediss://example.com", None),
        ("unix:///run/redis.sock", None),
        ("redis://[bad", None),
    ],
)
def test_messages_in_plain_text(settings, location, remote):
    settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": "another.Backend", "LOCATION": location}}
    found = [message.msg for message in checks.check_groups_deployment()]
    assert found == [
        f"The messages of groups are sent to {host} without TLS (WEBSOCKET_GROUPS: default)."
        for host in [remote]
        if host is not None
    ]
