"""A run: all servers are measured in turn, again and again, so that a ratio is between figures of the same minute."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..servers import ROOT, pinned
from .figures import AMOUNTS
from .results import Results
from .scenarios import FRESH, PUBLISHING, Scenario
from .servers import SERVERS, Running, Server, baseline

#: The variable of the environment that is the default of ``--client``.
CLIENT_VARIABLE: Final = "BENCHMARKS_CLIENT"
#: Seconds that a window may take in addition to its own, for opening and closing.
PATIENCE: Final = 120.0
#: Rounds of a scenario that measures memory: memory hardly varies, and each round has to start the servers again.
IDLE_ROUNDS: Final = 1


@dataclass(frozen=True)
class Client:
    """The load client to use."""

    #: The path of a program that replaces our load client where messages are echoed; empty: ours.
    path: str = ""
    #: The number of processes of our load client.
    processes: int = 1

    @property
    def name(self) -> str:
        """Its name in the results."""
        return Path(self.path).name if self.path else "python"

    def measure(
        self, running: Running, arguments: Sequence[str], seconds: float = 0.0, path: str = ""
    ) -> dict[str, Any]:
        """Put a server under load, and return the answer of the client, with the key ``error`` if that failed.

        ``arguments`` begin with the client's mode; ``path`` is where to connect to, at the server's own one by default.
        """
        mode = arguments[0]
        other = self.path if mode not in PUBLISHING else ""
        command = [other] if other else [sys.executable, "-m", "lab.benchmarks.client"]
        command += [*arguments, "--port", str(running.port), "--pid", str(running.pid)]
        command += ["--raw"] if running.server.raw else ["--path", path or running.server.path]
        if self.processes > 1 and not other and mode not in ("check", *FRESH):
            command += ["--processes", str(self.processes)]
        with pinned(client_cpus(self.processes)):
            try:
                run = subprocess.run(
                    command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE + seconds
                )
            except subprocess.TimeoutExpired:
                return {"error": "the client did not end in time"}
        try:
            answer: dict[str, Any] = json.loads(run.stdout)
        except ValueError:
            return {"error": f"the client said nothing: {run.stderr[-300:]}"}
        return answer


@dataclass(frozen=True)
class Plan:
    """The measurements of a run."""

    scenarios: Sequence[Scenario]
    servers: Sequence[Server]
    rounds: int
    #: Seconds that are measured, and seconds before that.
    window: float
    warmup: float
    client: Client
    #: See :attr:`.results.Results.note`.
    note: str = ""
    #: A function that is called with each line about the progress.
    say: Callable[[str], None] = print


def server_cpus() -> set[int]:
    """Return the processor for servers, which is the first."""
    return {min(os.sched_getaffinity(0))}


def client_cpus(processes: int = 1) -> set[int]:
    """Return the processors for the client: those after the first, or the first if there is no other."""
    cpus = sorted(os.sched_getaffinity(0))
    return set(cpus[1 : 1 + processes]) or set(cpus)


def raise_limits() -> None:
    """Allow this process and its children as many open files as this user may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def with_baselines(servers: Sequence[Server], scenario: Scenario) -> list[Server]:
    """Return the servers that take part in a scenario, with what some are compared with.

    That is the raw server of each model, before the first of the model. A server that publishes is compared with a bare
    loop of its own.
    """
    taking_part = [server for server in servers if scenario.mode in server.modes]
    names = dict.fromkeys(name for server in taking_part for name in (baseline(server, scenario), server.name))
    return [SERVERS[name] for name in names]


def present(servers: Sequence[Server], skipped: dict[str, str], say: Callable[[str], None]) -> list[Server]:
    """Return the servers that can be started; of the others, say why not and note it in ``skipped``."""
    found = []
    for server in servers:
        if not server.missing:
            found.append(server)
        elif server.name not in skipped:
            skipped[server.name] = f"not installed: {', '.join(server.missing)}"
            say(f"{server.name} is skipped; {skipped[server.name]}")
    return found


def run(plan: Plan, save: Callable[[Results], None] = lambda _: None) -> Results:
    """Measure all that is planned, and return the results; ``save`` is called with them after every round."""
    options = {
        "rounds": plan.rounds,
        "window": plan.window,
        "warmup": plan.warmup,
        "client": plan.client.name,
        "client_processes": plan.client.processes,
        "server_cpus": sorted(server_cpus()),
        "client_cpus": sorted(client_cpus(plan.client.processes)),
    }
    raise_limits()
    results = Results.begin((scenario.name for scenario in plan.scenarios), options)
    results.note = plan.note
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        started: dict[str, Running] = {}
        for scenario in plan.scenarios:
            servers = present(with_baselines(plan.servers, scenario), results.skipped, plan.say)
            rounds = min(plan.rounds, IDLE_ROUNDS) if scenario.mode == "idle" else plan.rounds
            for number in range(rounds):
                for server in servers:
                    if server.name not in started:
                        started[server.name] = Running(server, Path(folder) / f"{server.name}.log", server_cpus())
                        stack.callback(started[server.name].stop)
                    answer = _measure(started[server.name], plan, scenario)
                    results.records.append(
                        {"scenario": scenario.name, "server": server.name, "round": number, **answer}
                    )
                    if "error" in answer:
                        plan.say(f"{scenario.name} {server.name}: {answer['error']}")
                save(results)
                plan.say(f"{scenario.name}: round {number + 1} of {rounds}; load {os.getloadavg()[0]:.1f}")
    return results


def _measure(running: Running, plan: Plan, scenario: Scenario) -> dict[str, Any]:
    """Measure one window, and return its figures. The server is started if it does not run, and again for memory."""
    seconds = plan.window + plan.warmup
    arguments = [*scenario.arguments, "--secs", str(plan.window), "--warmup", str(plan.warmup)]
    if scenario.mode in FRESH:
        running.stop()
        arguments += ["--idle-secs", str(max(1.0, plan.window))]
    try:
        if not running.alive:
            running.start()
            # A server that does not echo correctly is not measured. This also makes it import what connections need.
            if wrong := _wrong(plan.client.measure(running, ["check"])):
                running.stop()
                return {"error": wrong}
    except RuntimeError as error:
        return {"error": str(error)}
    answer = plan.client.measure(running, arguments, seconds, running.server.path_of(scenario.mode))
    if "error" in answer:
        # The state of the server is unknown now; the next window starts a new one.
        running.stop()
    return answer


def _wrong(answer: dict[str, Any]) -> str:
    """Return the mistakes that a check has found, or ``""``."""
    return answer.get("error") or ", ".join(key for key, value in answer.items() if value is False)


def check(servers: Sequence[Server], client: Client, say: Callable[[str], None] = print) -> bool:
    """Check that every server echoes messages of all sizes, and return whether all do."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for server in present(servers, {}, say):
            try:
                with Running(server, Path(folder) / f"{server.name}.log", server_cpus()) as running:
                    answer = client.measure(running, ["check"])
            except RuntimeError as error:
                answer = {"error": str(error)}
            wrong = _wrong(answer)
            good = good and not wrong
            say(f"{server.name}: {wrong or 'good'}")
    return good


def compare_clients(
    other: Client, scenarios: Sequence[Scenario], rounds: int, window: float
) -> list[tuple[str, str, list[tuple[float, float, float]]]]:
    """Measure the raw servers with our client and with another in turn.

    For every scenario and server the result has, for each round, our rate divided by that of the other client, and each
    client's share of its processor.

    :raises RuntimeError: one of the clients failed.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for server in present([SERVERS[f"raw-{model}"] for model in ("threads", "eventlet", "gevent")], {}, print):
            with Running(server, Path(folder) / "log", server_cpus()) as running:
                for scenario in scenarios:
                    arguments = [*scenario.arguments, "--secs", str(window), "--warmup", "0.3"]
                    values = []
                    for _ in range(rounds):
                        ours = Client().measure(running, arguments, window)
                        theirs = other.measure(running, arguments, window)
                        values.append(_ratio(ours, theirs, scenario))
                    found.append((scenario.name, server.name, values))
    return found


def _ratio(ours: dict[str, Any], theirs: dict[str, Any], scenario: Scenario) -> tuple[float, float, float]:
    key = AMOUNTS[scenario.mode]
    for answer in (ours, theirs):
        if "error" in answer:
            raise RuntimeError(answer["error"])
    return ours[key] / theirs[key], ours["client_cpu_share"], theirs["client_cpu_share"]
