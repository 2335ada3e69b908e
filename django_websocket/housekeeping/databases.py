"""The database connections of a view that waits.

Django opens them as they are needed, one for each thread and database, and closes them between two requests. A
WebSocket is one request for hours; while its view waits, it gives back what it holds.
"""

from __future__ import annotations

import _thread
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

logger = logging.getLogger("django_websocket.database")

#: Seconds without a message after which a conversation has paused: to connect again takes a database some milliseconds,
#: and a chat that saves each message should not need to.
SILENCE: Final = 1.0

Blocks = dict[str, tuple[object, ...]]


class _Thread(threading.local):
    """What is known of a thread's connections."""

    def __init__(self) -> None:
        #: Those that are open, and perhaps some that were closed since.
        self.open: list[BaseDatabaseWrapper] = []

    #: The ``atomic()`` blocks that are not a view's, by alias.
    foreign: Mapping[str, tuple[object, ...]] = MappingProxyType({})


_local: Final = _Thread()


def _note(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Note a connection that was opened; whoever waits asks a list whether there is one, and not all of Django."""
    opened = _local.open
    opened[:] = [other for other in opened if other is not connection and other.connection is not None]
    opened.append(connection)


connection_created.connect(_note, dispatch_uid="django_websocket.databases")


def atomic_blocks() -> Blocks:
    """Give the open ``atomic()`` blocks of each database connection of this thread."""
    return {connection.alias: tuple(connection.atomic_blocks) for connection in connections.all(initialized_only=True)}


def set_foreign_blocks(blocks: Blocks) -> None:
    """Say which ``atomic()`` blocks of this thread are not a view's: a test's, that runs the view."""
    _local.foreign = blocks


class Databases:
    """The database connections of the thread that runs a view."""

    __slots__ = ("_keep", "_name", "_warned", "open")

    def __init__(self, name: str, *, keep: bool = False) -> None:
        """Look at this thread. ``keep`` leaves its connections open; ``name`` says in the log whose view it is."""
        self._name = name
        self._keep = keep
        self._warned = False
        #: Its connections that may be open; empty when nothing is to be done.
        self.open: Final = _local.open
        for connection in connections.all(initialized_only=True):
            # Opened before this module was imported, or by a test that shares it with other threads.
            if connection.connection is not None and connection not in self.open:
                self.open.append(connection)

    def pause(self) -> float | None:
        """Give back what another view may need at once, before a wait.

        That is a connection of a pool, one that has outlived ``CONN_MAX_AGE``, and one that is broken. Gives the
        seconds of silence after which the rest should go, ``None`` if there is none.
        """
        rest = None
        for connection in self._releasable(warn=True):
            if _outlived(connection) or not _is_sound(connection):
                self._release(connection)
            else:
                rest = SILENCE
        return rest

    def silence(self) -> None:
        """Give back the rest, as nothing has come for a while."""
        for connection in self._releasable():
            self._release(connection)

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Give back afterwards what is opened meanwhile."""
        # Not self.open: another thread may be waiting in the view's place.
        before = [connection for connection in _local.open if connection.connection is not None]
        try:
            yield
        finally:
            for connection in _local.open.copy():
                if connection not in before and self._is_free(connection):
                    self._release(connection)

    def in_transaction(self) -> bool:
        """Tell whether the view has a transaction open."""
        return any(map(_in_own_transaction, self._known()))

    def _known(self) -> list[BaseDatabaseWrapper]:
        """Give the open connections that are this thread's own, and forget those that are closed."""
        known = []
        for connection in _local.open.copy():
            if connection.connection is None:
                _local.open.remove(connection)
            # A test's database in memory is everybody's; and greenlets share what was made before they were patched in.
            elif connection._thread_ident == _thread.get_ident() and not connection.allow_thread_sharing:  # type: ignore[attr-defined]  # noqa: SLF001
                known.append(connection)
        return known

    def _releasable(self, *, warn: bool = False) -> list[BaseDatabaseWrapper]:
        """Give the connections that nothing depends on."""
        releasable = []
        for connection in self._known():
            # DEBUG's log begins anew with each message, as it does with each request. Whoever counts queries in a test
            # has set the flag.
            if connection.queries_log and not connection.force_debug_cursor:
                connection.queries_log.clear()
            if self._keep:
                continue
            if self._is_free(connection):
                releasable.append(connection)
            elif warn and not self._warned and _in_own_transaction(connection):
                self._warned = True
                logger.warning(
                    "WebSocket %s waits inside a transaction of the database %r, which stays open meanwhile, with all "
                    "its locks. Leave transaction.atomic() before you wait.",
                    self._name,
                    connection.alias,
                )
        return releasable

    @staticmethod
    def _is_free(connection: BaseDatabaseWrapper) -> bool:
        return connection.connection is not None and not connection.in_atomic_block and connection.autocommit

    def _release(self, connection: BaseDatabaseWrapper) -> None:
        try:
            connection.close()
        except Error as error:
            logger.warning("WebSocket %s: the database %r: %s", self._name, connection.alias, ascii(str(error)))
        finally:
            if connection in _local.open:
                _local.open.remove(connection)


def _in_own_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a transaction is open that neither a ``TestCase`` nor a test has opened."""
    if not connection.in_atomic_block:
        return not connection.autocommit
    foreign = _local.foreign.get(connection.alias, ())
    blocks: list[Any] = connection.atomic_blocks
    return any(not block._from_testcase and block not in foreign for block in blocks)  # noqa: SLF001


def _outlived(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a connection is of a pool, or has outlived its ``CONN_MAX_AGE`` where that is a time."""
    settings = connection.settings_dict
    if settings["OPTIONS"].get("pool"):
        return True
    # With 0 it has outlived it since it was opened: to Django it means the end of the request.
    return (
        bool(settings["CONN_MAX_AGE"]) and connection.close_at is not None and time.monotonic() >= connection.close_at
    )


def _is_sound(connection: Any) -> bool:
    """Tell whether a connection works, as far as is known; asks it after an error, as Django does after a request."""
    connection.health_check_done = False
    if connection.errors_occurred:
        if not connection.is_usable():
            return False
        connection.errors_occurred = False
        connection.health_check_done = True
    return True
