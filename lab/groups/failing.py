"""One fault while messages are published: what arrived, what did not, and whether somebody was told."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from ..servers import eventually
from .crowd import Crowd
from .faults import GROUP, Fault
from .findings import Findings, compare
from .member import Member
from .replay import first_position
from .stage import Stage, staged
from .workers import NativePublisher

#: Seconds of publishing ahead of a fault.
LEAD: Final = 2.0
#: Seconds for what is on its way at the end, and those between two probes of a subscriber.
SETTLE: Final = 2.0
PROBE: Final = 5.0
#: Seconds within which messages must arrive again once a fault is over.
RESUME: Final = 8.0
#: Threads of each worker that may be more afterwards. For descriptors it is the number of its members: if all of them
#: come back at once, each may need a connection to Redis, which then stays.
SPARE: Final = 2


def fail(
    fault: Fault,
    server: str,
    *,
    history: int = 0,
    members: int = 30,
    publishers: int = 2,
    rate: float = 50.0,
    workers: int = 3,
    native: bool = False,
    preload: bool = False,
    folder: Path | None = None,
) -> Findings:
    """Publish, let a fault happen meanwhile, and compare. ``native`` publishes in native threads of a worker too."""
    name = f"{fault.name.replace(' ', '-').replace(',', '')}-{history}"
    with staged(
        name, server, fault.carrier, folder, workers=workers, members=members, preload=preload, groups=fault.groups
    ) as stage:
        since = first_position(stage, history) if history else None
        with Crowd(returns=True) as crowd:
            crowd.add(Member(stage.server.port, GROUP, history=history, since=since, keep=True) for _ in range(members))
            crowd.wait()
            before = stage.server.usage()
            seconds = LEAD + fault.lasts + fault.after
            options = {"rate": rate, "history": history, "size": fault.size, "threads": publishers}
            counted = {**options, "messages": int(seconds * rate)}
            own = NativePublisher(stage.server, GROUP, name="n", **counted) if native else None
            publisher = stage.publisher(GROUP, **(options if fault.after else counted))
            try:
                # The process may take a while to begin.
                eventually(lambda: all(member.arrivals for member in crowd.members), timeout=60)
                time.sleep(LEAD)
                fault.act(stage)
                if fault.other_processes:
                    # They may take a while to begin, too.
                    crowd.wait()
                over = time.monotonic()
                time.sleep(fault.after)
                reports = publisher.report()
            finally:
                publisher.stop()
            if own is not None:
                reports |= own.report()
            slowest = max(report["slowest"] for report in reports.values())
            found = _look(stage, crowd, fault, reports, over)
            found.more["longest publish"] = f"{slowest:.1f} s"
            after = stage.server.usage()
            found.more["descriptors, threads"] = f"{before} before, {after} after"
            # The threads of a pool have a bound of their own.
            spare = len(crowd.members) if stage.server.kind.pool else SPARE * workers
            grown = after[0] - before[0] > members or after[1] - before[1] > spare
            if grown and not fault.other_processes:
                found.deviations.append(f"descriptors, threads: {before} before, {after} after")
        found.deviations += stage.server.problems()
        return found


def _look(stage: Stage, crowd: Crowd, fault: Fault, reports: dict[str, object], over: float) -> Findings:
    try:
        crowd.wait(30)
    except AssertionError:
        pass  # The comparison says who is missing.
    # What no later message shows is found by the next probe at the latest.
    time.sleep(SETTLE if fault.after else SETTLE + PROBE)
    lost = stage.server.lost(GROUP)
    found = compare(crowd.members, reports, lost)  # type: ignore[arg-type]
    if lost:
        found.more["group_gap"] = ", ".join(f"{number}" for number in lost.values())
    away = sum(not member.joined for member in crowd.members)
    if away:
        found.deviations.append(f"{away} members did not get in again")
    if fault.publishes and (found.failed or found.uncertain):
        found.deviations.append(f"{found.failed} messages failed, of {found.uncertain} that is not known")
    if fault.after:
        waits = [
            min((came - over for sent, came in member.arrivals if sent > over), default=None)
            for member in crowd.members
        ]
        if None in waits:
            found.deviations.append(f"{waits.count(None)} members got nothing any more")
        resumed = max((wait for wait in waits if wait is not None), default=0.0)
        found.more["resumed"] = f"{resumed:.2f} s after the end"
        if resumed > RESUME:
            found.deviations.append(f"messages came again after {resumed:.1f} s only")
    try:
        states = [served[0].ask()["groups"]["default"] for served in crowd.by_process().values()]
    except TimeoutError as error:
        found.deviations.append(str(error))
        return found
    found.more["reconnects"] = sum(state["reconnects"] for state in states)
    found.deviations += [f"a process is not healthy: {one['problem']}" for one in states if not one["healthy"]]
    return found
