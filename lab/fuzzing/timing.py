"""A check that the time to parse does not grow faster than the input."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Seconds that parsing a header may take: far more than any parser takes, far less than backtracking takes.
BASE: Final = 0.02
#: Seconds in addition for each of its characters.
EACH: Final = 2e-6
TRIES: Final = 5


def check_linear(call: Callable[[], object], size: int) -> None:
    """Check that the best of some calls takes no more than linear time for ``size`` characters.

    :raises AssertionError: all of them took longer.
    """
    taken = []
    for _ in range(TRIES):
        began = time.thread_time()
        call()
        taken.append(time.thread_time() - began)
        if taken[-1] <= BASE + EACH * size:
            return
    raise AssertionError(f"{min(taken):.3f} s for {size} characters")
