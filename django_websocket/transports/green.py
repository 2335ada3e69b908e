"""Transports and locks for greenlets; this module imports neither eventlet nor gevent."""

from __future__ import annotations

import _socket
import math
import socket
import time
from types import TracebackType
from typing import Any, Final

from .base import Bell, Lock, Mutex, is_interruption
from .bells import ThreadBell
from .green_bells import GreenBell
from .green_library import GreenLibrary, HubWaiter
from .sockets import DONT_WAIT, SMALL_READ_SIZE, NonBlockingTransport, SocketTransport, nothing_sent, wait_for

#: The longest time in seconds until a greenlet notices that a thread has passed a lock on to it.
_MAX_PAUSE: Final = 0.05


class GreenTransport(NonBlockingTransport):
    """A socket of eventlet or gevent.

    Greenlets of the thread that opened the transport wait in the hub of that thread. Other threads of the system may
    send as well (under a server that was not monkey-patched a view may start a thread): they wait natively.

    ``waiter`` is ``None`` on a TLS socket: the socket below it may be empty while TLS holds bytes to read.
    """

    def __init__(
        self,
        sock: Any,
        plain: _socket.socket,
        default_timeout: float | None,
        library: GreenLibrary,
        waiter: HubWaiter | None,
    ) -> None:
        self._library = library
        super().__init__(sock, plain, default_timeout)
        self._thread = library.get_ident()
        self._waiter = waiter

    def receive(self, timeout: float | None = None) -> bytes:
        waiter = self._waiter
        if waiter is None or self._library.get_ident() != self._thread:
            return super().receive(timeout)
        try:
            if timeout is None:
                timeout = self.default_timeout
                if not self.more:
                    # Nearly always there is nothing to read yet, and a read would cost a system call and an exception.
                    waiter.wait(timeout)
            while True:
                size = self._size
                try:
                    data = self._plain.recv(size)
                except BlockingIOError:
                    waiter.wait(timeout)
                else:
                    if size != SMALL_READ_SIZE or len(data) == size:
                        self._choose_read_size(size, len(data))
                    return data
        except OSError as error:
            if is_interruption(error):
                raise
            return b""

    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:
        if self._waiter is None:
            super().send(data, timeout, payload)
        else:
            SocketTransport.send(self, data, timeout, payload)

    def try_send(self, data: bytes) -> int | None:
        if self._waiter is None:
            return super().try_send(data)
        # No other thread needs to be kept out of a plain socket.
        try:
            return self._plain.send(data, DONT_WAIT)
        except OSError as error:
            return nothing_sent(error)

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        super().shutdown(how)
        if self._waiter is not None and how == socket.SHUT_RDWR and self._library.get_ident() == self._thread:
            self._waiter.detach()

    def _wait(self, write: bool, timeout: float | None) -> None:
        if self._library.get_ident() == self._thread:
            self._library.wait(self._plain.fileno(), write, timeout)
        else:
            wait_for(self._plain, write=write, timeout=timeout, select=self._library.select)

    def mutex(self) -> Mutex:
        # No greenlet switches while it holds the mutex, so that the thread can be its owner.
        mutex: Mutex = self._library.make_rlock()
        return mutex

    def lock(self) -> Lock:
        return GreenLock(self._library)

    def let_others_run(self) -> None:
        if self._library.get_ident() == self._thread and not self._library.in_hub():
            self._library.sleep(0)

    def current(self) -> object:
        return self._library.getcurrent()

    def bell(self) -> Bell:
        buffers = self._waiter is None
        if self._library.get_ident() != self._thread:
            return ThreadBell(self, buffers=buffers, select=self._library.select)
        return GreenBell(self, self._library, self._waiter)


class GreenLock:
    """A fair lock between greenlets and threads.

    Greenlets of the thread that created it wait without blocking that thread; other threads wait natively. The
    libraries' own locks work in one thread only, and a greenlet that waits for a native lock stops the greenlet that
    holds it.

    The lock is passed on to whoever has waited longest. If it were free in between, a greenlet that sends in a loop
    would acquire it again each time, before the hub runs the greenlets that wait.
    """

    __slots__ = ("_library", "_lock", "_thread", "_waiters")

    def __init__(self, library: GreenLibrary) -> None:
        self._library = library
        self._lock = library.allocate_lock()
        self._thread = library.get_ident()
        #: Those that wait, in the order of their arrival; ``None`` until the first has to. Appending, popping and
        #: removing are atomic.
        self._waiters: list[_WaitingGreenlet | _WaitingThread] | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire the lock, as :meth:`threading.Lock.acquire` does, and return whether it was acquired."""
        if self._lock.acquire(False):
            return True
        return blocking and self._wait(timeout)

    def _wait(self, timeout: float) -> bool:
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
            if self._lock.acquire(False):
                self._waiters.remove(waiter)
                return True
            waiter.wait(timeout)
        except BaseException:
            if self._was_passed_on(waiter):
                self.release()
            raise
        return self._was_passed_on(waiter)

    def _was_passed_on(self, waiter: _WaitingGreenlet | _WaitingThread) -> bool:
        """Return whether the lock was passed on to a waiter; if not, remove the waiter from those that wait."""
        try:
            self._waiters.remove(waiter)  # type: ignore[union-attr]  # The waiter was added to the list.
        except ValueError:
            return True
        return False

    def release(self) -> None:
        """Release the lock, or pass it on to the one that has waited longest."""
        self._lock.release()
        while self._waiters and self._lock.acquire(False):
            try:
                waiter = self._waiters.pop(0)
            except IndexError:
                # The last one has just stopped waiting.
                self._lock.release()
            else:
                waiter.wake()
                return

    def locked(self) -> bool:
        """Return whether the lock is acquired."""
        return self._lock.locked()  # type: ignore[no-any-return]

    def __enter__(self) -> GreenLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.release()


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
