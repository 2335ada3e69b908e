"""What the records of a run say: ratios within each round, and their medians."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from .scenarios import Scenario
from .servers import SERVERS, baseline

#: What the load client says of one window, with the names of scenario and server and the number of the round.
Record: TypeAlias = Mapping[str, Any]

#: The key of the figure that tells how much a server does; at ``idle`` less is more.
AMOUNTS: Final = {
    "pingpong": "msgs_per_s",
    "pipeline": "msgs_per_s",
    "connect": "cycles_per_s",
    "idle": "pss_kb_per_conn",
}
UNITS: Final = {"msgs_per_s": "messages/s", "cycles_per_s": "cycles/s", "pss_kb_per_conn": "KiB each"}
#: Share of a processor from which on a client is taken to be the limit.
SATURATED: Final = 0.95


@dataclass(frozen=True)
class Summary:
    """One server in one scenario: medians of its rounds."""

    server: str
    #: Messages or cycles a second, or KiB of memory for an idle connection; ``None``: it failed in every round.
    amount: float | None
    #: How many times the raw server's amount that is; lowest and highest round; ``None``: it was not measured.
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    #: Microseconds of processor time for each message, and how many times less than the raw server's.
    cpu_us: float | None = None
    cpu_ratio: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    #: The highest share of a processor that the client took in a round.
    client: float | None = None
    #: Rounds that failed, and what the last of them said.
    failed: int = 0
    error: str = ""

    @property
    def saturated(self) -> bool:
        """Whether the client may have been the limit, so that the server can do more."""
        return self.client is not None and self.client >= SATURATED


def ratios(
    ours: Mapping[int, float | None], theirs: Mapping[int, float | None], *, inverse: bool = False
) -> list[float]:
    """Give one quotient for each round that has both figures: both are of the same minute, so noise is in both."""
    pairs = [(ours[number], theirs.get(number)) for number in ours]
    return [b / a if inverse else a / b for a, b in pairs if a and b]


def median(values: Iterable[float | None]) -> float | None:
    """Give the median of the values that are there."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def summarize(records: Sequence[Record], scenario: Scenario) -> list[Summary]:
    """Give a summary of every server that took part in a scenario, in their order."""
    rounds: dict[str, dict[int, Record]] = {}
    for record in records:
        # A server that is not in the table any more cannot be compared.
        if record["scenario"] == scenario.name and record["server"] in SERVERS:
            rounds.setdefault(record["server"], {})[record["round"]] = record
    return [_summary(server, rounds, scenario) for server in rounds]


def _summary(server: str, rounds: Mapping[str, Mapping[int, Record]], scenario: Scenario) -> Summary:
    own = rounds[server]
    good = {number: record for number, record in own.items() if "error" not in record}
    errors = [str(record["error"]) for record in own.values() if "error" in record]
    if not good:
        return Summary(server, None, failed=len(errors), error=errors[-1])
    raw = rounds.get(baseline(SERVERS[server], scenario), {})
    amount = AMOUNTS[scenario.mode]

    def each(of: Mapping[int, Record], key: str) -> dict[int, float | None]:
        return {number: record.get(key) for number, record in of.items()}

    found = ratios(each(good, amount), each(raw, amount))
    cpu = ratios(each(good, "server_cpu_us"), each(raw, "server_cpu_us"), inverse=True)
    client = [record["client_cpu_share"] for record in good.values() if "client_cpu_share" in record]
    return Summary(
        server,
        median(each(good, amount).values()),
        ratio=median(found),
        low=min(found, default=None),
        high=max(found, default=None),
        cpu_us=median(each(good, "server_cpu_us").values()),
        cpu_ratio=median(cpu),
        p50_us=median(each(good, "p50_us").values()),
        p99_us=median(each(good, "p99_us").values()),
        client=max(client, default=None),
        failed=len(errors),
        error=errors[-1] if errors else "",
    )
