"""One run: start a server, run Autobahn against it, and compare the results with the expected ones."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from websockets.sync.client import connect

from ..kinds import Kind
from ..project.server import Server
from . import autobahn
from .verdicts import TABLE, Results, deviations

#: Settings of the project. The limit of a message is Autobahn's biggest one. There is no limit of fragments, because
#: some of its cases have more than the default allows.
SETTINGS: Final[dict[str, Any]] = {
    "ROOT_URLCONF": "lab.compliance.urls",
    "WEBSOCKET_MAX_MESSAGE_SIZE": 16 * 1024 * 1024,
    "WEBSOCKET_MAX_FRAGMENTS": None,
    "WEBSOCKET_COMPRESSION": True,
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run."""

    results: Results
    #: A line for each result that is not as expected.
    deviations: list[str]


def run(
    wstest: str, kind: Kind, cases: Sequence[str], folder: Path, *, version: int = 13, timeout: float = 600
) -> Outcome:
    """Run cases against a server of a kind for at most ``timeout`` seconds, and return the outcome.

    ``folder`` is deleted and made again, for the reports and the logs of both sides.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server = Server(kind, folder / "server.log", settings=SETTINGS)
    try:
        _warm_up(server)
        server.begin()
        reports = folder / "reports"
        reports.mkdir()
        try:
            results = autobahn.run(wstest, server.url("/echo/"), cases, reports, version=version, timeout=timeout)
            found = deviations(cases, results, TABLE["not OK"])
        except RuntimeError as error:
            results, found = {}, [str(error)]
        try:
            server.check()
        except AssertionError as error:
            found.append(f"the server: {error}")
        return Outcome(results, found)
    finally:
        server.stop()


def _warm_up(server: Server) -> None:
    """Make the server import all that a connection needs, so that its open descriptors can be compared afterwards."""
    with connect(server.url("/echo/"), proxy=None) as client:
        client.send("warm")
        client.recv()
    server.settle()
