"""How a greenlet waits for a connection's bytes, without asking its hub anew for each message.

The libraries' own waits tell the system of a descriptor before each wait and take it back after, and have a timer for
each. Here one listener and one timer stay with the hub from one message to the next.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any


class Reader(ABC):
    """Waits until a plain socket can be read. For the greenlets of the thread that made it, one at a time."""

    #: The greenlet that waits.
    _waiter: Any = None
    #: When its time is over, on the monotonic clock.
    _deadline: float | None = None
    _timer: Any = None
    #: When the timer goes off; not after the deadline.
    _alarm: float = 0.0
    #: Whether nobody will wait any more.
    _over = False

    def __init__(self, getcurrent: Callable[[], Any]) -> None:
        self._getcurrent = getcurrent

    @abstractmethod
    def wait(self, timeout: float | None) -> None:
        """Wait until there are bytes, or the end; ``timeout`` is in seconds.

        One frame each, as it is there while a connection waits.

        :raises TimeoutError: there were none.
        """

    def _begin(self, timeout: float | None) -> None:
        """Begin a wait."""
        if timeout is None:
            self._deadline = None
        else:
            deadline = self._deadline = time.monotonic() + timeout
            # A timer that goes off too early is set anew then, once for many messages.
            if self._timer is None or self._alarm > deadline:
                self._set_timer(timeout, deadline)
        self._waiter = self._getcurrent()

    def _end(self) -> None:
        """End a wait, however it went."""
        self._waiter = None
        if self._over:
            self.detach()

    def _set_timer(self, seconds: float, deadline: float) -> None:
        if self._timer is not None:
            self._stop_timer(self._timer)
        self._alarm = deadline
        self._timer = self._start_timer(seconds)

    def _go_off(self) -> None:
        """Be called by the timer."""
        self._stop_timer(self._timer)
        self._timer = None
        # Without anybody who waits, the next one sets it anew.
        if self._waiter is None or self._deadline is None:
            return
        left = self._deadline - time.monotonic()
        if left > 0:
            self._set_timer(left, self._deadline)
        else:
            self._waiter.throw(TimeoutError())

    def detach(self) -> None:
        """Leave nothing with the hub, once who waits has been woken: the socket was shut down."""
        self._over = True
        if self._waiter is not None:
            return
        if self._timer is not None:
            self._stop_timer(self._timer)
            self._timer = None
        self._remove()

    @abstractmethod
    def _remove(self) -> None:
        """Take back what the hub was asked for."""

    @abstractmethod
    def _start_timer(self, seconds: float) -> Any: ...

    @abstractmethod
    def _stop_timer(self, timer: Any) -> None: ...


class EventletReader(Reader):
    """A listener at eventlet's hub that stays while somebody waits again before the next bytes come."""

    _listener: Any = None

    def __init__(self, fd: int, hub: Any, getcurrent: Callable[[], Any]) -> None:
        super().__init__(getcurrent)
        self._fd = fd
        self._hub = hub

    def wait(self, timeout: float | None) -> None:
        """Wait; see :meth:`Reader.wait`."""
        self._begin(timeout)
        try:
            if self._listener is None:
                self._listener = self._hub.add(self._hub.READ, self._fd, self._ready, self._fail, self._obsolete)
            self._hub.switch()
        finally:
            self._end()

    def _ready(self, _fd: int) -> None:
        if self._waiter is not None:
            self._waiter.switch()
        else:
            # Bytes for somebody who is busy: the hub would call again and again.
            self._remove()

    def _fail(self, error: BaseException) -> None:
        if self._waiter is not None:
            self._waiter.throw(error)

    def _obsolete(self) -> None:
        """Be told that the descriptor is another connection's now."""
        self._listener = None

    def _remove(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            self._hub.remove(listener)

    def _start_timer(self, seconds: float) -> Any:
        return self._hub.schedule_call_global(seconds, self._go_off)

    def _stop_timer(self, timer: Any) -> None:
        timer.cancel()


class GeventReader(Reader):
    """gevent's own watcher of the socket; what it tells the system is put off until it is clear that it has changed."""

    def __init__(self, watcher: Any, hub: Any, getcurrent: Callable[[], Any]) -> None:
        super().__init__(getcurrent)
        self._watcher = watcher
        self._hub = hub

    def wait(self, timeout: float | None) -> None:
        """Wait; see :meth:`Reader.wait`."""
        self._begin(timeout)
        try:
            self._hub.wait(self._watcher)
        finally:
            self._end()

    def _remove(self) -> None:
        pass  # each wait stops its watcher

    def _start_timer(self, seconds: float) -> Any:
        timer = self._hub.loop.timer(seconds)
        timer.start(self._go_off)
        return timer

    def _stop_timer(self, timer: Any) -> None:
        timer.stop()
        timer.close()
