"""Callbacks for events of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple


class Peer(NamedTuple):
    """Who is at the other end of a connection, and where; see :class:`.ConnectionInfo`."""

    id: str
    path: str
    route: str | None
    user_id: str | None


class Hooks:
    """Callbacks for events of a connection; these do nothing, and subclasses override them.

    They are called one at a time, by the thread that opens the connection, waits for its messages or sends on it.
    """

    #: Seconds until the next call of :meth:`revalidate`, read after :meth:`before_handshake` and after each call;
    #: ``None``: never.
    revalidate_interval: float | None = None

    #: The objects that :meth:`before_wait` might release. While the sequence is empty, :meth:`before_wait` is not
    #: called. The attribute is read once, after :meth:`before_handshake`; its contents may change.
    resources: Sequence[object] = ()

    def before_handshake(self) -> Iterable[tuple[str, str]]:
        """Return header fields for the handshake, which is sent next.

        Called again if the handshake could not be built. An exception reaches the view, and nothing is sent.
        """
        return ()

    def after_handshake(self, websocket: Any) -> None:
        """Report that the handshake of this WebSocket was sent. Not called for one that is rejected.

        Another thread than that of the view may call this, even while that one calls :meth:`after_end`.
        """

    def after_rejection(self, websocket: Any, code: int, reason: str) -> None:
        """Report that this WebSocket was rejected: its handshake was sent, and it was closed with this code."""

    def after_end(self) -> None:
        """Report that the WebSocket of :meth:`after_handshake` has ended; do nothing if there was none."""

    def describe(self) -> Peer | None:
        """Return who the peer is; ``None`` if that is not known. Called by any thread; never waits."""
        return None

    def before_wait(self) -> float | None:
        """Release the resources that must not be held during a wait.

        This is called before each read that waits, unless :attr:`resources` is empty. Return the seconds without a byte
        after which :meth:`on_idle` is to be called; ``None``: it need not be called.
        """
        return None

    def on_idle(self) -> None:
        """Release the remaining resources: no bytes have arrived for the time that :meth:`before_wait` returned."""

    def belongs_to(self, owner: str, key: str) -> bool:  # noqa: ARG002 - subclasses need the arguments
        """Return whether the peer is the owner of a kind, ``"user"``, ``"session"`` or ``"connection"``, with this key.

        The key of a user is its primary key, as text, that of a session a hash of its session key, and that of a single
        connection its ``member_id``.

        Called by any thread; never waits.
        """
        return False

    def revalidate(self) -> str | None:
        """Return why the peer may not stay, in a few words for its Close; ``None`` if it may stay."""
        return None


#: The hooks of a connection that has none.
NO_HOOKS: Final = Hooks()
