"""Members that come and go, and ask for what they missed: no hole, nothing twice, and no loss without a word."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Final

from django_websocket.groups.position import Position

from ..servers import eventually
from .crowd import Crowd
from .findings import Findings, compare
from .member import Member
from .stage import Stage, staged

GROUP: Final = "replay"
#: Seconds between two kills of the subscribers' connections.
KILL: Final = 0.4
#: Seconds that a member stays, and those that it is away.
HERE: Final = (0.05, 1.5)
AWAY: Final = (0.0, 0.4)


def replay(
    server: str,
    *,
    carrier: str = "redis",
    seconds: float = 60.0,
    joiners: int = 8,
    publishers: int = 3,
    rate: float = 200.0,
    history: int = 10_000,
    workers: int = 3,
    kill: bool = True,
    folder: Path | None = None,
) -> Findings:
    """Publish for some seconds, while members come and go and, if ``kill``, subscribers lose their connections."""
    with staged("replay", server, carrier, folder, workers=workers, members=joiners) as stage:
        since = first_position(stage, history)
        with Crowd(returns=True) as crowd:
            members = [Member(stage.server.port, GROUP, history=history, since=since) for _ in range(joiners)]
            dice = random.Random(1)

            def come_and_go(member: Member) -> None:
                if time.monotonic() < until:
                    if member.joined:
                        crowd.leave(member, dice.uniform(*AWAY))
                    crowd.after(dice.uniform(*HERE), lambda: come_and_go(member))

            crowd.add(members)
            crowd.wait()
            running = [
                stage.publisher(GROUP, name=f"p{number}", rate=rate, history=history) for number in range(publishers)
            ]
            # The processes may take a while to begin.
            eventually(lambda: all(len(member.order.runs) == publishers for member in members), timeout=60)
            until = time.monotonic() + seconds
            for member in members:
                crowd.after(dice.uniform(*HERE), lambda member=member: come_and_go(member))  # type: ignore[misc]
            kills = 0
            while time.monotonic() < until:
                time.sleep(KILL)
                if kill:
                    kills += kill_subscribers(stage)
            reports = {name: one for publisher in running for name, one in publisher.report().items()}
            last = max(
                (Position.parse(position) for one in reports.values() for _, _, position in one["acknowledged"]),
                key=lambda position: position.number if position else 0,
            )
            assert last is not None
            crowd.wait()
            try:
                eventually(lambda: all(member.chain and member.chain.last == last for member in members))
            except AssertionError:
                pass  # What is missing is found by the comparison.
            found = compare(members, reports, {})
            found.more["joins"] = sum(len(member.stays) for member in members)
            incomplete = sum(not stay.replay[0] for member in members for stay in member.stays)
            found.more["incomplete replays"] = incomplete
            found.more["connections killed"] = kills
            states = [served[0].ask()["groups"]["default"] for served in crowd.by_process().values()]
            found.more["reconnects"] = sum(state["reconnects"] for state in states)
        found.deviations += stage.server.problems()
        return found


def first_position(stage: Stage, history: int) -> Position:
    """Publish one message, and return its position."""
    reports = stage.publisher(GROUP, name="first", messages=1, history=history).report()
    ((_, _, text),) = reports["first.0"]["acknowledged"]
    position = Position.parse(text)
    assert position is not None
    return position


def kill_subscribers(stage: Stage) -> int:
    """Kill the connections on which messages come, and return how many they were."""
    return sum(
        int(server.command("CLIENT", "KILL", "TYPE", "pubsub")) for server in stage.carrier.servers if server.alive
    )
