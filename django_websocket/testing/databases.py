"""The test's database connections, lent to the threads of the code under test.

Django makes connections for each thread. A thread that a view has started would not see what the test has written in
its transaction, and would find the tables of a database in memory locked. While sessions are open, it gets the
connections of the test instead, as the threads of ``LiveServerTestCase`` do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.transaction import Atomic

from .lending import Borrowed, Connections, Fetched

#: Real seconds that one thread waits for the end of another's ``atomic()``.
LOCK_TIMEOUT: Final = 10.0


class Lock:
    """A re-entrant lock, which raises an error after :data:`LOCK_TIMEOUT`: threads may wait for each other for ever."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=LOCK_TIMEOUT):
            raise OperationalError(f"another thread has been inside atomic() for {LOCK_TIMEOUT:g} seconds")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class SharedDatabases:
    """The connections that are lent while sessions are open.

    A query takes the lock, so that threads take turns. ``atomic()`` of another thread than the test's holds the lock to
    its end, because savepoints have to be released in their order.
    """

    def __init__(self) -> None:
        #: Held during a query, and during ``atomic()`` of another thread than the test's.
        self.lock = Lock()
        #: The number of open sessions, of all threads.
        self.sessions = 0
        self._guard = threading.Lock()
        self._undo: list[Callable[[], None]] = []

    def add_session(self) -> None:
        """Lend the connections of this thread, if this is the first session."""
        with self._guard:
            self.sessions += 1
            if self.sessions == 1:
                self._lend()

    def remove_session(self) -> None:
        """Take the connections back, if this is the last session.

        :raises OperationalError: a thread is still inside ``atomic()``.
        """
        with self._guard:
            self.sessions -= 1
            if self.sessions or not self._undo:
                return
            try:
                with self.lock:
                    pass
            finally:
                while self._undo:
                    self._undo.pop()()

    def _lend(self) -> None:
        lent = [one for one in connections.all(initialized_only=True) if _is_of_the_test(one)]
        if not lent:
            return
        handler: Any = connections
        own = handler._connections  # noqa: SLF001 - there is no other place where all threads look
        handler._connections = Connections(own, {one.alias: Borrowed(one) for one in lent})  # noqa: SLF001
        self._undo.append(lambda: setattr(handler, "_connections", own))
        # A thread may hold the lock of earlier sessions, in an atomic() that has outlived them.
        self.lock = Lock()
        for connection in lent:
            self._share(connection)
        self._serialize_blocks({connection.alias for connection in lent})

    def _share(self, connection: Any) -> None:
        """Make a connection usable in other threads, one at a time."""
        lock = self.lock

        def execute(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
            with lock:
                result = execute(sql, params, many, context)
                Fetched.replace(context["cursor"])
                return result

        # inc_thread_sharing() will not do: connections that threads share are left alone while a view waits.
        connection.validate_thread_sharing = lambda: None
        # Ours is the first wrapper, because execute_wrapper() of the test removes the last one.
        connection.execute_wrappers.insert(0, execute)
        self._undo.append(lambda: connection.execute_wrappers.remove(execute))
        self._undo.append(lambda: vars(connection).pop("validate_thread_sharing"))

    def _serialize_blocks(self, lent: Container[str]) -> None:
        """Make ``atomic()`` take the lock: in the thread of the test at each of its ends, in others from end to end."""
        enter, leave, lock, owner = Atomic.__enter__, Atomic.__exit__, self.lock, threading.get_ident()
        # Blocks of other threads that hold the lock. One that began before this session does not.
        holding: list[Any] = []

        def locked_enter(block: Any) -> None:
            if (block.using or DEFAULT_DB_ALIAS) not in lent:
                enter(block)
                return
            with lock:
                enter(block)
                if threading.get_ident() != owner:
                    lock.__enter__()
                    holding.append(block)

        def locked_exit(block: Any, *error: Any) -> None:
            if (block.using or DEFAULT_DB_ALIAS) not in lent:
                leave(block, *error)
                return
            with lock:
                try:
                    leave(block, *error)
                finally:
                    if block in holding:
                        holding.remove(block)
                        lock.__exit__()

        Atomic.__enter__, Atomic.__exit__ = locked_enter, locked_exit  # type: ignore[method-assign]
        self._undo.append(lambda: setattr(Atomic, "__enter__", enter))
        self._undo.append(lambda: setattr(Atomic, "__exit__", leave))


def _is_of_the_test(connection: Any) -> bool:
    """Return whether other threads would miss what is written over a connection: in a transaction, or in memory."""
    return bool(connection.in_atomic_block) or (connection.vendor == "sqlite" and bool(connection.is_in_memory_db()))


shared_databases: Final = SharedDatabases()
