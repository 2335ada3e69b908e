"""The file of a run: every window as it was measured, with the date, the machine and the versions."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import django_websocket
from django_websocket import speedups

FOLDER: Final = Path(__file__).parent / "results"
#: Packages whose versions are noted where they are installed.
PACKAGES: Final = (
    "Django",
    "eventlet",
    "gevent",
    "greenlet",
    "gunicorn",
    "websockets",
    "flask-sock",
    "simple-websocket",
    "gevent-websocket",
    "wsaccel",
    "channels",
    "channels-redis",
    "redis",
    "uvicorn",
    "picows",
    "uvloop",
)


@dataclass
class Results:
    """All that is known of a run."""

    #: In UTC, to the minute.
    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    #: How it was run: rounds, seconds, the client; or the tool that counted instructions.
    options: dict[str, Any]
    scenarios: list[str]
    #: A remark on this run for readers of its results.
    note: str = ""
    #: The servers that did not take part, and why, by name.
    skipped: dict[str, str] = field(default_factory=dict)
    #: See :data:`.figures.Record`.
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def counted(self) -> bool:
        """Whether these are counts of instructions, and not measurements of time and memory."""
        return "tool" in self.options

    @classmethod
    def begin(cls, scenarios: Iterable[str], options: dict[str, Any]) -> Results:
        """Return the results of a run that begins now, on this machine."""
        date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")
        return cls(date, machine(), versions(), options, list(scenarios))

    @classmethod
    def load(cls, path: Path) -> Results:
        """Return the results in a file."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def save(self, path: Path) -> None:
        """Write the results to a file, with a line for each record."""
        head = {key: value for key, value in asdict(self).items() if key != "records"}
        lines = ",\n".join(f"  {json.dumps(record)}" for record in self.records)
        text = json.dumps(head, indent=1).removesuffix("\n}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{text},\n "records": [\n{lines}\n ]\n}}\n', encoding="utf-8")


def new_path(date: str) -> Path:
    """Return a path for the results of a date at which there is no file yet."""
    day = date.partition(" ")[0]
    path, number = FOLDER / f"{day}.json", 1
    while path.exists():
        number += 1
        path = FOLDER / f"{day}-{number}.json"
    return path


def machine() -> dict[str, Any]:
    """Return a description of this machine."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model or platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that take part, and of Python."""
    found = {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "django-websocket": django_websocket.__version__,
        # The compiled modules in use.
        "compiled": " ".join(name for name in speedups.NAMES if speedups.load(name) is not None) or "nothing",
    }
    git = shutil.which("git")
    if git is not None:
        command = [git, "-C", str(FOLDER.parent), "describe", "--always", "--dirty"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            found["revision"] = answer.stdout.strip()
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
