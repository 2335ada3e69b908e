"""The quickstart of the documentation, done as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from lab.kinds import Kind
from lab.project.server import Server
from lab.servers import HOST, PATIENCE, ROOT

PAGE = ROOT / "docs" / "quickstart.rst"


def blocks(language: str) -> list[tuple[str, str]]:
    """Return the caption and the text of each code block in a language; the caption is ``""`` if there is none."""
    pattern = rf"^\.\. code-block:: {language}\n((?:    :.*\n)*)\n((?:    .*\n|\n)+)"
    found = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [
        ("".join(re.findall(":caption: (.*)", options)), textwrap.dedent(text).strip() + "\n")
        for options, text in found
    ]


def commands() -> list[str]:
    """Return the lines to type."""
    return [line for _, text in blocks("bash") for line in text.splitlines()]


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
        for name, text in blocks("python"):
            path = project / name
            # Of the settings, the page shows one.
            before = path.read_text() if name.endswith("settings.py") else ""
            path.write_text(before + text)
        manage, *arguments = run(serve)
        super().__init__(
            Kind("quickstart", (str(project / manage), *arguments, "--noreload", f"{HOST}:{{port}}")),
            directory / "log",
            environment={**environment, "DJANGO_SETTINGS_MODULE": "mysite.settings"},
            strict=False,
            ready="/lower_case/",
        )
