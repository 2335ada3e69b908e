"""Finding the server's own objects where a WSGI middleware has replaced those in the environ."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def find_in_callers(pick: Callable[[Mapping[str, Any]], T | None]) -> T | None:
    """Return what ``pick`` finds first among the local variables of the functions that wait for this one to return.

    A server calls its application, so that the server's functions are among them. To read their variables is
    unpleasant, but no interface leads from a replaced stream to the one of the server. The nearest function comes
    first. ``None``: no function has what is looked for, as when a middleware calls the application in another thread.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.currentframe() is the same
    while frame is not None:
        found = pick(frame.f_locals)
        if found is not None:
            return found
        frame = frame.f_back
    return None
