"""Where an input that breaks an invariant goes, and what a run has found."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

#: Not in the repository: what is found here becomes a test.
DIRECTORY: Final = Path(__file__).parent / "findings"


@dataclass
class Result:
    """What came of fuzzing one target."""

    executions: int = 0
    #: Lines and branches as the engine counts them; ``None`` where it does not.
    coverage: int | None = None
    #: Different ends that inputs came to; ``None`` where the engine does not count them.
    outcomes: int | None = None
    #: Files with an input that breaks the invariant, and why.
    findings: list[tuple[Path, str]] = field(default_factory=list)
    #: Why the run itself failed, when it did.
    failure: str = ""


def save(directory: Path, target: str, data: bytes) -> Path:
    """Save an input that breaks the invariant of a target."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
