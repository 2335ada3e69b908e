"""The command line: ``python -m lab.sanitizers memory`` and ``python -m lab.sanitizers references``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import references
from .build import Unavailable
from .run import Step, fuzzing, run, tests

#: The tests of the compiled modules and of what calls them.
TESTS: Final = (
    "tests/speedups",
    "tests/connection",
    "tests/protocols/rfc6455/test_masking.py",
    "tests/protocols/rfc6455/test_messages.py",
    "tests/protocols/rfc6455/test_protocol.py",
    "tests/protocols/rfc6455/test_protocol_differential.py",
    # The client of tests runs views in greenlets.
    "--ignore=tests/connection/test_listing.py",
)
#: The same in greenlets.
GREEN_TESTS: Final = ("tests/transports/test_gevent.py", "tests/connection/test_listing.py")
#: The targets of the fuzzers that reach them.
TARGETS: Final = ("compiled_frames", "compiled_core")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 if nothing is found, 1 if something is, 2 if it cannot run but REQUIRE_LIVE=1 is set."""
    parser = argparse.ArgumentParser(prog="python -m lab.sanitizers", description="README.rst has the rest.")
    commands = parser.add_subparsers(dest="command", required=True)
    memory = commands.add_parser(
        "memory", help="run tests and fuzzers with the compiled modules built for the sanitizers"
    )
    memory.add_argument("tests", nargs="*", metavar="TEST", help="paths of tests, instead of those of TESTS")
    memory.add_argument("--green", nargs="*", default=None, metavar="TEST", help="paths of tests that run greenlets")
    memory.add_argument("--seconds", type=float, default=2, help="to fuzz each target (%(default)s)")
    memory.add_argument("--targets", nargs="*", default=TARGETS, metavar="TARGET", help="of lab.fuzzing")
    memory.add_argument("--folder", type=Path, help="where the modules are built, and stay (a temporary folder)")
    counts = commands.add_parser("references", help="call every compiled function, and compare what is held")
    counts.add_argument("--runs", type=int, default=references.RUNS, help="of each call (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "references":
            problems = references.run(options.runs)
        else:
            problems = run(_steps(options), options.folder)
    except Unavailable as missing:
        required = os.environ.get("REQUIRE_LIVE") == "1"
        print(f"{'cannot run' if required else 'skipped'}: {missing}", file=sys.stderr)
        return 2 if required else 0
    for problem in problems:
        print(f"\nFOUND: {problem}")
    print("\nnothing found" if not problems else f"\n{len(problems)} problems")
    return 1 if problems else 0


def _steps(options: argparse.Namespace) -> list[Step]:
    """Return what is to be run, by the arguments of the command line."""
    chosen = bool(options.tests) or options.green is not None
    steps = []
    if paths := options.tests or (() if chosen else TESTS):
        steps.append(tests(paths, green=False))
    if options.targets and options.seconds:
        steps.append(fuzzing(options.targets, options.seconds))
    if paths := (options.green or ()) if chosen else GREEN_TESTS:
        steps.append(tests(paths, green=True))
    return steps


if __name__ == "__main__":
    sys.exit(main())
