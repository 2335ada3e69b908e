"""Callbacks at the turning points of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final


class Hooks:
    """Callbacks at the turning points of a connection; these do nothing, subclasses override them.

    They are called one at a time, by the thread that opens the connection, waits for its messages or sends on it.
    """

    #: Seconds until the next call of :meth:`revalidate`, read after :meth:`before_handshake` and after each call;
    #: ``None``: never.
    revalidate_interval: float | None = None

    #: What :meth:`before_wait` might release. It is not called while this is empty. Read once, after
    #: :meth:`before_handshake`.
    resources: Sequence[object] = ()

    def before_handshake(self) -> Iterable[tuple[str, str]]:
        """Return header fields for the handshake, which is sent next.

        Called again if the handshake could not be built. An exception reaches the view, and nothing is sent.
        """
        return ()

    def before_wait(self) -> float | None:
        """Release what a view that may now wait for long must not hold.

        Called before each read that waits, unless :attr:`resources` is empty. Return the seconds without a byte after
        which :meth:`on_idle` is to be called; ``None``: it need not be called.
        """
        return None

    def on_idle(self) -> None:
        """Release what only a view in a lively conversation should hold: nothing has come for a while."""

    def revalidate(self) -> str | None:
        """Return why the peer may not stay, in a few words for its Close; ``None`` if it may stay."""
        return None


#: The hooks of a connection that has none.
NO_HOOKS: Final = Hooks()
