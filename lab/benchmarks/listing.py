"""Tables of the documentation: a row for each server, and a column for each scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from .formats import row
from .scenarios import Scenario
from .servers import MODELS, SERVERS, SPLIT, Server, baseline

T = TypeVar("T")


def restructured(found: Mapping[Scenario, Mapping[str, T]], cell: Callable[[T, Scenario], str]) -> Iterator[str]:
    """Return the lines of a table; ``found`` has, for each scenario, what is known of each server by its name."""
    yield ".. list-table::"
    yield "    :header-rows: 1"
    yield ""
    yield from row(["", *(scenario.title for scenario in found)])
    for model, title in MODELS.items():
        for server in SERVERS.values():
            if server.model != model or server.name.endswith(SPLIT):
                continue
            there = [(scenario, servers.get(_shown(server, scenario))) for scenario, servers in found.items()]
            if any(each is not None for _, each in there):
                name = f"**{server.title}**" if server.ours else server.title
                cells = ("" if each is None else cell(each, scenario) for scenario, each in there)
                yield from row([f"{title}: {name}", *cells])


def _shown(server: Server, scenario: Scenario) -> str:
    """Return the name of the server whose figure stands in the row of a server.

    The raw servers of a model share a row, which shows for each scenario the one that others are compared with.
    """
    other = baseline(server, scenario)
    return other if server.raw and SERVERS[other].raw else server.name
