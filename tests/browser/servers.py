"""The example project under the servers that the browser meets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from lab.kinds import BY_NAME, Kind
from lab.project.server import ACCIDENTS, Server
from lab.servers import HOST, PATIENCE, ROOT

PROJECT = ROOT / "example_project"


def _runserver(name: str, *options: str) -> Kind:
    return Kind(name, ("{project}/manage.py", "runserver", "--multithreaded", *options, f"{HOST}:{{port}}"))


RUNSERVER = _runserver("runserver", "--noreload")
RELOADING = _runserver("reloading")
#: The server of the live tests, which takes the project that the environment names.
EVENTLET = BY_NAME["eventlet_patched"]

#: As it is deployed, with two workers.
GUNICORN = Kind(
    "gunicorn",
    (
        *("-m", "gunicorn", "-c", "{project}/deploy/gunicorn.conf.py", "--chdir", "{project}"),
        *("--bind", f"{HOST}:{{port}}"),
    ),
    forks=True,
)

KINDS = [RUNSERVER, EVENTLET]
#: Those that a reader of the documentation stops: with the autoreloader, a parent and a child.
STOPPED = [RUNSERVER, RELOADING, EVENTLET]


class Example(Server):
    """A running server of the example project, or of a copy of it."""

    #: The bytes of a database after the migrations, by the project that they are of.
    _databases: ClassVar[dict[Path, bytes]] = {}

    def __init__(
        self, kind: Kind, log: Path, project: Path = PROJECT, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it, with a database of its own beside its log."""
        self._failures: list[str] = []
        self._project = project
        paths = [str(project), str(ROOT), os.environ.get("PYTHONPATH", "")]
        arguments = [argument.replace("{project}", str(project)) for argument in kind.arguments]
        self._variables = {
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "DATABASE": str(log.with_suffix(".sqlite3")),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            **(environment or {}),
        }
        if "runserver" not in arguments:
            self._migrate()
        super().__init__(
            kind,
            log,
            # A development server that is stopped leaves its listener to the system; other leaks the live tests see.
            arguments=("-W", "ignore::ResourceWarning", *arguments),
            ready="/echo/",
            environment=self._variables,
        )

    def _migrate(self) -> None:
        """Make the database. That takes seconds and has the same result every time, for the example itself."""
        database = Path(self._variables["DATABASE"])
        if self._project in self._databases:
            database.write_bytes(self._databases[self._project])
            return
        self.manage("migrate")
        if self._project == PROJECT:
            self._databases[PROJECT] = database.read_bytes()

    def manage(self, *arguments: str) -> str:
        """Run a command of the project in another process, and return what it writes."""
        run = subprocess.run(
            [sys.executable, str(self._project / "manage.py"), *arguments],
            env={**os.environ, **self._variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE * 3,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        return run.stdout

    @property
    def pid(self) -> int:
        """One of the processes that serve."""
        return self.children()[0] if self.kind.forks else self.process.pid

    def begin(self) -> None:
        super().begin()
        self._failures = []

    def fails(self, error: str, times: int = 1) -> None:
        """Say that a view is going to fail, with a traceback that ends with this line."""
        self._failures += [error] * times

    def check_log(self) -> None:
        """See that a traceback was written for each failure that was announced, and none for anything else."""
        text = self.text
        for error in self._failures:
            traceback = rf"^Traceback(?:(?!^Traceback).)*?^{re.escape(error)}$"
            text, found = re.subn(traceback, "", text, count=1, flags=re.DOTALL | re.MULTILINE)
            assert found, f"{error} was not logged: {text}"
        for accident in ACCIDENTS:
            assert accident not in text, text
