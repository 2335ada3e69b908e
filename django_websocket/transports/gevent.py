"""The functions of gevent that transports need, and the waiter at its hub.

Only functions import gevent, so that the module can be imported where gevent is not installed.
"""

from __future__ import annotations

import _socket
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from .base import TimedOut
from .green_library import GreenLibrary, HubWaiter
from .pollers import polled_waiter

#: The event of libev and libuv that a descriptor can be read.
_READ: Final = 1


class Gevent(GreenLibrary):
    """The :class:`.GreenLibrary` of gevent."""

    hub_adopts = False

    def __init__(self) -> None:
        from gevent import get_hub, getcurrent, monkey, sleep
        from gevent import socket as green_socket
        from gevent.ssl import SSLSocket

        names = ["allocate_lock", "RLock", "get_ident"]
        self.allocate_lock, self.make_rlock, self.get_ident = monkey.get_original("_thread", names)
        names = ["select"] + ["poll"] * (sys.platform != "win32")
        originals = dict(zip(names, monkey.get_original("select", names), strict=True))
        self.select = SimpleNamespace(POLLIN=1, POLLOUT=4, **originals)
        self.guard = self.allocate_lock()
        self.getcurrent, self.sleep = getcurrent, sleep
        self._get_hub = get_hub
        self._types = green_socket.socket, SSLSocket
        self._wait_read, self._wait_write = green_socket.wait_read, green_socket.wait_write

    def wait(self, fd: int, write: bool, timeout: float | None) -> None:
        (self._wait_write if write else self._wait_read)(fd, timeout, TimedOut())

    def in_hub(self) -> bool:
        return self.getcurrent() is self._get_hub()

    def call_soon(self, call: Callable[[], object]) -> None:
        self._get_hub().loop.run_callback(call)

    def hub(self) -> Any:
        return self._get_hub()

    def watch(self, fd: int, call: Callable[[], object]) -> Callable[[], object]:
        watcher = self._get_hub().loop.io(fd, _READ, ref=False)
        watcher.start(call)

        def stop() -> None:
            try:
                watcher.stop()
                watcher.close()
            except ValueError:
                pass  # The hub was destroyed, and its watchers with it.

        return stop

    def keep_alive(self, hub: Any, keep: bool) -> None:
        loop = hub.loop
        # A hub that was destroyed has none.
        if loop is not None:
            (loop.ref if keep else loop.unref)()

    def handle_error(self, hub: Any, greenlet: Any, error: BaseException) -> None:
        hub.handle_error(greenlet.switch, type(error), error, error.__traceback__)

    def start_timer(self, seconds: float, call: Callable[[], object]) -> Any:
        timer = self._get_hub().loop.timer(seconds)
        timer.start(call)
        return timer

    def stop_timer(self, timer: Any) -> None:
        timer.stop()
        timer.close()

    def unwrap(self, sock: Any) -> tuple[Any, _socket.socket] | None:
        plain, tls = self._types
        if isinstance(sock, tls):
            return sock, sock._sock  # noqa: SLF001 - gevent has no public way to the socket that it waits for.
        return (sock._sock, sock._sock) if isinstance(sock, plain) else None  # noqa: SLF001

    def waiter(self, sock: Any) -> HubWaiter:
        return polled_waiter(self, sock.fileno()) or GeventWaiter(self, sock._read_event)  # noqa: SLF001


class GeventWaiter(HubWaiter):
    """Waits with the socket's own watcher.

    Each wait starts and stops the watcher, but gevent passes only those changes to the system that remain at the next
    turn of its loop, and mostly none remain.
    """

    def __init__(self, library: Gevent, watcher: Any) -> None:
        super().__init__(library)
        self._watcher = watcher
        self._hub = library.hub()

    def wait(self, timeout: float | None) -> None:
        self._start_wait(timeout)
        try:
            self._hub.wait(self._watcher)
        finally:
            self._finish_wait()

    def _remove_listener(self) -> None:
        """Do nothing: each wait stops the watcher."""
