"""Time that must not grow faster than what is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Seconds of this thread for what reads a header: far more than any takes, far less than backtracking does.
BASE: Final = 0.02
#: And for each of its characters.
EACH: Final = 2e-6
TRIES: Final = 5


def check_linear(call: Callable[[], object], size: int) -> None:
    """Check that ``call`` takes time for ``size`` characters and no more, at the best of some tries."""
    taken = []
    for _ in range(TRIES):
        began = time.thread_time()
        call()
        taken.append(time.thread_time() - began)
        if taken[-1] <= BASE + EACH * size:
            return
    raise AssertionError(f"{min(taken):.3f} s for {size} characters")
