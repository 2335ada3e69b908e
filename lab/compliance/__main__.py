"""The command line: ``python -m lab.compliance --server multithreaded``."""

from __future__ import annotations

import argparse
import signal
import sys

from ..kinds import BY_NAME
from . import autobahn
from .run import run
from .verdicts import select, summary


def main() -> int:
    """Run the cases, and return 0 if all is as expected, 1 if something is not, 2 if the suite cannot be run."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.compliance",
        description="Run the Autobahn test suite against a server, and compare the verdicts with expected.json.",
    )
    parser.add_argument("--server", required=True, choices=BY_NAME, help="one of those in lab/kinds.py")
    parser.add_argument(
        "--cases",
        nargs="+",
        default=["quick"],
        metavar="PATTERN",
        help="quick (the default), all, or patterns as of a shell: 7.* 9.[12].3",
    )
    parser.add_argument("--version", type=int, default=13, choices=autobahn.SPOKEN, help="Sec-WebSocket-Version")
    parser.add_argument("--timeout", type=float, default=3 * 3600, help="seconds that all may take (three hours)")
    options = parser.parse_args()
    # SIGTERM raises KeyboardInterrupt, so that no server outlives this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cases = select(options.cases)
    except ValueError as error:
        parser.error(str(error))
    try:
        wstest = autobahn.find()
    except autobahn.Unavailable as error:
        print(error, file=sys.stderr)
        return 2
    folder = autobahn.BUILD / f"{options.server}-{options.version}"
    print(f"{len(cases)} cases on {options.server}, version {options.version}; reports and logs are in {folder}")
    outcome = run(wstest, BY_NAME[options.server], cases, folder, version=options.version, timeout=options.timeout)
    for line in summary(outcome.results):
        print(line)
    for line in outcome.deviations:
        print(f"DEVIATION: {line}")
    if not outcome.deviations:
        print("all as expected")
    return 1 if outcome.deviations else 0


if __name__ == "__main__":
    sys.exit(main())
