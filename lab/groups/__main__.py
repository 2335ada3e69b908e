"""The command line: ``python -m lab.groups deliver --server gunicorn_gevent --members 1000 --messages 1000``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable

from .carriers import CARRIERS
from .deliver import deliver
from .failing import fail
from .faults import BY_NAME, Fault
from .findings import Findings
from .presence import presence
from .replay import replay
from .slow import slow

SERVERS = ("gunicorn_eventlet", "gunicorn_gevent", "gunicorn_gthread")
#: Deviations that are printed.
MAX_DEVIATIONS = 10


def main() -> int:
    """Run a scenario, and return 0 if all is well, 1 if there are deviations."""
    parser = argparse.ArgumentParser(prog="python -m lab.groups", description="README.rst has the rest.")
    scenarios = parser.add_subparsers(dest="scenario", required=True)
    one = scenarios.add_parser("deliver", help="everything arrives, once, in order")
    one.add_argument("--members", type=int, default=1000, metavar="N", help="(1000)")
    one.add_argument("--messages", type=int, default=1000, metavar="N", help="in all (1000)")
    one.add_argument("--publishers", type=int, default=2, metavar="N", help="threads of the publishing process (2)")
    one.add_argument("--rate", type=float, default=0.0, help="messages a second of each; 0: as fast as it goes (0)")
    one.add_argument("--size", type=int, default=125, metavar="BYTES", help="of a message (125)")
    one.add_argument("--history", type=int, default=0, metavar="N", help="messages that are kept (0)")
    one.add_argument("--preload", action="store_true", help="import the project before the workers are forked")
    one = scenarios.add_parser("faults", help="Redis and workers fail in every known way")
    one.add_argument("--only", action="append", choices=BY_NAME, metavar="FAULT", help=", ".join(BY_NAME))
    one.add_argument("--history", type=int, default=None, metavar="N", help="messages that are kept (0, then 2000)")
    one.add_argument("--native", action="store_true", help="publish in native threads of a worker too")
    one.add_argument("--preload", action="store_true", help="import the project before the workers are forked")
    one = scenarios.add_parser("replay", help="members come and go, and get what they missed")
    one.add_argument("--seconds", type=float, default=60.0, help="(60)")
    one.add_argument("--history", type=int, default=10_000, metavar="N", help="messages that are kept (10000)")
    one.add_argument("--rate", type=float, default=200.0, help="messages a second of each of three publishers (200)")
    one.add_argument("--calm", action="store_true", help="do not cut the subscribers' connections")
    one = scenarios.add_parser("presence", help="the names of a killed worker go")
    one.add_argument("--names", type=int, default=20_000, metavar="N", help="(20000)")
    one = scenarios.add_parser("slow", help="members that never read do not hinder the others")
    one.add_argument("--members", type=int, default=1000, metavar="N", help="(1000)")
    one.add_argument("--rate", type=float, default=10.0, help="messages a second (10)")
    for scenario in scenarios.choices.values():
        scenario.add_argument("--server", default="gunicorn_gevent", choices=SERVERS, metavar="KIND", help=str(SERVERS))
        scenario.add_argument("--carrier", default="redis", choices=CARRIERS, metavar="NAME", help=", ".join(CARRIERS))
    options = parser.parse_args()
    # SIGTERM raises KeyboardInterrupt, so that no server outlives this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return report(_run(options))


def _run(options: argparse.Namespace) -> Iterable[tuple[str, Findings]]:
    server, carrier = options.server, options.carrier
    if options.scenario == "deliver":
        names = ("members", "messages", "publishers", "rate", "size", "history", "preload")
        yield "deliver", deliver(server, carrier=carrier, **{name: getattr(options, name) for name in names})
    elif options.scenario == "replay":
        kept = {"seconds": options.seconds, "history": options.history, "rate": options.rate, "kill": not options.calm}
        yield "replay", replay(server, carrier=carrier, **kept)
    elif options.scenario == "presence":
        yield "presence", presence(server, carrier=carrier, names=options.names)
    elif options.scenario == "slow":
        yield "slow", slow(server, carrier=carrier, members=options.members, rate=options.rate)
    else:
        chosen: Iterable[Fault] = [BY_NAME[name] for name in options.only or BY_NAME]
        for fault in chosen:
            for history in (0, 2000) if options.history is None else (options.history,):
                found = fail(fault, server, history=history, native=options.native, preload=options.preload)
                yield f"{fault}, history {history}", found


def report(outcomes: Iterable[tuple[str, Findings]]) -> int:
    """Print outcomes as they come, and return 0 if there are no deviations, else 1."""
    count = 0
    for name, found in outcomes:
        print(f"{name}:", flush=True)
        for line in found.lines():
            print(f"    {line}")
        for line in found.deviations[:MAX_DEVIATIONS]:
            print(f"    DEVIATION: {line}", flush=True)
        count += len(found.deviations)
    print(f"{count or 'no'} deviations")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
