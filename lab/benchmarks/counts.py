"""Counts of instructions as text: one table for each scenario, and one for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import listing
from .figures import Record, of_servers, ratios
from .formats import columns, ratio
from .results import Results
from .scenarios import Scenario
from .servers import SERVERS, baseline

#: The key of a record.
COUNT = "instructions"


def lines(results: Results, scenario: Scenario) -> Iterator[str]:
    """Return the lines of the table of a scenario."""
    found = _of_servers(results, scenario)
    rows: list[tuple[str, ...]] = [("server", COUNT, "to raw")]
    for server, record in found.items():
        if "error" in record:
            rows.append((server, f"failed: {str(record['error'])[:90]}"))
        else:
            rows.append((server, f"{record[COUNT]:.0f}", ratio(_to_other(server, found, scenario))))
    yield from columns(rows)


def restructured(results: Results) -> Iterator[str]:
    """Return the lines of a table of all servers and scenarios, for the documentation."""
    found = {scenario: _of_servers(results, scenario) for scenario in map(Scenario.parse, results.scenarios)}
    yield from listing.restructured(found, _cell)


def _cell(record: Record, _scenario: Scenario) -> str:
    return "failed" if "error" in record else f"{record[COUNT]:,.0f}"


def _of_servers(results: Results, scenario: Scenario) -> dict[str, Record]:
    return {server: rounds[0] for server, rounds in of_servers(results.records, scenario).items()}


def _to_other(server: str, found: Mapping[str, Record], scenario: Scenario) -> float | None:
    """Return the instructions of a server divided by those of the one it is compared with."""
    other = found.get(baseline(SERVERS[server], scenario), {})
    return next(iter(ratios({0: found[server][COUNT]}, {0: other.get(COUNT)})), None)
