"""The contract of all transports: the bytes of one connection, and the locks and the clock that fit its socket."""

from __future__ import annotations

import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol

from ..speedups import load
from .progress import SendProgress

_compiled: Final = load("lock")

#: Bytes that one read takes from the kernel at most: a message of 64 KiB with its header.
READ_SIZE: Final = 65536 + 14


class TimedOut(TimeoutError):
    """The timeout of a transport's own wait is over.

    The class is private to this package, so that a :exc:`TimeoutError` with another cause is not mistaken for it: a
    timer of the view may have raised that one, and the system's ETIMEDOUT means that the peer has vanished.
    """


class Lock(Protocol):
    """The methods that every lock of a transport has."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire the lock and return whether it was acquired; ``timeout`` is in seconds, -1 means no limit."""

    def release(self) -> None:
        """Release the lock."""

    def locked(self) -> bool:
        """Return whether the lock is acquired."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Mutex(Protocol):
    """A re-entrant lock: a signal handler or a finalizer may interrupt a section of its thread and enter another one.

    It is acquired by ``with``, which leaves no gap before the section: an exception of a signal handler in such a gap
    would leave the lock locked.
    """

    def acquire(self, blocking: bool = True) -> bool:
        """Acquire the lock, and return whether it was acquired."""

    def release(self) -> None:
        """Release the lock."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def _is_owned(self) -> bool:
        """Return whether the running thread holds the lock; ``threading.Condition`` needs this of its locks too."""


class Transport(ABC):
    """The bytes of one connection.

    At most one thread may be in :meth:`receive` or :meth:`try_receive`, and at most one in :meth:`send`, at a time; one
    may receive while another sends. Every thread may call :meth:`shutdown` at any time.
    """

    #: Return the time in seconds on a clock that never goes back.
    clock: Callable[[], float] = staticmethod(time.monotonic)
    #: Bytes that one read takes at most.
    read_size: int = READ_SIZE
    #: Whether the last read filled its buffer, so that there may be more to read.
    more: bool = False
    #: Seconds that :meth:`receive` waits if it gets no timeout; ``None`` means no limit.
    default_timeout: float | None = None

    @abstractmethod
    def receive(self, timeout: float | None = None) -> bytes:
        """Wait for bytes and return them; return ``b""`` once the peer is gone, for whatever reason.

        ``timeout`` is in seconds; ``None`` means :attr:`default_timeout`.

        :raises TimedOut: no bytes arrived in time.
        """

    @abstractmethod
    def try_receive(self) -> bytes | None:
        """Return the bytes that have arrived, ``None`` if there are none, or ``b""`` once the peer is gone."""

    @abstractmethod
    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:
        """Send all of ``data``, and all of ``payload`` after it.

        :raises TimedOut: the peer took no byte for ``timeout`` seconds. The stream is unusable from then on.
        :raises OSError: the peer is gone. An error of the system has an ``errno``; see :func:`is_interruption`.
        """

    @abstractmethod
    def try_send(self, data: bytes) -> int | None:
        """Send as much of ``data`` as possible without waiting, and return the number of bytes sent.

        Return ``None`` once the peer is gone: there will never be room again.
        """

    def send_progress(self) -> SendProgress:
        """Return how far the peer has taken what was sent. Thread-safe.

        The default suits transports that never wait in :meth:`send`.
        """
        return SendProgress(0, pending=False)

    def fileno(self) -> int:
        """Return the descriptor of the socket, to wait for room on; -1 if there is none, or none any more."""
        return -1

    @abstractmethod
    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        """End the connection, or one direction of it, and wake every thread that waits for it; raise no error.

        Ending the direction of writing, ``SHUT_WR``, is safe in a signal handler.
        """

    def let_others_run(self) -> None:  # noqa: B027 - Threads need nothing.
        """Run the other greenlets that are ready, if the caller is a greenlet."""

    def mutex(self) -> Mutex:
        """Return a new lock for sections that never wait while they hold it."""
        # The stubs of the standard library do not know _is_owned().
        mutex: Any = threading.RLock()
        return mutex  # type: ignore[no-any-return]

    def lock(self) -> Lock:
        """Return a new lock for sections that may wait while they hold it."""
        return threading.Lock() if _compiled is None else _compiled.Lock()

    def engage(self, core: Any, locks: tuple[Lock, Lock]) -> None:  # noqa: B027 - Most have no such descriptor.
        """Call ``core.engage(locks, ...)`` if compiled code can use the descriptor itself; see :class:`.core.Core`.

        The locks for reading and writing are locks of :meth:`lock`.
        """

    def current(self) -> object:
        """Return an identifier of the running thread or greenlet."""
        return threading.get_ident()

    @abstractmethod
    def enable_keepalive(self, interval: float, timeout: float) -> None:
        """Configure the system to notice within ``interval + timeout`` seconds that the peer has vanished."""

    @abstractmethod
    def bell(self) -> Bell:
        """Return a new bell, for the running thread to wait with.

        :raises OSError: the process has too many open descriptors.
        """


class Bell(ABC):
    """Wakes the thread or greenlet that waits for the bytes of a connection, because something else has happened.

    One thread waits with a bell: the one that has made it. The others ring it.
    """

    #: Whether the bell was rung. Whoever waits sets it to ``False``, before looking for what has happened.
    rung = False

    @abstractmethod
    def ring(self) -> None:
        """End the running wait, or the next one, with at most one system call and without waiting for anything.

        Thread-safe, and safe in a signal handler.
        """

    @abstractmethod
    def receive(self, timeout: float) -> bytes:
        """Wait for bytes and return them as :meth:`Transport.receive` does. While :attr:`rung`, nothing is waited for.

        :raises TimedOut: no bytes have arrived; the bell was rung, or the time is over.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what the system holds for the bell; to ring it does nothing from then on. Thread-safe."""


def is_interruption(error: OSError) -> bool:
    """Return whether an exception in the midst of a wait or a system call has another origin than the system.

    The exception is then a :exc:`TimedOut`, or one that the view itself raises there: by ``gevent.Timeout(1,
    TimeoutError())``, or in a signal handler. Both are for the caller. Only the system's own errors have an ``errno``.
    """
    return error.errno is None
