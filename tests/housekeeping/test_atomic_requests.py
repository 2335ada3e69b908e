"""Views that Django must not wrap in a transaction, and the transactions of their plain HTTP requests."""

import pytest
from django.db import connection, connections

from django_websocket.housekeeping.atomic_requests import AllDatabases, atomic, exempt_from_transactions


def in_transaction(request=None):
    return connection.in_atomic_block


@pytest.fixture
def _atomic_requests(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)


class TestExempt:
    def test_every_alias(self):
        def view(request):
            """A view that is called by no test."""

        exempt_from_transactions(view)
        assert "default" in view._non_atomic_requests
        assert "unknown" in view._non_atomic_requests
        assert set(view._non_atomic_requests) == set()

    def test_the_views_own_aliases_are_kept(self):
        def view(request):
            """A view that is called by no test."""

        view._non_atomic_requests = {"other"}
        exempt_from_transactions(view)
        once = view._non_atomic_requests
        exempt_from_transactions(view)
        assert view._non_atomic_requests is once
        assert set(once) == {"other"}

    def test_a_callable_without_attributes(self):
        exempt_from_transactions(len)
        assert not hasattr(len, "_non_atomic_requests")


@pytest.mark.django_db(transaction=True)
class TestAtomic:
    @pytest.mark.usefixtures("_atomic_requests")
    def test_with_the_setting(self):
        assert atomic(in_transaction, set())(None)
        assert not atomic(in_transaction, {"default"})(None)
        assert not atomic(in_transaction, AllDatabases())(None)

    def test_without_it(self):
        assert atomic(in_transaction, set()) is in_transaction
