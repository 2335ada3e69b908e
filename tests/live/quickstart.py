"""The quickstart of the documentation, done as it is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab.kinds import Kind
from lab.project.server import Server
from lab.servers import HOST, PATIENCE, ROOT

from .typed import blocks, write


def commands() -> list[str]:
    """Return the lines to type."""
    return [line for block in blocks("quickstart") if block.language == "bash" for line in block.text.splitlines()]


def run(line: str) -> list[str]:
    """Return the arguments of the interpreter in a line to type, which begins with it."""
    python, *arguments = line.split()
    assert python == "python"
    return arguments


class Quickstart(Server):
    """The server that the quickstart starts at its end."""

    def __init__(self, directory: Path) -> None:
        """Do what the page says, in an empty directory: its commands, and its files."""
        install, start_project, enter, serve = commands()
        assert run(install) == ["-m", "pip", "install", "."]
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        subprocess.run(
            [sys.executable, *run(start_project)],
            cwd=directory,
            env={**os.environ, **environment},
            check=True,
            timeout=PATIENCE * 3,
        )
        assert enter == "cd mysite"
        project = directory / "mysite"
        for block in blocks("quickstart"):
            if block.language == "python":
                write(project, block)
        manage, *arguments = run(serve)
        super().__init__(
            Kind("quickstart", (str(project / manage), *arguments, "--noreload", f"{HOST}:{{port}}")),
            directory / "log",
            environment={**environment, "DJANGO_SETTINGS_MODULE": "mysite.settings"},
            strict=False,
            ready="/lower_case/",
        )
