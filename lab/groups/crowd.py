"""All clients of a run, which one thread reads."""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Final

from ..servers import eventually
from .member import Member

#: Connections that are opened at once.
AT_ONCE: Final = 32
#: Seconds after which a member that was thrown out comes back.
AWAY: Final = 0.2
#: Seconds between two looks at what is to be done.
LOOK: Final = 0.02


class Crowd:
    """Members that are connected, and read by one thread. The methods are for other threads."""

    def __init__(self, *, returns: bool = False) -> None:
        """Make an empty crowd; if ``returns``, members come back when the server ends their connection."""
        self.members: list[Member] = []
        self._returns = returns
        self._waiting: deque[Member] = deque()
        self._opening: set[Member] = set()
        self._by_number: dict[int, Member] = {}
        self._epoll = select.epoll()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._stopped = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="crowd", daemon=True)

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._thread.join()
        for member in self.members:
            member.end(left=True)
        self._epoll.close()
        if self._error is not None:
            raise self._error

    # From other threads

    def add(self, members: Iterable[Member]) -> None:
        """Connect members, soon."""
        for member in members:
            self.members.append(member)
            self._waiting.append(member)

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until all members have joined.

        :raises AssertionError: not all have, or one is gone that does not come back.
        """

        def missing() -> int:
            gone = [member for member in self.members if member.stays and member.stay.ended]
            assert self._returns or not gone, f"a member was not let in: {gone[0].faults}, {gone[0].stay}"
            return sum(not member.joined for member in self.members)

        eventually(missing, lambda number: number == 0, timeout)

    def by_process(self) -> dict[int, list[Member]]:
        """Return the members that are connected, by the process that serves them."""
        found: dict[int, list[Member]] = {}
        for member in self.members:
            if member.joined:
                found.setdefault(member.stay.pid, []).append(member)
        return found

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call ``call`` in the thread of the crowd after some seconds. For that thread, and before it is started."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._serial), call))

    def leave(self, member: Member, seconds: float) -> None:
        """End a member's connection, and connect it again after some seconds. For the thread of the crowd."""
        if member.sock is not None:
            self._forget(member)
            member.end(left=True)
            self.after(seconds, lambda: self._waiting.append(member))

    # The thread

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._look()
                for number, _ in self._epoll.poll(LOOK):
                    member = self._by_number.get(number)
                    if member is not None and not member.read():
                        self._lose(member)
        except BaseException as error:  # noqa: BLE001 - it is raised where the crowd ends.
            self._error = error

    def _look(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        if self._opening:
            self._opening = {member for member in self._opening if not member.joined and member.sock is not None}
        while self._waiting and len(self._opening) < AT_ONCE:
            member = self._waiting.popleft()
            try:
                number = member.connect().fileno()
            except OSError:
                self._lose(member)
                continue
            self._by_number[number] = member
            self._epoll.register(number, select.EPOLLIN)
            self._opening.add(member)

    def _lose(self, member: Member) -> None:
        self._forget(member)
        member.end()
        if self._returns:
            self.after(AWAY, lambda: self._waiting.append(member))

    def _forget(self, member: Member) -> None:
        if member.sock is not None:
            number = member.sock.fileno()
            if self._by_number.pop(number, None) is not None:
                self._epoll.unregister(number)
