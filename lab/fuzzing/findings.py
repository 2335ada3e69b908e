"""The findings: inputs that break an invariant, and the result of a run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

#: git ignores this folder: a finding becomes a test.
DIRECTORY: Final = Path(__file__).parent / "findings"


@dataclass
class Result:
    """The result of fuzzing one target."""

    executions: int = 0
    #: Lines and branches reached, as the engine counts them; ``None``: it does not count.
    coverage: int | None = None
    #: The number of different outcomes of inputs; ``None``: the engine does not count them.
    outcomes: int | None = None
    #: Files with an input that breaks the invariant, each with the reason.
    findings: list[tuple[Path, str]] = field(default_factory=list)
    #: The reason why the run itself failed; empty: it did not.
    failure: str = ""


def save(directory: Path, target: str, data: bytes) -> Path:
    """Save an input that breaks the invariant of a target, and return the path of the file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
