"""The functions of eventlet that transports need, and the waiter at its hub.

Only functions import eventlet, so that the module can be imported where eventlet is not installed.
"""

from __future__ import annotations

import _socket
import traceback
from collections.abc import Callable
from typing import Any

from .base import TimedOut
from .green_library import GreenLibrary, HubWaiter
from .pollers import polled_waiter


class Eventlet(GreenLibrary):
    """The :class:`.GreenLibrary` of eventlet."""

    hub_adopts = True

    def __init__(self) -> None:
        from eventlet import getcurrent, hubs, patcher, sleep
        from eventlet.green.ssl import GreenSSLSocket
        from eventlet.greenio import GreenSocket

        thread = patcher.original("_thread")
        self.allocate_lock, self.make_rlock, self.get_ident = thread.allocate_lock, thread.RLock, thread.get_ident
        self.select = patcher.original("select")
        self.guard = self.allocate_lock()
        self.getcurrent, self.sleep = getcurrent, sleep
        self._types = GreenSocket, GreenSSLSocket
        self._trampoline, self._get_hub = hubs.trampoline, hubs.get_hub

    def wait(self, fd: int, write: bool, timeout: float | None) -> None:
        self._trampoline(fd, read=not write, write=write, timeout=timeout, timeout_exc=TimedOut)

    def in_hub(self) -> bool:
        return self.getcurrent() is self._get_hub().greenlet

    def call_soon(self, call: Callable[[], object]) -> None:
        self._get_hub().schedule_call_global(0, call)

    def hub(self) -> Any:
        return self._get_hub()

    def watch(self, fd: int, call: Callable[[], object]) -> Callable[[], object]:
        hub = self._get_hub()
        listener = hub.add(hub.READ, fd, lambda _: call(), lambda _: None, lambda: None)
        return lambda: hub.remove(listener)

    def keep_alive(self, hub: Any, keep: bool) -> None:
        """Do nothing: the hub never ends by itself."""

    def handle_error(self, hub: Any, greenlet: Any, error: BaseException) -> None:  # noqa: ARG002 - gevent names it.
        # The hub would also remove the descriptor, which is that of all connections here.
        if isinstance(error, hub.SYSTEM_EXCEPTIONS):
            raise error
        traceback.print_exception(error)

    def start_timer(self, seconds: float, call: Callable[[], object]) -> Any:
        return self._get_hub().schedule_call_global(seconds, call)

    def stop_timer(self, timer: Any) -> None:
        timer.cancel()

    def unwrap(self, sock: Any) -> tuple[Any, _socket.socket] | None:
        green, tls = self._types
        if isinstance(sock, tls):
            return sock, sock
        if not isinstance(sock, green):
            return None
        while isinstance(sock, green):  # A patched socketpair() wraps its sockets twice.
            sock = sock.fd
        return sock, sock

    def waiter(self, sock: Any) -> HubWaiter:
        return polled_waiter(self, sock.fileno()) or EventletWaiter(self, sock.fileno())


class EventletWaiter(HubWaiter):
    """Waits with a listener that stays at the hub as long as another wait begins before the next bytes arrive."""

    _listener: Any = None

    def __init__(self, library: Eventlet, fd: int) -> None:
        super().__init__(library)
        self._fd = fd
        self._hub = library.hub()

    def wait(self, timeout: float | None) -> None:
        self._start_wait(timeout)
        try:
            if self._listener is None:
                self._listener = self._hub.add(
                    self._hub.READ, self._fd, self._on_readable, self._on_error, self._on_descriptor_reused
                )
            self._hub.switch()
        finally:
            self._finish_wait()

    def _on_readable(self, _fd: int) -> None:
        if self._greenlet is not None:
            self._greenlet.switch()
        else:
            # The greenlet is busy, and the hub would call this method again and again until the greenlet reads.
            self._remove_listener()

    def _on_error(self, error: BaseException) -> None:
        if self._greenlet is not None:
            self._greenlet.throw(error)

    def _on_descriptor_reused(self) -> None:
        """Forget the listener, which the hub has removed: the descriptor belongs to another connection now."""
        self._listener = None

    def _remove_listener(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            self._hub.remove(listener)
