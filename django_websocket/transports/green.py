"""Transports for greenlets; this module imports neither eventlet nor gevent."""

from __future__ import annotations

import _socket
import socket
from typing import Any

from .base import Bell, Lock, Mutex, TimedOut, is_interruption
from .bells import ThreadBell
from .green_bells import GreenBell
from .green_library import GreenLibrary, HubWaiter
from .green_locks import GreenLock
from .sockets import DONT_WAIT, SMALL_READ_SIZE, NonBlockingTransport, SocketTransport, nothing_sent, wait_for


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
        lock: Lock = GreenLock(self._library)
        return lock

    def engage(self, core: Any, locks: tuple[Lock, Lock]) -> None:
        # Without a timeout a wait would not end for the other deadlines, and other threads wait natively.
        own = self._library.get_ident() == self._thread
        if own and self._waiter is not None and self.default_timeout is not None:
            core.engage(locks, self._plain, (self._waiter.wait, self.default_timeout, TimedOut))

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
