"""The tutorial of the documentation, done as it is printed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.kinds import Kind
from lab.project.server import Server
from lab.servers import HOST, PATIENCE, ROOT

from .typed import Block, blocks, write

#: What is in commands that do not end: they start a server.
SERVERS = ("runserver", "gunicorn --")
#: What is not typed in: the tests run in an environment that has it.
INSTALLATION = "python -m pip install"
#: The address of Redis that the page has.
REDIS_URL = "redis://127.0.0.1:6379/0"


class Tutorial:
    """A reader of the tutorial, who does one thing after the other in an empty directory."""

    def __init__(self, directory: Path) -> None:
        """Begin at the top of the page."""
        self.directory = directory
        self.project = directory / "mysite"
        #: What the commands have written.
        self.output = ""
        #: The address of Redis to use in place of that of the page.
        self.redis_url = REDIS_URL
        self._steps: Iterator[Block] = iter(blocks("tutorial"))
        # As if the virtual environment was active, and this package was installed in it.
        python = str(Path(sys.executable).parent)
        self.environment = {
            "PATH": os.pathsep.join([python, os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
        }

    def go_on(self, until: str = "") -> str:
        """Do all steps up to the commands with ``until``, which are returned and not run; ``""``: up to the end.

        Servers on the way are not started.
        """
        for block in self._steps:
            text = block.text.replace(REDIS_URL, self.redis_url)
            if block.language != "bash":
                assert block.caption, text
                write(self.project, block)
            elif until and until in text:
                return text
            elif not any(words in text for words in (*SERVERS, INSTALLATION)):
                self.run(text)
        assert not until, f"the page does not say {until}"
        return ""

    def run(self, text: str) -> None:
        """Type commands into a shell, and wait for their end."""
        where = self.project if self.project.exists() else self.directory
        done = subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=where,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE * 3,
            check=False,
        )
        self.output += done.stdout
        assert done.returncode == 0, done.stdout

    def serve(self, text: str, ready: str = "/") -> Server:
        """Start the server that the last line of ``text`` starts, on a free port; the lines before it export.

        ``ready`` is the path of a page that is answered with 200.
        """
        *exports, line = text.splitlines()
        variables = dict(export.removeprefix("export ").split("=", 1) for export in exports)
        program, *arguments = shlex.split(line)
        if program == "gunicorn":
            arguments = ["-m", program, "--no-control-socket", "--bind", f"{HOST}:{{port}}", *arguments]
        else:
            assert program == "python"
            arguments += ["--noreload", f"{HOST}:{{port}}"]
            arguments[0] = str(self.project / arguments[0])
        path = {"PYTHONPATH": os.pathsep.join([str(self.project), self.environment["PYTHONPATH"]])}
        return Server(
            Kind(program, tuple(arguments)),
            self.directory / program,
            environment={**self.environment, **path, **variables},
            strict=False,
            ready=ready,
        )
