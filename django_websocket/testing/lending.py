"""The stand-ins through which another thread uses the database connections of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


class Borrowed:
    """A connection of the test, in another thread, which must not close it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        vars(self)["_connection"] = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._connection, name, value)

    def close(self) -> None:
        """Do nothing: the test goes on with the connection."""

    def close_if_unusable_or_obsolete(self) -> None:
        """Do nothing: the test goes on with the connection."""


class Fetched:
    """A cursor whose rows have been fetched: drivers take no other statement while a thread still fetches."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._rows = iter(cursor.fetchall())

    @classmethod
    def replace(cls, wrapper: Any) -> None:
        """Fetch what the cursor in one of Django's wrappers has found."""
        if isinstance(wrapper.cursor, cls):
            # Django has executed another statement with the same cursor.
            wrapper.cursor = wrapper.cursor._cursor  # noqa: SLF001 - of this class
        if wrapper.cursor.description is not None:
            wrapper.cursor = cls(wrapper.cursor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def fetchone(self) -> Any:
        """Return the next row, ``None`` behind the last."""
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next ``size`` rows."""
        return list(islice(self._rows, self._cursor.arraysize if size is None else size))

    def fetchall(self) -> list[Any]:
        """Return the remaining rows."""
        return list(self._rows)


class Connections:
    """The storage of ``django.db.connections``: other threads than the owner find the lent connections there."""

    def __init__(self, own: Any, lent: dict[str, Borrowed]) -> None:
        vars(self).update(_own=own, _lent=lent, _owner=threading.get_ident())

    def __getattr__(self, alias: str) -> Any:
        if alias in self._lent and threading.get_ident() != self._owner:
            return self._lent[alias]
        return getattr(self._own, alias)

    def __setattr__(self, alias: str, connection: object) -> None:
        setattr(self._own, alias, connection)

    def __delattr__(self, alias: str) -> None:
        delattr(self._own, alias)
