"""The cases of the Autobahn test suite, and what it should say of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, TypeAlias

#: What ``expected.json`` says: how many cases each group has, the patterns of the quick ones, and the verdicts on
#: those that are to be something else than OK.
TABLE: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("expected.json").read_text(encoding="utf-8"))
CASES: Final = tuple(f"{group}.{number}" for group, size in TABLE["cases"].items() for number in range(1, size + 1))

#: Autobahn judges each case twice: what came, and how it was closed.
JUDGEMENTS: Final = ("behavior", "behaviorClose")

#: The results of a run, as Autobahn's ``index.json`` has them, by case.
Results: TypeAlias = Mapping[str, Mapping[str, Any]]


def select(patterns: Iterable[str]) -> list[str]:
    """Give the cases that ``patterns`` mean, in order: ``quick``, ``all``, or those of a shell, as in ``9.[12].*``.

    :raises ValueError: a pattern without a case.
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
    """Compare the results of a run that was to have these cases with what is expected; give what differs.

    A case that is better than expected differs too: the table is to say what is so.
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
    """Give a table of the results: for each group how many cases, what was said of them, and the time they took."""
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
    """Give the one verdict of two that is not OK, if there is one."""
    return next((result[judgement] for judgement in JUDGEMENTS if result[judgement] != "OK"), "OK")
