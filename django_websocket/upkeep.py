"""What Django needs while a view lives for hours: its databases and its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest

from .care import Care
from .databases import Databases
from .sessions import handshake_cookies, let_go
from .toolbar import silence_toolbar


class Upkeep(Care):
    """The care for one request's WebSocket, in the thread that runs its view."""

    def __init__(self, request: HttpRequest, name: str, *, keep_databases: bool) -> None:
        """Take on a request, in the thread of its view; ``name`` is for the log."""
        self._request = request
        self._databases = Databases(name, keep=keep_databases)
        self.holds = self._databases.open
        self._seen_through = False

    @contextmanager
    def seen_through(self) -> Iterator[None]:
        """See the view to its end: what it has not saved of its session by then stays unsaved, after a handshake."""
        self._seen_through = True
        try:
            yield
        finally:
            let_go(self._request)

    def opening(self) -> list[tuple[str, str]]:
        """Save the session; gives its cookie and the like for the handshake."""
        cookies = handshake_cookies(self._request)
        if not self._seen_through:
            # Nobody will say when the view returns, and the session's middleware comes next then.
            let_go(self._request)
        silence_toolbar()
        return cookies

    def pause(self) -> float | None:
        """Give back pooled and worn out database connections."""
        return self._databases.pause()

    def silence(self) -> None:
        """Give back the other database connections."""
        self._databases.silence()
