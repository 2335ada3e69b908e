"""The processes of a run: a server with some workers, and publishers that serve nobody."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

from ..kinds import BY_NAME, Kind
from ..project.server import Server
from ..servers import HOST, ROOT, eventually
from .carriers import Carrier

#: The folder for logs; git ignores it.
BUILD: Final = Path(__file__).parent / "_build"
#: Seconds that a publisher may take.
PATIENCE: Final = 300.0


def raise_limits() -> None:
    """Allow this process and its children as many open files as this user may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def share(members: int, workers: int) -> int:
    """Return the room of each worker: with less room than one alone would need, all get about the same number.

    A worker accepts as many connections as it can, and one may be faster than all others.
    """
    return members // workers + members // 20 + 8


def having(kind: Kind, workers: int, room: int, *options: str) -> Kind:
    """Return a kind of gunicorn with some workers, each with room for so many connections."""
    *arguments, application = kind.arguments
    # A worker on threads has a bound for both.
    sizes = ("--worker-connections", str(room), *(("--threads", str(room)) if kind.pool else ()))
    more = ("--workers", str(workers), *sizes, "--backlog", "2048", *options)
    return replace(kind, arguments=(*arguments, *more, application), pool=room if kind.pool else 0)


class Workers(Server):
    """A gunicorn with some workers that serves the groups of a carrier."""

    def __init__(
        self,
        kind: str,
        carrier: Carrier,
        folder: Path,
        *,
        workers: int = 3,
        members: int = 0,
        preload: bool = False,
        small_buffers: bool = False,
        groups: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start it, with room for ``members``.

        ``groups`` are options of the backend; ``preload`` imports the project before the workers are forked;
        ``small_buffers`` is about the connections of clients.

        :raises RuntimeError: it does not start.
        """
        options = ["--preload"] if preload else []
        if small_buffers:
            options += ["--config", "python:lab.groups.small_buffers"]
        self.project = {"ROOT_URLCONF": "lab.groups.urls", **carrier.settings(**(groups or {})), **(settings or {})}
        super().__init__(
            having(BY_NAME[kind], workers, share(members, workers), "--timeout", "60", *options),
            folder / "server.log",
            settings=self.project,
            environment=environment,
            strict=False,
        )
        eventually(self.children, lambda children: len(children) == workers)
        self.begin()

    def usage(self) -> tuple[int, int]:
        """Return the numbers of open descriptors, and of threads, in all workers."""
        found: Counter[str] = Counter()
        for child in self.children():
            for what in ("fd", "task"):
                found[what] += sum(1 for _ in Path(f"/proc/{child}/{what}").iterdir())
        return found["fd"], found["task"]

    def memory(self) -> int:
        """Return the resident memory of all workers in bytes."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(Path(f"/proc/{child}/statm").read_text().split()[1]) * page for child in self.children())

    def cpu(self) -> float:
        """Return the processor seconds that all workers have used."""
        tick = os.sysconf("SC_CLK_TCK")
        used = 0
        for child in self.children():
            values = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            used += int(values[11]) + int(values[12])
        return used / tick

    def said(self, word: str) -> list[dict[str, Any]]:
        """Return what the views have logged under a word, as JSON."""
        found = [record["message"].partition(" ") for record in self.records("live")]
        return [json.loads(rest) for first, _, rest in found if first == word]

    def lost(self, group: str) -> dict[int, int | None]:
        """Return the messages of a group that each process says were lost, ``None`` where it does not know how many."""
        found: dict[int, int | None] = {}
        for gap in self.said("gap"):
            if gap["group"] == group:
                before, lost = found.get(gap["pid"], 0), gap["lost"]
                found[gap["pid"]] = None if before is None or lost is None else before + lost
        return found

    def problems(self) -> list[str]:
        """Return the errors and tracebacks in the log."""
        try:
            self.check_log()
        except AssertionError:
            errors = [f"{record['logger']}: {record['message']}" for record in self.records() if record["error"]]
            return errors[:5] or [f"a traceback in {self.log}"]
        return []


class NativePublisher:
    """Native threads of a worker that publish, whatever the worker has patched."""

    def __init__(self, server: Workers, group: str, **options: Any) -> None:
        """Start them; ``options`` are arguments of :func:`.publish.publish_all`."""
        url = f"http://{HOST}:{server.port}/publish/{group}/?{urlencode(options)}"
        self._executor = ThreadPoolExecutor(1)
        self._answer = self._executor.submit(self._ask, url)

    @staticmethod
    def _ask(url: str) -> dict[str, Any]:
        with urlopen(url, timeout=PATIENCE) as response:  # noqa: S310 - the URL is our own server.
            reports: dict[str, Any] = json.load(response)
            return reports

    def report(self) -> dict[str, Any]:
        """Wait until they have ended, and return their reports.

        :raises OSError: there is no answer.
        """
        self._executor.shutdown()
        return self._answer.result()


class Publisher:
    """A process that publishes; see ``publish.py`` for the options."""

    def __init__(self, server: Workers, group: str, **options: Any) -> None:
        """Start it. Without a number of ``messages`` it goes on until :meth:`report`."""
        arguments = [f"--{name}={value}" for name, value in options.items()]
        if "messages" not in options:
            arguments.append("--until-eof")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.groups.publish", group, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "lab.project.settings",
                "LIVE_SETTINGS": json.dumps(server.project),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def report(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait until it has ended, and return its report.

        :raises RuntimeError: it failed.
        """
        try:
            out, err = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise RuntimeError("a publisher hangs") from None
        if self._process.returncode:
            raise RuntimeError(f"a publisher failed: {err.decode()[-2000:]}")
        reports: dict[str, Any] = json.loads(out.splitlines()[-1])
        if b"Traceback" in err:
            raise RuntimeError(f"a publisher wrote a traceback: {err.decode()[-2000:]}")
        return reports

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
