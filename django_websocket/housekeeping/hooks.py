"""What Django needs while a view lives for hours: its databases, its sessions, and those who have logged out."""

from __future__ import annotations

import logging
from typing import Final

from django.http import HttpRequest

from ..connection.hooks import Hooks
from .authentication import find_objection
from .databases import Databases
from .debug_toolbar import silence_toolbar
from .sessions import handshake_cookies, let_go

logger = logging.getLogger("django_websocket.session")

#: Seconds after which a peer is looked at that could not be while the view had a transaction open.
SOON: Final = 1.0


class DjangoHooks(Hooks):
    """The hooks of one request's WebSocket, in the thread that runs its view."""

    def __init__(self, request: HttpRequest, name: str, *, keep_databases: bool, period: float | None) -> None:
        """Take on a request, in the thread of its view.

        ``period`` is the seconds between two revalidations, ``None`` for never; ``name`` is for the log.
        """
        self._request = request
        self._name = name
        self._databases = Databases(name, keep=keep_databases)
        self.resources = self._databases.open
        self._period = period
        self._seen_through = False

    def __enter__(self) -> None:
        """See the view to its end: what it has not saved of its session by then stays unsaved, after a handshake."""
        self._seen_through = True

    def __exit__(self, *_: object) -> None:
        let_go(self._request)

    def before_handshake(self) -> list[tuple[str, str]]:
        """Save the session; gives its cookie and the like for the handshake."""
        cookies = handshake_cookies(self._request)
        if not self._seen_through:
            # Nobody will say when the view returns, and the session's middleware comes next then.
            let_go(self._request)
        silence_toolbar()
        if hasattr(self._request, "session"):
            self.revalidate_interval = self._period
        return cookies

    def before_wait(self) -> float | None:
        """Give back pooled and worn out database connections."""
        return self._databases.pause()

    def on_idle(self) -> None:
        """Give back the other database connections."""
        self._databases.silence()

    def revalidate(self) -> str | None:
        """Look whether the session and its user still are what they were."""
        if self._databases.in_transaction():
            # It would show what was at the transaction's beginning, and an error would spoil it.
            self.revalidate_interval = SOON
            return None
        self.revalidate_interval = self._period
        try:
            with self._databases.borrowed():
                return find_objection(self._request)
        except Exception as error:  # noqa: BLE001 - of a database, a cache, a backend of the project's own
            logger.warning(
                "WebSocket %s: its session could not be checked, and will be later: %s", self._name, ascii(error)
            )
        return None
