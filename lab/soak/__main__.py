"""The command line: ``python -m lab.soak mixed --server eventlet --minutes 10``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from ..kinds import BY_NAME, Kind
from ..project.server import Server
from .figures import SMALLEST
from .limits import check_flood, check_memory
from .run import MAX_DEVIATIONS, Outcome, cycles, mix, run


def main() -> int:
    """Run a command, and return 0 if all is well, 1 if there are deviations."""
    parser = argparse.ArgumentParser(prog="python -m lab.soak", description="README.rst has the rest.")
    commands = parser.add_subparsers(dest="command", required=True)
    mixed = commands.add_parser("mixed", help="clients of all kinds, for some minutes")
    mixed.add_argument("--connections", type=int, default=500, metavar="N", help="at once (500)")
    mixed.add_argument("--minutes", type=float, default=10, help="how long (10)")
    cycle = commands.add_parser("cycles", help="connections that are opened and closed again")
    cycle.add_argument("--connections", type=int, default=20, metavar="N", help="at once (20)")
    cycle.add_argument("--number", type=int, default=10_000, metavar="N", help="in all (10000)")
    memory = commands.add_parser("memory", help="unfinished messages, a bomb, and messages that wait")
    memory.add_argument("--connections", type=int, default=100, metavar="N", help="with an unfinished message (100)")
    memory.add_argument("--number", type=int, default=1_000_000, metavar="N", help="messages that wait (1000000)")
    flood = commands.add_parser("flood", help="pings without a pause, and other clients meanwhile")
    flood.add_argument("--pings", type=int, default=100_000, metavar="N", help="in all (100000)")
    flood.add_argument("--seconds", type=float, default=5, help="to measure the others, before and meanwhile (5)")
    for command in (mixed, cycle, memory, flood):
        command.add_argument(
            "--server", default="gunicorn_gthread", choices=BY_NAME, metavar="NAME", help="one of those in lab/kinds.py"
        )
    options = parser.parse_args()
    # SIGTERM raises KeyboardInterrupt, so that no server outlives this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lines, deviations = _run(BY_NAME[options.server], options)
    for line in lines:
        print(line)
    for line in deviations[:MAX_DEVIATIONS]:
        print(f"DEVIATION: {line}")
    print(f"{len(deviations) or 'no'} deviations")
    return 1 if deviations else 0


def _run(kind: Kind, options: argparse.Namespace) -> tuple[list[str], list[str]]:
    if options.command == "memory":
        return check_memory(kind, options.connections, options.number)
    if options.command == "flood":
        return check_flood(kind, options.pings, options.seconds)
    connections, by_cycle = options.connections, options.command == "cycles"
    load: Callable[[Server, Outcome], Awaitable[None]]
    if by_cycle:
        load = partial(cycles, connections=connections, number=options.number)
    else:
        load = partial(mix, connections=connections, seconds=options.minutes * 60)
    outcome = run(kind, options.command, connections, load)
    growth = outcome.growth(cycles=by_cycle)
    if growth.grows and growth.value > (SMALLEST if by_cycle else SMALLEST * outcome.rate):
        outcome.deviations.append("the memory grows")
    return outcome.report(cycles=by_cycle), outcome.deviations


if __name__ == "__main__":
    sys.exit(main())
