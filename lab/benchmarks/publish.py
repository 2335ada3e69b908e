"""Results in the documentation: tables and two drawings, which ``docs/performance.rst`` includes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ..servers import ROOT
from . import counts, plot, publishing, results, table
from .results import Results
from .scenarios import PUBLISHING, Scenario

FOLDER: Final = ROOT / "docs" / "performance"
#: The files that the page includes: on echoes, on what README.rst quotes of several libraries, on publishing, and on
#: instructions. The first line of each names the results it was made from, which may be of different runs.
ECHOES: Final = "results.txt"
COMPARISON: Final = "comparison.txt"
FANS: Final = "fan-out.txt"
COUNTS: Final = "instructions.txt"
#: The scenarios that README.rst quotes. A run of just these is a comparison of libraries.
COMPARED: Final = frozenset({"pp-50x125", "connect-16", "idle-1000"})
_COMMENT: Final = ".. Made by python -m lab.benchmarks publish "


def publish(paths: Iterable[Path], folder: Path = FOLDER) -> list[Path]:
    """Write the files that are made from results, and return their paths.

    Results replace the parts of the documentation that they are about. The other parts stay as they are, but for the
    drawings, which show both echoes and publishing.
    """
    folder.mkdir(exist_ok=True)
    sources = {part: results.FOLDER / source(part, folder) for part in _PARTS if (folder / part).exists()}
    for path in paths:
        sources |= dict.fromkeys(parts(Results.load(path)), path)
    written = []
    for name, text in render(sources).items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written


def parts(found: Results) -> set[str]:
    """Return the files that results are for."""
    if found.counted:
        return {COUNTS}
    if set(found.scenarios) == COMPARED:
        return {COMPARISON}
    modes = {Scenario.parse(name).mode for name in found.scenarios}
    return {name for name, there in ((ECHOES, modes - PUBLISHING), (FANS, "fan" in modes)) if there}


def render(sources: Mapping[str, Path]) -> dict[str, str]:
    """Return the files of the documentation, by name; ``sources`` has the path of the results for each part."""
    loaded = {part: Results.load(path) for part, path in sources.items()}
    drawings: dict[str, str] = {}
    if ECHOES in loaded:
        for kind in ("light", "dark"):
            drawings[f"ratios-{kind}.svg"] = plot.draw(loaded[ECHOES], loaded.get(FANS), dark=kind == "dark")
    pages = {
        part: _page(found, sources[part].name, [*(_drawn(drawings) if part == ECHOES else ()), *_PARTS[part](found)])
        for part, found in loaded.items()
    }
    return {**pages, **drawings}


#: What writes the content of each part.
_PARTS: Final[Mapping[str, Callable[[Results], Iterator[str]]]] = {
    ECHOES: table.restructured,
    COMPARISON: table.restructured,
    FANS: publishing.restructured,
    COUNTS: counts.restructured,
}


def source(included: str, folder: Path = FOLDER) -> str:
    """Return the name of the results that an included file was made from."""
    first = (folder / included).read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix(_COMMENT)


def _page(found: Results, name: str, content: Iterable[str]) -> str:
    taken = ", ".join(f"{name} {version}" for name, version in found.versions.items() if name != "Python")
    lines = [
        f"{_COMMENT}{name}",
        "",
        f"{table.describe(found)}. The file is ``lab/benchmarks/results/{name}``.",
        "",
        *([f".. note:: {found.note}", ""] if found.note else []),
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
