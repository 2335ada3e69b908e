"""The results as text: one table for each scenario, and one for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .figures import AMOUNTS, UNITS, Summary, summarize
from .results import Results
from .scenarios import Scenario
from .servers import SERVERS, SPLIT, baseline

MODELS = {"threads": "Threads", "eventlet": "eventlet", "gevent": "gevent", "async": "asyncio"}


def amount(value: float | None) -> str:
    """Return a number with three significant digits, or ``-`` for ``None``."""
    if value is None:
        return "-"
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def whole(value: float | None) -> str:
    """Return a number without decimals, or ``-`` for ``None``."""
    return "-" if value is None else f"{value:.0f}"


def microseconds(value: float | None) -> str:
    """Return a time: below 100 with three significant digits, else without decimals."""
    return amount(value) if value is None or value < 100 else whole(value)


def ratio(value: float | None) -> str:
    """Return a ratio with two decimals, or ``-`` for ``None``."""
    return "-" if value is None else f"{value:.2f}"


def lines(results: Results) -> Iterator[str]:
    """Return the lines of the tables of all scenarios."""
    yield describe(results)
    if results.note:
        yield results.note
    for name in results.scenarios:
        scenario = Scenario.parse(name)
        unit = UNITS[AMOUNTS[scenario.mode]]
        yield ""
        yield f"{name}: {scenario.title}"
        header = ("server", unit, "to raw", "lowest", "highest", "CPU us", "to raw", "p50 us", "p99 us", "client")
        yield from columns([header, *map(_cells, summarize(results.records, scenario))])
    for name, reason in results.skipped.items():
        yield f"{name} was skipped; {reason}"


def _cells(summary: Summary) -> tuple[str, ...]:
    if summary.amount is None:
        return (summary.server, f"failed: {summary.error[:90]}")
    client = ratio(summary.client) + ("!" if summary.saturated else "")
    figures = (summary.ratio, summary.low, summary.high)
    return (
        summary.server,
        amount(summary.amount),
        *map(ratio, figures),
        microseconds(summary.cpu_us),
        ratio(summary.cpu_ratio),
        microseconds(summary.p50_us),
        microseconds(summary.p99_us),
        client,
        *([f"{summary.failed} failed"] if summary.failed else []),
    )


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return aligned rows, with the first column on the left and the others on the right."""
    count = max(map(len, rows))
    # A row of two cells is a name and a text of any length, which does not widen its column.
    widths = [max((len(row[n]) for row in rows if len(row) > max(n, 2)), default=0) for n in range(count)]
    for row in rows:
        first, *others = row
        if len(row) == 2:
            yield f"{first:{widths[0]}}  {others[0]}"
        else:
            yield "  ".join(
                [f"{first:{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=False))]
            )


def describe(results: Results) -> str:
    """Return one sentence on where the figures are from."""
    machine, options = results.machine, results.options
    return (
        f"{results.date} UTC, {results.versions['Python']}, {machine['processors']} x {machine['processor']}, "
        f"{machine['system']}; {options['rounds']} rounds of {options['window']:g} s, client {options['client']}"
    )


def restructured(results: Results) -> Iterator[str]:
    """Return the lines of a table of all servers and scenarios for the documentation."""
    scenarios = [Scenario.parse(name) for name in results.scenarios]
    found = {scenario: {each.server: each for each in summarize(results.records, scenario)} for scenario in scenarios}
    yield ".. list-table::"
    yield "    :header-rows: 1"
    yield ""
    yield from _row(["", *(scenario.title for scenario in scenarios)])
    for model, title in MODELS.items():
        for server in SERVERS.values():
            if server.model != model or server.name.endswith(SPLIT):
                continue
            # The raw servers of a model share a row, which shows for each scenario the one that is the baseline.
            names = [baseline(server, scenario) if server.raw else server.name for scenario in scenarios]
            summaries = [found[scenario].get(name) for scenario, name in zip(scenarios, names, strict=True)]
            if any(summaries):
                name = f"**{server.title}**" if server.ours else server.title
                cells = (_documented(*each) for each in zip(summaries, scenarios, strict=True))
                yield from _row([f"{title}: {name}", *cells])


def _documented(summary: Summary | None, scenario: Scenario) -> str:
    if summary is None:
        return ""
    if summary.amount is None:
        return "failed"
    if scenario.mode == "idle":
        return f"{summary.amount:.0f} KiB"
    cost = f", {microseconds(summary.cpu_us)} µs" if summary.cpu_us else ""
    return f"| {ratio(summary.ratio)}\n        | {amount(summary.amount)}/s{cost}"


def _row(cells: Sequence[str]) -> Iterator[str]:
    for number, cell in enumerate(cells):
        yield f"    {'  ' if number else '* '}- {cell}".rstrip()
