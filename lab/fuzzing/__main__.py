"""The command line: ``python -m lab.fuzzing --seconds 60 server_frames requests``."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from . import findings, guided, mutation
from .findings import Result
from .targets import NAMES, Target, load


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz the targets; return 1 if an invariant does not hold or a run failed, 2 if an argument is wrong."""
    options = _parser().parse_args(arguments)
    unknown = set(options.targets) - set(NAMES)
    if unknown:
        print(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    if options.engine == "atheris" and not guided.available():
        print("atheris is not installed", file=sys.stderr)
        return 2
    targets = [load(name) for name in options.targets or NAMES]
    if options.replay:
        return _replay(targets, options.replay)
    engine = options.engine or ("atheris" if guided.available() else "mutation")
    seed = random.SystemRandom().randrange(1, 1 << 31) if options.seed is None else options.seed
    print(f"{options.seconds:g} s for each target, with {engine}, --seed {seed}", flush=True)
    good = True
    for target in targets:
        if engine == "atheris":
            corpus = options.corpus / target.name if options.corpus else None
            seconds = max(1, round(options.seconds))
            result = guided.fuzz(target.name, seconds, seed=seed, directory=options.findings, corpus=corpus)
        else:
            result = mutation.fuzz(target, options.seconds, seed=seed, directory=options.findings)
        _show(target.name, result)
        good = good and not result.findings and not result.failure
    return 0 if good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.fuzzing", description="README.rst has the rest.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all, or some of {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=float, default=10, help="for each target (%(default)s)")
    parser.add_argument("--engine", choices=("atheris", "mutation"), help="atheris, where it is installed")
    parser.add_argument("--seed", type=int, help="of the random numbers; it is printed")
    parser.add_argument("--corpus", type=Path, help="a directory where atheris keeps inputs")
    parser.add_argument(
        "--findings", type=Path, default=findings.DIRECTORY, help="a directory for findings (%(default)s)"
    )
    parser.add_argument("--replay", type=Path, help="a finding, to be run alone, with its one target")
    return parser


def _show(name: str, result: Result) -> None:
    """Print the result of a target."""
    numbers = [f"{result.executions:9,} executions"]
    if result.coverage is not None:
        numbers.append(f"coverage {result.coverage:,}")
    if result.outcomes is not None:
        numbers.append(f"{result.outcomes:,} outcomes")
    numbers.append(f"{len(result.findings)} findings")
    print(f"{name:15}{', '.join(numbers)}", flush=True)
    for path, reason in result.findings:
        print(f"\n{path}: {path.read_bytes()!r}\n{reason}", flush=True)
    if result.failure:
        print(f"\nThe run failed: {result.failure}", flush=True)


def _replay(targets: Sequence[Target], path: Path) -> int:
    """Run one input with one target; an exception of it is not caught."""
    if len(targets) != 1:
        print("--replay needs one target", file=sys.stderr)
        return 2
    print(f"{targets[0].invariant}\n{targets[0].run(path.read_bytes())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
