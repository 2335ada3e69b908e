"""The one seam to the system: what a socket of each world has in common for a WebSocket.

Threads, TLS, eventlet and gevent differ in how to wait, in what a timeout is and in which lock may be waited for.
Nothing above this module knows. The green worlds' own ways stand in :mod:`django_websocket.green`, and an in-memory
transport in :mod:`django_websocket.testing`.

* A plain socket under threads is left blocking, and its reads time out in the kernel (``SO_RCVTIMEO``): a read is one
  system call, and so is a write that the kernel has room for.
* Every other socket is used without blocking, and waited for by its world's means. On a TLS socket the kernel's
  timeouts do nothing, and one thread's blocking read would keep another from writing.
"""

from __future__ import annotations

import _socket
import select
import socket
import ssl
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol

#: Bytes taken from the kernel at once: a message of 64 KiB with its header.
READ_SIZE: Final = 65536 + 14
#: Bytes taken while messages are small, as most are. Each thread that waits has a buffer for them, and less memory goes
#: through the processor's caches this way.
SMALL_READ_SIZE: Final = 4096 - 64
_HAS_SENDMSG: Final = hasattr(socket.socket, "sendmsg")
#: No enumeration's member, which would be looked up, and turned into a number, each time.
_DONT_WAIT: Final = int(getattr(socket, "MSG_DONTWAIT", 0))
_HAS_KERNEL_TIMEOUTS: Final = sys.platform in {"linux", "darwin"}
#: The longest TCP_USER_TIMEOUT, in milliseconds: it is a C int.
_MAX_USER_TIMEOUT: Final = 2**31 - 1


class Lock(Protocol):
    """What every lock here can do."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; ``timeout`` is in seconds, -1 is no limit."""

    def release(self) -> None:
        """Give the lock back."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Transport(ABC):
    """One connection's bytes.

    At most one thread may be in :meth:`receive` or :meth:`try_receive`, and at most one in :meth:`send`, at a time;
    the two may run side by side. :meth:`shutdown` may come from anywhere.
    """

    #: Seconds on a clock that never goes back.
    clock: Callable[[], float] = staticmethod(time.monotonic)
    #: Bytes that are taken at once, at most.
    read_size: int = READ_SIZE
    #: Whether the last read has filled its buffer, so that there may be more.
    more: bool = False
    #: Seconds that :meth:`receive` waits when it is not told otherwise; ``None``: for ever.
    default_timeout: float | None = None

    @abstractmethod
    def receive(self, timeout: float | None = None) -> bytes:
        """Wait for bytes; ``b""`` when the peer is gone, in whatever way.

        ``timeout`` is in seconds; ``None`` stands for :attr:`default_timeout`.

        :raises TimeoutError: nothing came.
        """

    @abstractmethod
    def try_receive(self) -> bytes | None:
        """Give the bytes that are there, ``None`` when there are none, ``b""`` when the peer is gone."""

    @abstractmethod
    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:
        """Send all of ``data``, and of ``payload`` behind it.

        :raises TimeoutError: the peer accepted no byte for ``timeout`` seconds. The stream cannot be used any more.
        :raises OSError: the peer is gone.
        """

    @abstractmethod
    def try_send(self, data: bytes) -> int:
        """Send what can be sent of ``data`` without waiting for anything, and give how many bytes that was."""

    @abstractmethod
    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        """End the connection, or one direction of it; wakes whoever waits. Never fails.

        To end the writing direction, ``SHUT_WR``, is safe in a signal handler.
        """

    def mutex(self) -> Lock:
        """Make a lock that is never held over a wait."""
        return threading.Lock()

    def lock(self) -> Lock:
        """Make a lock that may be held over a wait."""
        return threading.Lock()

    def current(self) -> object:
        """Tell who is running: the thread or greenlet."""
        return threading.get_ident()

    @abstractmethod
    def enable_keepalive(self, interval: float, timeout: float) -> None:
        """Let the system find out, within ``interval + timeout`` seconds, that a peer has vanished."""


class SocketTransport(Transport):
    """A connection over a socket of the system."""

    def __init__(self, sock: Any, plain: _socket.socket, default_timeout: float | None) -> None:
        self._socket = sock
        # The same connection below green wrappers. What TLS and green sockets would do differently is called on the
        # base class of all sockets, which no monkey-patching replaces.
        self._plain = plain
        self.default_timeout = default_timeout
        #: Bytes that the next read takes; those of a small one, unless the last was larger.
        self._size = SMALL_READ_SIZE
        # Without it a small frame behind another waits for the peer's delayed acknowledgement, 40 ms.
        self._set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _set_option(self, level: int, option: int, value: int | bytes) -> None:
        try:
            _socket.socket.setsockopt(self._plain, level, option, value)
        except OSError:
            pass  # a Unix socket has no TCP options, and a peer may be gone

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        try:
            # Not SSLSocket.shutdown(): that drops the TLS layer from under a thread that reads.
            _socket.socket.shutdown(self._plain, how)
        except OSError:
            pass

    def _resize(self, size: int, taken: int) -> None:
        """Choose the next read's size by what one of ``size`` bytes has ``taken``; needless while reads stay small."""
        self.more = taken == size
        self._size = self.read_size if taken >= SMALL_READ_SIZE else SMALL_READ_SIZE

    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:
        if payload and not _HAS_SENDMSG:
            data, payload = data + payload, b""
        try:
            if payload:
                sent = self._plain.sendmsg((data, payload), (), _DONT_WAIT)
            else:
                sent = self._plain.send(data, _DONT_WAIT)
        except BlockingIOError:
            sent = 0
        if sent == len(data) + len(payload):
            return
        if sent >= len(data):
            data, payload, sent = payload, b"", sent - len(data)
        self._send_rest(memoryview(data + payload)[sent:], timeout)

    def _send_rest(self, rest: memoryview, timeout: float, *, write: bool = True) -> None:
        """Send ``rest``, of which nothing could be sent just now; not ``write`` if TLS has to read for it."""
        while True:
            # Whenever there is room the peer has accepted something, be it a part of a TLS record that send() does not
            # count yet.
            stalled = not self._has_room(write=write, timeout=timeout)
            sent, write = self._send_some(rest)
            if sent == len(rest):
                return
            if stalled and not sent:
                raise TimeoutError
            rest = rest[sent:]

    def _send_some(self, data: memoryview) -> tuple[int, bool]:
        """Send what can be sent at once; gives how many bytes that was, and whether to wait for writing or reading."""
        try:
            return self._plain.send(data, _DONT_WAIT), True
        except BlockingIOError:
            return 0, True

    def _wait(self, write: bool, timeout: float | None) -> None:
        """Wait until the socket is ready.

        :raises TimeoutError: it was not.
        """
        wait_for(self._plain, write=write, timeout=timeout)

    def _has_room(self, *, write: bool, timeout: float) -> bool:
        """Wait for room to send; ``False`` is no last word: poll() sees none before a third of the buffer is free."""
        try:
            self._wait(write, timeout)
        except TimeoutError:
            return False
        return True

    def enable_keepalive(self, interval: float, timeout: float) -> None:
        seconds = max(1, round(timeout / 4))
        self._set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", max(1, round(interval))), ("TCP_KEEPINTVL", seconds), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                self._set_option(socket.IPPROTO_TCP, getattr(socket, name), value)
        # Keepalive rests while there are bytes that the peer has not acknowledged, and those are sent again for a
        # quarter of an hour. RFC 5482 has a time for both.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = min(max(1, round((interval + timeout) * 1000)), _MAX_USER_TIMEOUT)
            self._set_option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


class BlockingTransport(SocketTransport):
    """A plain socket under threads, whose reads time out in the kernel."""

    def __init__(self, sock: socket.socket, default_timeout: float | None) -> None:
        super().__init__(sock, sock, default_timeout)
        sock.settimeout(None)
        # Python starts a call anew after each signal, with all of its kernel timeout, but knows the rest of a poll's.
        # Signals reach the main thread.
        self._interrupted = threading.current_thread() is threading.main_thread()
        if default_timeout is not None:
            self._set_option(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(default_timeout))

    def receive(self, timeout: float | None = None) -> bytes:
        if timeout is not None or self._interrupted:
            wait_for(self._socket, write=False, timeout=self.default_timeout if timeout is None else timeout)
        size = self._size
        try:
            data: bytes = self._socket.recv(size)
        except BlockingIOError:
            raise TimeoutError from None
        except OSError:
            return b""
        if size != SMALL_READ_SIZE or len(data) == size:
            self._resize(size, len(data))
        return data

    def try_receive(self) -> bytes | None:
        try:
            data: bytes = self._socket.recv(self.read_size, _DONT_WAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self._resize(self.read_size, len(data))
        return data

    def try_send(self, data: bytes) -> int:
        try:
            return self._socket.send(data, _DONT_WAIT)  # type: ignore[no-any-return]
        except OSError:
            return 0


class NonBlockingTransport(SocketTransport):
    """A socket that never blocks; :meth:`_wait` is its world's way to wait. This one is for threads."""

    def __init__(self, sock: Any, plain: _socket.socket, default_timeout: float | None) -> None:
        super().__init__(sock, plain, default_timeout)
        sock.setblocking(False)
        # OpenSSL's state of a connection is not for two threads at once.
        self._guard = self.mutex()
        #: Whether nothing may be read any more: behind TLS's end a socket gives whatever bytes there are.
        self._over = False

    def receive(self, timeout: float | None = None) -> bytes:
        if timeout is None:
            timeout = self.default_timeout
        deadline = None if timeout is None else self.clock() + timeout
        try:
            while True:
                try:
                    with self._guard:
                        return self._receive(self._size)
                except (BlockingIOError, ssl.SSLWantReadError):
                    write = False
                except ssl.SSLWantWriteError:
                    write = True
                self._wait(write, None if deadline is None else max(0.0, deadline - self.clock()))
        except OSError as error:
            if is_timeout(error):
                raise
            return b""

    def _receive(self, size: int) -> bytes:
        if self._over:
            return b""
        data: bytes = self._socket.recv(size)
        self._resize(size, len(data))
        return data

    def try_receive(self) -> bytes | None:
        try:
            with self._guard:
                return self._receive(self.read_size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""

    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:
        rest = memoryview(data + payload)
        sent, write = self._send_some(rest)
        if sent != len(rest):
            self._send_rest(rest[sent:], timeout, write=write)

    def _send_some(self, data: memoryview) -> tuple[int, bool]:
        try:
            with self._guard:
                return self._socket.send(data), True
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0, True
        except ssl.SSLWantReadError:
            return 0, False

    def try_send(self, data: bytes) -> int:
        # Not while a thread, which may be the one that the signal has interrupted, is inside the TLS library.
        if not self._guard.acquire(blocking=False):
            return 0
        try:
            return self._socket.send(data)  # type: ignore[no-any-return]
        except OSError:
            return 0
        finally:
            self._guard.release()

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        if how == socket.SHUT_RDWR:
            with self._guard:
                self._over = True
                # Not unwrap(): eventlet's gives a socket that closes the descriptor when it is let go of.
                if (tls := getattr(self._socket, "_sslobj", None)) is not None:
                    try:
                        tls.shutdown()  # sends close_notify; it does not wait for the peer's
                    except OSError:
                        pass
        super().shutdown(how)


def open_transport(sock: Any, default_timeout: float | None) -> Transport:
    """Give the transport for a server's socket, whatever world that belongs to.

    ``default_timeout`` is :attr:`Transport.default_timeout`.
    """
    if isinstance(sock, Transport):
        sock.default_timeout = default_timeout
        return sock
    if "eventlet" in sys.modules or "gevent" in sys.modules:
        from .green import find_transport

        if green := find_transport(sock, default_timeout):
            return green
    if hasattr(sock, "do_handshake") or not _HAS_KERNEL_TIMEOUTS:
        return NonBlockingTransport(sock, sock, default_timeout)
    return BlockingTransport(sock, default_timeout)


def is_timeout(error: OSError) -> bool:
    """Tell a wait's own TimeoutError from ETIMEDOUT, by which the system says that the peer has vanished."""
    return isinstance(error, TimeoutError) and error.errno is None


def wait_for(sock: Any, *, write: bool, timeout: float | None, select: Any = select) -> None:
    """Wait until a socket can be read, or written to; ``select`` is the module to wait with.

    Not ``select.select()`` where there is ``poll()``: that one cannot look at descriptors over 1023.

    :raises TimeoutError: it could not within ``timeout`` seconds.
    """
    fd = sock.fileno()
    if fd < 0:
        return  # closed: reading or writing will say so
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLOUT if write else select.POLLIN)
        ready = poll.poll(None if timeout is None else max(0.0, timeout) * 1000)
    else:
        fds = [fd]
        ready = any(select.select([] if write else fds, fds if write else [], fds, timeout))
    if not ready:
        raise TimeoutError


def _timeval(seconds: float) -> bytes:
    """Give a ``struct timeval``; zero would mean no timeout."""
    microseconds = max(1, round(seconds * 1_000_000))
    return struct.pack("@ll", microseconds // 1_000_000, microseconds % 1_000_000)


def is_tls(sock: Any) -> bool:
    """Return whether a socket has a layer of TLS."""
    return hasattr(sock, "do_handshake")
