"""Close every WebSocket with 1012 when the process is about to end, by a signal or by the interpreter's exit."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # The stubs of the standard library lack it.
import atexit
import math
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .registry import registry
from .threads import start_thread

if TYPE_CHECKING:
    from types import FrameType

#: The longest time in seconds between the Close frames and the end of a process that would otherwise end at once.
#: Without this time a frame may be cut off, and a peer's answer may reach a closed port: the reset that follows can
#: overtake our Close.
GRACE_PERIOD: Final = 0.5
#: Seconds without new WebSockets after a signal whose handler returns. Such a handler may have begun the end of the
#: process, or be the project's own and let the process live on: nothing tells the two apart.
DRAIN_TIME: Final = 30.0
# The signals are plain numbers, and so are their default actions: the enumerations of ``signal`` take longer to compare
# than all the rest of _chain(), which is called for each WebSocket.
_IGNORED: Final = int(signal.SIG_IGN)
_TERMINATION: Final = frozenset({int(signal.SIGTERM), int(signal.SIGINT)})
_SIGNALS: Final = (*_TERMINATION, int(signal.SIGQUIT)) if hasattr(signal, "SIGQUIT") else tuple(_TERMINATION)
_UNKNOWN: Final = object()
#: ``signal.getsignal()`` without its conversion to an enumeration.
_get_handler: Final[Callable[[int], Any]] = _signal.getsignal


class _Shutdown:
    """The flags of the shutdown of this process."""

    def __init__(self) -> None:
        #: Whether the interpreter's exit closes the WebSockets.
        self.at_exit = False
        #: Whether new WebSockets are refused after a termination signal. A worker of gunicorn still accepts for a
        #: moment after the signal.
        self.drain_on_signal = True
        #: The handler of each signal that was found or set last, to do nothing as long as it is the same.
        self.known: dict[int, Any] = dict.fromkeys(_SIGNALS, _UNKNOWN)
        #: Whether all WebSockets are being closed at the moment, by a handler of ours or at the interpreter's exit.
        self.closing = False
        #: The signals that have come meanwhile.
        self.late: list[int] = []


_shutdown: Final = _Shutdown()


def _reset() -> None:
    # A forked child inherits the functions that run at exit, so at_exit stays as it is. The child may be the process of
    # another worker, so drain_on_signal does not.
    _shutdown.drain_on_signal = True
    _shutdown.closing = False
    _shutdown.late.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def close_on_exit() -> None:
    """Close all WebSockets with 1012 when the process is asked to end, by a signal or by its interpreter's exit.

    The constructor of the middleware calls this: under nearly every server it runs in the main thread, after the server
    has set its signal handlers. Our handlers call those of the server. In another thread no handler can be set, and
    only the interpreter's exit is noticed.
    """
    if not _shutdown.at_exit:
        _shutdown.at_exit = True
        atexit.register(_close_at_exit)
    if "uwsgi" in sys.modules:
        # uWSGI sets its handlers where Python does not see them. Our handlers, set by a decorator during a request,
        # would replace them and not be called before the next request: the process would not end.
        return
    for number in _SIGNALS:
        if _get_handler(number) is not _shutdown.known[number]:
            _chain(number)


def keep_accepting_after_signals() -> None:
    """Accept WebSockets even after a termination signal, until :meth:`Registry.close_all` is called to drain."""
    _shutdown.drain_on_signal = False


def server_handler(number: signal.Signals) -> Any:
    """Return the server's handler of a signal: that of :func:`signal.getsignal`, or the one that our handler calls."""
    handler = signal.getsignal(number)
    return getattr(handler, "server_handler", handler)


def _close_at_exit() -> None:
    if registry.busy:
        _close_all()
        registry.wait_empty(GRACE_PERIOD)


def _chain(number: int) -> None:
    """Set our handler of a signal, which calls the present one, unless ours is set already."""
    previous = _shutdown.known[number] = _get_handler(number)
    # The result is None for a handler that was not set from Python. A process that ignores the signal does not
    # end by it.
    if hasattr(previous, "server_handler") or previous is None or previous == _IGNORED:
        return
    # SIGQUIT asks for a core dump, unless a server has found another use for it.
    if number not in _TERMINATION and not callable(previous):
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        if _shutdown.closing:
            _shutdown.late.append(signum)
        elif not callable(previous):
            _end_by_default(signum)
        elif number in _TERMINATION:
            _close_all_for_signal()
            previous(signum, frame)
        else:
            # Many projects have a handler of SIGQUIT that writes the stacks of all threads, and returns. A server's
            # handler raises an exception, or ends the process later, which is noticed at the interpreter's exit.
            try:
                previous(signum, frame)
            except BaseException:
                _close_all_for_signal()
                raise

    handle.server_handler = previous  # type: ignore[attr-defined]
    try:
        signal.signal(number, handle)
    except ValueError:
        # Only the main thread may set signal handlers. The next call may come from there.
        _shutdown.known[number] = _UNKNOWN
    else:
        _shutdown.known[number] = handle


def _close_all_for_signal() -> None:
    """Close all WebSockets, because the handler of a signal ends the process, or may do so."""
    _close_all(DRAIN_TIME if _shutdown.drain_on_signal else 0)


def _close_all(drain: float = math.inf) -> None:
    """Close all WebSockets, and accept no more for ``drain`` seconds.

    A signal of ours that comes meanwhile is handled afterwards: its handler may raise an exception, and nobody would
    know how much of a Close has been sent then. gunicorn's worker gets two signals at once from a terminal, its own
    SIGINT and the SIGQUIT of its master.
    """
    _shutdown.closing = True
    try:
        registry.close_all(drain=drain)
    finally:
        _shutdown.closing = False
        _raise_late_signals()


def _raise_late_signals() -> None:
    if _shutdown.late:
        try:
            signal.raise_signal(_shutdown.late.pop(0))
        finally:
            _raise_late_signals()


def _end_by_default(signum: int) -> None:
    """Close all WebSockets, and end the process by a signal's default action after the grace period.

    The default action ends the process at once. Views that are sending must be able to finish their frame: with
    greenlets, and in a server of one thread, they run in the very thread that has been interrupted here.
    """
    _close_all()
    signal.signal(signum, signal.SIG_DFL)
    if not start_thread(_die, signum):
        os.kill(os.getpid(), signum)


def _die(signum: int) -> None:
    registry.wait_empty(GRACE_PERIOD)
    os.kill(os.getpid(), signum)
