"""One run: a server, Autobahn, and what came of both."""

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

#: What the live tests' project is to do otherwise. Autobahn's biggest message is the limit here, and it has cases with
#: more fragments than the default allows.
SETTINGS: Final[dict[str, Any]] = {
    "ROOT_URLCONF": "lab.compliance.urls",
    "WEBSOCKET_MAX_MESSAGE_SIZE": 16 * 1024 * 1024,
    "WEBSOCKET_MAX_FRAGMENTS": None,
    "WEBSOCKET_COMPRESSION": True,
}


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    results: Results
    #: What is not as expected, a line for each.
    deviations: list[str]


def run(
    wstest: str, kind: Kind, cases: Sequence[str], folder: Path, *, version: int = 13, timeout: float = 600
) -> Outcome:
    """Run cases against a server of a kind. ``folder`` is made anew, for the reports and the logs of both sides.

    All of it may take ``timeout`` seconds.
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
    """Have everything imported that a connection needs, so that what is open afterwards can be compared."""
    with connect(server.url("/echo/"), proxy=None) as client:
        client.send("warm")
        client.recv()
    server.settle()
