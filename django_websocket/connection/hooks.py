"""What a connection asks of those around it while its view lives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final


class Care:
    """What is to be seen to at a connection's turning points; here nothing is.

    Whoever makes a connection gives it an instance of a subclass. Its methods are called by threads that open, wait for
    or send on the connection, one call at a time.
    """

    #: Seconds until the connection calls :meth:`revalidate` next, read after :meth:`opening` and after each call;
    #: ``None``: never.
    interval: float | None = None

    #: What :meth:`pause` has to look at, from :meth:`opening` on; while it is empty there is nothing to do.
    holds: Sequence[object] = ()

    def opening(self) -> Iterable[tuple[str, str]]:
        """Do what is to be done before the handshake is sent; gives header fields for it.

        Comes again when the handshake could not be made. What it raises reaches the view, and nothing has been sent.
        """
        return ()

    def pause(self) -> float | None:
        """Let go of what a view that may now wait for long must not hold.

        Called before each read that waits, where there is something in :attr:`holds`. Gives the seconds without a byte
        after which :meth:`silence` is to be called, ``None`` if it need not be.
        """
        return None

    def silence(self) -> None:
        """Let go of what a view in a lively conversation may hold, as nothing has come for a while."""

    def revalidate(self) -> str | None:
        """Tell why the peer may not stay, in a few words for its Close; ``None`` if it may.

        Called by the thread that waits, or by the connection's own when it sends.
        """
        return None


#: For connections that nobody else has to do with.
NO_CARE: Final = Care()
