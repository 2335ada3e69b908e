"""Turns and time: when a view runs, when the test runs, and what time it is for both.

A view runs in a greenlet of the test's thread, until it pauses. The clock stands still while anybody runs.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from operator import itemgetter
from types import BuiltinFunctionType
from typing import Any, Final

from greenlet import getcurrent, greenlet

from ..housekeeping.databases import Blocks, atomic_blocks, set_foreign_blocks
from .databases import shared_databases
from .threads import Threads

#: Seconds on the clock that a pause takes at least. A view that looks for messages in a loop makes time pass by it.
SHORTEST_PAUSE: Final = 0.001
#: Deadlines of views that a wait of the test without a timeout reaches before it fails.
MAX_DEADLINES: Final = 10_000
#: Turns that views get in one wait of the test, in which each turn is the reason for the next.
MAX_TURNS: Final = 10_000


class View:
    """A view in a greenlet of the test's thread, which runs until it pauses."""

    def __init__(self, run: Callable[[], None], deliver: Callable[[], bool]) -> None:
        """Make the view that ``run`` runs.

        ``deliver`` passes what the view has sent to the test, and returns whether there was something.
        """
        self.greenlet = greenlet(run)
        self.deliver = deliver
        self._scheduler = scheduler()
        #: When the view goes on if nothing happens; ``None`` if it pauses without a limit, or runs.
        self.deadline: float | None = None
        #: Whether something has happened for which the view goes on before its deadline; ``None`` if nothing may.
        self._awaited: Callable[[], bool] | None = None
        #: Messages that the view has sent, and looks of it that found nothing, since it went on last.
        self.sent = self.vain_looks = 0
        #: The open ``atomic()`` blocks that are not the view's.
        self._foreign: Blocks = {}
        #: All open blocks when the view paused, if it had opened some itself.
        self._blocks: Blocks | None = None

    @property
    def running(self) -> bool:
        """Whether the caller is the view, and not the test, a thread or another view."""
        return getcurrent() is self.greenlet

    @property
    def ready(self) -> bool:
        """Whether the view waits for something that has happened."""
        return self._awaited is not None and self._awaited()

    def resume(self) -> None:
        """Run the view until it pauses, or ends.

        :raises AssertionError: the test has opened or closed a transaction across one that the view holds open. The
            database's savepoints would be released in the wrong order.
        """
        with shared_databases.lock:
            blocks = atomic_blocks()
        if self._blocks is None:
            self._foreign = blocks
        elif self._blocks != blocks:
            raise AssertionError("atomic() of the view and of the test overlap")
        set_foreign_blocks(self._foreign)
        self.sent = self.vain_looks = 0
        self.greenlet.parent = getcurrent()
        self.greenlet.switch()

    def pause(self, deadline: float | None, awaited: Callable[[], bool] | None = None) -> None:
        """Switch to the test, until ``deadline`` or until ``awaited`` is true.

        ``None`` means no limit, or that nothing is awaited.
        """
        with shared_databases.lock:
            blocks = atomic_blocks()
        foreign = self._foreign
        self._blocks = blocks if any(len(blocks[alias]) > len(foreign.get(alias, ())) for alias in blocks) else None
        self.deadline, self._awaited = deadline, awaited
        try:
            self.greenlet.parent.switch()
        finally:
            self.deadline = self._awaited = None

    def sleep(self, seconds: float) -> None:
        """Pause for so many seconds on the clock, whatever happens."""
        self.pause(self._scheduler.now + max(seconds, SHORTEST_PAUSE))


class Scheduler:
    """Runs the views of one thread's tests on a simulated clock.

    The clock advances only when both sides wait, and no thread of the code under test may still act: then the earliest
    deadline of a view is reached at once.
    """

    def __init__(self) -> None:
        #: The views of the open sessions.
        self.views: list[View] = []
        #: Seconds on the clock of all views.
        self.now = 0.0
        #: Set when a thread has sent something.
        self.arrived = threading.Event()
        self.thread = threading.get_ident()

    def add(self, view: View) -> None:
        """Take a view in, whose session begins."""
        if not shared_databases.sessions:
            threads.begin()
        self.views.append(view)
        shared_databases.add_session()
        _patch_sleep()

    def discard(self, view: View) -> None:
        """Forget a view, whose session ends."""
        if view not in self.views:
            return
        if shared_databases.sessions == 1:
            # What the view has left to other threads belongs to this test, and to its transaction.
            threads.settle()
        self.views.remove(view)
        shared_databases.remove_session()
        if not shared_databases.sessions:
            threads.end()
            _unpatch_sleep()

    def run_ready(self, turn: int = 0) -> bool:
        """Return whether there was anything to do: run each view that can go on, and deliver what views have sent.

        ``turn`` is the number of turns before this one for which the caller has waited.

        :raises AssertionError: the views go on for ever: each turn of one is a reason for another.
        """
        if turn == MAX_TURNS:
            raise AssertionError(f"the views have had {MAX_TURNS} turns: they answer each other for ever")
        busy = False
        for view in self.views.copy():
            if view.ready:
                busy = True
                view.resume()
            busy = view.deliver() or busy
        return busy

    def wait_for_threads(self) -> bool:
        """Wait until another thread has sent something, and return whether one did: ``False`` if none may any more."""
        arrived = threads.wait(self.arrived)
        self.arrived.clear()
        return arrived

    def advance(self, limit: float = math.inf, only: View | None = None) -> bool:
        """Return whether a view pauses with a deadline before ``limit``; if so, advance the clock and run the view.

        The clock is advanced to the earliest deadline. With ``only``, no other view is considered.
        """
        waiting = [(view.deadline, view) for view in self.views if view.deadline is not None and only in {None, view}]
        earliest, first = min(waiting, key=itemgetter(0), default=(limit, None))
        if first is None or earliest >= limit:
            return False
        self.now = max(self.now, earliest)
        first.resume()
        return True

    def note_activity(self) -> None:
        """Wake the test if another thread has done something to a session."""
        if threading.get_ident() != self.thread:
            threads.claim()
            self.arrived.set()


_local: Final = threading.local()
threads: Final = Threads()


def scheduler() -> Scheduler:
    """Return the scheduler of this thread."""
    if not hasattr(_local, "scheduler"):
        _local.scheduler = Scheduler()
    current: Scheduler = _local.scheduler
    return current


# While sessions are open, time.sleep() lets the test run where a view calls it. Everywhere else it sleeps.

_real_sleep: Final[Any] = time.sleep


def _sleep(seconds: float, /) -> None:
    view = next((view for view in scheduler().views if view.running), None)
    if view is None or not seconds >= 0:
        _real_sleep(seconds)
    else:
        view.sleep(seconds)


def _patch_sleep() -> None:
    # A function that a test or a green library has put in its place stays.
    if isinstance(time.sleep, BuiltinFunctionType):
        time.sleep = _sleep  # type: ignore[assignment]


def _unpatch_sleep() -> None:
    if time.sleep is _sleep:
        time.sleep = _real_sleep
