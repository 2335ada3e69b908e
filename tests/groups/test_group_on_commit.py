"""Messages that are sent when a transaction is committed."""

from contextlib import nullcontext

import pytest
from django.db import transaction

from django_websocket import Group
from lab.servers import free_port

from ..observing import records


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_transaction", [True, False])
@pytest.mark.parametrize("on_error", ["raise", "log"])
def test_an_error_of_the_backend_is_one_line(settings, caplog, in_transaction, on_error):
    """Guards against an error of a request whose data are committed, and a traceback for every message."""
    redis = "django_websocket.groups.backends.redis.RedisBackend"
    location = f"redis://127.0.0.1:{free_port()}/0"
    settings.WEBSOCKET_GROUPS = {
        "default": {"BACKEND": redis, "LOCATION": location, "OPTIONS": {"ON_ERROR": on_error}},
    }
    with transaction.atomic() if in_transaction else nullcontext():
        Group("news").send_on_commit("hello")
    assert records(caplog, "django.db.backends.base") == []
    (record,) = records(caplog, "django_websocket.groups")
    assert record.getMessage().startswith("Group 'news': Redis is not available: ")
    assert (record.levelname, record.exc_info) == ("ERROR", None)
