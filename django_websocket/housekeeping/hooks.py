"""The hooks that do Django's work for a WebSocket: databases, its session, the check of its user, the debug toolbar."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.http import HttpRequest

from ..connection.hooks import Hooks, Peer
from ..signals import websocket_accepted, websocket_closed
from .authentication import is_made_by, reason_to_close
from .caches import keep_out_of_caches
from .databases import Databases
from .debug_toolbar import disable_toolbar_panels
from .reports import connection_logger, describe_peer, report_accepted, report_closed, report_rejected
from .sessions import detach_session, handshake_cookies

logger = logging.getLogger("django_websocket.session")

#: Seconds until the next revalidation when the view was in an ``atomic()`` block at the last one.
RETRY_INTERVAL: Final = 1.0


class DjangoHooks(Hooks):
    """The hooks of one request's WebSocket, called in the thread that runs its view.

    They are also a context manager, for a decorator to run the view in.
    """

    #: The WebSocket once it was accepted, ``False`` if it was rejected, ``None`` before, and if the view ended before.
    _websocket: Any = None

    def __init__(
        self, request: HttpRequest, name: str, *, keep_databases: bool, revalidate_interval: float | None
    ) -> None:
        """Make the hooks of ``request``, in the thread that runs its view.

        ``name`` names the WebSocket in the log. ``keep_databases`` keeps database connections open while the view
        waits. ``revalidate_interval`` is the seconds between two revalidations of the session, ``None`` for never.
        """
        self._request = request
        self._name = name
        self._databases = Databases(name, keep=keep_databases)
        self.resources = self._databases.open_connections
        # The attribute without an underscore stays None until the handshake: requests without a session are never
        # revalidated.
        self._revalidate_interval = revalidate_interval
        # Whether a decorator runs the view in this context, so that __exit__() comes after it.
        self._runs_view = False

    def __enter__(self) -> None:
        """Note that a decorator runs the view in this context.

        At the end of the context, changes to the session that the view has not saved are discarded if the handshake was
        sent.
        """
        self._runs_view = True

    def __exit__(self, *_: object) -> None:
        detach_session(self._request)

    def before_handshake(self) -> list[tuple[str, str]]:
        """Save the session and return the header fields with its cookie, and the cookies of CSRF and messages."""
        keep_out_of_caches(self._request)
        cookies = handshake_cookies(self._request)
        if not self._runs_view:
            # Without a decorator, no code of this package runs between the end of the view and SessionMiddleware, which
            # would save the session.
            detach_session(self._request)
        disable_toolbar_panels()
        if hasattr(self._request, "session"):
            self.revalidate_interval = self._revalidate_interval
        return cookies

    def after_handshake(self, websocket: Any) -> None:
        """Report that the handshake was sent, by a line in the log and by a signal; not if the view has ended."""
        # setdefault() is atomic: only one of the three methods that call it is the first.
        if self.__dict__.setdefault("_websocket", websocket) is not websocket:
            return
        # Most projects want to know nothing of it, and each call takes its time.
        if websocket_accepted.receivers or connection_logger.isEnabledFor(logging.INFO):
            report_accepted(self._request, websocket, self._name)

    def after_rejection(self, websocket: Any, code: int, reason: str) -> None:
        """Send the signal for a WebSocket that was rejected; not if the view has ended."""
        if self.__dict__.setdefault("_websocket", False) is False:
            report_rejected(self._request, websocket, code, reason)

    def after_end(self) -> None:
        """Report that the WebSocket has ended; do nothing for one that was rejected."""
        websocket = self.__dict__.setdefault("_websocket", None)
        if not websocket:
            return
        connection = websocket.open()
        if websocket_closed.receivers or connection_logger.isEnabledFor(logging.INFO) or connection.is_faulty:
            report_closed(self._request, websocket, self._name, connection.stats())

    def describe(self) -> Peer | None:
        """Return who the peer is; ``None`` before the handshake."""
        websocket = self._websocket
        return describe_peer(self._request, websocket) if websocket else None

    def before_wait(self) -> float | None:
        """Release pooled, old and broken database connections."""
        return self._databases.before_wait()

    def on_idle(self) -> None:
        """Release the other database connections."""
        self._databases.on_idle()

    def belongs_to(self, owner: str, key: str) -> bool:
        """Return whether the request was made by a user, or with a session, as far as the request has used either.

        ``"connection"`` is the owner of its own: the key is its ``member_id``. Nothing is loaded for it, because any
        thread may ask.
        """
        if owner == "connection":
            websocket = self._websocket
            return bool(websocket and websocket.has_member_id and websocket.member_id == key)
        return is_made_by(self._request, owner, key)

    def revalidate(self) -> str | None:
        """Return why the session or its user is no longer valid, ``None`` if both are valid or cannot be checked."""
        if self._databases.in_atomic_block():
            # Inside its transaction, the queries might read old data, and a failed query would break the transaction.
            self.revalidate_interval = RETRY_INTERVAL
            return None
        self.revalidate_interval = self._revalidate_interval
        try:
            with self._databases.borrowed():
                return reason_to_close(self._request)
        except Exception as error:  # noqa: BLE001 - it may come from a database, a cache, or a backend of the project
            logger.warning(
                "WebSocket %s: its session could not be checked, and will be later: %s", self._name, ascii(error)
            )
        return None
