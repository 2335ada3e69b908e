"""Descriptors that one thread makes readable to wake another one, which waits for them beside a socket."""

from __future__ import annotations

import _socket
import os
import socket
from abc import ABC, abstractmethod
from typing import Any

from .base import Mutex


class Waker(ABC):
    """A descriptor that is readable from :meth:`wake` until :meth:`clear`. All methods are thread-safe.

    After :meth:`close` the system may give the number of the descriptor to another file. The mutex, a native and
    re-entrant one, keeps a late call of :meth:`wake` from writing to that file.
    """

    def __init__(self, mutex: Mutex) -> None:
        self._mutex = mutex
        self._closed = False

    @abstractmethod
    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def wake(self) -> None:
        """Make the descriptor readable; do nothing if it is closed."""
        with self._mutex:
            if not self._closed:
                self._write()

    def clear(self) -> None:
        """Make the descriptor unreadable."""
        with self._mutex:
            if not self._closed:
                try:
                    self._read()
                except BlockingIOError:
                    pass

    def close(self) -> None:
        """Close the descriptor, unless it is closed."""
        with self._mutex:
            if not self._closed:
                self._closed = True
                self._close()

    @abstractmethod
    def _write(self) -> None: ...

    @abstractmethod
    def _read(self) -> None:
        """Take all that was written.

        :raises BlockingIOError: nothing was.
        """

    @abstractmethod
    def _close(self) -> None: ...


class EventWaker(Waker):
    """One descriptor of Linux's eventfd."""

    def __init__(self, mutex: Mutex) -> None:
        super().__init__(mutex)
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._fd

    def _write(self) -> None:
        os.eventfd_write(self._fd, 1)

    def _read(self) -> None:
        os.eventfd_read(self._fd)

    def _close(self) -> None:
        import posix

        # gevent replaces os.close() by one that waits for the next event of the hub, which may be far off.
        posix.close(self._fd)


class SocketWaker(Waker):
    """A pair of sockets, for systems without eventfd.

    Their methods are called as those of the base class, which no monkey-patching replaces.
    """

    def __init__(self, mutex: Mutex) -> None:
        super().__init__(mutex)
        # Windows has it in Python only.
        make_pair: Any = getattr(_socket, "socketpair", socket.socketpair)
        self._reader, self._writer = make_pair()
        for sock in (self._reader, self._writer):
            _socket.socket.setblocking(sock, False)

    def fileno(self) -> int:
        return _socket.socket.fileno(self._reader)

    def _write(self) -> None:
        try:
            _socket.socket.send(self._writer, b"\0")
        except BlockingIOError:
            pass  # So much was written before that it is readable.

    def _read(self) -> None:
        while _socket.socket.recv(self._reader, 4096):
            pass

    def _close(self) -> None:
        _socket.socket.close(self._reader)
        _socket.socket.close(self._writer)


def make_waker(mutex: Mutex) -> Waker:
    """Return a new waker of the best kind that the system has.

    :raises OSError: the process has too many open descriptors.
    """
    return (EventWaker if hasattr(os, "eventfd") else SocketWaker)(mutex)
