"""``ATOMIC_REQUESTS``, which must not apply to a WebSocket: its transaction would stay open for hours."""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction


class AllDatabases(set[str]):
    """The set of databases for which Django must not wrap a decorated view in a transaction: every alias is in it.

    The aliases are not known when a view is decorated, so that ``in`` returns ``True`` for each. Iteration returns the
    aliases of the view's own ``non_atomic_requests()``: plain HTTP requests get their transactions from :func:`atomic`.
    """

    def __contains__(self, alias: object) -> bool:
        return True


def exempt_from_transactions(view: Any) -> None:
    """Make Django call ``view`` without a transaction; a wrapper inside begins those of plain HTTP requests.

    Nothing is done for a callable that takes no attributes.
    """
    own = getattr(view, "_non_atomic_requests", ())
    if not isinstance(own, AllDatabases):
        try:
            # The attribute is the one of transaction.non_atomic_requests(), which may decorate the view too and add to
            # the set.
            view._non_atomic_requests = AllDatabases(own)  # noqa: SLF001
        except AttributeError:
            pass


def atomic(view: Any, non_atomic: set[str]) -> Any:
    """Return ``view`` as Django would call it: in a transaction of each database with ``ATOMIC_REQUESTS``.

    ``non_atomic`` are the aliases to leave out. ``BaseHandler.make_view_atomic()`` would do the same, but finds every
    database in :class:`AllDatabases`.
    """
    for alias, settings in connections.settings.items():
        if settings["ATOMIC_REQUESTS"] and alias not in non_atomic:
            view = transaction.atomic(using=alias)(view)
    return view
