"""Transports for the system's sockets under threads, with and without TLS; green transports are built on them."""

from __future__ import annotations

import _socket
import errno
import select
import socket
import ssl
import struct
import threading
from typing import Any, Final

from .base import Bell, Lock, TimedOut, Transport, is_interruption
from .bells import ThreadBell
from .progress import SendProgress, count_unacknowledged, tcp_progress

#: Bytes that one read takes while messages are small, as most are. Each waiting thread has a buffer of this size, and a
#: small buffer takes less of the processor's caches.
SMALL_READ_SIZE: Final = 4096 - 64
#: The errors of a system that is short of memory at the moment.
_NO_MEMORY: Final = frozenset({errno.ENOBUFS, errno.ENOMEM})
_HAS_SENDMSG: Final = hasattr(socket.socket, "sendmsg")
#: The flag is a plain number, because Python would look up the member of its enumeration and convert it to a number in
#: each call.
DONT_WAIT: Final = int(getattr(socket, "MSG_DONTWAIT", 0))
#: The number of times in the send timeout that a thread which waits for room looks for progress: the kernel does not
#: report progress by itself.
_LOOKS: Final = 8
#: The longest TCP_USER_TIMEOUT, in milliseconds: the kernel takes it as a C int.
_MAX_USER_TIMEOUT: Final = 2**31 - 1


class SocketTransport(Transport):
    """A connection over a socket of the system."""

    #: Whether a thread waits until more can be sent, and the bytes sent after such waits. They measure the progress
    #: where the system does not.
    _blocked = False
    _sent_late = 0

    def __init__(self, sock: Any, plain: _socket.socket, default_timeout: float | None) -> None:
        self._socket = sock
        # The socket of the same connection below green wrappers. Where TLS and green sockets override a method, the
        # transport calls the one of their base class, which no monkey-patching replaces.
        self._plain = plain
        self.default_timeout = default_timeout
        #: Bytes that the next read takes at most: few, unless the last read was large.
        self._size = SMALL_READ_SIZE
        # Nagle's algorithm would hold back a second small frame until the peer's delayed acknowledgement of the first,
        # for 40 ms.
        self._set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _set_option(self, level: int, option: int, value: int | bytes) -> None:
        try:
            _socket.socket.setsockopt(self._plain, level, option, value)
        except OSError:
            pass  # A Unix socket has no TCP options, and the peer may be gone.

    def fileno(self) -> int:
        return self._plain.fileno()

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        try:
            # SSLSocket.shutdown() would drop the TLS layer while another thread reads through it.
            _socket.socket.shutdown(self._plain, how)
        except OSError:
            pass

    def _choose_read_size(self, size: int, taken: int) -> None:
        """Set the size of the next read, after a read of at most ``size`` bytes that returned ``taken`` bytes.

        A read of :data:`SMALL_READ_SIZE` that was not filled changes nothing and needs no call.
        """
        self.more = taken == size
        self._size = self.read_size if taken >= SMALL_READ_SIZE else SMALL_READ_SIZE

    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:
        if payload and not _HAS_SENDMSG:
            data, payload = data + payload, b""
        try:
            sent = self._plain.sendmsg((data, payload), (), DONT_WAIT) if payload else self._plain.send(data, DONT_WAIT)
        except BlockingIOError:
            sent = 0
        if sent == len(data) + len(payload):
            return
        if sent >= len(data):
            data, payload, sent = payload, b"", sent - len(data)
        self._send_rest(memoryview(data + payload)[sent:], timeout)

    def _send_rest(self, rest: memoryview, timeout: float, *, write: bool = True) -> None:
        """Wait and send until all of ``rest`` is sent; without ``write``, TLS has to read before it can send more."""
        self._blocked = True
        try:
            taken, deadline = self.send_progress().taken, self.clock() + timeout
            while True:
                left = min(deadline - self.clock(), timeout / _LOOKS)
                room = self._has_room(write=write, timeout=max(0.0, left))
                sent, write = self._send_some(rest)
                if sent == len(rest):
                    return
                rest = rest[sent:]
                # Room in the buffer means that the peer has taken bytes, perhaps a part of a TLS record that
                # _send_some() does not count yet.
                self._sent_late += sent or room
                before, taken = taken, self.send_progress().taken
                if taken != before:
                    deadline = self.clock() + timeout
                elif self.clock() >= deadline:
                    raise TimedOut
        finally:
            self._blocked = False

    def send_progress(self) -> SendProgress:
        return tcp_progress(self._plain) or SendProgress(
            self._sent_late - count_unacknowledged(self._plain), self._blocked
        )

    def _send_some(self, data: memoryview) -> tuple[int, bool]:
        """Send without waiting; return the number of bytes sent, and whether to wait for writing before the next try.

        If the second result is ``False``, the next try has to wait for reading, which TLS may need.
        """
        try:
            return self._plain.send(data, DONT_WAIT), True
        except BlockingIOError:
            return 0, True

    def _wait(self, write: bool, timeout: float | None) -> None:
        """Wait until the socket can be written to, or read; ``timeout`` is in seconds, ``None`` means no limit.

        :raises TimedOut: the socket was not ready in time.
        """
        wait_for(self._plain, write=write, timeout=timeout)

    def _has_room(self, *, write: bool, timeout: float) -> bool:
        """Wait for room to send, and return whether poll() reported any.

        There may be some room without a report, because poll() reports room only once a third of the buffer is free.
        """
        try:
            self._wait(write, timeout)
        except TimedOut:
            return False
        return True

    def enable_keepalive(self, interval: float, timeout: float) -> None:
        seconds = max(1, round(timeout / 4))
        self._set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", max(1, round(interval))), ("TCP_KEEPINTVL", seconds), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                self._set_option(socket.IPPROTO_TCP, getattr(socket, name), value)
        # The kernel sends no probes while it waits for the peer to acknowledge bytes, and it retransmits such bytes for
        # a quarter of an hour. The user timeout of RFC 5482 limits both.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = min(max(1, round((interval + timeout) * 1000)), _MAX_USER_TIMEOUT)
            self._set_option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


class BlockingTransport(SocketTransport):
    """A plain socket under threads; its reads time out in the kernel."""

    def __init__(self, sock: socket.socket, default_timeout: float | None) -> None:
        super().__init__(sock, sock, default_timeout)
        sock.settimeout(None)
        # Python handles signals in the main thread and then repeats the interrupted call: recv() with all of the
        # kernel's timeout, poll() with the rest of its own. The main thread therefore polls before it reads.
        self._handles_signals = threading.current_thread() is threading.main_thread()
        if default_timeout is not None:
            self._set_option(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(default_timeout))

    def receive(self, timeout: float | None = None) -> bytes:
        if timeout is not None or self._handles_signals:
            wait_for(self._socket, write=False, timeout=self.default_timeout if timeout is None else timeout)
        size = self._size
        try:
            data: bytes = self._socket.recv(size)
        except OSError as error:
            if is_interruption(error):
                raise
            if isinstance(error, BlockingIOError):
                raise TimedOut from None
            return b""
        if size != SMALL_READ_SIZE or len(data) == size:
            self._choose_read_size(size, len(data))
        return data

    def try_receive(self) -> bytes | None:
        try:
            data: bytes = self._socket.recv(self.read_size, DONT_WAIT)
        except OSError as error:
            if is_interruption(error):
                raise
            return None if isinstance(error, BlockingIOError) else b""
        self._choose_read_size(self.read_size, len(data))
        return data

    def try_send(self, data: bytes) -> int | None:
        try:
            return self._socket.send(data, DONT_WAIT)  # type: ignore[no-any-return]
        except OSError as error:
            return nothing_sent(error)

    def engage(self, core: Any, locks: tuple[Lock, Lock]) -> None:
        # Without a timeout a read would not end for the other deadlines.
        if self.default_timeout is not None:
            core.engage(locks, self._plain, None)

    def bell(self) -> Bell:
        return ThreadBell(self)


class NonBlockingTransport(SocketTransport):
    """A non-blocking socket under threads: TLS, and every socket where the kernel has no timeouts.

    Subclasses for greenlets override :meth:`_wait`.
    """

    def __init__(self, sock: Any, plain: _socket.socket, default_timeout: float | None) -> None:
        super().__init__(sock, plain, default_timeout)
        sock.setblocking(False)
        # OpenSSL does not allow two threads in one connection at once.
        self._guard = self.mutex()
        #: Whether reads return ``b""`` from now on: once TLS has ended, the socket would return plain bytes, which
        #: anybody on the network may have written.
        self._ended = False

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
            if is_interruption(error):
                raise
            return b""

    def _receive(self, size: int) -> bytes:
        if self._ended:
            return b""
        data: bytes = self._socket.recv(size)
        self._choose_read_size(size, len(data))
        return data

    def try_receive(self) -> bytes | None:
        try:
            with self._guard:
                return self._receive(self.read_size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            if is_interruption(error):
                raise
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

    def try_send(self, data: bytes) -> int | None:
        # Another thread may be inside OpenSSL.
        if not self._guard.acquire(blocking=False):
            return 0
        try:
            return self._socket.send(data)  # type: ignore[no-any-return]
        except OSError as error:
            return nothing_sent(error)
        finally:
            self._guard.release()

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        if how == socket.SHUT_RDWR:
            with self._guard:
                self._ended = True
                # The unwrap() of eventlet would return a socket that closes the descriptor when it is deleted.
                if (tls := getattr(self._socket, "_sslobj", None)) is not None:
                    try:
                        tls.shutdown()  # This call sends close_notify and does not wait for that of the peer.
                    except OSError:
                        pass
        super().shutdown(how)

    def bell(self) -> Bell:
        return ThreadBell(self, buffers=True)


def nothing_sent(error: OSError) -> int | None:
    """Return the result of :meth:`Transport.try_send` for an error: 0 without room, ``None`` if the peer is gone."""
    if is_interruption(error):
        raise error
    no_room = isinstance(error, (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError))
    return 0 if no_room or error.errno in _NO_MEMORY else None


def wait_for(sock: Any, *, write: bool, timeout: float | None, select: Any = select) -> None:
    """Wait until a socket can be written to, or read; ``timeout`` is in seconds, ``None`` means no limit.

    ``select`` is the module :mod:`select`, or its original where a green library has patched it. ``poll()`` is used
    where the module has it, because ``select()`` fails for descriptors over 1023.

    :raises TimedOut: the socket was not ready in time.
    """
    fd = sock.fileno()
    if fd < 0:
        return  # The socket is closed: the next read or write will raise.
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLOUT if write else select.POLLIN)
        ready = poll.poll(None if timeout is None else max(0.0, timeout) * 1000)
    else:
        fds = [fd]
        ready = any(select.select([] if write else fds, fds if write else [], fds, timeout))
    if not ready:
        raise TimedOut


def _timeval(seconds: float) -> bytes:
    """Return a ``struct timeval`` of at least a microsecond, because zero would mean no timeout."""
    microseconds = max(1, round(seconds * 1_000_000))
    return struct.pack("@ll", microseconds // 1_000_000, microseconds % 1_000_000)
