"""Results in the documentation: a table and two drawings, which ``docs/performance.rst`` includes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..servers import ROOT
from . import plot, table
from .results import Results

FOLDER: Final = ROOT / "docs" / "performance"
#: The file that the page includes. Its first line names the results it was made from.
INCLUDED: Final = "results.txt"
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
    """Return the files that are made from the results at ``path``, by name."""
    results = Results.load(path)
    drawings = {f"ratios-{kind}.svg": plot.draw(results, dark=kind == "dark") for kind in ("light", "dark")}
    return {INCLUDED: "\n".join(_page(results, path.name, drawings)) + "\n", **drawings}


def source(folder: Path = FOLDER) -> str:
    """Return the name of the results that the documentation shows."""
    first = (folder / INCLUDED).read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix(_COMMENT)


def _page(results: Results, name: str, drawings: dict[str, str]) -> Iterator[str]:
    yield f"{_COMMENT}{name}"
    yield ""
    yield f"{table.describe(results)}. The file is ``lab/benchmarks/results/{name}``."
    yield ""
    if results.note:
        yield f".. note:: {results.note}"
        yield ""
    for drawing in drawings:
        kind = drawing.removesuffix(".svg").rpartition("-")[2]
        yield f".. image:: performance/{drawing}"
        yield f"    :class: only-{kind}"
        yield "    :width: 100%"
        yield "    :alt: Messages a second as a multiple of the raw socket server of the same kind"
        yield ""
    yield from table.restructured(results)
    yield ""
    taken = ", ".join(f"{name} {version}" for name, version in results.versions.items() if name != "Python")
    yield f"Versions: {taken}."
