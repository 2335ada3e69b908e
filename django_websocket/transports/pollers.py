"""One poller for all connections of a hub, and their waiters, where these are compiled.

A hub of eventlet or gevent takes thousands of instructions to begin a wait, to end it and to wake a greenlet. With a
poller it watches a single descriptor, and compiled code does the rest.
"""

from __future__ import annotations

import os
from typing import Any, Final

from ..speedups import load
from .green_library import GreenLibrary, HubWaiter

_compiled: Final = load("poller")
_Poller: Any = object if _compiled is None else _compiled.Poller
_WAITER: Any = (HubWaiter,) if _compiled is None else (_compiled.Waiter, HubWaiter)


class HubPoller(_Poller):  # type: ignore[misc]  # The types of compiled code are unknown.
    """The poller of a hub, from the first wait for one of its connections until none of them will be waited for."""

    def __init__(self, library: GreenLibrary) -> None:
        self._library = library
        self._users = 0
        self._stop = library.watch(self.fileno(), self.dispatch)

    @classmethod
    def of_this_thread(cls, library: GreenLibrary) -> HubPoller:
        """Return the one poller of the hub of the running thread; the caller leaves it.

        :raises OSError: the process has too many open descriptors.
        """
        hub = library.hub()
        if hub not in _by_hub:
            _by_hub[hub] = cls(library)
        poller = _by_hub[hub]
        poller._users += 1  # noqa: SLF001 - of this class
        return poller

    def leave(self) -> None:
        """Remove a user; the descriptor is closed after the last."""
        self._users -= 1
        if not self._users:
            del _by_hub[self.hub]
            try:
                self._stop()
            except ValueError:
                pass  # The loop of the hub was destroyed.
            finally:
                self.close()

    def _hold(self, keep: bool) -> None:
        """Keep the hub from ending, or let it end."""
        self._library.keep_alive(self.hub, keep)

    def _handle_error(self, greenlet: Any, error: BaseException) -> None:
        """Do with the exception of a greenlet that was woken what the hub itself would do."""
        self._library.handle_error(self.hub, greenlet, error)

    def _replace(self) -> None:
        """Get rid of events that nobody can turn off."""
        self._stop()
        try:
            self.renew()
        except OSError:
            pass  # It is tried again at the next of these events.
        self._stop = self._library.watch(self.fileno(), self.dispatch)


class PolledWaiter(*_WAITER):  # type: ignore[misc]  # The types of compiled code are unknown.
    """A waiter whose waits are compiled, and whose timer is not."""

    def __init__(self, library: GreenLibrary, fd: int) -> None:  # noqa: ARG002 - It is for the compiled class.
        super().__init__(library)

    def _join(self) -> HubPoller:
        return HubPoller.of_this_thread(self._library)


#: The pollers in use, by their hubs.
_by_hub: Final[dict[Any, HubPoller]] = {}


def polled_waiter(library: GreenLibrary, fd: int) -> HubWaiter | None:
    """Return a new waiter for a socket of a green library; ``None`` if nothing is compiled."""
    return None if _compiled is None else PolledWaiter(library, fd)


def _renew_after_fork() -> None:
    """Leave the epoll objects to the parent process: what this one removes from them is removed for both."""
    for poller in _by_hub.values():
        try:
            poller.renew()
        except OSError:
            poller.close()


if _compiled is not None:
    os.register_at_fork(after_in_child=_renew_after_fork)
