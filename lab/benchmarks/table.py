"""The results as text: one table for each scenario, and one for the documentation."""

from __future__ import annotations

from collections.abc import Iterator

from . import counts, listing, publishing
from .figures import AMOUNTS, UNITS, Summary, summarize
from .formats import amount, columns, microseconds, ratio
from .results import Results
from .scenarios import PUBLISHING, Scenario


def lines(results: Results, against: str = "") -> Iterator[str]:
    """Return the lines of the tables of all scenarios; ``against`` as for :func:`.summarize`."""
    yield describe(results)
    if results.note:
        yield results.note
    for name in results.scenarios:
        scenario = Scenario.parse(name)
        yield ""
        yield f"{name}: {scenario.title}"
        if results.counted:
            yield from counts.lines(results, scenario)
            continue
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
    if results.counted:
        return f"{results.date} UTC, {results.versions['Python']}, {machine['processor']}; counted by callgrind"
    return (
        f"{results.date} UTC, {results.versions['Python']}, {machine['processors']} x {machine['processor']}, "
        f"{machine['system']}; {options['rounds']} rounds of {options['window']:g} s, client {options['client']}"
    )


def restructured(results: Results) -> Iterator[str]:
    """Return the lines of a table of all servers, and all scenarios with echoes, for the documentation."""
    scenarios = [one for one in map(Scenario.parse, results.scenarios) if one.mode not in PUBLISHING]
    found = {scenario: {each.server: each for each in summarize(results.records, scenario)} for scenario in scenarios}
    yield from listing.restructured(found, _documented)


def _documented(summary: Summary, scenario: Scenario) -> str:
    if summary.amount is None:
        return "failed"
    if scenario.mode == "idle":
        return f"{summary.amount:.0f} KiB"
    cost = f", {microseconds(summary.cpu_us)} µs" if summary.cpu_us else ""
    return f"| {ratio(summary.ratio)}\n        | {amount(summary.amount)}/s{cost}"
