"""The end of the process: noticing it, and closing every WebSocket with 1012 before."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from .registry import registry
from .threads import start_thread

if TYPE_CHECKING:
    from types import FrameType

#: Seconds that views and their peers get, at most, to finish before a process that would die at once goes on dying.
#: Without them a frame may be cut in two, and a peer's answer may meet a closed port: the reset that follows can
#: overtake our Close.
GRACE: Final = 0.5
_SIGNALS: Final = ("SIGTERM", "SIGINT", "SIGQUIT")


class _Shutdown:
    """How this process ends."""

    def __init__(self) -> None:
        #: Whether the interpreter's exit closes the WebSockets.
        self.at_exit = False
        #: Whether a signal to end stops new WebSockets. A worker of gunicorn still accepts for a moment after it.
        self.drain_on_signal = True


_shutdown: Final = _Shutdown()


def _reset() -> None:
    # A forked child inherits the functions that run at exit. It may be another worker's process.
    _shutdown.drain_on_signal = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)


def close_on_exit() -> None:
    """Close all WebSockets with 1012 when the process is asked to end, by a signal or by its interpreter's exit.

    Called when a middleware is constructed: that is in the main thread under nearly every server, and after the
    server has set its own handlers, which are called after ours. In another thread only the interpreter's exit is
    noticed.
    """
    if not _shutdown.at_exit:
        _shutdown.at_exit = True
        atexit.register(_close_at_exit)
    if "uwsgi" in sys.modules:
        # uWSGI sets its handlers where Python does not see them. Ours, set by a decorator at a request, would replace
        # them and not be called before the next request: the process would not end.
        return
    for name in _SIGNALS:
        if hasattr(signal, name):
            _chain(getattr(signal, name))


def keep_accepting_after_signals() -> None:
    """Take new WebSockets even after a signal to end, until somebody calls :meth:`Registry.close_all` to drain."""
    _shutdown.drain_on_signal = False


def server_handler(number: signal.Signals) -> Any:
    """Return the handler of a signal that the server has set, as :func:`signal.getsignal` does, also behind ours."""
    handler = signal.getsignal(number)
    return getattr(handler, "server_handler", handler)


def _close_at_exit() -> None:
    if registry.busy:
        registry.close_all()
        registry.wait_empty(GRACE)


def _chain(number: signal.Signals) -> None:
    """Put our handler of a signal before the one that is set, unless ours is set already."""
    previous = signal.getsignal(number)
    # None is a handler that Python does not know. A process that ignores the signal is not asked to end by it.
    if previous is None or previous == signal.SIG_IGN or hasattr(previous, "server_handler"):
        return
    # SIGQUIT asks for a core dump, unless a server has found another use for it.
    if number not in {signal.SIGTERM, signal.SIGINT} and not callable(previous):
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        registry.close_all(drain=_shutdown.drain_on_signal)
        if callable(previous):
            previous(signum, frame)
            return
        # The default is to die at once. Views that are sending must be able to finish their frame: with greenlets, and
        # in a server of one thread, they run in the very thread that has been interrupted here.
        signal.signal(signum, signal.SIG_DFL)
        start_thread(_die, signum)

    handle.server_handler = previous  # type: ignore[attr-defined]
    try:
        signal.signal(number, handle)
    except ValueError:
        pass  # not the main thread


def _die(signum: int) -> None:
    registry.wait_empty(GRACE)
    os.kill(os.getpid(), signum)
