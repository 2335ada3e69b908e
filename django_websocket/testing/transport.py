"""The server's end of a WebSocket in a test: a transport without a socket, for a view in a greenlet.

When the view waits, the test continues in the same thread. The view continues when the test has sent something, or when
a deadline of the view is reached.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from greenlet import getcurrent

from ..connection.sending import POLL_INTERVAL
from ..servers import ClientConnection
from ..transports import Bell, TimedOut, Transport
from .scheduler import SHORTEST_PAUSE, Scheduler, View, scheduler

#: Messages that a view sends at once. Behind them a second passes on the clock, so that the connection looks for what
#: has come in, as it does at most once a second, and the test gets its turn.
MAX_SENT: Final = 100
#: Messages of groups that a view takes at once while it listens. Behind them the test gets its turn: views that answer
#: each other's messages never come to an end by themselves.
MAX_RINGS: Final = 100


class MemoryTransport(Transport):
    """The server's side of a session: a wait switches to the test."""

    def __init__(self, run: Callable[[], None], collect: Callable[[], None]) -> None:
        """Make the transport of the view that ``run`` serves; ``collect`` takes the chunks that it has :attr:`sent`."""
        self.view = View(run, self._deliver)
        self._collect = collect
        self._scheduler = current = scheduler()
        self.clock = lambda: current.now
        #: The bytes that arrive together with the request, behind it.
        self.received = b""
        #: Whether the view's side has taken the connection over.
        self.taken_over = False
        #: Chunks for the view; ``b""`` is the end.
        self._incoming: deque[bytes] = deque()
        #: Chunks for the test; ``b""`` is the end.
        self.sent: deque[bytes] = deque()
        self._ended = self._shut = False
        #: Whether the test's side is gone: nothing can be sent any more.
        self.gone = False

    # The test's side

    def feed(self, data: bytes) -> None:
        """Pass ``data`` to the view; ``b""`` is the end of the stream, after which nothing is passed on."""
        if not self._ended:
            self._ended = not data
            self._incoming.append(data)

    def _deliver(self) -> bool:
        """Pass sent chunks to the test, and return whether there were any."""
        if not self.sent:
            return False
        self._collect()
        return True

    # The view's side

    def read_ahead(self) -> bytes:
        """Return the bytes that a server would have read behind the request."""
        self.taken_over = True
        received, self.received = self.received, b""
        return received

    def receive(self, timeout: float | None = None) -> bytes:
        """Return the next chunk from the test, ``b""`` at the end; switch to the test while there is none.

        :raises TimedOut: no chunk came within ``timeout`` seconds on the view's clock.
        """
        if not self.view.running:
            raise RuntimeError("in the test client, messages are waited for in the view itself")
        return self.receive_unless(_never, self.default_timeout if timeout is None else timeout)

    def receive_unless(self, is_rung: Callable[[], bool], timeout: float | None) -> bytes:
        """Return the next chunk, as :meth:`receive` does, while ``is_rung`` is false; ``None`` is no limit.

        :raises TimedOut: no chunk came in time, or ``is_rung`` is true.
        """
        deadline = None if timeout is None else self._scheduler.now + timeout
        if timeout == 0:
            self._look()
        elif is_rung():
            self._look(MAX_RINGS)
        while not self._incoming:
            if is_rung() or (deadline is not None and self._scheduler.now >= deadline):
                raise TimedOut
            self.view.pause(deadline, lambda: self._has_arrived() or is_rung())
        return self._take()

    def try_receive(self) -> bytes | None:
        """Return the next chunk that the test has sent, ``b""`` at the end, ``None`` if there is none."""
        self._look()
        return self._take() if self._incoming else None

    def _look(self, patience: int = 1) -> None:
        """Switch to the test if the view looks in vain again, as in a loop, or has sent :data:`MAX_SENT` messages.

        ``patience`` is the number of looks in vain that the view may do before.
        """
        if self._incoming or not self.view.running:
            return
        self.view.vain_looks += 1
        if self.view.vain_looks > patience or self.view.sent >= MAX_SENT:
            self.view.pause(self._scheduler.now + SHORTEST_PAUSE, self._has_arrived)

    def _has_arrived(self) -> bool:
        return bool(self._incoming)

    def _take(self) -> bytes:
        return self._incoming.popleft() if self._incoming[0] else b""

    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:  # noqa: ARG002 - there is always room
        """Pass ``data`` and ``payload`` to the test."""
        if self._shut or self.gone:
            raise BrokenPipeError(errno.EPIPE, "the connection was shut down")
        self._put(data + payload)
        if self.view.running:
            self.view.sent += 1
            if self.view.sent == MAX_SENT:
                self._scheduler.now += POLL_INTERVAL + SHORTEST_PAUSE

    def try_send(self, data: bytes) -> int | None:
        """Pass ``data`` to the test, and return the number of bytes passed; ``None`` if the test's side is gone."""
        if self._shut or self.gone:
            return None
        self._put(data)
        return len(data)

    def _put(self, data: bytes) -> None:
        self.sent.append(data)
        self._scheduler.note_activity()

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        """End the view's stream to the test."""
        if not self._shut:
            self._shut = True
            self._put(b"")
        if how == socket.SHUT_RDWR:
            self.feed(b"")

    def enable_keepalive(self, interval: float, timeout: float) -> None:
        """Do nothing: a peer in the same process cannot vanish."""

    def bell(self) -> Bell:
        """Return a new bell for the view."""
        return MemoryBell(self, self._scheduler)

    def current(self) -> object:
        """Return the greenlet that is running."""
        return getcurrent()


class MemoryBell(Bell):
    """Wakes a view in a test; the test may ring it, and so may other views and threads."""

    def __init__(self, transport: MemoryTransport, scheduler: Scheduler) -> None:
        self._transport = transport
        self._scheduler = scheduler

    def ring(self) -> None:
        """Make the view go on at its next turn."""
        self.rung = True
        self._scheduler.note_activity()

    def receive(self, timeout: float) -> bytes:
        """Return the next chunk from the test; see :meth:`MemoryTransport.receive`."""
        return self._transport.receive_unless(lambda: self.rung, timeout)

    def close(self) -> None:
        """Do nothing: the bell holds nothing."""


def _never() -> bool:
    return False


class MemoryConnection(ClientConnection):
    """The client connection that :func:`servers.find` returns in a test."""

    __slots__ = ()

    sock: MemoryTransport

    def take_over(self) -> tuple[MemoryTransport, bytes]:
        """Return the transport, and the bytes that a server would have read behind the request."""
        return self.sock, self.sock.read_ahead()

    def refuse(self) -> None:
        """Do nothing: the view's greenlet ends."""
