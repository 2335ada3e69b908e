"""The parts of a connection that another thread gets."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from django_websocket.testing.lending import Borrowed, Connections, Fetched


class Local:
    """A storage like that of ``django.db.connections``."""


class TestFetched:
    @pytest.fixture
    def cursor(self, db):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3 ORDER BY 1")
            Fetched.replace(cursor)
            yield cursor

    def test_one(self, cursor):
        assert [cursor.fetchone() for _ in range(4)] == [(1,), (2,), (3,), None]

    def test_many(self, cursor):
        assert cursor.fetchmany() == [(1,)]
        assert cursor.fetchmany(5) == [(2,), (3,)]

    def test_all(self, cursor):
        assert cursor.fetchall() == [(1,), (2,), (3,)]
        assert cursor.fetchall() == []

    def test_iteration(self, cursor):
        assert list(cursor) == [(1,), (2,), (3,)]

    def test_the_rest_is_that_of_the_cursor(self, cursor):
        assert len(cursor.description) == 1

    def test_another_statement(self, cursor):
        cursor.execute("SELECT 4")
        Fetched.replace(cursor)
        assert cursor.fetchall() == [(4,)]
        cursor.execute("SAVEPOINT x")
        Fetched.replace(cursor)
        assert not isinstance(cursor.cursor, Fetched)
        cursor.execute("RELEASE SAVEPOINT x")


class TestBorrowed:
    def test_it_is_not_closed(self, db):
        borrowed = Borrowed(connection)
        Group.objects.create(name="one")
        borrowed.close()
        borrowed.close_if_unusable_or_obsolete()
        assert Group.objects.count() == 1

    def test_attributes_are_those_of_the_connection(self, db):
        borrowed = Borrowed(connection)
        before = connection.needs_rollback
        borrowed.needs_rollback = not before
        assert connection.needs_rollback is not before
        borrowed.needs_rollback = before
        assert borrowed.vendor == connection.vendor


def test_the_owner_has_its_own_connections():
    own = Local()
    mine = Connections(own, {"default": "lent"})
    mine.default = "own"
    assert (mine.default, own.default) == ("own", "own")
    del mine.default
    assert not hasattr(mine, "default")
