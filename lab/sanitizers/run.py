"""One run: build the compiled modules for the sanitizers, and run tests and fuzzers with them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .build import WITHOUT_STACK, Compiler, build, copy_sources, environment, find_compiler

#: Characters of a report, or of the output of a step that failed, that are shown.
SHOWN: Final = 8000
#: Prints where the compiled modules come from, and fails if one is missing.
PROBE: Final = (
    "from django_websocket.speedups import load; print(*[load(name).__file__ for name in ('frames', 'lock', 'core')])"
)


@dataclass(frozen=True)
class Step:
    """A command that is run with the compiled modules."""

    name: str
    #: The arguments of the interpreter.
    arguments: tuple[str, ...]
    #: Whether it runs greenlets.
    green: bool = False
    #: Further arguments with which it is run once more if it fails, and which decide then.
    again: tuple[str, ...] = ()


def tests(paths: Sequence[str], *, green: bool) -> Step:
    """Return the step that runs test modules, with a few random examples for each test by Hypothesis.

    Some tests have limits of time, and everything takes three times as long: what fails is tried again alone. A mistake
    of memory is found by its report in any case.
    """
    options = ("-q", "--hypothesis-profile=quick", "--timeout=300", "-m", "not live and not browser")
    workers = ("-n", "0" if green else "2")
    name = f"the tests in {', '.join(paths)}"
    return Step(name, ("-m", "pytest", *options, *workers, *paths), green, ("--last-failed", "-n", "0"))


def fuzzing(targets: Sequence[str], seconds: float) -> Step:
    """Return the step that fuzzes targets for some seconds each."""
    arguments = ("-m", "lab.fuzzing", "--engine", "mutation", "--seconds", str(seconds), *targets)
    return Step(f"{seconds:g} s of fuzzing each of {', '.join(targets)}", arguments)


def run(steps: Sequence[Step], folder: Path | None = None) -> list[str]:
    """Run the steps, and return a text for each report of a sanitizer and for each step that failed.

    Steps that run greenlets run beside the others, with compiled modules of their own. ``folder`` is where these are
    built, and stay; ``None``: in a temporary folder.

    :raises Unavailable: something is missing that the sanitizers need.
    """
    compiler = find_compiler()
    groups = [[step for step in steps if step.green is green] for green in (False, True)]
    with tempfile.TemporaryDirectory(prefix="sanitizers-") as temporary, ThreadPoolExecutor(len(groups)) as pool:
        directory = folder or Path(temporary)
        running = [pool.submit(_run_group, compiler, group, directory) for group in groups if group]
        return [problem for group in running for problem in group.result()]


def _run_group(compiler: Compiler, steps: Sequence[Step], directory: Path) -> list[str]:
    """Build the modules, run the steps with them one after the other, and return the problems."""
    green = steps[0].green
    tree = directory / ("green" if green else "threads")
    shutil.rmtree(tree, ignore_errors=True)
    copy_sources(tree)
    build(compiler, tree, *(WITHOUT_STACK if green else ()))
    (reports := tree / "reports").mkdir()
    variables = environment(compiler, tree, reports)
    probe = _start(tree, variables, ("-c", PROBE))
    if probe.returncode or not all(path.startswith(str(tree)) for path in probe.stdout.split()):
        return [f"the compiled modules cannot be loaded:\n{probe.stdout}"[:SHOWN]]
    problems = []
    for step in steps:
        began = time.monotonic()
        done = _start(tree, variables, step.arguments)
        # The last lines have the numbers of tests, of inputs, of failures.
        print(f"\n== {step.name}: {time.monotonic() - began:.0f} s\n{done.stdout[-400:].strip()}", flush=True)
        if done.returncode and step.again:
            done = _start(tree, variables, (*step.arguments, *step.again))
            print(f"once more what has failed:\n{done.stdout[-400:].strip()}", flush=True)
        if done.returncode:
            problems.append(f"{step.name}: exit status {done.returncode}\n{done.stdout[-SHOWN:]}")
    return problems + [read(report) for report in sorted(reports.iterdir())]


def _start(tree: Path, variables: Mapping[str, str], arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the interpreter in a copy of the sources, and return its exit status and all of its output."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def read(report: Path) -> str:
    """Return the beginning of a report."""
    return report.read_text(encoding="utf-8", errors="replace")[:SHOWN]
