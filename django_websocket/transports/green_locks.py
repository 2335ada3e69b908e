"""Locks for greenlets and threads at once; this module imports neither eventlet nor gevent."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ..speedups import load
from .green_library import GreenLibrary

#: The longest time in seconds until a greenlet notices that a thread has passed a lock on to it.
_MAX_PAUSE: Final = 0.05


class PythonLock:
    """A lock whose subclass can wait for it and pass it on: the twin of the compiled one."""

    __slots__ = ("_lock", "_waiters")

    #: Those that wait, in the order of their arrival; ``None`` until the first has to. Appending, popping and removing
    #: are atomic.
    _waiters: list[Any] | None
    _lock: Any

    def __new__(cls, library: GreenLibrary) -> PythonLock:
        lock = super().__new__(cls)
        lock._lock = library.allocate_lock()
        lock._waiters = None
        return lock

    if TYPE_CHECKING:

        def _wait(self, timeout: float) -> bool: ...
        def _pass_on(self) -> None: ...

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire the lock, as :meth:`threading.Lock.acquire` does, and return whether it was acquired."""
        return self._lock.acquire(False) or (blocking and self._wait(timeout))

    def release(self) -> None:
        """Release the lock, or pass it on.

        :raises RuntimeError: nobody has acquired it.
        """
        self._lock.release()
        if self._waiters:
            self._pass_on()

    def locked(self) -> bool:
        """Return whether the lock is acquired."""
        return self._lock.locked()  # type: ignore[no-any-return]

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.release()


def make_green_lock(base: Any) -> Any:
    """Return the class of green locks over one of native locks, :class:`PythonLock` or the compiled one."""

    class GreenLock(base):  # type: ignore[misc]  # The types of compiled code are unknown.
        """A fair lock between greenlets and threads.

        Greenlets of the thread that created it wait without blocking that thread; other threads wait natively. The
        libraries' own locks work in one thread only, and a greenlet that waits for a native lock stops the greenlet
        that holds it.

        The lock is passed on to whoever has waited longest. If it were free in between, a greenlet that sends in a loop
        would acquire it again each time, before the hub runs the greenlets that wait.
        """

        __slots__ = ("_library", "_thread")

        def __init__(self, library: GreenLibrary) -> None:
            self._library = library
            self._thread = library.get_ident()

        def _wait(self: Any, timeout: float) -> bool:
            """Wait until the lock is passed on to this greenlet or thread, and return whether it was in time."""
            library = self._library
            with library.guard:
                if self._waiters is None:
                    self._waiters = []
            kind = _WaitingGreenlet if library.get_ident() == self._thread else _WaitingThread
            waiter = kind(library)
            self._waiters.append(waiter)
            try:
                # The lock may have been released just before the waiter was among the others.
                if self.acquire(False):
                    self._waiters.remove(waiter)
                    return True
                waiter.wait(timeout)
            except BaseException:
                if self._was_passed_on(waiter):
                    self.release()
                raise
            passed_on: bool = self._was_passed_on(waiter)
            return passed_on

        def _was_passed_on(self: Any, waiter: _WaitingGreenlet | _WaitingThread) -> bool:
            """Return whether the lock was passed on to a waiter; if not, remove the waiter from those that wait."""
            try:
                self._waiters.remove(waiter)
            except ValueError:
                return True
            return False

        def _pass_on(self: Any) -> None:
            """Acquire the lock, which was released, for the one that has waited longest."""
            while self._waiters and self.acquire(False):
                try:
                    waiter = self._waiters.pop(0)
                except IndexError:
                    # The last one has just stopped waiting.
                    self.release()
                else:
                    waiter.wake()
                    return

    return GreenLock


_compiled: Final = load("lock")
#: The class of the locks of green transports.
GreenLock: Final = make_green_lock(PythonLock if _compiled is None else _compiled.Lock)


class _WaitingThread:
    """A thread that waits for a :class:`GreenLock` natively."""

    __slots__ = ("_lock",)

    def __init__(self, library: GreenLibrary) -> None:
        self._lock = library.allocate_lock()
        self._lock.acquire()

    def wait(self, timeout: float) -> None:
        """Wait for :meth:`wake`, at most ``timeout`` seconds; -1 means no limit."""
        self._lock.acquire(True, timeout)

    def wake(self) -> None:
        """End the wait."""
        self._lock.release()


class _WaitingGreenlet:
    """A greenlet that waits for a :class:`GreenLock` at its hub."""

    __slots__ = ("_greenlet", "_library", "_thread", "_woken")

    def __init__(self, library: GreenLibrary) -> None:
        self._library = library
        self._thread = library.get_ident()
        #: The greenlet while it sleeps, else ``None``.
        self._greenlet: Any = None
        self._woken = False

    def wait(self, timeout: float) -> None:
        """Wait for :meth:`wake`, at most ``timeout`` seconds; -1 means no limit."""
        deadline = math.inf if timeout < 0 else time.monotonic() + timeout
        while not self._woken and (left := deadline - time.monotonic()) > 0:
            self._greenlet = self._library.getcurrent()
            try:
                self._library.sleep(min(left, _MAX_PAUSE))
            except _Woken:
                pass
            finally:
                self._greenlet = None

    def wake(self) -> None:
        """End the wait: at the next turn of the hub, or within :data:`_MAX_PAUSE` if another thread calls this."""
        self._woken = True
        # The hub of another thread cannot be woken: eventlet's runs a new call only when something else has woken it.
        if self._library.get_ident() == self._thread:
            self._library.call_soon(self._interrupt_sleep)

    def _interrupt_sleep(self) -> None:
        if self._greenlet is not None:
            self._greenlet.throw(_Woken)


class _Woken(BaseException):
    """Ends the sleep of a greenlet to which a lock was passed on."""
