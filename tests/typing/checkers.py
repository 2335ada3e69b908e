"""The type checkers, run over a project in a directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ..test_docs import ROOT

#: Seconds that a checker may take on a busy machine, the first time.
PATIENCE = 300
#: What the cases and the documentation import, and what that imports in its types.
WITHOUT_STUBS = ("asgiref", "django", "django_websocket", "websockets")


class Report(NamedTuple):
    """An error that a checker reports. A checker may report several of one kind on a line; they count as one."""

    file: str
    line: int
    code: str


def run_mypy(project: Path, configuration: str, cache: Path, *arguments: str) -> dict[Report, str]:
    """Return what mypy reports in strict mode of the files of a project, with its words."""
    (project / "mypy.ini").write_text(configuration, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "mypy.ini", "--cache-dir", str(cache)]
    output = run(project, *command, "--output", "json", *arguments)
    reports = {}
    for line in output.splitlines():
        # What is not about a file is no object: a configuration that mypy does not understand.
        assert line.startswith("{"), output
        found = json.loads(line)
        if found["severity"] == "error":
            reports[Report(found["file"], found["line"], found["code"])] = found["message"]
    return reports


def run_pyright(project: Path) -> dict[Report, str]:
    """Return what pyright reports of the files of a project, with its words."""
    configuration = {"include": ["."], "extraPaths": [str(ROOT)], "pythonVersion": "3.10"}
    (project / "pyrightconfig.json").write_text(json.dumps(configuration), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    output = json.loads(run(project, *command))
    return {
        Report(
            Path(found["file"]).relative_to(project).as_posix(),
            found["range"]["start"]["line"] + 1,
            found.get("rule", "syntax"),
        ): found["message"]
        for found in output["generalDiagnostics"]
        if found["severity"] in {"error", "warning"}
    }


def run(project: Path, *command: str) -> str:
    """Return what a checker writes, with the project and this package where it looks for modules."""
    paths = os.pathsep.join([str(project), str(ROOT)])
    # pyright asks the package index for a newer version otherwise.
    variables = {"PYTHONPATH": paths, "MYPYPATH": str(ROOT), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    # 1 says that there are errors.
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    assert done.stdout or not done.stderr, done.stderr
    return done.stdout


def make_environment_without_stubs(directory: Path) -> Path:
    """Return the Python of an environment that has Django and this package, but not django-stubs."""
    venv.create(directory, with_pip=False, symlinks=True)
    (packages,) = directory.glob("lib/python*/site-packages")
    for name in WITHOUT_STUBS:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (packages / name).symlink_to(Path(spec.origin).parent, target_is_directory=True)
    return directory / "bin" / "python"
