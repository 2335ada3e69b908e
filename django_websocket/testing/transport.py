"""The server's end of a WebSocket in a test: a transport without a socket, for a view in a greenlet.

A view that waits lets the test go on, in the same thread, until the test has sent something or it is time.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Final

from greenlet import getcurrent, greenlet

from ..housekeeping.databases import Blocks, atomic_blocks, set_foreign_blocks
from ..transports import Transport

#: Real seconds that other threads get to send something, before a test is told that it waits for ever.
THREADS_TIME: Final = 0.5


class Stage:
    """The views of one thread's tests, and their time, which stands still until a deadline is fired."""

    def __init__(self) -> None:
        self.transports: list[MemoryTransport] = []
        self.now = 0.0

    def progress(self) -> bool:
        """Let every view run that has something to read, and every test's side take what was sent.

        Gives whether there was anything to do.
        """
        busy = False
        for transport in self.transports.copy():
            if transport.ready:
                busy = True
                transport.resume()
            if transport.sent:
                busy = True
                transport.collect()
        return busy

    def fire(self, horizon: float, only: MemoryTransport | None = None) -> bool:
        """Let the earliest deadline of a waiting view be there; gives whether there is one before ``horizon``."""
        waiting = [
            (transport.deadline, transport)
            for transport in self.transports
            if transport.deadline is not None and only in {None, transport}
        ]
        earliest, first = min(waiting, key=itemgetter(0), default=(horizon, None))
        if first is None or earliest >= horizon:
            return False
        self.now = max(self.now, earliest)
        first.resume()
        return True


_local: Final = threading.local()


def stage() -> Stage:
    """Give the stage of this thread."""
    if not hasattr(_local, "stage"):
        _local.stage = Stage()
    current: Stage = _local.stage
    return current


class MemoryTransport(Transport):
    """The server's side of a session: to wait is to let the test go on."""

    def __init__(self, run: Callable[[], None], collect: Callable[[], None]) -> None:
        """Make the transport of the view that ``run`` serves; ``collect`` takes what it has :attr:`sent`."""
        self.view = greenlet(run)
        self.collect = collect
        self._stage = on = stage()
        self.clock = lambda: on.now
        #: What follows the request in its own segment.
        self.received = b""
        #: Whether the view's side has taken the connection over.
        self.used = False
        #: Chunks for the view, ``b""`` is the end; chunks for the test.
        self._incoming: deque[bytes] = deque()
        self.sent: deque[bytes] = deque()
        self._arrived = threading.Event()
        self._ended = self._shut = False
        #: Whether the test's side is gone: nothing can be sent any more.
        self.gone = False
        #: When the waiting view stops waiting; ``None`` if it does not, or does not wait.
        self.deadline: float | None = None
        self._waiting = False
        #: The open ``atomic()`` blocks that are not the view's; all when it began to wait, if it had opened some.
        self._foreign: Blocks = {}
        self._blocks: Blocks | None = None

    # The test's side

    @property
    def ready(self) -> bool:
        """Whether the view waits and has something to read."""
        return self._waiting and bool(self._incoming)

    def feed(self, data: bytes) -> None:
        """Let the view have ``data``, ``b""`` for the end, which comes once."""
        if not self._ended:
            self._ended = not data
            self._incoming.append(data)

    def wait_for_threads(self) -> bool:
        """Wait for what another thread may send; gives whether it did."""
        if threading.active_count() == 1:
            return bool(self.sent)
        arrived = self._arrived.wait(THREADS_TIME)
        self._arrived.clear()
        return arrived

    def resume(self) -> None:
        """Let the view run until it waits, or ends.

        :raises AssertionError: the test has opened or closed a transaction across one that the view holds open: the
            database's savepoints would be given up in the wrong order.
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
        """Give what a server has read behind the request."""
        self.used = True
        received, self.received = self.received, b""
        return received

    def receive(self, timeout: float | None = None) -> bytes:
        """Let the test go on until it has sent something, or it is time."""
        if getcurrent() is not self.view:
            raise RuntimeError("in the test client, messages are waited for in the view itself")
        timeout = self.default_timeout if timeout is None else timeout
        deadline = None if timeout is None else self._stage.now + timeout
        while not self._incoming:
            if deadline is not None and self._stage.now >= deadline:
                raise TimeoutError
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
        """Give what the test has sent."""
        return self._take() if self._incoming else None

    def _take(self) -> bytes:
        return self._incoming.popleft() if self._incoming[0] else b""

    def send(self, data: bytes, timeout: float, payload: bytes = b"") -> None:  # noqa: ARG002 - there is always room
        """Let the test have ``data``, and ``payload``."""
        if self._shut or self.gone:
            raise BrokenPipeError
        self.sent.append(data + payload)
        self._arrived.set()

    def try_send(self, data: bytes) -> int:
        """Let the test have ``data``."""
        if self._shut or self.gone:
            return 0
        self.sent.append(data)
        return len(data)

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        """Let the test see the end of the view's stream."""
        if not self._shut:
            self._shut = True
            self.sent.append(b"")
        if how == socket.SHUT_RDWR:
            self.feed(b"")

    def enable_keepalive(self, interval: float, timeout: float) -> None:
        """Do nothing: nobody vanishes from memory unnoticed."""

    def current(self) -> object:
        """Give the greenlet."""
        return getcurrent()
