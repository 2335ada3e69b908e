"""The bell of a thread: it waits for its socket and for a descriptor that others write to."""

from __future__ import annotations

import select
from typing import Any

from .base import Bell, TimedOut, Transport
from .wakers import make_waker


class ThreadBell(Bell):
    """Waits natively, with and without TLS, for bytes or for a ring."""

    def __init__(self, transport: Transport, *, buffers: bool = False, select: Any = select) -> None:
        """Make the bell of a transport of a socket.

        ``buffers`` means that TLS may hold bytes to read while the socket below it is empty. ``select`` is as for
        :func:`.wait_for`.
        """
        self._transport = transport
        self._buffers = buffers
        self._waker = make_waker(transport.mutex())
        #: Whether a ring has to wake the thread: it is about to wait, or waits.
        self._asleep = False
        # A connection that has ended may have no descriptor any more, and is never waited for.
        self._fds = [fd for fd in (transport.fileno(), self._waker.fileno()) if fd >= 0]
        self._select = select
        self._poll: Any = None
        if hasattr(select, "poll"):
            self._poll = select.poll()
            for fd in self._fds:
                self._poll.register(fd, select.POLLIN)

    def ring(self) -> None:
        # The order is the opposite of that in receive(), so that one of the two threads sees what the other has set.
        self.rung = True
        if self._asleep:
            self._asleep = False
            self._waker.wake()

    def receive(self, timeout: float) -> bytes:
        transport = self._transport
        # On other sockets poll() knows better, without an exception.
        if self._buffers or transport.more:
            data = transport.try_receive()
            if data is not None:
                return data
        self._asleep = True
        try:
            ready = self._wait(0.0 if self.rung else max(0.0, timeout))
        finally:
            self._asleep = False
        if self._waker.fileno() in ready:
            self._waker.clear()
        # The socket has bytes, or TLS takes some of them without a message in them.
        data = transport.try_receive() if any(fd != self._waker.fileno() for fd in ready) else None
        if data is None:
            raise TimedOut
        return data

    def _wait(self, seconds: float) -> list[int]:
        """Return the descriptors that can be read, or are broken, after so many seconds at most."""
        if self._poll is not None:
            return [fd for fd, _ in self._poll.poll(seconds * 1000)]
        return list(self._select.select(self._fds, [], [], seconds)[0])

    def close(self) -> None:
        self._waker.close()
