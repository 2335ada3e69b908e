"""The results as text: one table for each scenario, and one for the documentation."""

from __future__ import annotations

from collections.abc import Iterator

from . import publishing
from .figures import AMOUNTS, UNITS, Summary, summarize
from .formats import amount, columns, microseconds, ratio, row
from .results import Results
from .scenarios import PUBLISHING, Scenario
from .servers import MODELS, SERVERS, SPLIT, Server, baseline


def lines(results: Results, against: str = "") -> Iterator[str]:
    """Return the lines of the tables of all scenarios; ``against`` as for :func:`.summarize`."""
    yield describe(results)
    if results.note:
        yield results.note
    for name in results.scenarios:
        scenario = Scenario.parse(name)
        yield ""
        yield f"{name}: {scenario.title}"
        if scenario.mode in PUBLISHING:
            yield from publishing.lines(results.records, scenario)
            continue
        unit = UNITS[AMOUNTS[scenario.mode]]
        to = f"to {against or ('least' if scenario.mode == 'connect' else 'raw')}"
        header = ("server", unit, to, "lowest", "highest", "CPU us", to, "p50 us", to, "p99 us", "client")
        yield from columns([header, *map(_cells, summarize(results.records, scenario, against))])
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
        ratio(summary.p50_ratio),
        microseconds(summary.p99_us),
        client,
        *([f"{summary.failed} failed"] if summary.failed else []),
    )


def describe(results: Results) -> str:
    """Return one sentence on where the figures are from."""
    machine, options = results.machine, results.options
    return (
        f"{results.date} UTC, {results.versions['Python']}, {machine['processors']} x {machine['processor']}, "
        f"{machine['system']}; {options['rounds']} rounds of {options['window']:g} s, client {options['client']}"
    )


def restructured(results: Results) -> Iterator[str]:
    """Return the lines of a table of all servers, and all scenarios with echoes, for the documentation."""
    scenarios = [one for one in map(Scenario.parse, results.scenarios) if one.mode not in PUBLISHING]
    found = {scenario: {each.server: each for each in summarize(results.records, scenario)} for scenario in scenarios}
    yield ".. list-table::"
    yield "    :header-rows: 1"
    yield ""
    yield from row(["", *(scenario.title for scenario in scenarios)])
    for model, title in MODELS.items():
        for server in SERVERS.values():
            if server.model != model or server.name.endswith(SPLIT):
                continue
            # The raw servers of a model share a row, which shows for each scenario the one that is the baseline.
            names = [_shown(server, scenario) for scenario in scenarios]
            summaries = [found[scenario].get(name) for scenario, name in zip(scenarios, names, strict=True)]
            if any(summaries):
                name = f"**{server.title}**" if server.ours else server.title
                cells = (_documented(*each) for each in zip(summaries, scenarios, strict=True))
                yield from row([f"{title}: {name}", *cells])


def _shown(server: Server, scenario: Scenario) -> str:
    """Return the name of the server whose figure stands in the row of a server."""
    other = baseline(server, scenario)
    return other if server.raw and SERVERS[other].raw else server.name


def _documented(summary: Summary | None, scenario: Scenario) -> str:
    if summary is None:
        return ""
    if summary.amount is None:
        return "failed"
    if scenario.mode == "idle":
        return f"{summary.amount:.0f} KiB"
    cost = f", {microseconds(summary.cpu_us)} µs" if summary.cpu_us else ""
    return f"| {ratio(summary.ratio)}\n        | {amount(summary.amount)}/s{cost}"
