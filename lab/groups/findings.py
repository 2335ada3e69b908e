"""What members have received, compared with what publishers say and what the server has announced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django_websocket.groups.position import Position

from .member import Member, Stay

#: Seconds before the end of a connection from which on a message may still have been on its way.
MARGIN: Final = 1.0


@dataclass
class Findings:
    """The outcome of a run, in figures; what must not be is a line of :attr:`deviations`."""

    #: Messages that publishers know to be sent; those they know not to be sent; those they do not know of.
    acknowledged: int = 0
    failed: int = 0
    uncertain: int = 0
    #: Messages that members have received, each counted for each of them.
    delivered: int = 0
    #: Messages that came twice, or after a later one of their publisher.
    disorder: int = 0
    #: Messages that a member missed while it was connected, and that were announced as lost.
    announced: int = 0
    #: The same without an announcement.
    silent: int = 0
    #: Numbers of a group with history that a member was not told of, whether or not a publisher knows them.
    holes: int = 0
    #: Connections that the server ended, by its close code; ``None``: without one.
    ended: dict[int | None, int] = field(default_factory=dict)
    deviations: list[str] = field(default_factory=list)
    #: Other figures of a scenario, by name.
    more: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the lines of a report."""
        lines = [
            f"acknowledged {self.acknowledged}, failed {self.failed}, uncertain {self.uncertain}",
            f"delivered {self.delivered}, disorder {self.disorder}",
            f"lost and announced {self.announced}, lost in silence {self.silent}, holes {self.holes}",
        ]
        if self.ended:
            lines.append("connections ended by the server: " + ", ".join(f"{k}: {v}" for k, v in self.ended.items()))
        return [*lines, *(f"{name}: {value}" for name, value in self.more.items())]


def count_reports(found: Findings, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Count what the publishers say."""
    for name, report in reports.items():
        found.acknowledged += len(report["acknowledged"])
        for _, _, maybe, _ in report["failed"]:
            found.uncertain += maybe
            found.failed += not maybe
        if "error" in report:
            found.deviations.append(f"publisher {name}: {report['error']}")


def compare(
    members: Iterable[Member],
    reports: Mapping[str, Mapping[str, Any]],
    lost: Mapping[int, int | None],
    found: Findings | None = None,
) -> Findings:
    """Return the findings about members of one group.

    ``lost`` is what each process has announced: by it, members of a group without history are judged.
    """
    found = found or Findings()
    count_reports(found, reports)
    for member in members:
        found.deviations += [f"a member: {fault}" for fault in member.faults]
        for stay in member.stays:
            found.delivered += stay.numbers.count
            if stay.ended and not stay.left and stay.joined:
                found.ended[stay.code] = found.ended.get(stay.code, 0) + 1
        if member.chain is None:
            for stay in member.stays:
                _judge_stay(found, stay, reports, lost)
        else:
            _judge_chain(found, member, reports)
    if found.disorder:
        found.deviations.append(f"{found.disorder} messages came twice or late")
    if found.holes:
        found.deviations.append(f"{found.holes} positions are missing without a word")
    if found.silent:
        found.deviations.append(f"{found.silent} messages were lost in silence")
    return found


def _judge_stay(
    found: Findings, stay: Stay, reports: Mapping[str, Mapping[str, Any]], lost: Mapping[int, int | None]
) -> None:
    """Compare the messages of one connection with those that were sent while it was a member."""
    found.disorder += stay.numbers.disorder
    if not stay.joined:
        return
    end = stay.ended - MARGIN if stay.ended else float("inf")
    missing = 0
    for name, report in reports.items():
        for number, sent, _ in report["acknowledged"]:
            if stay.joined < sent < end and not stay.numbers.has(name, number):
                missing += 1
    known = lost.get(stay.pid, 0)
    announced = missing if known is None else min(missing, known)
    found.announced += announced
    found.silent += missing - announced


def _judge_chain(found: Findings, member: Member, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare the messages of one client with those that were sent after it began."""
    chain = member.chain
    assert chain is not None
    chain.end()
    found.disorder += chain.disorder + member.order.disorder
    found.holes += chain.unannounced
    began = next((stay.joined for stay in member.stays if stay.joined), float("inf"))
    for report in reports.values():
        for _, sent, text in report["acknowledged"]:
            position = None if text is None else Position.parse(text)
            if position is None:
                found.deviations.append(f"a message of a group with history has the position {text!r}")
                return
            told = chain.lacks(position) if sent > began else None
            if told:
                found.announced += 1
            elif told is False and (member.joined or not chain.breaks[-1].has(position)):
                found.silent += 1
