"""Some publishers, many members on several workers: everything arrives, once, in the order of its publisher."""

from __future__ import annotations

import time
from array import array
from pathlib import Path
from typing import Any, Final

from ..servers import eventually
from .crowd import Crowd
from .findings import Findings, compare
from .member import Member
from .stage import staged

GROUP: Final = "deliver"
#: Seconds without a message after which nothing more is expected.
SILENCE: Final = 10.0


def deliver(
    server: str,
    *,
    carrier: str = "redis",
    members: int = 1000,
    messages: int = 1000,
    publishers: int = 2,
    rate: float = 0.0,
    history: int = 0,
    size: int = 125,
    workers: int = 3,
    preload: bool = False,
    groups: dict[str, Any] | None = None,
    folder: Path | None = None,
) -> Findings:
    """Publish ``messages`` in all from a process of its own to ``members``, and compare.

    ``rate`` is messages a second of each publisher; 0: as fast as it goes.
    """
    with staged(
        "deliver", server, carrier, folder, workers=workers, members=members, preload=preload, groups=groups
    ) as stage:
        latencies = array("d")
        with Crowd() as crowd:
            crowd.add(Member(stage.server.port, GROUP, history=history, latencies=latencies) for _ in range(members))
            began = time.monotonic()
            crowd.wait(120)
            opened = time.monotonic() - began
            shares = sorted(len(served) for served in crowd.by_process().values())
            used, began = stage.server.cpu(), time.monotonic()
            publisher = stage.publisher(
                GROUP,
                name="p",
                messages=messages // publishers,
                threads=publishers,
                rate=rate,
                history=history,
                size=size,
            )
            try:
                reports = publisher.report()
                wait_for_all(crowd, members * sum(len(report["acknowledged"]) for report in reports.values()))
            finally:
                publisher.stop()
            took, used = time.monotonic() - began, stage.server.cpu() - used
            found = compare(crowd.members, reports, stage.server.lost(GROUP))
            status = [served[0].ask()["groups"]["default"] for served in crowd.by_process().values()]
        found.more["members by process"] = shares
        found.more["joined"] = f"in {opened:.1f} s"
        found.more["took"] = f"{took:.1f} s; processor of the workers {used:.1f} s"
        if found.delivered:
            found.more["processor"] = f"{used / found.delivered * 1e6:.1f} us for a delivery"
            ordered = sorted(latencies)
            p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
            found.more["latency"] = f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
        found.more["overflows"] = sum(one["overflows"] for one in status)
        found.deviations += stage.server.problems()
        expected = messages // publishers * publishers
        if found.acknowledged != expected:
            found.deviations.append(f"{found.acknowledged} of {expected} messages were acknowledged")
        if found.delivered != found.acknowledged * members:
            found.deviations.append(f"{found.delivered} of {found.acknowledged * members} were delivered")
        return found


def wait_for_all(crowd: Crowd, number: int) -> None:
    """Wait until the members have received so many messages, or until nothing comes any more."""
    seen, since = -1, time.monotonic()

    def look() -> bool:
        nonlocal seen, since
        count = sum(stay.numbers.count for member in crowd.members for stay in member.stays)
        if count != seen:
            seen, since = count, time.monotonic()
        return count >= number or time.monotonic() - since > SILENCE

    eventually(look, timeout=600)
