"""Calls of an object that interrupt another call of the same object in the same thread."""

from __future__ import annotations

import sys
from collections.abc import Container
from types import FrameType


def interrupts(owner: object, names: Container[str]) -> bool:
    """Return whether the running call of ``owner`` interrupts another one, of a method with one of ``names``.

    A signal handler, and a finalizer that the garbage collector calls, run in the midst of whatever their thread does.
    On the stack of that thread, or greenlet, the frames of the interrupted call are then below those of the handler.
    A search of the stack costs something only once a lock is not free; a note of who holds the lock would cost every
    call something.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no public way to the frames of the caller.
    while frame is not None and frame.f_locals.get("self") is owner:
        frame = frame.f_back
    while frame is not None:
        if frame.f_code.co_name in names and frame.f_locals.get("self") is owner:
            return True
        frame = frame.f_back
    return False
