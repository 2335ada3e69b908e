"""The results of publishing as text: one table for each scenario, and one for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from .figures import Record, median, of_servers
from .formats import amount, columns, microseconds, ratio, row, whole
from .results import Results
from .scenarios import Scenario
from .servers import MODELS, SERVERS


class Column(NamedTuple):
    """A column of a table: its title, the key of a record, and how the figure is written."""

    title: str
    key: str
    form: Callable[[float | None], str]
    #: How the figures of all rounds become one.
    choose: Callable[[Sequence[float | None]], float | None] = median


def _lowest(values: Sequence[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _highest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


COLUMNS: Final = {
    "fan": (
        Column("deliveries/s", "deliveries_per_s", amount),
        Column("CPU us", "group_cpu_us", microseconds),
        Column("bare us", "bare_cpu_us", microseconds),
        Column("to bare", "group_to_bare", ratio),
        Column("lowest", "group_to_bare", ratio, _lowest),
        Column("highest", "group_to_bare", ratio, _highest),
        Column("each to bare", "each_to_bare", ratio),
        Column("process us", "server_cpu_us", microseconds),
        Column("last us", "group_last_us", whole),
        Column("bare last us", "bare_last_us", whole),
        Column("KiB idle", "pss_kb_per_idle", amount),
        Column("KiB more", "pss_kb_per_member", amount),
        Column("client", "client_cpu_share", ratio, _highest),
    ),
    "slow": (
        Column("p50 us", "p50_us", whole),
        Column("without", "p50_without_us", whole),
        Column("p99 us", "p99_us", whole),
        Column("without", "p99_without_us", whole),
        Column("p99 to without", "p99_to_without", ratio),
        Column("lowest", "p99_to_without", ratio, _lowest),
        Column("highest", "p99_to_without", ratio, _highest),
        Column("overflows", "overflows", whole),
        Column("told", "told", whole),
        Column("ended", "ended", whole),
        Column("members left", "members_left", whole),
        Column("views left", "views_left", whole),
        Column("KiB more", "rss_kb_more", whole),
        Column("after", "rss_kb_after", whole),
    ),
}


def lines(records: Sequence[Record], scenario: Scenario) -> Iterator[str]:
    """Return the lines of the table of a scenario."""
    chosen = COLUMNS[scenario.mode]
    rows: list[tuple[str, ...]] = [("server", *(column.title for column in chosen))]
    for server, rounds in of_servers(records, scenario).items():
        good = [record for record in rounds.values() if "error" not in record]
        if not good:
            rows.append((server, f"failed: {str(next(iter(rounds.values()))['error'])[:90]}"))
            continue
        cells = [column.form(column.choose([record.get(column.key) for record in good])) for column in chosen]
        failed = len(rounds) - len(good)
        rows.append((server, *cells, *([f"{failed} failed"] if failed else [])))
    yield from columns(rows)


def restructured(results: Results) -> Iterator[str]:
    """Return the lines of a table for each scenario of the mode ``fan``, for the documentation."""
    for scenario in map(Scenario.parse, results.scenarios):
        if scenario.mode == "fan":
            yield f"{scenario.title}:"
            yield ""
            yield from _table(of_servers(results.records, scenario))


def _table(found: Mapping[str, Mapping[int, Record]]) -> Iterator[str]:
    yield ".. list-table::"
    yield "    :header-rows: 1"
    yield ""
    yield from row(["", "all members at once", "one member after another", "all of the server"])
    for model, title in MODELS.items():
        for server in SERVERS.values():
            if server.model == model and server.name in found:
                name = f"**{server.title}**" if server.ours else server.title
                yield from row([f"{title}: {name}", *_cells(list(found[server.name].values()))])


def _cells(rounds: Sequence[Record]) -> Iterator[str]:
    good = [record for record in rounds if "error" not in record]
    if not good:
        yield from ("failed", "", "")
        return

    def figure(key: str) -> float | None:
        return median(record.get(key) for record in good)

    for way in ("group", "each"):
        to_bare = figure(f"{way}_to_bare")
        # Where messages go through Redis, the thread that publishes does not deliver.
        cpu = microseconds(figure(f"{way}_cpu_us"))
        yield "" if to_bare is None else f"| {ratio(to_bare)}\n        | {cpu} µs"
    yield f"{microseconds(figure('server_cpu_us'))} µs"
