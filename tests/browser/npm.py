"""Packages of the npm registry, which tests install for themselves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ..live.needs import program

#: Seconds that an installation may take.
PATIENCE = 60
#: Why nothing can be installed, once that is known.
_problem: list[str] = []


def install(directory: Path, *packages: str) -> Path:
    """Install packages into an empty directory, and return that of their programs; skip the test if that cannot be.

    The registry is no part of the machine: without a network, or behind a proxy whose certificate Node does not know,
    the tests are skipped even if nothing may be missing. The first test to notice speaks for all.
    """
    npm = program("npm", "npm")
    if not _problem:
        _try(npm, directory, packages)
    if _problem:
        pytest.skip(f"the npm registry cannot be used: {_problem[0]}")
    return directory / "node_modules" / ".bin"


def _try(npm: str, directory: Path, packages: tuple[str, ...]) -> None:
    (directory / "package.json").write_text("{}", encoding="utf-8")
    options = ["--no-audit", "--no-fund", "--loglevel=error", f"--prefix={directory}"]
    environment = dict(os.environ)
    if "SSL_CERT_FILE" in environment:
        # Node goes by a list of its own otherwise.
        environment.setdefault("NODE_EXTRA_CA_CERTS", environment["SSL_CERT_FILE"])
    try:
        run = subprocess.run(
            [npm, "install", *options, *packages],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        _problem.append(f"{' '.join(packages)} took longer than {PATIENCE} s")
    else:
        if run.returncode:
            _problem.append(" ".join(run.stderr.split())[-300:])
