"""Packages of the npm registry, which tests install for themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..live.needs import missing, program

#: Seconds that an installation may take.
PATIENCE = 120


def install(directory: Path, *packages: str) -> Path:
    """Install packages into an empty directory, and return that of their programs; skip the test if that cannot be."""
    npm = program("npm", "npm")
    (directory / "package.json").write_text("{}", encoding="utf-8")
    options = ["--no-audit", "--no-fund", "--loglevel=error", f"--prefix={directory}"]
    run = subprocess.run(
        [npm, "install", *options, *packages], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if run.returncode:
        missing(f"the npm registry, for {' '.join(packages)}: {run.stderr.strip()[-300:]};", "them", "npm install")
    return directory / "node_modules" / ".bin"
