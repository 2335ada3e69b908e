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
from django_websocket.housekeeping.databases import SILENCE, Databases
from django_websocket.housekeeping.hooks import DjangoHooks
from django_websocket.testing.client import WebSocketClient

from .running import Running


@pytest.fixture
def database(tmp_path, django_db_blocker):
    """Make connections to a database in a file, which open when they are asked something."""
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
        databases._local.open.clear()


def ask(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def is_open(connection):
    return connection.connection is not None


@pytest.fixture
def care():
    care = Databases("/chat/")
    # The tests' own connection may be open by now.
    care.open.clear()
    return care


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "django_websocket.database"]


class TestRelease:
    def test_nothing(self, care):
        assert not care.open
        assert care.pause() is None

    @pytest.mark.parametrize("age", [0, None, 60])
    def test_after_a_silence(self, care, database, age):
        connection = database(CONN_MAX_AGE=age)
        assert care.pause() == SILENCE
        assert is_open(connection)
        care.silence()
        assert not is_open(connection)
        assert not care.open
        assert care.pause() is None
        ask(connection)
        assert care.pause() == SILENCE

    def test_at_once_when_it_is_old(self, care, database):
        connection = database(CONN_MAX_AGE=60)
        connection.close_at -= 60
        assert care.pause() is None
        assert not is_open(connection)

    def test_at_once_to_a_pool(self, care, database):
        connection = database()
        connection.settings_dict["OPTIONS"]["pool"] = {"max_size": 4}
        assert care.pause() is None
        assert not is_open(connection)

    def test_at_once_when_it_is_broken(self, care, database, monkeypatch):
        connection = database(CONN_MAX_AGE=None)
        # SQLite's always says yes.
        monkeypatch.setattr(connection, "is_usable", lambda: False)
        connection.connection.close()
        with pytest.raises(Exception, match="closed"):
            ask(connection)
        assert care.pause() is None
        assert not is_open(connection)
        ask(connection)

    def test_an_error_that_did_no_harm(self, care, database):
        connection = database(CONN_MAX_AGE=None)
        with pytest.raises(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT nothing")
        assert connection.errors_occurred
        assert care.pause() == SILENCE
        assert is_open(connection)
        assert not connection.errors_occurred

    def test_health_checks_begin_anew(self, care, database):
        connection = database(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
        assert connection.health_check_done
        care.pause()
        assert not connection.health_check_done

    def test_several(self, care, database):
        first, second = database("first"), database("second", CONN_MAX_AGE=None)
        second.settings_dict["OPTIONS"]["pool"] = True
        assert care.pause() == SILENCE
        assert (is_open(first), is_open(second)) == (True, False)

    def test_opened_before_this_package_was_there(self, database):
        connection = database()
        databases._local.open.clear()
        connections["file"] = connection
        try:
            connections.settings["file"] = connection.settings_dict
            assert connection in Databases("").open
        finally:
            del connections["file"]
            del connections.settings["file"]

    def test_closed_by_the_view(self, care, database):
        connection = database()
        connection.close()
        assert care.pause() is None
        assert not care.open

    def test_opened_and_closed_again_and_again(self, care, database):
        connection = database()
        for _ in range(5):
            connection.close()
            ask(connection)
            database("other").close()
        assert len(care.open) <= 2

    def test_an_error_of_the_database(self, care, database, caplog, monkeypatch):
        connection = database()
        real_close = connection._close

        def close():
            real_close()
            raise OperationalError("gone\n")

        # No real one of SQLite does.
        monkeypatch.setattr(connection, "_close", close)
        care.silence()
        assert not is_open(connection)
        assert warnings(caplog) == ["WebSocket /chat/: the database 'file': 'gone\\n'"]

    def test_another_thread_waits(self, care, database):
        """Django's connections are for one thread each: that of the view."""
        connection = database()
        assert Running(care.pause).result() is None
        Running(care.silence).result()
        assert is_open(connection)

    def test_a_connection_that_threads_share(self, care, database):
        """A test's database in memory, under LiveServerTestCase."""
        connection = database()
        connection.inc_thread_sharing()
        assert care.pause() is None
        care.silence()
        assert is_open(connection)
        connection.dec_thread_sharing()

    def test_keep(self, database):
        care = Databases("", keep=True)
        connection = database(CONN_MAX_AGE=0)
        connection.settings_dict["OPTIONS"]["pool"] = True
        assert care.pause() is None
        care.silence()
        assert is_open(connection)

    def test_borrowed(self, care, database):
        before, other = database("before"), database("other")
        other.close()
        with care.borrowed():
            ask(before)
            ask(other)
            meanwhile = database("meanwhile")
        assert [is_open(connection) for connection in (before, other, meanwhile)] == [True, False, False]


class Store(SessionBase):
    """A session that a database is asked for."""

    def load(self):
        ask(connections["file"])
        return {"count": 1}


@pytest.mark.parametrize("held", [True, False])
def test_a_look_at_a_session_holds_no_connection(database, held):
    connection = connections["file"] = database(CONN_MAX_AGE=None)
    try:
        request = SimpleNamespace(session=Store("a session's key"))
        assert request.session["count"] == 1
        if not held:
            connection.close()
        assert DjangoHooks(request, "", keep_databases=False, period=60).revalidate() is None
        assert is_open(connection) is held
    finally:
        del connections["file"]


class TestTransactions:
    @pytest.fixture
    def connection(self, database):
        connection = connections["file"] = database()
        yield connection
        del connections["file"]

    def test_the_views_own(self, care, connection, caplog):
        assert not care.in_transaction()
        with transaction.atomic("file"):
            assert care.in_transaction()
            for _ in range(3):
                assert care.pause() is None
                care.silence()
            assert is_open(connection)
            ask(connection)
        (warning,) = warnings(caplog)
        assert warning.startswith("WebSocket /chat/ waits inside a transaction of the database 'file', ")
        assert warning.endswith("Leave transaction.atomic() before you wait.")
        assert care.pause() == SILENCE

    def test_of_a_test_case(self, care, connection, caplog):
        with (block := transaction.atomic("file")):
            block._from_testcase = True
            assert not care.in_transaction()
            assert care.pause() is None
            care.silence()
            assert is_open(connection)
            assert warnings(caplog) == []
            with transaction.atomic("file"):
                assert care.in_transaction()
                assert care.pause() is None
            assert len(warnings(caplog)) == 1

    def test_without_autocommit(self, care, connection, caplog):
        transaction.set_autocommit(False, "file")
        assert care.in_transaction()
        assert care.pause() is None
        care.silence()
        assert is_open(connection)
        assert len(warnings(caplog)) == 1
        connection.rollback()
        transaction.set_autocommit(True, "file")

    def test_keep(self, connection, caplog):
        with transaction.atomic("file"):
            assert Databases("", keep=True).pause() is None
        assert warnings(caplog) == []


class TestQueries:
    """What DEBUG logs of queries must not grow with the life of a WebSocket."""

    @pytest.mark.parametrize("keep", [True, False])
    def test_the_log_begins_anew(self, database, settings, keep):
        settings.DEBUG = True
        care, connection = Databases("", keep=keep), database()
        for _ in range(3):
            ask(connection)
            assert len(connection.queries) == 1
            care.pause()
        assert connection.queries == []

    def test_somebody_counts(self, care, database):
        connection = database()
        connection.force_debug_cursor = True
        for _ in range(3):
            ask(connection)
            care.pause()
        assert len(connection.queries) == 3


# In views. TestCase's own way with transactions is pytest-django's as well.


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
            # The test's own transaction, not the view's.
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
                # Not in a lively conversation,
                for _ in range(3):
                    websocket.send("b")
                    assert websocket.wait() == "b 0"
                    with pytest.raises(TimeoutError):
                        websocket.wait(timeout=SILENCE / 2)
                assert connection.connection is raw
                # but in a silence.
                with pytest.raises(TimeoutError):
                    websocket.wait(timeout=SILENCE * 1.5)
                assert connection.connection is (raw if policy == "keep" else None)
                websocket.send("c")
                assert websocket.wait() == "c 0"
        finally:
            connections["default"] = original


@require_websocket
def impatient(request):
    """Wait for less than a silence at a time, over and over."""
    websocket = request.websocket
    ask(connections["default"])
    while not websocket.closed:
        try:
            websocket.wait(timeout=SILENCE / 4)
        except TimeoutError:
            continue


def test_short_waits_add_up(database, settings):
    from django.urls import path

    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("impatient/", impatient)]})
    original, connections["default"] = connections["default"], database("default")
    try:
        with WebSocketClient().websocket("/impatient/") as websocket:
            for timeout, left_open in ((SILENCE / 2, True), (SILENCE, False)):
                with pytest.raises(TimeoutError):
                    websocket.wait(timeout=timeout)
                assert is_open(connections["default"]) is left_open
    finally:
        connections["default"] = original
