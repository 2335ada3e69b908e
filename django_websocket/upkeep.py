"""What Django needs while a view lives for hours: its databases."""

from __future__ import annotations

from .care import Care
from .databases import Databases


class Upkeep(Care):
    """The care for one WebSocket, in the thread that runs its view."""

    def __init__(self, name: str, *, keep_databases: bool) -> None:
        """Take on a view, in its thread; ``name`` is for the log."""
        self._databases = Databases(name, keep=keep_databases)
        self.holds = self._databases.open

    def pause(self) -> float | None:
        """Give back pooled and worn out database connections."""
        return self._databases.pause()

    def silence(self) -> None:
        """Give back the other database connections."""
        self._databases.silence()
