"""The database connections of a view that waits.

Django opens a connection for each thread and database when it is first needed, and closes it between two requests. A
WebSocket is one request that lasts for hours; its connections are released while its view waits.
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

from django.apps import apps
from django.conf import settings
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

logger = logging.getLogger("django_websocket.database")

#: Seconds without a byte from the client after which every connection is released. Connections are not released at
#: once, because a chat that saves each message would spend some milliseconds on a new connection each time.
IDLE_TIMEOUT: Final = 1.0

#: ``atomic()`` blocks by the alias of their database.
Blocks = dict[str, tuple[object, ...]]


class _ThreadState(threading.local):
    """The open database connections of one thread, and the ``atomic()`` blocks that no view has opened."""

    def __init__(self) -> None:
        #: The thread's open connections. Some of them may have been closed since they were added.
        self.open_connections: list[BaseDatabaseWrapper] = _find_open() if _MAY_BE_OPEN else []

    #: The ``atomic()`` blocks that were not opened by a view.
    foreign_blocks: Mapping[str, tuple[object, ...]] = MappingProxyType({})


def _find_open() -> list[BaseDatabaseWrapper]:
    """Return the open connections of this thread. To look for them takes long, as Django keeps them in locals."""
    return [one for one in connections.all(initialized_only=True) if one.connection is not None]


#: Whether threads may have opened connections before this module was imported. The application imports it before any
#: request is served.
_MAY_BE_OPEN: Final = apps.ready
_local: Final = _ThreadState()
if settings.configured:
    # Applications may have used their databases while they were loaded.
    _local.open_connections = _find_open()


def _add_opened(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Add a connection that was opened to this thread's list.

    The list is there so that a wait need not go through all of Django's connections.
    """
    opened = _local.open_connections
    opened[:] = [other for other in opened if other is not connection and other.connection is not None]
    opened.append(connection)


connection_created.connect(_add_opened, dispatch_uid="django_websocket.databases")


def atomic_blocks() -> Blocks:
    """Return the open ``atomic()`` blocks of each database connection of this thread."""
    return {connection.alias: tuple(connection.atomic_blocks) for connection in connections.all(initialized_only=True)}


def set_foreign_blocks(blocks: Blocks) -> None:
    """Set the ``atomic()`` blocks of this thread that no view has opened: those of the test that runs the view."""
    _local.foreign_blocks = blocks


class Databases:
    """The database connections of the thread that runs a view."""

    __slots__ = ("_keep", "_name", "_warned", "open_connections")

    def __init__(self, name: str, *, keep: bool = False) -> None:
        """Take over the connections of this thread.

        ``name`` names the WebSocket in the log. ``keep`` leaves the connections open while the view waits.
        """
        self._name = name
        self._keep = keep
        self._warned = False
        #: The thread's connections that may be open. While the list is empty there is nothing to release.
        self.open_connections: Final = _local.open_connections

    def before_wait(self) -> float | None:
        """Release the connections that should not be held during any wait.

        These are the connections of a pool, those older than ``CONN_MAX_AGE``, and broken ones. Return the seconds
        without a byte after which :meth:`on_idle` should be called for the rest, ``None`` if there are no more.
        """
        idle_timeout = None
        for connection in self._releasable(warn=True):
            if _is_pooled_or_old(connection) or not _is_usable(connection):
                self._release(connection)
            else:
                idle_timeout = IDLE_TIMEOUT
        return idle_timeout

    def on_idle(self) -> None:
        """Release the other connections, because the client has been silent for :data:`IDLE_TIMEOUT`."""
        for connection in self._releasable():
            self._release(connection)

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Return a context for queries that are not the view's; at its end, the connections opened in it are released.

        In the context, a new connection takes the place of one without autocommit, whose transaction only the view may
        end. That transaction might be an old one, in which the queries would read old data.
        """
        # The list of the running thread is used, not self.open_connections: a thread other than the view's may be
        # waiting for messages.
        before = [connection for connection in _local.open_connections if connection.connection is not None]
        replaced = [connection for connection in self._own_connections() if _is_without_autocommit(connection)]
        for connection in replaced:
            connections[connection.alias] = substitute = connection.copy()
            substitute.settings_dict["AUTOCOMMIT"] = True
        try:
            yield
        finally:
            for connection in replaced:
                connections[connection.alias] = connection
            for connection in _local.open_connections.copy():
                if connection not in before and connection.connection is not None and not connection.in_atomic_block:
                    self._release(connection)

    def in_atomic_block(self) -> bool:
        """Return whether the view is in an ``atomic()`` block."""
        return any(map(_in_own_block, self._own_connections()))

    def _own_connections(self) -> list[BaseDatabaseWrapper]:
        """Return the open connections that this thread does not share; remove the closed ones from the list."""
        own = []
        for connection in _local.open_connections.copy():
            if connection.connection is None:
                _local.open_connections.remove(connection)
            # The threads of a test share its database in memory, and greenlets share the connections that were made
            # before the process was monkey-patched.
            elif connection._thread_ident == _thread.get_ident() and not connection.allow_thread_sharing:  # type: ignore[attr-defined]  # noqa: SLF001
                own.append(connection)
        return own

    def _releasable(self, *, warn: bool = False) -> list[BaseDatabaseWrapper]:
        """Return the connections that nothing depends on; with ``warn``, log a warning about an open transaction."""
        releasable = []
        for connection in self._own_connections():
            # With DEBUG, Django empties the log of queries at each request, so it is emptied at each wait. A test that
            # counts queries has set force_debug_cursor, and needs the whole log.
            if connection.queries_log and not connection.force_debug_cursor:
                connection.queries_log.clear()
            if self._keep:
                continue
            if self._is_open_outside_transaction(connection):
                releasable.append(connection)
            elif warn and not self._warned and (_is_without_autocommit(connection) or _in_own_block(connection)):
                self._warned = True
                logger.warning(
                    "WebSocket %s waits inside a transaction of the database %r, which stays open meanwhile, with all "
                    "its locks. Leave transaction.atomic() before you wait.",
                    self._name,
                    connection.alias,
                )
        return releasable

    @staticmethod
    def _is_open_outside_transaction(connection: BaseDatabaseWrapper) -> bool:
        return connection.connection is not None and not connection.in_atomic_block and connection.autocommit

    def _release(self, connection: BaseDatabaseWrapper) -> None:
        try:
            connection.close()
        except Error as error:
            logger.warning("WebSocket %s: the database %r: %s", self._name, connection.alias, ascii(str(error)))
        finally:
            if connection in _local.open_connections:
                _local.open_connections.remove(connection)


def _is_without_autocommit(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the project itself ends the transactions of a connection; whether one is open is not known.

    This is so with the setting ``AUTOCOMMIT`` off, and after ``transaction.set_autocommit(False)``.
    """
    return not connection.in_atomic_block and not connection.autocommit


def _in_own_block(connection: BaseDatabaseWrapper) -> bool:
    """Return whether an ``atomic()`` block is open that neither a ``TestCase`` nor a test has opened."""
    foreign = _local.foreign_blocks.get(connection.alias, ())
    blocks: list[Any] = connection.atomic_blocks
    return any(not block._from_testcase and block not in foreign for block in blocks)  # noqa: SLF001


# The next two functions replace Django's close_if_unusable_or_obsolete(), which does not fit: it closes a connection
# with CONN_MAX_AGE = 0, the default, at every call, and also one whose autocommit is on while its setting AUTOCOMMIT is
# off.


def _is_pooled_or_old(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a connection is one of a pool, or is older than its ``CONN_MAX_AGE``, if that is above 0."""
    settings = connection.settings_dict
    if settings["OPTIONS"].get("pool"):
        return True
    # 0 is no age: Django closes such a connection at the end of the request.
    return (
        bool(settings["CONN_MAX_AGE"]) and connection.close_at is not None and time.monotonic() >= connection.close_at
    )


def _is_usable(connection: Any) -> bool:
    """Return whether a connection works; the database is asked only after an error, as Django does after a request."""
    connection.health_check_done = False
    if connection.errors_occurred:
        if not connection.is_usable():
            return False
        connection.errors_occurred = False
        connection.health_check_done = True
    return True
