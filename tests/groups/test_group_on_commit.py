"""Messages that are sent when a transaction is committed."""

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
