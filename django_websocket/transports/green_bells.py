"""The bell of a greenlet: its hub wakes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .base import Bell, TimedOut, Transport, is_interruption
from .green_library import GreenLibrary, HubWaiter
from .wakers import make_waker


class HubCalls:
    """Calls of any thread that the hub of one thread makes.

    The hub can be told by its own thread. For other threads, and for a signal handler that has interrupted the hub,
    there is one descriptor that the hub watches. It is there as long as there are users.
    """

    def __init__(self, library: GreenLibrary) -> None:
        self._library = library
        self._hub = library.hub()
        self._thread = library.get_ident()
        self._users = 0
        self._due: deque[Callable[[], object]] = deque()
        #: Whether the descriptor was written to since the hub has looked.
        self._told = False
        self._waker = make_waker(library.make_rlock())
        self._stop = library.watch(self._waker.fileno(), self._make_calls)

    @classmethod
    def of_this_thread(cls, library: GreenLibrary) -> HubCalls:
        """Return the one object for the hub of the running thread; the caller releases it."""
        hub = library.hub()
        if hub not in _by_hub:
            _by_hub[hub] = cls(library)
        calls = _by_hub[hub]
        calls._users += 1  # noqa: SLF001 - of this class
        return calls

    def call(self, function: Callable[[], object]) -> None:
        """Make the hub call ``function`` at its next turn, with at most one system call."""
        library = self._library
        if library.get_ident() == self._thread and not library.in_hub():
            library.call_soon(function)
            return
        self._due.append(function)
        if not self._told:
            self._told = True
            self._waker.wake()

    def _make_calls(self) -> None:
        self._waker.clear()
        self._told = False
        while self._due:
            self._due.popleft()()

    def release(self) -> None:
        """Remove a user; the descriptor is closed after the last. Thread-safe."""
        if self._library.get_ident() != self._thread:
            self.call(self.release)
            return
        self._users -= 1
        if not self._users:
            del _by_hub[self._hub]
            self._stop()
            self._waker.close()


#: The objects in use, by their hubs.
_by_hub: Final[dict[Any, HubCalls]] = {}


class GreenBell(Bell):
    """Waits at the hub for bytes or for a ring."""

    #: ``None`` once the bell is closed.
    _calls: HubCalls | None = None

    def __init__(self, transport: Transport, library: GreenLibrary, waiter: HubWaiter | None) -> None:
        """Make the bell of a transport; ``waiter`` is ``None`` if it is one of TLS."""
        self._transport = transport
        self._library = library
        self._waiter = waiter
        self._thread = library.get_ident()
        self._calls = HubCalls.of_this_thread(library)
        #: Whether a ring has to wake the greenlet: it is about to wait, or waits.
        self._asleep = False
        #: The greenlet in its wait, ``None`` if it does not wait.
        self._greenlet: Any = None

    def ring(self) -> None:
        # The order is the opposite of that in receive(), so that one of the two threads sees what the other has set.
        self.rung = True
        calls = self._calls
        if self._asleep and calls is not None:
            self._asleep = False
            calls.call(self._wake)

    def _wake(self) -> None:
        """End the wait, if it has not ended meanwhile; the hub calls this."""
        if self._greenlet is not None:
            self._greenlet.throw(TimedOut())

    def receive(self, timeout: float) -> bytes:
        if self._library.get_ident() != self._thread:
            raise RuntimeError("a WebSocket is listened to in the thread in which that has begun")
        transport, waiter = self._transport, self._waiter
        # On plain sockets there is nearly always nothing yet, and a look costs a system call and an exception.
        if waiter is None or transport.more or self.rung:
            data = transport.try_receive()
            if data is not None:
                return data
        self._greenlet = self._library.getcurrent()
        self._asleep = True
        try:
            if self.rung:
                raise TimedOut
            if waiter is None:
                self._library.wait(transport.fileno(), False, timeout)
            else:
                waiter.wait(timeout)
        except OSError as error:
            if is_interruption(error):
                raise
            return b""
        finally:
            self._asleep = False
            self._greenlet = None
        data = transport.try_receive()
        if data is None:
            # TLS has taken bytes without a message in them.
            raise TimedOut
        return data

    def close(self) -> None:
        # pop() is atomic: if two threads close the bell, one of them releases it.
        calls: HubCalls | None = vars(self).pop("_calls", None)
        if calls is not None:
            calls.release()
