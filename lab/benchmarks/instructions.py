"""Instructions for each message: what a server executes outside the kernel, as callgrind counts it.

A machine that is busy with other programs disturbs any time, but hardly these figures: two runs differ by some
thousandths. They show what a change of code costs. They do not show what the kernel does, nor what a cache misses.

The server is started as for any other measurement, in valgrind. Start-up, connections and a warm-up are not counted.
Then two batches of messages are, of which the second is larger, and the figure is the difference of their instructions
divided by that of their messages. What happens once for each batch cancels out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..servers import ServerProcess, find_program
from .connections import LoadError, Target
from .results import Results
from .runner import present, with_baselines
from .scenarios import BURST, BURSTS, Scenario
from .servers import IN_PYTHON, Server
from .turns import Turns, open_and_close
from .usage import family

#: What Debian's package of the same name installs: the simulator, and the program that gives it commands.
PROGRAMS: Final = ("valgrind", "vgdb")
REMEDY: Final = "valgrind is not installed: on Debian, apt-get install valgrind"
#: The modes in which it counts, with the name of what it counts.
COUNTED: Final = {"pingpong": "message", "pipeline": "message", "corked": "message", "connect": "connection"}
DEFAULT: Final = ("pp-50x125", "pipe-50x125")
#: The package in each model, with its accelerator and without.
SERVERS_COUNTED: Final = tuple(
    name + suffix for name in ("gthread", "gunicorn-eventlet", "gevent") for suffix in ("", IN_PYTHON)
)
#: Seconds until a server in valgrind is ready, and until it has obeyed a command.
PATIENCE: Final = 120.0
#: Seconds in which a server returns to its waiting after the last answer.
SETTLING: Final = 0.3
#: How many times larger the second batch is.
FACTOR: Final = 3
#: Messages of the first batch, if they are small; of large ones, as many as have these bytes, but not fewer than the
#: next number. The last one is that of connections: each executes as much as hundreds of messages.
MESSAGES: Final = 1000
BYTES: Final = 1 << 26
FEWEST: Final = 100
CONNECTIONS: Final = 32
#: Threads that valgrind has to have room for besides one for each connection.
THREADS: Final = 100

_TOTAL: Final = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Count:
    """The instructions of the two batches."""

    few: int
    many: int
    #: The messages, or connections, by which they differ.
    messages: int

    @property
    def each(self) -> float:
        """The instructions of one message or connection."""
        return (self.many - self.few) / self.messages


class Counted(ServerProcess):
    """A server in callgrind, which counts nothing before :meth:`begin`."""

    def __init__(self, server: Server, folder: Path, connections: int) -> None:
        """Describe a server for as many connections; ``folder`` gets its log and what callgrind writes."""
        self._folder = folder
        environment = {**os.environ, **dict(server.environment), "PYTHONHASHSEED": "0"}
        arguments = (
            "--tool=callgrind",
            # Without this, the commands of vgdb do not reach a process that has been forked, such as gunicorn's worker.
            "--trace-children=yes",
            "--instr-atstart=no",
            f"--max-threads={connections + THREADS}",
            f"--callgrind-out-file={folder / 'out.%p'}",
            sys.executable,
            *server.arguments,
        )
        program = find_program(PROGRAMS[0]) or PROGRAMS[0]
        log = folder / f"{server.name}.log"
        super().__init__(server.name, arguments, log, program=program, environment=environment, patience=PATIENCE)

    @property
    def _pid(self) -> int:
        """The process that serves: the one that has no children."""
        return family(self.process.pid)[-1]

    def begin(self) -> None:
        """Begin to count.

        :raises RuntimeError: valgrind does not obey.
        """
        self._order("instrumentation on")
        self._order("zero")

    def count(self, work: Callable[[], None]) -> int:
        """Return the instructions that the server executes while ``work`` runs.

        :raises RuntimeError: valgrind does not obey.
        """
        work()
        time.sleep(SETTLING)
        # This sets the counters to zero, too.
        self._order("dump")
        return total(self.profile.read_text(encoding="utf-8", errors="replace"))

    @property
    def profile(self) -> Path:
        """The file that callgrind has written last."""
        return max(self._folder.glob(f"out.{self._pid}.*"), key=lambda path: int(path.suffix[1:]))

    def _order(self, command: str) -> None:
        vgdb = [find_program(PROGRAMS[1]) or PROGRAMS[1], f"--pid={self._pid}", *command.split()]
        try:
            answer = subprocess.run(vgdb, capture_output=True, text=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"valgrind has not obeyed {command!r} within {PATIENCE:.0f} s") from None
        if answer.returncode:
            raise RuntimeError(f"valgrind does not obey {command!r}: {answer.stderr.strip()[-300:]}")


def total(profile: str) -> int:
    """Return the instructions in a file of callgrind.

    :raises RuntimeError: it has none.
    """
    if (found := _TOTAL.search(profile)) is None:
        raise RuntimeError("callgrind has written no sum of its counts")
    return int(found[1])


def measure(server: Server, scenario: Scenario, folder: Path) -> tuple[Count, Path]:
    """Return the count of a server, and the file with the profile of its second batch.

    :raises RuntimeError: the server does not start, or valgrind does not obey.
    :raises LoadError: the server made a mistake.
    """
    burst = BURST if scenario.mode in BURSTS else 1
    at_once = scenario.connections * burst
    few = -(-_wanted(scenario) // at_once)
    counted = Counted(server, folder, scenario.connections)
    try:
        counted.start()
        target = Target(counted.port, server.path_of(scenario.mode))
        if scenario.mode == "connect":
            turns = None

            def work(count: int) -> None:
                open_and_close(target, scenario.connections, count)

        else:
            turns = Turns(target, scenario.connections, scenario.size, burst)
            work = turns.take
        # CPython adapts code to what it sees in its first runs.
        work(few)
        time.sleep(SETTLING)
        counted.begin()
        first, second = (counted.count(partial(work, count)) for count in (few, few * FACTOR))
        if turns is not None:
            turns.close()
        return Count(first, second, (FACTOR - 1) * few * at_once), counted.profile
    finally:
        counted.stop()


def _wanted(scenario: Scenario) -> int:
    """Return how many messages or connections the first batch should have at least."""
    if scenario.mode == "connect":
        return CONNECTIONS
    return max(FEWEST, min(MESSAGES, BYTES // max(1, scenario.size)))


def main(
    servers: Sequence[Server],
    scenarios: Sequence[Scenario],
    say: Callable[[str], None],
    *,
    save: Callable[[Results], None] = lambda _: None,
    profiles: Path | None = None,
) -> Results | None:
    """Count the instructions of all servers in all scenarios, and return them as results.

    Return ``None`` where valgrind is missing. ``save`` is called with the results after every server. ``profiles`` is a
    folder for the files of callgrind; ``None``: they are not kept.
    """
    if any(find_program(name) is None for name in PROGRAMS):
        say(REMEDY)
        return None
    results = Results.begin((scenario.name for scenario in scenarios), {"tool": "callgrind"})
    if profiles is not None:
        profiles.mkdir(parents=True, exist_ok=True)
    for scenario in scenarios:
        for server in present(with_baselines(servers, scenario), results.skipped, say):
            record: dict[str, Any] = {"scenario": scenario.name, "server": server.name, "round": 0}
            with tempfile.TemporaryDirectory() as folder:
                try:
                    count, profile = measure(server, scenario, Path(folder))
                    record["instructions"] = round(count.each, 1)
                    if profiles is not None:
                        (profiles / f"{scenario.name}.{server.name}").write_bytes(profile.read_bytes())
                except (RuntimeError, LoadError, OSError) as error:
                    record["error"] = str(error)
            results.records.append(record)
            save(results)
            figure = f"{record['instructions']:.0f} for each {COUNTED[scenario.mode]}" if "error" not in record else ""
            say(f"{scenario.name} {server.name}: {figure or record['error']}")
    return results
