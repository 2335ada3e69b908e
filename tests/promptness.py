"""Upper bounds of time, which hold on a busy machine as well: they are measured by what it can do at the moment."""

import os
import time
from contextlib import contextmanager

#: Seconds of the processor's time that the control takes.
SAMPLE = 0.05
#: Seconds for what has to happen at once.
PROMPT = 1.0


def slowness():
    """Return how many times longer than alone work takes at the moment, or took during the last minute; at least 1."""
    began, worked = time.monotonic(), time.thread_time()
    while time.thread_time() - worked < SAMPLE:
        pass
    now = (time.monotonic() - began) / SAMPLE
    lately = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 1.0
    return max(1.0, now, lately)


def within(took, bound, lateness=None):
    """Return whether something took ``bound`` seconds at most, and no longer than the machine makes it take.

    A busy machine may need more of the ``lateness``, the part of the bound in which it has to work; ``None``: of all.
    """
    lateness = bound if lateness is None else lateness
    return took <= bound or took <= bound - lateness + lateness * slowness()


@contextmanager
def promptly(bound=PROMPT):
    """Check that a block takes ``bound`` seconds at most."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert within(took, bound), took
