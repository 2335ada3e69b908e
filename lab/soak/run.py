"""One run: start a server, run clients against it, and compare what it holds before and afterwards."""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ..kinds import Kind
from ..project.server import Server
from ..servers import eventually
from . import clients
from .clients import BAD, KINDS, Client, Deviation, cycle
from .figures import Slope, slope

#: The folder for logs; git ignores it.
BUILD: Final = Path(__file__).parent / "_build"
#: Seconds between two samples of the server's memory.
INTERVAL: Final = 1.0
#: The share of a run, at its end, in which growth counts. In the beginning a server takes the memory it works with.
STEADY: Final = 2 / 3
#: Deviations that are printed.
MAX_DEVIATIONS: Final = 10
#: Characters of the server's log that are shown.
MAX_LOG: Final = 500

#: Settings of the project: short times, and a log of errors only.
SETTINGS: Final[dict[str, Any]] = {
    "ROOT_URLCONF": "lab.soak.urls",
    "WEBSOCKET_COMPRESSION": True,
    "WEBSOCKET_PING_INTERVAL": clients.PING,
    "WEBSOCKET_PING_TIMEOUT": clients.PING,
    "WEBSOCKET_SEND_TIMEOUT": clients.SEND,
    "WEBSOCKET_CLOSE_TIMEOUT": clients.CLOSE,
    "WEBSOCKET_HANDSHAKE_TIMEOUT": clients.HANDSHAKE,
    "LOGGING": {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "lab.project.logs.Formatter"}},
        "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["json"], "level": "ERROR"},
        "loggers": {"django": {"handlers": []}, "django.server": {"handlers": [], "propagate": False}},
    },
}
#: Errors that a server may log about malformed requests, and about clients that break off.
TOLERATED: Final = ("DisallowedHost", "BadRequest", "TooManyFields", "SuspiciousOperation")


@dataclass
class Outcome:
    """The outcome of a run."""

    #: The number of connections by client.
    connections: Counter[str] = field(default_factory=Counter)
    #: A line for each mistake of the server.
    deviations: list[str] = field(default_factory=list)
    #: Seconds since the beginning, connections until then, and bytes of memory in use.
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    #: The most bytes of resident memory, and those at the end.
    resident: int = 0
    tidy: int = 0
    #: Open descriptors and threads: before, the most, and afterwards.
    before: tuple[int, int] = (0, 0)
    most: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)
    #: Seconds that the run took.
    took: float = 0.0
    #: The most seconds by which the clients ran late.
    late: float = 0.0

    def growth(self, *, cycles: bool) -> Slope:
        """Return the growth of the memory in bytes: for each connection if ``cycles``, else for each second."""
        steady = self.samples[-int(len(self.samples) * STEADY) or len(self.samples) :]
        return slope([sample[1 if cycles else 0] for sample in steady], [sample[2] for sample in steady])

    @property
    def rate(self) -> float:
        """Connections for each second."""
        return self.connections.total() / self.took

    def report(self, *, cycles: bool) -> list[str]:
        """Return the lines of a report."""
        kinds = ", ".join(f"{name} {number}" for name, number in self.connections.most_common())
        memory = [sample[2] / 1e6 for sample in self.samples] or [0.0]
        unit = "bytes/connection" if cycles else "bytes/s"
        return [
            f"{self.connections.total()} connections in {self.took:.0f} s: {kinds}",
            f"descriptors, threads: {self.before} before, {self.most} at most, {self.after} afterwards",
            f"memory in use: {memory[0]:.1f} MB first, {memory[-1]:.1f} MB last, {self.tidy / 1e6:.1f} MB afterwards",
            f"resident memory: {self.resident / 1e6:.1f} MB at most",
            f"the clients were late by {self.late:.1f} s at most",
            f"growth of memory in use over the last two thirds: {self.growth(cycles=cycles)} {unit} (95 %)",
        ]


def start(kind: Kind, name: str, connections: int, **settings: Any) -> Server:
    """Start a server that has room for so many connections at once, and let it serve one."""
    limit = 2 * connections + 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(soft, limit if hard == resource.RLIM_INFINITY else min(limit, hard)), hard)
    )
    if kind.pool:
        # There is a thread for each client, and for each client whose end the server has not noticed yet. More threads
        # would hide a leak: each takes some ten KiB for its stack when it is first used.
        threads = 2 * connections
        arguments = tuple(str(threads) if argument == str(kind.pool) else argument for argument in kind.arguments)
        kind = replace(kind, arguments=arguments, pool=threads)
    folder = BUILD / f"{kind.name}-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server = Server(kind, folder / "server.log", settings={**SETTINGS, **settings})
    # The first connection makes the server import all that a connection needs.
    asyncio.run(_use_once(server.port))
    server.settle()
    return server


async def mix(server: Server, outcome: Outcome, connections: int, seconds: float) -> None:
    """Keep a number of clients of all kinds connected for some seconds."""
    end = time.monotonic() + seconds
    kinds, weights = list(KINDS), list(KINDS.values())

    async def keep() -> None:
        await asyncio.sleep(random.uniform(0, min(5, seconds / 3)))
        while time.monotonic() < end:
            await _try(random.choices(kinds, weights)[0], server.port, outcome)

    await _watched(server, outcome, [keep() for _ in range(connections)])


async def cycles(server: Server, outcome: Outcome, connections: int, number: int) -> None:
    """Open and close a number of connections, so many at once."""
    numbers = iter(range(number))

    async def keep() -> None:
        for _ in numbers:
            await _try(cycle, server.port, outcome)

    await _watched(server, outcome, [keep() for _ in range(connections)])


async def _try(kind: Callable[[int], Awaitable[None]], port: int, outcome: Outcome) -> None:
    outcome.connections[kind.__name__] += 1
    try:
        await asyncio.wait_for(kind(port), 4 * clients.LATE)
    except (TimeoutError, asyncio.TimeoutError):
        outcome.deviations.append(f"{kind.__name__}: hangs")
    except (OSError, Deviation) as error:
        if isinstance(error, Deviation) or kind not in BAD:
            outcome.deviations.append(f"{kind.__name__}: {error!r}")


async def _watched(server: Server, outcome: Outcome, coroutines: list[Awaitable[None]]) -> None:
    """Run all coroutines to their end, and sample the server meanwhile.

    :raises AssertionError: the server has ended.
    """
    began = time.monotonic()
    running = asyncio.gather(*coroutines)
    while not running.done():
        asked = time.monotonic()
        await asyncio.wait([running], timeout=INTERVAL)
        outcome.late = max(outcome.late, time.monotonic() - asked - INTERVAL)
        outcome.resident = max(outcome.resident, server.memory())
        # This returns the memory that the allocator keeps for its threads; the rest is in use.
        await asyncio.to_thread(server.get, "/tidy/")
        used = server.usage()
        outcome.most = max(outcome.most[0], used[0]), max(outcome.most[1], used[1])
        outcome.samples.append((time.monotonic() - began, outcome.connections.total(), server.memory()))
        if server.process.poll() is not None:
            raise AssertionError(f"the server is gone: {server.text}")
    running.result()
    outcome.took = time.monotonic() - began


async def _use_once(port: int) -> None:
    async with Client(port, "/echo/") as client:
        await client.open()
        await client.ask("warm")
        await client.close()


def run(kind: Kind, name: str, connections: int, load: Callable[[Server, Outcome], Awaitable[None]]) -> Outcome:
    """Start a server of a kind, put a load on it, and return the outcome.

    Once all clients have gone, the server has to be as it was: the same number of descriptors, of threads too where it
    has no pool that keeps them, and neither error nor traceback in its log.
    """
    outcome = Outcome()
    server = start(kind, name, connections)
    try:
        server.begin()
        server.tolerate(*TOLERATED)
        server.tolerate_tracebacks("gevent/pywsgi.py")
        outcome.before = server.usage()
        asyncio.run(load(server, outcome))  # type: ignore[arg-type]
        try:
            server.check()
            eventually(server.usage, lambda usage: usage[0] == outcome.before[0])
        except AssertionError as error:
            outcome.deviations.append(f"the server: {str(error)[:MAX_LOG]}; all of it is in {server.log}")
        outcome.after = server.usage()
        server.get("/tidy/")
        outcome.tidy = server.memory()
    finally:
        server.stop()
    return outcome
