"""Upper bounds of time, which hold on a busy machine as well: they grow with its slowness at the moment."""

import os
import time
from contextlib import contextmanager

#: Seconds of the processor's time that the control takes.
SAMPLE = 0.05
#: Seconds for what has to happen at once.
PROMPT = 1.0


def slowness():
    """Return by which factor work takes longer now than on an idle machine, or took longer in the last minute.

    The factor is at least 1.
    """
    began, worked = time.monotonic(), time.thread_time()
    while time.thread_time() - worked < SAMPLE:
        pass
    now = (time.monotonic() - began) / SAMPLE
    lately = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 1.0
    return max(1.0, now, lately)


def within(took, bound, lateness=None):
    """Return whether something took ``bound`` seconds at most, or as much more as the machine is slower.

    ``lateness`` is the part of the bound in which the machine has to work, and which its slowness multiplies; ``None``
    means all of it. The rest is a timeout.
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
