"""What the compiled functions hold after a call: references, blocks of memory and bytes, which must not become more."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Final

from ..conversations import silence
from .build import Unavailable
from .calls import Call, calls

#: The number of runs of each call, and of those of a whole conversation, which takes a thousand times as long.
RUNS: Final = 5000
CONVERSATIONS: Final = 100
#: The number of runs whose memory is traced, which makes them slow.
TRACED: Final = 200
#: The number of runs ahead of the first measurement, which fill caches and free lists.
WARM_UP: Final = 50
#: What a call that leaves nothing behind may add in each run, on average: caches are not always filled at once.
MAX_GROWTH: Final = 0.2
#: Bytes that all runs together may add. Small objects are found by the blocks, and the bytes find large ones.
MAX_BYTES: Final = 8192
#: Attempts to measure a call, of which the best counts: other threads may allocate something meanwhile.
ATTEMPTS: Final = 3

#: The number of all references, which only a debug build of Python counts.
_total_references: Callable[[], int] | None = getattr(sys, "gettotalrefcount", None)


def run(runs: int = RUNS, names: str = "") -> list[str]:
    """Run every call whose name contains ``names`` so often, and return a text for each after which something is left.

    :raises Unavailable: nothing is compiled.
    """
    found = [call for call in calls() if names in call.name]
    if not found:
        raise Unavailable("nothing is compiled; python -m django_websocket says why")
    counted = "references, blocks and bytes" if _total_references else "blocks and bytes (this is no debug build)"
    print(f"{len(found)} calls on Python {sys.version.split()[0]}, counting {counted}")
    return [problem for call in found if (problem := check(call, runs))]


def check(call: Call, runs: int) -> str:
    """Run one call so often, and return what it leaves behind; ``""``: nothing."""
    times = max(1, min(runs, CONVERSATIONS) if call.name.startswith("converse") else runs)
    problems = ""
    with silence():
        for _ in range(min(WARM_UP, times)):
            call.run()
        for _ in range(ATTEMPTS):
            problems = "; ".join(_grown(call, times))
            if not problems:
                return ""
    return f"{call.name}: {problems}"


def _grown(call: Call, times: int) -> Iterable[str]:
    """Return what is more after so many runs than before, a text each."""
    measures: dict[str, tuple[Callable[[], int], float]] = {
        "blocks of memory": (sys.getallocatedblocks, MAX_GROWTH),
        "references to its arguments": (
            lambda: sum(map(sys.getrefcount, [call.function, *call.arguments])),
            MAX_GROWTH,
        ),
    }
    if _total_references is not None:
        measures["references"] = (_total_references, MAX_GROWTH)
    before: dict[str, int] = dict.fromkeys(measures, 0)
    gc.collect()
    for name, (measure, _) in measures.items():
        before[name] = measure()
    for _ in range(times):
        call.run()
    gc.collect()
    for name, (measure, limit) in measures.items():
        growth = (measure() - before[name]) / times
        if growth > limit:
            yield f"{growth:.2f} {name} more in each of {times} runs"
    traced = min(times, TRACED)
    size = _traced(call, traced)
    if size > MAX_BYTES:
        yield f"{size / traced:.0f} bytes more in each of {traced} runs"


def _traced(call: Call, times: int) -> int:
    """Return the bytes that so many runs leave behind, those of large objects too."""
    tracemalloc.start()
    try:
        call.run()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            call.run()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
