"""The ways of eventlet and gevent, for sockets that belong to them.

Used only where the server at hand is one of the two: neither is imported otherwise. What they may have monkey-patched
is taken in its original form, so that the same code is right in patched and unpatched processes.
"""

from __future__ import annotations

import _socket
import socket
import sys
import time
from functools import cache, lru_cache
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Protocol

from . import SMALL_READ_SIZE, Lock, NonBlockingTransport, SocketTransport, is_timeout, wait_for
from .readers import EventletReader, GeventReader, Reader

#: Seconds a greenlet sleeps between two looks at a lock that another one holds, at first and at most.
_FIRST_PAUSE: Final = 0.001
_LAST_PAUSE: Final = 0.05


class World(Protocol):
    """What a green library has."""

    #: ``_thread.allocate_lock``, ``_thread.get_ident`` and the module ``select``, unpatched.
    allocate_lock: Any
    get_ident: Any
    select: Any
    #: The running greenlet.
    getcurrent: Any
    sleep: Any

    def wait(self, fd: int, write: bool, timeout: float | None) -> None:
        """Let other greenlets run until ``fd`` is ready; :raises TimeoutError: it was not."""

    def unwrap(self, sock: Any) -> tuple[Any, _socket.socket] | None:
        """Give the socket to use and the plain one below it, or ``None`` if ``sock`` is of another world."""

    def reader(self, sock: Any) -> Reader:
        """Give the way to wait for a socket of this world."""


class GreenTransport(NonBlockingTransport):
    """A socket of eventlet or gevent.

    The greenlets of the thread it was opened in wait in that thread's hub. Other threads of the system may send as
    well (under a server that was not monkey-patched a view may start one): they wait natively.
    """

    def __init__(
        self, sock: Any, plain: _socket.socket, default_timeout: float | None, world: World, reader: Reader | None
    ) -> None:
        self._world = world
        super().__init__(sock, plain, default_timeout)
        self._thread = world.get_ident()
        # Below TLS there may be nothing to wait for, though there are bytes above it.
        self._reader = reader

    def receive(self, timeout: float | None = None) -> bytes:
        reader = self._reader
        if reader is None or self._world.get_ident() != self._thread:
            return super().receive(timeout)
        try:
            if timeout is None:
                timeout = self.default_timeout
                if not self.more:
                    # There is nothing yet, nearly always: to look first would cost a call, and an exception.
                    reader.wait(timeout)
            while True:
                size = self._size
                try:
                    data = self._plain.recv(size)
                except BlockingIOError:
                    reader.wait(timeout)
                else:
                    if size != SMALL_READ_SIZE or len(data) == size:
                        self._resize(size, len(data))
                    return data
        except OSError as error:
            if is_timeout(error):
                raise
            return b""

    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:
        if self._reader is None:
            super().send(data, timeout, payload)
        else:
            SocketTransport.send(self, data, timeout, payload)

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        super().shutdown(how)
        if self._reader is not None and how == socket.SHUT_RDWR and self._world.get_ident() == self._thread:
            self._reader.detach()

    def _wait(self, write: bool, timeout: float | None) -> None:
        if self._world.get_ident() == self._thread:
            self._world.wait(self._plain.fileno(), write, timeout)
        else:
            wait_for(self._plain, write=write, timeout=timeout, select=self._world.select)

    def mutex(self) -> Lock:
        lock: Lock = self._world.allocate_lock()
        return lock

    def lock(self) -> Lock:
        return GreenLock(self._world)

    def current(self) -> object:
        return self._world.getcurrent()


class GreenLock:
    """A lock that the greenlets of the thread that made it wait for without blocking it, and other threads natively.

    The libraries' own locks know one thread only, and a native lock that a greenlet waits for stops the greenlet that
    holds it. This one is contended only while a peer does not read, so that looking again now and then is enough.
    """

    __slots__ = ("_lock", "_thread", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = world.allocate_lock()
        self._thread = world.get_ident()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, as :meth:`threading.Lock.acquire` does."""
        if self._lock.acquire(False):
            return True
        if not blocking:
            return False
        if self._world.get_ident() != self._thread:
            return bool(self._lock.acquire(True, timeout))
        pause, deadline = _FIRST_PAUSE, time.monotonic() + timeout
        while not self._lock.acquire(False):
            if timeout >= 0 and time.monotonic() >= deadline:
                return False
            self._world.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def __enter__(self) -> GreenLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.release()


class _Eventlet:
    def __init__(self) -> None:
        from eventlet import getcurrent, hubs, patcher, sleep
        from eventlet.green.ssl import GreenSSLSocket
        from eventlet.greenio import GreenSocket

        thread = patcher.original("_thread")
        self.allocate_lock, self.get_ident = thread.allocate_lock, thread.get_ident
        self.select = patcher.original("select")
        self.getcurrent, self.sleep = getcurrent, sleep
        self._types = GreenSocket, GreenSSLSocket
        self._trampoline, self._get_hub = hubs.trampoline, hubs.get_hub

    def wait(self, fd: int, write: bool, timeout: float | None) -> None:
        self._trampoline(fd, read=not write, write=write, timeout=timeout, timeout_exc=TimeoutError)

    def unwrap(self, sock: Any) -> tuple[Any, _socket.socket] | None:
        green, tls = self._types
        if isinstance(sock, tls):
            return sock, sock
        if not isinstance(sock, green):
            return None
        while isinstance(sock, green):  # a patched socketpair() wraps twice
            sock = sock.fd
        return sock, sock

    def reader(self, sock: Any) -> Reader:
        return EventletReader(sock.fileno(), self._get_hub(), self.getcurrent)


class _Gevent:
    def __init__(self) -> None:
        from gevent import get_hub, getcurrent, monkey, sleep
        from gevent import socket as green_socket
        from gevent.ssl import SSLSocket

        self.allocate_lock, self.get_ident = monkey.get_original("_thread", ["allocate_lock", "get_ident"])
        names = ["select"] + ["poll"] * (sys.platform != "win32")
        originals = dict(zip(names, monkey.get_original("select", names), strict=True))
        self.select = SimpleNamespace(POLLIN=1, POLLOUT=4, **originals)
        self.getcurrent, self.sleep = getcurrent, sleep
        self._get_hub = get_hub
        self._types = green_socket.socket, SSLSocket
        self._wait_read, self._wait_write = green_socket.wait_read, green_socket.wait_write

    def wait(self, fd: int, write: bool, timeout: float | None) -> None:
        (self._wait_write if write else self._wait_read)(fd, timeout, TimeoutError())

    def unwrap(self, sock: Any) -> tuple[Any, _socket.socket] | None:
        plain, tls = self._types
        if isinstance(sock, tls):
            return sock, sock._sock  # noqa: SLF001 - gevent has no other way to the socket it waits for
        return (sock._sock, sock._sock) if isinstance(sock, plain) else None  # noqa: SLF001

    def reader(self, sock: Any) -> Reader:
        return GeventReader(sock._read_event, self._get_hub(), self.getcurrent)  # noqa: SLF001


@cache
def _world(name: str) -> World:
    return _Eventlet() if name == "eventlet" else _Gevent()


def find_transport(sock: Any, default_timeout: float | None) -> GreenTransport | None:
    """Give the transport for a socket of eventlet or gevent, ``None`` if it belongs to neither."""
    kind: type = type(sock)
    world = _world_of(kind)
    if world is None or (pair := world.unwrap(sock)) is None:
        return None
    return GreenTransport(*pair, default_timeout, world, None if hasattr(sock, "do_handshake") else world.reader(sock))


@lru_cache
def _world_of(kind: type) -> World | None:
    """Give the world of a class of sockets; its bases tell, before anything of a library is imported."""
    for name in ("eventlet", "gevent"):
        if any(base.__module__.partition(".")[0] == name for base in kind.__mro__):
            return _world(name)
    return None
