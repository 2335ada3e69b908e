"""Members that never read among many that do: the others must not wait for them, and they must go."""

from __future__ import annotations

import time
from array import array
from pathlib import Path
from typing import Any, Final

from ..servers import eventually
from .crowd import Crowd
from .deliver import wait_for_all
from .findings import Findings, compare
from .member import Member
from .stage import staged

GROUP: Final = "slow"
#: The receive buffer of a member that never reads.
BUFFER: Final = 4096
#: How many times longer 99 of 100 messages to the others may take.
SLOWER: Final = 1.5


def slow(
    server: str,
    *,
    carrier: str = "redis",
    members: int = 1000,
    deaf: int = 10,
    messages: int = 200,
    rate: float = 10.0,
    size: int = 4000,
    workers: int = 3,
    groups: dict[str, Any] | None = None,
    folder: Path | None = None,
) -> Findings:
    """Publish twice to the same members, without and with the deaf ones, and compare."""
    found = Findings()
    groups = {"QUEUE_BYTES": 200_000, **(groups or {})}
    with staged(
        "slow", server, carrier, folder, workers=workers, members=members, groups=groups, small_buffers=True
    ) as stage:
        latencies = array("d")
        reports: dict[str, Any] = {}
        figures = []
        with Crowd() as crowd:
            crowd.add(Member(stage.server.port, GROUP, latencies=latencies) for _ in range(members - deaf))
            crowd.wait(120)
            began = stage.server.memory()
            silent = [Member(stage.server.port, GROUP) for _ in range(deaf)]
            for turn in range(2):
                if turn:
                    for member in silent:
                        member.connect(BUFFER)
                    time.sleep(1)
                del latencies[:]
                options = {"messages": messages, "rate": rate, "size": size, "name": f"turn{turn}"}
                publisher = stage.publisher(GROUP, **options)
                try:
                    reports |= publisher.report()
                finally:
                    publisher.stop()
                wait_for_all(crowd, (turn + 1) * messages * (members - deaf))
                ordered = sorted(latencies)
                figures.append(ordered[int(len(ordered) * 0.99)] if ordered else 0.0)
            grown = stage.server.memory() - began
            by_process = crowd.by_process().values()

            def overflows() -> int:
                return sum(served[0].ask()["groups"]["default"]["overflows"] for served in by_process)

            try:
                eventually(overflows, lambda number: number == deaf, 10)
            except AssertionError:
                found.deviations.append(f"{overflows()} of {deaf} deaf members were closed")
            compare(crowd.members, reports, stage.server.lost(GROUP), found)
            for member in silent:
                member.end(left=True)
        found.more["p99 without and with"] = " and ".join(f"{figure * 1000:.1f} ms" for figure in figures)
        found.more["memory of the workers grew by"] = f"{grown / 1e6:.1f} MB"
        found.deviations += stage.server.problems()
        if figures[1] > SLOWER * figures[0]:
            found.deviations.append(f"the others waited {figures[1] / figures[0]:.1f} times as long")
    return found
