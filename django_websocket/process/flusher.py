"""Sends what sockets had no room for, when their peers have made room.

A message to many members of a group is written by the thread that publishes it, which waits for none of them. What a
socket does not take at once is left to the flusher.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from .threads import original, pause, start_thread

#: Seconds without a socket that waits for room, after which the thread ends.
LINGER: Final = 2.0
#: Seconds until the next look at sockets of which the system says that they have room, although nothing could be sent;
#: and between two looks at all sockets where the system has no epoll.
_PAUSE: Final = 0.02


class Flusher:
    """Calls functions that send, the pumps, in a native thread, each when its socket has room.

    The thread runs while there are any. It is native even among greenlets, so that it waits with an epoll object of its
    own: a hub allows no second wait for the same socket.
    """

    # Operations on a dictionary are atomic and need no lock. A lock would be wrong: add() may run in a signal handler
    # that has interrupted the thread holding it.
    _pumps: dict[int, Callable[[], bool]]
    #: The epoll object, while there is one.
    _made: dict[str, _Epoll]
    _running: bool

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, in a forked child: the sockets and the thread are those of its parent."""
        self._pumps = {}
        self._made = {}
        self._running = False

    def add(self, fd: int, pump: Callable[[], bool]) -> None:
        """Call ``pump`` once, as soon as the socket with the descriptor ``fd`` has room.

        ``pump`` returns whether it has sent anything; it must not wait, nor log, nor acquire a lock that a greenlet may
        wait for. :meth:`add` never waits; it is thread-safe, and safe in a signal handler.
        """
        if fd < 0:
            return
        # Before it ends, the thread removes its epoll object, and then looks at the pumps. So either the thread sees
        # this pump, or the loop below sees that the object is gone, and makes another one.
        self._pumps[fd] = pump
        epoll = None
        while epoll is None or epoll is not self._made.get("epoll"):
            epoll = self._get_epoll()
            epoll.arm(fd)
        if not self._running:
            self._running = True
            if not start_thread(self._run):
                self._running = False

    def discard(self, fd: int, pump: Callable[[], bool]) -> None:
        """Forget a socket that is about to be closed; thread-safe."""
        if self._pumps.get(fd) == pump:
            self._pumps.pop(fd, None)
            epoll = self._made.get("epoll")
            if epoll is not None:
                epoll.disarm(fd)

    def _get_epoll(self) -> _Epoll:
        epoll = self._made.get("epoll")
        # setdefault() is atomic: threads that make an object at once get the same one.
        return epoll or self._made.setdefault("epoll", _Epoll())

    def _run(self) -> None:
        while True:
            epoll = self._get_epoll()
            ready = epoll.wait(LINGER, self._pumps)
            progress = False
            for fd in ready:
                pump = self._pumps.pop(fd, None)
                if pump is not None:
                    progress = _pump(pump) or progress
            if not ready and self._ends(epoll):
                return
            if not progress:
                # Without a pause, a socket that has room but takes nothing, such as one of TLS that has to read first,
                # would keep the processor busy.
                pause(_PAUSE)

    def _ends(self, epoll: _Epoll) -> bool:
        """Close the epoll object, and return ``True``, if there is nothing to wait for and the thread ends."""
        if self._pumps:
            return False
        if self._made.get("epoll") is epoll:
            self._made.pop("epoll", None)
        # No other thread uses the object from now on. A socket that was added to it meanwhile is added to another.
        epoll.close()
        self._arm_all()
        self._running = bool(self._pumps)
        if self._running:
            return False
        # A socket may have been added just before, when this thread still counted as running.
        if not self._pumps or self._running:
            return True
        self._running = True
        return False

    def _arm_all(self) -> None:
        for fd in list(self._pumps):
            self._get_epoll().arm(fd)


class _Epoll:
    """An epoll object for room to send. Where the system has none, all sockets are looked at, again and again.

    So they are while the process has too many open descriptors for one more.
    """

    #: The numbers of EPOLLOUT and EPOLLONESHOT: a green library may have removed their names.
    _EVENTS: Final = 0x4 | 1 << 30

    def __init__(self) -> None:
        make = original("select", "epoll")
        self._epoll: Any = None
        if make is not None:
            try:
                self._epoll = make()
            except OSError:
                pass  # An error would reach whoever sends to a group, and the other members would get nothing.

    def arm(self, fd: int) -> None:
        """Report once that a socket has room, or an error."""
        if self._epoll is None:
            return
        try:
            try:
                self._epoll.register(fd, self._EVENTS)
            except FileExistsError:
                self._epoll.modify(fd, self._EVENTS)
        except (OSError, ValueError):
            pass  # The socket, or this object, is closed.

    def disarm(self, fd: int) -> None:
        """Report nothing more of a socket."""
        if self._epoll is None:
            return
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):
            pass

    def wait(self, timeout: float, fds: Iterable[int]) -> list[int]:
        """Return sockets that have room, none after ``timeout`` seconds. Without epoll that may be any of ``fds``."""
        if self._epoll is not None:
            try:
                return [fd for fd, _ in self._epoll.poll(timeout)]
            except ValueError:
                return []  # Another thread that was about to end has closed the object.
        pause(_PAUSE)
        return list(fds)

    def close(self) -> None:
        """Close the object, if it is one of the system."""
        if self._epoll is not None:
            self._epoll.close()


def _pump(pump: Callable[[], bool]) -> bool:
    """Return whether a pump has sent anything. An error of one does not stop all the others."""
    try:
        return pump()
    except Exception:  # noqa: BLE001 - this thread must not log
        return False


flusher: Final = Flusher()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=flusher.reset)
