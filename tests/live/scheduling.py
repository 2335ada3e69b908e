"""Which tests stay together on one worker of pytest-xdist, and in which order the live ones are run.

A server that several tests use is started by a worker, and for that worker. Its tests have one ``xdist_group``, so that
``--dist loadgroup`` gives all of them to the worker that has started it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Any

import pytest

#: Seconds that a test may take which does not say otherwise; see pyproject.toml.
TIMEOUT = 120


def group_of(item: pytest.Item) -> str:
    """Return the group of a test; ``""``: it has none."""
    return "_".join(sorted({mark.args[0] for mark in item.iter_markers("xdist_group")}))


def arrange(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests group by group: those whose tests may take long in turn with the others, the biggest first.

    What may take long mostly waits, and leaves the processors to the others meanwhile. At the end it would run alone.
    """
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(group_of(item) or item.nodeid, []).append(item)
    long = [group for group in groups.values() if _patience_for(group) > TIMEOUT]
    short = [group for group in groups.values() if _patience_for(group) <= TIMEOUT]
    long.sort(key=_patience_for, reverse=True)
    short.sort(key=len, reverse=True)
    return [*chain.from_iterable(chain.from_iterable(zip_longest(long, short, fillvalue=[])))]


def _patience_for(group: list[pytest.Item]) -> float:
    """Return the seconds that even the quickest test of a group may take."""
    marks: list[Any] = [item.get_closest_marker("timeout") for item in group]
    return min(mark.args[0] if mark else TIMEOUT for mark in marks)


def show_group(item: pytest.Item) -> None:
    """Append the group of a test to its id, which is where the scheduler looks for it.

    pytest-xdist does so itself, but up to version 3.8 in an attribute that pytest does not read any more since version
    9.2. It loses all groups then, without a word: https://github.com/pytest-dev/pytest-xdist/issues/1386.
    """
    group = group_of(item)
    if group and not item.nodeid.endswith(f"@{group}"):
        item._id = type(item._id).parse(f"{item.nodeid}@{group}")
