"""Database connections of a view that waits: SQLite's here, and PostgreSQL's in tests/live/test_databases.py."""

import logging
from types import SimpleNamespace

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.db import connections, transaction
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.utils import OperationalError

from django_websocket import require_websocket
from django_websocket.housekeeping import databases
from django_websocket.housekeeping.databases import IDLE_TIMEOUT, Databases
from django_websocket.housekeeping.hooks import DjangoHooks
from django_websocket.testing.client import WebSocketClient

from ..running import Running


@pytest.fixture
def database(tmp_path, django_db_blocker):
    """Return a function that makes a connection to a database in a file, and opens it."""
    made = []

    def make(alias="file", **settings):
        configured = connections.configure_settings(
            {"default": {}, alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db", **settings}}
        )
        made.append(connection := DatabaseWrapper(configured[alias], alias))
        connection.ensure_connection()
        return connection

    with django_db_blocker.unblock():
        yield make
        for connection in made:
            connection.close()
        databases._local.open_connections.clear()


def ask(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def is_open(connection):
    return connection.connection is not None


@pytest.fixture
def held():
    held = Databases("/chat/")
    # The tests' own connection may be open by now.
    held.open_connections.clear()
    return held


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "django_websocket.database"]


class TestRelease:
    def test_nothing(self, held):
        assert not held.open_connections
        assert held.before_wait() is None

    @pytest.mark.parametrize("age", [0, None, 60])
    def test_when_the_client_is_idle(self, held, database, age):
        connection = database(CONN_MAX_AGE=age)
        assert held.before_wait() == IDLE_TIMEOUT
        assert is_open(connection)
        held.on_idle()
        assert not is_open(connection)
        assert not held.open_connections
        assert held.before_wait() is None
        ask(connection)
        assert held.before_wait() == IDLE_TIMEOUT

    def test_before_the_wait_when_it_is_old(self, held, database):
        connection = database(CONN_MAX_AGE=60)
        connection.close_at -= 60
        assert held.before_wait() is None
        assert not is_open(connection)

    def test_before_the_wait_to_a_pool(self, held, database):
        connection = database()
        connection.settings_dict["OPTIONS"]["pool"] = {"max_size": 4}
        assert held.before_wait() is None
        assert not is_open(connection)

    def test_before_the_wait_when_it_is_broken(self, held, database, monkeypatch):
        connection = database(CONN_MAX_AGE=None)
        # A connection of SQLite always says that it is usable.
        monkeypatch.setattr(connection, "is_usable", lambda: False)
        connection.connection.close()
        with pytest.raises(Exception, match="closed"):
            ask(connection)
        assert held.before_wait() is None
        assert not is_open(connection)
        ask(connection)

    def test_usable_after_an_error(self, held, database):
        connection = database(CONN_MAX_AGE=None)
        with pytest.raises(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT nothing")
        assert connection.errors_occurred
        assert held.before_wait() == IDLE_TIMEOUT
        assert is_open(connection)
        assert not connection.errors_occurred

    def test_the_health_check_is_due_again(self, held, database):
        connection = database(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
        assert connection.health_check_done
        held.before_wait()
        assert not connection.health_check_done

    def test_several(self, held, database):
        first, second = database("first"), database("second", CONN_MAX_AGE=None)
        second.settings_dict["OPTIONS"]["pool"] = True
        assert held.before_wait() == IDLE_TIMEOUT
        assert (is_open(first), is_open(second)) == (True, False)

    def test_opened_before_this_package_was_imported(self, database, monkeypatch):
        """Each thread looks for them once."""
        connection = database()
        connections["file"] = connection
        try:
            connections.settings["file"] = connection.settings_dict
            # This module was imported before the applications were loaded.
            monkeypatch.setattr(databases, "_local", databases._ThreadState())
            assert not Databases("").open_connections
            monkeypatch.setattr(databases, "_MAY_BE_OPEN", True)
            monkeypatch.setattr(databases, "_local", databases._ThreadState())
            assert connection in Databases("").open_connections
        finally:
            del connections["file"]
            del connections.settings["file"]

    def test_closed_by_the_view(self, held, database):
        connection = database()
        connection.close()
        assert held.before_wait() is None
        assert not held.open_connections

    def test_opened_and_closed_again_and_again(self, held, database):
        connection = database()
        for _ in range(5):
            connection.close()
            ask(connection)
            database("other").close()
        assert len(held.open_connections) <= 2

    def test_an_error_of_the_database(self, held, database, caplog, monkeypatch):
        connection = database()
        real_close = connection._close

        def close():
            real_close()
            raise OperationalError("gone\n")

        # SQLite itself raises no error when it is closed.
        monkeypatch.setattr(connection, "_close", close)
        held.on_idle()
        assert not is_open(connection)
        assert warnings(caplog) == ["WebSocket /chat/: the database 'file': 'gone\\n'"]

    def test_another_thread_waits(self, held, database):
        """Django's connections belong to one thread each, here to that of the view."""
        connection = database()
        assert Running(held.before_wait).result() is None
        Running(held.on_idle).result()
        assert is_open(connection)

    def test_a_connection_that_threads_share(self, held, database):
        """A test's database in memory, under LiveServerTestCase."""
        connection = database()
        connection.inc_thread_sharing()
        assert held.before_wait() is None
        held.on_idle()
        assert is_open(connection)
        connection.dec_thread_sharing()

    def test_keep(self, database):
        held = Databases("", keep=True)
        connection = database(CONN_MAX_AGE=0)
        connection.settings_dict["OPTIONS"]["pool"] = True
        assert held.before_wait() is None
        held.on_idle()
        assert is_open(connection)

    def test_borrowed(self, held, database):
        before, other = database("before"), database("other")
        other.close()
        with held.borrowed():
            ask(before)
            ask(other)
            meanwhile = database("meanwhile")
        assert [is_open(connection) for connection in (before, other, meanwhile)] == [True, False, False]


class Store(SessionBase):
    """A session that is loaded by a query."""

    asked = None

    def load(self):
        Store.asked = connections["file"]
        ask(Store.asked)
        return {"count": 1}


@pytest.mark.parametrize("was_open", [True, False])
def test_revalidation_holds_no_connection(database, was_open):
    connection = connections["file"] = database(CONN_MAX_AGE=None)
    try:
        request = SimpleNamespace(session=Store("a session's key"))
        assert request.session["count"] == 1
        if not was_open:
            connection.close()
        assert DjangoHooks(request, "", keep_databases=False, revalidate_interval=60).revalidate() is None
        assert is_open(connection) is was_open
    finally:
        del connections["file"]


class TestRevalidationWithoutAutocommit:
    """Whether the view has a transaction open is not known, and the check must not depend on it."""

    @pytest.mark.parametrize("setting", [True, False])
    def test_over_another_connection(self, database, setting):
        connection = connections["file"] = database(AUTOCOMMIT=setting)
        try:
            request = SimpleNamespace(session=Store("a session's key"))
            assert request.session["count"] == 1
            transaction.set_autocommit(False, "file")
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE view (number)")
                cursor.execute("INSERT INTO view VALUES (1)")
            hooks = DjangoHooks(request, "", keep_databases=False, revalidate_interval=60)
            assert hooks.revalidate() is None
            assert hooks.revalidate_interval == 60, "the check was not put off"
            assert Store.asked is not connection
            assert not is_open(Store.asked)
            assert connections["file"] is connection
            assert connection.connection.in_transaction, "the view's transaction is open as before"
        finally:
            connection.rollback()
            del connections["file"]

    def test_over_a_connection_that_is_opened_for_it(self, database):
        """It is not left open, with a transaction that nobody ends."""
        connection = connections["file"] = database(AUTOCOMMIT=False)
        try:
            request = SimpleNamespace(session=Store("a session's key"))
            assert request.session["count"] == 1
            connection.close()
            hooks = DjangoHooks(request, "", keep_databases=False, revalidate_interval=60)
            assert hooks.revalidate() is None
            assert Store.asked is connection
            assert not is_open(connection)
        finally:
            del connections["file"]


class TestTransactions:
    @pytest.fixture
    def connection(self, database):
        connection = connections["file"] = database()
        yield connection
        del connections["file"]

    def test_the_views_own(self, held, connection, caplog):
        assert not held.in_atomic_block()
        with transaction.atomic("file"):
            assert held.in_atomic_block()
            for _ in range(3):
                assert held.before_wait() is None
                held.on_idle()
            assert is_open(connection)
            ask(connection)
        (warning,) = warnings(caplog)
        assert warning.startswith("WebSocket /chat/ waits inside a transaction of the database 'file', ")
        assert warning.endswith("Leave transaction.atomic() before you wait.")
        assert held.before_wait() == IDLE_TIMEOUT

    def test_of_a_test_case(self, held, connection, caplog):
        with (block := transaction.atomic("file")):
            block._from_testcase = True
            assert not held.in_atomic_block()
            assert held.before_wait() is None
            held.on_idle()
            assert is_open(connection)
            assert warnings(caplog) == []
            with transaction.atomic("file"):
                assert held.in_atomic_block()
                assert held.before_wait() is None
            assert len(warnings(caplog)) == 1

    def test_without_autocommit(self, held, connection, caplog):
        transaction.set_autocommit(False, "file")
        assert not held.in_atomic_block(), "whether a transaction is open is not known"
        assert held.before_wait() is None
        held.on_idle()
        assert is_open(connection)
        assert len(warnings(caplog)) == 1
        connection.rollback()
        transaction.set_autocommit(True, "file")

    def test_keep(self, connection, caplog):
        with transaction.atomic("file"):
            assert Databases("", keep=True).before_wait() is None
        assert warnings(caplog) == []


class TestQueries:
    """The log of queries, kept with DEBUG, must not grow as long as a WebSocket lives."""

    @pytest.mark.parametrize("keep", [True, False])
    def test_the_log_is_emptied_at_each_wait(self, database, settings, keep):
        settings.DEBUG = True
        held, connection = Databases("", keep=keep), database()
        for _ in range(3):
            ask(connection)
            assert len(connection.queries) == 1
            held.before_wait()
        assert connection.queries == []

    def test_the_log_is_kept_for_a_test_that_counts(self, held, database):
        connection = database()
        connection.force_debug_cursor = True
        for _ in range(3):
            ask(connection)
            held.before_wait()
        assert len(connection.queries) == 3


# In views. pytest-django wraps a test in transactions as TestCase does.


@require_websocket
def counting(request):
    for message in request.websocket:
        with transaction.atomic():
            answer = request.websocket.wait() if message == "wait inside" else message
            ask(connections["default"])
        request.websocket.send(f"{answer} {len(connections['default'].atomic_blocks)}")


class TestViews:
    @pytest.fixture(autouse=True)
    def _urls(self, settings):
        from django.urls import path

        settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("counting/", counting)]})

    @pytest.mark.django_db
    def test_the_tests_connection_stays(self, caplog, django_assert_num_queries):
        connection = connections["default"]
        with caplog.at_level(logging.WARNING), WebSocketClient().websocket("/counting/") as websocket:
            raw = connection.connection
            assert raw is not None
            websocket.send("a")
            assert websocket.wait().startswith("a ")
            with pytest.raises(TimeoutError):
                websocket.wait(timeout=5)
            # This transaction is the test's, not the view's.
            with transaction.atomic():
                websocket.send("b")
                assert websocket.wait().startswith("b ")
            assert connection.connection is raw
            assert warnings(caplog) == []
            with django_assert_num_queries(3):
                websocket.send("c")
                websocket.wait()
            websocket.send("wait inside")
            assert len(warnings(caplog)) == 1
            websocket.send("d")
            assert websocket.wait().startswith("d ")
        assert len(warnings(caplog)) == 1

    @pytest.mark.parametrize("policy", ["release", "keep"])
    def test_a_connection_is_released(self, database, settings, policy):
        """Outside TestCase, with a connection that can be closed: SQLite's in memory cannot."""
        settings.WEBSOCKET_DB = policy
        original, connections["default"] = connections["default"], database("default")
        connection = connections["default"]
        try:
            with WebSocketClient().websocket("/counting/") as websocket:
                websocket.send("a")
                assert websocket.wait() == "a 0"
                raw = connection.connection
                assert raw is not None
                # It stays open while messages come,
                for _ in range(3):
                    websocket.send("b")
                    assert websocket.wait() == "b 0"
                    with pytest.raises(TimeoutError):
                        websocket.wait(timeout=IDLE_TIMEOUT / 2)
                assert connection.connection is raw
                # but not when the client is idle.
                with pytest.raises(TimeoutError):
                    websocket.wait(timeout=IDLE_TIMEOUT * 1.5)
                assert connection.connection is (raw if policy == "keep" else None)
                websocket.send("c")
                assert websocket.wait() == "c 0"
        finally:
            connections["default"] = original


@require_websocket
def impatient(request):
    """Wait for less than the idle timeout at a time, over and over."""
    websocket = request.websocket
    ask(connections["default"])
    while not websocket.closed:
        try:
            websocket.wait(timeout=IDLE_TIMEOUT / 4)
        except TimeoutError:
            continue


def test_short_waits_add_up(database, settings):
    from django.urls import path

    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("impatient/", impatient)]})
    original, connections["default"] = connections["default"], database("default")
    try:
        with WebSocketClient().websocket("/impatient/") as websocket:
            for timeout, left_open in ((IDLE_TIMEOUT / 2, True), (IDLE_TIMEOUT, False)):
                with pytest.raises(TimeoutError):
                    websocket.wait(timeout=timeout)
                assert is_open(connections["default"]) is left_open
    finally:
        connections["default"] = original
