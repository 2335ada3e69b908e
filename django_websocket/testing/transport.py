"""The server's end of a WebSocket in a test: a transport without a socket, for a view in a greenlet.

When the view waits, the test continues in the same thread. The view continues when the test has sent something, or when
a deadline of the view is reached.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Final

from greenlet import getcurrent, greenlet

from ..housekeeping.databases import Blocks, atomic_blocks, set_foreign_blocks
from ..servers import ClientConnection
from ..transports import TimedOut, Transport

#: Real seconds that other threads get to send something, before a wait of the test fails because it would never end.
THREAD_TIMEOUT: Final = 0.5


class Scheduler:
    """Runs the views of one thread's tests on a simulated clock, which advances only when both sides wait.

    A view runs until it waits. When the test waits too, the earliest deadline of a view is reached at once.
    """

    def __init__(self) -> None:
        #: The transports of the open sessions.
        self.transports: list[MemoryTransport] = []
        #: Seconds on the clock of all views.
        self.now = 0.0

    def run_ready(self) -> bool:
        """Return whether there was anything to do: run each view that can read, and pass sent bytes to the sessions."""
        busy = False
        for transport in self.transports.copy():
            if transport.ready:
                busy = True
                transport.resume()
            if transport.sent:
                busy = True
                transport.collect()
        return busy

    def advance(self, limit: float, only: MemoryTransport | None = None) -> bool:
        """Return whether a waiting view has a deadline before ``limit``; if so, advance the clock and run the view.

        The clock is advanced to the earliest deadline. With ``only``, no other view is considered.
        """
        waiting = [
            (transport.deadline, transport)
            for transport in self.transports
            if transport.deadline is not None and only in {None, transport}
        ]
        earliest, first = min(waiting, key=itemgetter(0), default=(limit, None))
        if first is None or earliest >= limit:
            return False
        self.now = max(self.now, earliest)
        first.resume()
        return True


_local: Final = threading.local()


def scheduler() -> Scheduler:
    """Return the scheduler of this thread."""
    if not hasattr(_local, "scheduler"):
        _local.scheduler = Scheduler()
    current: Scheduler = _local.scheduler
    return current


class MemoryTransport(Transport):
    """The server's side of a session: a wait switches to the test."""

    def __init__(self, run: Callable[[], None], collect: Callable[[], None]) -> None:
        """Make the transport of the view that ``run`` serves; ``collect`` takes the chunks that it has :attr:`sent`."""
        self.view = greenlet(run)
        self.collect = collect
        self._scheduler = on = scheduler()
        self.clock = lambda: on.now
        #: The bytes that arrive together with the request, behind it.
        self.received = b""
        #: Whether the view's side has taken the connection over.
        self.taken_over = False
        #: Chunks for the view; ``b""`` is the end.
        self._incoming: deque[bytes] = deque()
        #: Chunks for the test; ``b""`` is the end.
        self.sent: deque[bytes] = deque()
        self._arrived = threading.Event()
        self._ended = self._shut = False
        #: Whether the test's side is gone: nothing can be sent any more.
        self.gone = False
        #: When the view stops waiting; ``None`` if it waits without a limit, or does not wait.
        self.deadline: float | None = None
        self._waiting = False
        #: The open ``atomic()`` blocks that are not the view's.
        self._foreign: Blocks = {}
        #: All open blocks when the view began to wait, if it had opened some itself.
        self._blocks: Blocks | None = None

    # The test's side

    @property
    def ready(self) -> bool:
        """Whether the view waits and has something to read."""
        return self._waiting and bool(self._incoming)

    def feed(self, data: bytes) -> None:
        """Pass ``data`` to the view; ``b""`` is the end of the stream, after which nothing is passed on."""
        if not self._ended:
            self._ended = not data
            self._incoming.append(data)

    def wait_for_threads(self) -> bool:
        """Wait until another thread has sent something, and return whether one did in time."""
        if threading.active_count() == 1:
            return bool(self.sent)
        arrived = self._arrived.wait(THREAD_TIMEOUT)
        self._arrived.clear()
        return arrived

    def resume(self) -> None:
        """Run the view until it waits, or ends.

        :raises AssertionError: the test has opened or closed a transaction across one that the view holds open. The
            database's savepoints would be released in the wrong order.
        """
        blocks = atomic_blocks()
        if self._blocks is None:
            self._foreign = blocks
        elif self._blocks != blocks:
            raise AssertionError("atomic() of the view and of the test overlap")
        set_foreign_blocks(self._foreign)
        self.view.parent = getcurrent()
        self.view.switch()

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
        if getcurrent() is not self.view:
            raise RuntimeError("in the test client, messages are waited for in the view itself")
        timeout = self.default_timeout if timeout is None else timeout
        deadline = None if timeout is None else self._scheduler.now + timeout
        while not self._incoming:
            if deadline is not None and self._scheduler.now >= deadline:
                raise TimedOut
            blocks = atomic_blocks()
            foreign = self._foreign
            self._blocks = blocks if any(len(blocks[alias]) > len(foreign.get(alias, ())) for alias in blocks) else None
            self.deadline, self._waiting = deadline, True
            try:
                self.view.parent.switch()
            finally:
                self.deadline, self._waiting = None, False
        return self._take()

    def try_receive(self) -> bytes | None:
        """Return the next chunk that the test has sent, ``b""`` at the end, ``None`` if there is none."""
        return self._take() if self._incoming else None

    def _take(self) -> bytes:
        return self._incoming.popleft() if self._incoming[0] else b""

    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:  # noqa: ARG002 - there is always room
        """Pass ``data`` and ``payload`` to the test."""
        if self._shut or self.gone:
            raise BrokenPipeError(errno.EPIPE, "the connection was shut down")
        self.sent.append(data + payload)
        self._arrived.set()

    def try_send(self, data: bytes) -> int:
        """Pass ``data`` to the test, and return the number of bytes passed."""
        if self._shut or self.gone:
            return 0
        self.sent.append(data)
        return len(data)

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        """End the view's stream to the test."""
        if not self._shut:
            self._shut = True
            self.sent.append(b"")
        if how == socket.SHUT_RDWR:
            self.feed(b"")

    def enable_keepalive(self, interval: float, timeout: float) -> None:
        """Do nothing: a peer in the same process cannot vanish."""

    def current(self) -> object:
        """Return the greenlet that is running."""
        return getcurrent()


class MemoryConnection(ClientConnection):
    """The client connection that :func:`servers.find` returns in a test."""

    __slots__ = ()

    sock: MemoryTransport

    def read_ahead(self) -> bytes:
        """Return the bytes that a server would have read behind the request."""
        return self.sock.read_ahead()

    def refuse(self) -> None:
        """Do nothing: the view's greenlet ends."""
