"""Thousands of names on two workers, of which one is killed: how long the dead are still there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

from .crowd import Crowd
from .findings import Findings
from .member import Member
from .stage import staged

#: Seconds within which the names of a dead process must have gone.
HEALED: Final = 30.0
#: Seconds between two looks.
LOOK: Final = 0.25


def presence(
    server: str,
    *,
    carrier: str = "redis",
    names: int = 20_000,
    groups: int = 100,
    folder: Path | None = None,
) -> Findings:
    """Register names, one for each connection and group, kill one worker, and watch the names."""
    found = Findings()
    connections = names // groups
    with staged("presence", server, carrier, folder, workers=2, members=connections) as stage:
        with Crowd() as crowd:
            began = time.monotonic()
            crowd.add(
                Member(stage.server.port, "many", target=f"/many/{number}/?groups={groups}")
                for number in range(connections)
            )
            crowd.wait(240)
            found.more["registered"] = f"{names} names in {groups} groups in {time.monotonic() - began:.1f} s"
            served = crowd.by_process()
            found.more["connections by process"] = [len(one) for one in served.values()]
            if len(served) < 2:
                found.deviations.append("one worker serves all")
                return found
            dead, living = served
            gone = len(served[dead]) * groups
            witness = served[living][0]
            counted = witness.ask()["signals"].get("left", 0)
            os.kill(dead, signal.SIGKILL)
            killed = time.monotonic()
            right = left = 0.0
            while time.monotonic() - killed < 2 * HEALED and not (right and left):
                here = witness.ask(60)
                if not right and stage.server.get(f"/names/?groups={groups}")[1] == b"%d" % (names - gone):
                    right = time.monotonic() - killed
                if not left and here["signals"].get("left", 0) - counted >= gone:
                    left = time.monotonic() - killed
                time.sleep(LOOK)
            found.more["members() right"] = f"after {right:.1f} s" if right else "never"
            found.more["member_left"] = f"{gone} signals after {left:.1f} s" if left else "not all"
            found.deviations += [
                f"{what} needed more than {HEALED:.0f} s"
                for what, seconds in (("members()", right), ("member_left", left))
                if not 0 < seconds <= HEALED
            ]
        found.deviations += stage.server.problems()
    return found
