"""The containers of the documentation, each run as a process of this machine."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from lab.servers import ROOT

DEPLOY: Final = ROOT / "example_project" / "deploy"
#: Where the clone is in a container.
CLONE: Final = "/srv/example"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE: Final = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def instructions(name: str) -> list[str]:
    """Return what follows each instruction with a name in the Dockerfile."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


def command_of(service: str) -> list[str]:
    """Return the command of a service: its own, or that of the image which is built here."""
    described = COMPOSE["services"][service]
    if "command" in described:
        return list(described["command"])
    assert "build" in described
    (command,) = instructions("CMD")
    return list(yaml.safe_load(command))


def environment_of(service: str, variables: dict[str, str]) -> dict[str, str]:
    """Return the environment of a service; ``variables`` are those in which Compose itself runs."""

    def fill(match: re.Match[str]) -> str:
        return variables[match[1]]

    described = COMPOSE["services"][service].get("environment", {})
    return {name: re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", fill, value) for name, value in described.items()}


def here(command: list[str]) -> list[str]:
    """Return a command with the interpreter of the tests in the place of the container's."""
    if command[0] == "gunicorn":
        return [sys.executable, "-m", *command]
    if command[0] == "python":
        return [sys.executable, *command[1:]]
    assert command[:2] == ["sh", "-c"]
    return [*command[:2], re.sub(r"\bpython\b", shlex.quote(sys.executable), command[2])]


def working_directory() -> Path:
    """Return where the image runs its command, in this clone."""
    return Path(instructions("WORKDIR")[-1].replace(CLONE, str(ROOT)))
