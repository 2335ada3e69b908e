"""Results in the documentation: tables and two drawings, which ``docs/performance.rst`` includes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ..servers import ROOT
from . import plot, publishing, table
from .results import Results
from .scenarios import PUBLISHING, Scenario

FOLDER: Final = ROOT / "docs" / "performance"
#: The files that the page includes: on echoes, and on publishing. The first line of each names the results it was made
#: from, which may be of different runs.
ECHOES: Final = "results.txt"
FANS: Final = "fan-out.txt"
_COMMENT: Final = ".. Made by python -m lab.benchmarks publish "


def publish(path: Path, folder: Path = FOLDER) -> list[Path]:
    """Write the files that are made from the results at ``path``, and return their paths."""
    folder.mkdir(exist_ok=True)
    written = []
    for name, text in render(path).items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written


def render(path: Path) -> dict[str, str]:
    """Return the files that are made from the results at ``path``, by name.

    Results without publishing, or with nothing else, replace a part of the documentation only.
    """
    results = Results.load(path)
    files: dict[str, str] = {}
    modes = {Scenario.parse(name).mode for name in results.scenarios}
    if modes - PUBLISHING:
        drawings = {f"ratios-{kind}.svg": plot.draw(results, dark=kind == "dark") for kind in ("light", "dark")}
        content = (*_drawn(drawings), *table.restructured(results))
        files = {ECHOES: _page(results, path.name, content), **drawings}
    if "fan" in modes:
        files[FANS] = _page(results, path.name, publishing.restructured(results))
    return files


def source(included: str, folder: Path = FOLDER) -> str:
    """Return the name of the results that an included file was made from."""
    first = (folder / included).read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix(_COMMENT)


def _page(results: Results, name: str, content: Iterable[str]) -> str:
    taken = ", ".join(f"{name} {version}" for name, version in results.versions.items() if name != "Python")
    lines = [
        f"{_COMMENT}{name}",
        "",
        f"{table.describe(results)}. The file is ``lab/benchmarks/results/{name}``.",
        "",
        *([f".. note:: {results.note}", ""] if results.note else []),
        *content,
        "",
        f"Versions: {taken}.",
        "",
    ]
    return "\n".join(lines)


def _drawn(drawings: Iterable[str]) -> Iterator[str]:
    for drawing in drawings:
        kind = drawing.removesuffix(".svg").rpartition("-")[2]
        yield f".. image:: performance/{drawing}"
        yield f"    :class: only-{kind}"
        yield "    :width: 100%"
        yield "    :alt: Messages a second as a multiple of the raw socket server of the same kind"
        yield ""
