"""The end of the process: how it is noticed, and that every WebSocket is told of it."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from .registry import registry
from .threads import pause, start_thread

if TYPE_CHECKING:
    from types import FrameType

#: Seconds that views and their peers get, at most, to say goodbye before a process that would die at once goes on
#: dying. Without it a frame may be cut in two, and an answer may meet a closed port: the reset that follows can
#: overtake our Close.
GRACE: Final = 0.5
#: Seconds between two looks at a worker of gunicorn.
_LOOK: Final = 0.2
#: Seconds after its end has begun in which a worker of gunicorn may still accept: those on greenlets look once a
#: second. Who comes then would be turned away, though another worker is there already.
_LINGERING: Final = 1.2
_SIGNALS: Final = ("SIGTERM", "SIGINT", "SIGQUIT")


class _Lifetime:
    """What is known of this process."""

    def __init__(self) -> None:
        #: Whether it is seen to that the interpreter's end closes the WebSockets.
        self.at_exit = False
        #: The worker of gunicorn that it is.
        self.worker: Any = None


_lifetime = _Lifetime()


def _forget() -> None:
    # A forked child inherits what runs at exit, but no thread, and it may be another worker's process.
    _lifetime.worker = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def close_on_exit() -> None:
    """Close all WebSockets with 1012 when the process is asked to end, by a signal or its interpreter's exit.

    Called when a middleware is constructed: that is in the main thread under nearly every server, and after the
    server has set its own handlers, which are called after ours. In another thread only the interpreter's exit is left.
    """
    if not _lifetime.at_exit:
        _lifetime.at_exit = True
        atexit.register(_close_at_exit)
    if "uwsgi" in sys.modules:
        # It sets its handlers where Python does not see them. Ours, set by a decorator at a request, would replace them
        # and not be called before the next request: the process would not end.
        return
    for name in _SIGNALS:
        if hasattr(signal, name):
            _chain(getattr(signal, name))


def _close_at_exit() -> None:
    if registry.busy:
        registry.close_all()
        registry.wait_empty(GRACE)


def _chain(number: signal.Signals) -> None:
    """Put our handler before the process's own."""
    previous = signal.getsignal(number)
    # None is a handler that Python does not know; a process that ignores the signal is not asked to end by it. SIGQUIT
    # is for a core dump, unless a server has found another use for it.
    if previous is None or previous == signal.SIG_IGN or hasattr(previous, "before_websockets"):
        return
    if number not in {signal.SIGTERM, signal.SIGINT} and not callable(previous):
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        registry.close_all(drain=_lifetime.worker is None)
        if callable(previous):
            previous(signum, frame)
            return
        # The default is to die at once. Views that are sending are to finish their frame: with greenlets, and in a
        # server of one thread, in the very thread that has been interrupted here.
        signal.signal(signum, signal.SIG_DFL)
        start_thread(_die, signum)

    handle.before_websockets = previous  # type: ignore[attr-defined]
    try:
        signal.signal(number, handle)
    except ValueError:
        pass  # not the main thread


def _die(signum: int) -> None:
    registry.wait_empty(GRACE)
    os.kill(os.getpid(), signum)


# gunicorn's workers


def find_worker() -> Any:
    """Give gunicorn's worker where this process is one, else ``None``: a signal's handler is a method of it."""
    if _lifetime.worker is not None or "gunicorn" not in sys.modules:
        return _lifetime.worker
    handler = signal.getsignal(signal.SIGTERM)
    worker = getattr(getattr(handler, "before_websockets", handler), "__self__", None)
    return worker if hasattr(worker, "alive") and hasattr(worker, "cfg") else None


def follow_worker(worker: Any = None, *, close: bool) -> Any:
    """Give gunicorn's worker where this process is one, the first time that it is known, else ``None``.

    With ``close``, all WebSockets are closed with 1012 from then on when it is to end, for whatever reason. A signal is
    one of them; the others are the number of requests that it has served, and a changed file. And a worker of a
    preloaded application has set its signals' handlers after the middleware was constructed.

    Those that are made when it has begun to end are served, and closed when it accepts no more.
    """
    if _lifetime.worker is not None:
        return None
    _lifetime.worker = worker or find_worker()
    if _lifetime.worker is not None and close:
        start_thread(_follow, _lifetime.worker)
    return _lifetime.worker


def _follow(worker: Any) -> None:
    while worker.alive:
        pause(_LOOK)
    registry.close_all(drain=False)
    pause(_LINGERING)
    registry.close_all()
