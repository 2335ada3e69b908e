"""What a member of a group without history has received, by the publishers' own numbers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Run:
    """The numbers of one publisher that came on one connection."""

    first: int
    last: int
    #: The first and the last number of each part that is missing between these.
    holes: list[tuple[int, int]] = field(default_factory=list)

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last and not any(low <= number <= high for low, high in self.holes)


class Numbers:
    """The messages that came on one connection, by publisher."""

    __slots__ = ("count", "disorder", "runs")

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        #: Messages that came.
        self.count = 0
        #: Messages that came twice, or after a later one of their publisher.
        self.disorder = 0

    def take(self, publisher: str, number: int) -> None:
        """Note a message that has come."""
        self.count += 1
        run = self.runs.get(publisher)
        if run is None:
            self.runs[publisher] = Run(number, number)
            return
        expected = run.last + 1
        if number < expected:
            self.disorder += 1
            return
        if number > expected:
            run.holes.append((expected, number - 1))
        run.last = number

    def has(self, publisher: str, number: int) -> bool:
        """Return whether a message has come."""
        run = self.runs.get(publisher)
        return run is not None and number in run
