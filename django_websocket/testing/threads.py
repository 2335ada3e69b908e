"""The threads beside the test's own: whether one of them may still send something."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from enum import Enum
from typing import Final

from ..process.threads import pause

if sys.platform == "linux":
    import resource

#: Real seconds that threads get which wait for something with a time limit, or for the network: they sleep, or poll.
BLOCKED_TIMEOUT: Final = 3.0
#: Real seconds that threads get which are running.
RUNNING_TIMEOUT: Final = 60.0
#: Real seconds between two looks at the threads.
LOOK_INTERVAL: Final = 0.002

#: The number of the system call in which a thread of Linux waits for a lock, which depends on the processor.
_FUTEX: Final = {"x86_64": "202", "aarch64": "98", "riscv64": "98", "ppc64le": "221", "s390x": "238"}.get(
    platform.machine()
)
_TASKS: Final = "/proc/self/task"


class Activity(Enum):
    """The activity of a thread, or of several."""

    #: Each thread waits for a lock without a time limit, as in ``queue.get()``: nothing happens before another acts.
    IDLE = 0
    #: Each waits, one of them for a time or for the network.
    BLOCKED = 1
    RUNNING = 2


class Threads:
    """The threads that run the code under test, or may do so, beside the thread of the test.

    These are the threads that were started by Python's :mod:`threading` while a session was open, and those that have
    sent something. Others, such as those of a test runner, count only while they are running.
    """

    # freezegun stops the clock for a test in all modules, and not in classes. The time limits here are of real time.
    _clock = staticmethod(time.monotonic)

    def __init__(self) -> None:
        # Threads by their number in the system.
        self._bystanders: set[int] = set()
        self._own: set[int] = set()
        #: The looks at the threads that have used up their time; they get no more before they have run again.
        self._given_up: frozenset[tuple[int, str]] = frozenset()

    def begin(self) -> None:
        """Count as bystanders all threads but those that run the code under test: the first session opens."""
        self._own &= _all()
        self._bystanders = _started() - self._own

    def end(self) -> None:
        """Remember the threads that were started since :meth:`begin`: the last session has ended."""
        self._own |= _started() - self._bystanders

    def claim(self) -> None:
        """Count the running thread as one of the code under test."""
        self._own.add(threading.get_native_id())
        self._bystanders.discard(threading.get_native_id())

    def wait(self, arrived: threading.Event) -> bool:
        """Wait until ``arrived`` is set, and return ``True``; return ``False`` once no thread may set it any more."""
        now = self._clock()
        last, patience = now + RUNNING_TIMEOUT, now + BLOCKED_TIMEOUT
        while not arrived.is_set():
            activity, blocked = self._look()
            now = self._clock()
            if activity is Activity.RUNNING:
                patience = now + BLOCKED_TIMEOUT
            elif activity is Activity.IDLE or blocked <= self._given_up:
                return arrived.is_set()
            if now >= min(last, patience):
                self._given_up = blocked
                return arrived.is_set()
            arrived.wait(LOOK_INTERVAL)
        return True

    def settle(self) -> None:
        """Wait until no thread is running."""
        last = self._clock() + BLOCKED_TIMEOUT
        while self._look()[0] is Activity.RUNNING and self._clock() < last:
            # A test that replaces time.sleep() counts the calls of its views, and not this one.
            pause(LOOK_INTERVAL)

    def _look(self) -> tuple[Activity, frozenset[tuple[int, str]]]:
        """Return the activity of all threads, and the looks at those that are blocked."""
        others = _all() - {threading.get_native_id()}
        if not others:
            return Activity.IDLE, frozenset()
        before = _count_waits()
        activities = {thread: _look(thread) for thread in others}
        # A thread may wake another that was looked at already, and then wait. If none has begun to wait since the first
        # look, there was a moment at which all of them waited.
        if Activity.RUNNING in activities.values() or _count_waits() != before:
            return Activity.RUNNING, frozenset()
        own = (self._own | _started()) - self._bystanders
        blocked = frozenset(
            (thread, _read(thread, "status").rpartition("\nvoluntary_ctxt_switches:")[2])
            for thread, activity in activities.items()
            if activity is Activity.BLOCKED and thread in own
        )
        return Activity.BLOCKED if blocked else Activity.IDLE, blocked


def _started() -> set[int]:
    """Return the threads that Python's :mod:`threading` knows."""
    return {thread.native_id for thread in threading.enumerate() if thread.native_id is not None}


def _all() -> set[int]:
    """Return the threads of the process; on other systems than Linux, those that Python's :mod:`threading` knows."""
    try:
        return {int(name) for name in os.listdir(_TASKS)}  # noqa: PTH208 - it runs ten thousand times a second
    except OSError:
        return _started()


def _look(thread: int) -> Activity:
    """Return the activity of a thread."""
    call = _read(thread, "syscall").split()
    if not call:
        # The system is another than Linux, or does not tell: the thread gets its time. Or it has ended.
        return Activity.BLOCKED
    # While Linux wakes a thread, it still shows the call in which the thread has waited, but the state "R". The name
    # before the state is in parentheses, and may contain some.
    if call[0] == "running" or _read(thread, "stat").rpartition(") ")[2].startswith("R"):
        return Activity.RUNNING
    # The fourth argument is the time limit.
    idle = call[0] == _FUTEX and int(call[4], 16) == 0
    return Activity.IDLE if idle else Activity.BLOCKED


def _read(thread: int, name: str) -> str:
    """Return what Linux tells about a thread, ``""`` if it tells nothing."""
    try:
        file = os.open(f"{_TASKS}/{thread}/{name}", os.O_RDONLY)
        try:
            return os.read(file, 4096).decode()
        finally:
            os.close(file)
    except OSError:
        return ""


def _count_waits() -> int:
    """Return how often other threads have begun to wait; 0 on other systems than Linux."""
    if sys.platform != "linux":
        return 0
    own, all_threads = (resource.getrusage(who).ru_nvcsw for who in (resource.RUSAGE_THREAD, resource.RUSAGE_SELF))
    return all_threads - own
