"""The figures of a run: ratios within each round, and their medians."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from .scenarios import Scenario
from .servers import SERVERS, baseline

#: The answer of the load client for one window, with the names of scenario and server and the number of the round.
Record: TypeAlias = Mapping[str, Any]

#: The key of the main figure of each mode. More is better, but for ``idle``.
AMOUNTS: Final = {
    "pingpong": "msgs_per_s",
    "pipeline": "msgs_per_s",
    "corked": "msgs_per_s",
    "connect": "cycles_per_s",
    "idle": "pss_kb_per_conn",
}
UNITS: Final = {"msgs_per_s": "messages/s", "cycles_per_s": "cycles/s", "pss_kb_per_conn": "KiB each"}
#: Share of a processor from which on the client counts as the limit.
SATURATED: Final = 0.95


@dataclass(frozen=True)
class Summary:
    """The medians of the rounds of one server in one scenario."""

    server: str
    #: Messages or cycles a second, or KiB of memory for an idle connection; ``None``: it failed in every round.
    amount: float | None
    #: The amount divided by that of the server it is compared with: median, lowest and highest round; ``None``: that
    #: was not measured.
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    #: Microseconds of processor time for each message, and those of the other server divided by them.
    cpu_us: float | None = None
    cpu_ratio: float | None = None
    p50_us: float | None = None
    #: The median latency of the other server, divided by this one's.
    p50_ratio: float | None = None
    p99_us: float | None = None
    #: The highest share of a processor that the client used in a round.
    client: float | None = None
    #: The number of rounds that failed, and the error of the last of them.
    failed: int = 0
    error: str = ""

    @property
    def saturated(self) -> bool:
        """Whether the client may have been the limit, so that the server can do more."""
        return self.client is not None and self.client >= SATURATED


def ratios(
    ours: Mapping[int, float | None], theirs: Mapping[int, float | None], *, inverse: bool = False
) -> list[float]:
    """Return a quotient for each round that has both figures. Both are of the same minute, so noise affects both."""
    pairs = [(ours[number], theirs.get(number)) for number in ours]
    return [b / a if inverse else a / b for a, b in pairs if a and b]


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are not ``None``; ``None``: there are none."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def summarize(records: Sequence[Record], scenario: Scenario, against: str = "") -> list[Summary]:
    """Return a summary of every server that took part in a scenario, in their order.

    ``against`` is the name of the server that all are compared with, instead of the one that :func:`.baseline` says.
    """
    rounds = of_servers(records, scenario)
    return [_summary(server, rounds, scenario, against) for server in rounds]


def summarize_publishing(records: Sequence[Record], scenario: Scenario) -> list[Summary]:
    """Return a summary of every server that publishes in the thread that is asked to, in their order.

    The amount is that of the members that a message reaches at once, and the ratio that of the bare loop in the same
    turn.
    """
    found = []
    for server, rounds in of_servers(records, scenario).items():
        good = [record for record in rounds.values() if "error" not in record]
        ratios_to_bare = [record["group_to_bare"] for record in good if "group_to_bare" in record]
        if good and not ratios_to_bare:
            continue
        found.append(
            Summary(
                server,
                median(record["deliveries_per_s"] for record in good),
                ratio=median(ratios_to_bare),
                low=min(ratios_to_bare, default=None),
                high=max(ratios_to_bare, default=None),
                failed=len(rounds) - len(good),
            )
        )
    return found


def of_servers(records: Sequence[Record], scenario: Scenario) -> dict[str, dict[int, Record]]:
    """Return the records of a scenario, by server and by the number of the round."""
    rounds: dict[str, dict[int, Record]] = {}
    for record in records:
        # A server that was removed from the table cannot be compared.
        if record["scenario"] == scenario.name and record["server"] in SERVERS:
            rounds.setdefault(record["server"], {})[record["round"]] = record
    return rounds


def _summary(server: str, rounds: Mapping[str, Mapping[int, Record]], scenario: Scenario, against: str) -> Summary:
    own = rounds[server]
    good = {number: record for number, record in own.items() if "error" not in record}
    errors = [str(record["error"]) for record in own.values() if "error" in record]
    if not good:
        return Summary(server, None, failed=len(errors), error=errors[-1])
    other = rounds.get(against or baseline(SERVERS[server], scenario), {})
    amount = AMOUNTS[scenario.mode]

    def each(of: Mapping[int, Record], key: str) -> dict[int, float | None]:
        return {number: record.get(key) for number, record in of.items()}

    found = ratios(each(good, amount), each(other, amount))
    cpu, p50 = (ratios(each(good, key), each(other, key), inverse=True) for key in ("server_cpu_us", "p50_us"))
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
        p50_ratio=median(p50),
        p99_us=median(each(good, "p99_us").values()),
        client=max(client, default=None),
        failed=len(errors),
        error=errors[-1] if errors else "",
    )
