"""Messages that are sent when a transaction is committed."""

from contextlib import nullcontext

import pytest
from django.db import transaction

from django_websocket import Group
from lab.servers import free_port

from ..observing import records


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_transaction", [True, False])
def test_an_error_of_the_backend_is_logged(settings, caplog, in_transaction):
    """Guards against an error of a request whose data are committed."""
    redis = "django_websocket.groups.backends.redis.RedisBackend"
    settings.WEBSOCKET_GROUPS = {
        "default": {"BACKEND": redis, "LOCATION": f"redis://127.0.0.1:{free_port()}/0"},
    }
    if in_transaction:
        with transaction.atomic():
            Group("news").send_on_commit("hello")
    else:
        Group("news").send_on_commit("hello")
    (record,) = records(caplog, "django.db.backends.base")
    assert record.levelname == "ERROR"
    assert "Group.send_on_commit" in record.getMessage()
    assert "Redis is not available" in record.getMessage()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_transaction", [True, False])
def test_an_error_of_the_backend_is_one_line_if_errors_are_logged(settings, caplog, in_transaction):
    """Guards against a traceback for every message while Redis is away."""
    redis = "django_websocket.groups.backends.redis.RedisBackend"
    location = f"redis://127.0.0.1:{free_port()}/0"
    settings.WEBSOCKET_GROUPS = {
        "default": {"BACKEND": redis, "LOCATION": location, "OPTIONS": {"ON_ERROR": "log"}},
    }
    with transaction.atomic() if in_transaction else nullcontext():
        Group("news").send_on_commit("hello")
    assert records(caplog, "django.db.backends.base") == []
    (record,) = records(caplog, "django_websocket.groups")
    assert record.getMessage().startswith("Group 'news': Redis is not available: ")
    assert (record.levelname, record.exc_info) == ("ERROR", None)
