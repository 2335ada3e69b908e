"""What the doctor has looked at, and how it is written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeAlias

from .verdicts import VERDICTS, Verdict

Status: TypeAlias = Literal["ok", "warn", "fail", "skip"]

#: The exit status for the verdict ``ok``, for any other, and for a command that was not understood.
EXIT_OK: Final = 0
EXIT_ILL: Final = 1
EXIT_USAGE: Final = 2


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    id: str
    status: Status
    #: One line.
    message: str
    #: Milliseconds that it took; ``None`` if nothing was waited for.
    ms: float | None = None
    #: Figures for scripts, as JSON takes them.
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """All that was looked at, and the verdict."""

    #: The address; ``None`` for a report on the project itself.
    url: str | None = None
    checks: list[Check] = field(default_factory=list)
    verdict: Verdict = VERDICTS["ok"]

    def add(
        self,
        check_id: str,
        status: Status,
        message: str,
        ms: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Append a check; of its message only the first line is kept."""
        line = message.strip().partition("\n")[0]
        self.checks.append(Check(check_id, status, line, None if ms is None else round(ms, 1), data or {}))

    @property
    def exit_status(self) -> int:
        """The exit status of the command."""
        return EXIT_OK if self.verdict.word == "ok" else EXIT_ILL

    @property
    def _summary(self) -> str:
        """The summary of the verdict; a good one that has warnings says so."""
        if self.verdict.word == "ok" and any(check.status == "warn" for check in self.checks):
            return "Nothing is wrong. The lines with 'warn' deserve a thought."
        return self.verdict.summary

    def as_json(self) -> dict[str, Any]:
        """Return the report as a dict of what JSON has."""
        verdict = self.verdict
        return {
            "url": self.url,
            "verdict": verdict.word,
            "summary": verdict.summary,
            "change": verdict.change,
            "docs": verdict.docs,
            "checks": [asdict(check) for check in self.checks],
        }

    def lines(self) -> Iterator[str]:
        """Return the lines for people: one for each check, then the verdict."""
        width = max((len(check.id) for check in self.checks), default=0)
        for check in self.checks:
            took = "" if check.ms is None else f" ({check.ms:g} ms)"
            yield f"{check.status:4}  {check.id:{width}}  {check.message}{took}"
        yield ""
        yield f"{self.verdict.word}: {self._summary}"
        if self.verdict.change:
            yield f"Change: {self.verdict.change}"
            yield f"More:   {self.verdict.docs}"
