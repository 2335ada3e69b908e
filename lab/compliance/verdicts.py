"""The cases of the Autobahn test suite, and the verdict that is expected on each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeAlias

#: The contents of ``expected.json``: the number of cases of each group, the patterns of the quick cases, and the
#: expected verdicts other than OK.
TABLE: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("expected.json").read_text(encoding="utf-8"))
CASES: Final = tuple(f"{group}.{number}" for group, size in TABLE["cases"].items() for number in range(1, size + 1))

#: Autobahn judges each case twice: the messages that came back, and the way the connection was closed.
JUDGEMENTS: Final = ("behavior", "behaviorClose")

#: The results of a run by case, as Autobahn writes them to ``index.json``.
Results: TypeAlias = Mapping[str, Mapping[str, Any]]


def select(patterns: Iterable[str]) -> list[str]:
    """Return the cases that match ``patterns``, in order: ``quick``, ``all``, or patterns of a shell as ``9.[12].*``.

    :raises ValueError: a pattern matches no case.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        names = {"all": ["*"], "quick": TABLE["quick"]}.get(pattern, [pattern])
        for name in names:
            found = [case for case in CASES if fnmatchcase(case, name)]
            if not found:
                raise ValueError(f"there is no case {name}")
            chosen.update(found)
    return [case for case in CASES if case in chosen]


def deviations(cases: Sequence[str], results: Results, expected: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a line for each result that differs from the expected one; ``cases`` are those that were asked for.

    A case that is better than expected differs too, because the table must be true.
    """
    found = []
    for case in cases:
        if case not in results:
            found.append(f"{case} was not run")
            continue
        for judgement in JUDGEMENTS:
            wanted = expected.get(case, {}).get(judgement, "OK")
            got = results[case][judgement]
            if got != wanted:
                found.append(f"{case} has {judgement} {got}, not {wanted}")
    return found + [f"{case} was not asked for" for case in results if case not in cases]


def summary(results: Results) -> Iterator[str]:
    """Return a table of the results: for each group the number of cases, their verdicts, and the time they took."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case, result in results.items():
        groups.setdefault(case.partition(".")[0], []).append(result)
    rows = sorted(groups.items(), key=lambda item: int(item[0]))
    if rows:
        rows.append(("all", [*results.values()]))
    for name, group in rows:
        counts = Counter(_worst(result) for result in group).most_common()
        seconds = sum(result["duration"] for result in group) / 1000
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts)
        yield f"{name:>4} {len(group):4} cases {seconds:8.1f} s   {said}"


def _worst(result: Mapping[str, Any]) -> str:
    """Return the first of the two verdicts that is not OK, or OK."""
    return next((result[judgement] for judgement in JUDGEMENTS if result[judgement] != "OK"), "OK")
