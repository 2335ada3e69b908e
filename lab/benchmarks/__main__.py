"""The command line: ``python -m lab.benchmarks run --scenarios pp-50x125 --servers gthread,eventlet``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from . import formats, instructions, micro, plot, publish, scenarios, servers, syscalls, table
from .results import Results, new_path
from .runner import CLIENT_VARIABLE, Client, Plan, check, compare_clients, run
from .scenarios import Scenario
from .servers import SERVERS, Server


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return 1 if something failed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["micro"]:
        # The options of this command are those of pyperf.
        return micro.main(given[1:])
    options = _parser().parse_args(given)
    # SIGTERM raises KeyboardInterrupt, so that no server outlives this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command: int = options.command(options)
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.benchmarks", description="README.rst has the rest.")
    commands = parser.add_subparsers(required=True)

    one = commands.add_parser("run", help="measure servers under load")
    one.set_defaults(command=_run)
    _add_scenarios(one, scenarios.DEFAULT)
    _add_servers(one)
    _add_client(one)
    one.add_argument("--rounds", type=int, default=7)
    one.add_argument("--window", type=float, default=2.0, help="seconds that are measured")
    one.add_argument("--warmup", type=float, default=0.5, help="seconds before that")
    one.add_argument("--note", default="", help="a remark for readers of the results")
    one.add_argument("--output", type=Path, help="where the results go (lab/benchmarks/results/DATE.json)")

    one = commands.add_parser("check", help="check that every server echoes correctly")
    one.set_defaults(command=_check)
    _add_servers(one)
    _add_client(one)

    one = commands.add_parser("clients", help="compare our load client with another, on raw servers")
    one.set_defaults(command=_clients)
    _add_scenarios(one, ("pp-1x125", "pp-50x125", "pp-50x64k", "connect-16"))
    _add_client(one)
    one.add_argument("--rounds", type=int, default=5)
    one.add_argument("--window", type=float, default=1.0)

    one = commands.add_parser("syscalls", help="count system calls for each message, with perf or strace")
    one.set_defaults(command=_syscalls)
    _add_servers(one)
    _add_client(one)
    one.add_argument("--conns", type=int, default=1)
    one.add_argument("--tool", choices=syscalls.TOOLS)

    one = commands.add_parser("instructions", help="count the instructions for each message, with callgrind")
    one.set_defaults(command=_instructions)
    _add_scenarios(one, instructions.DEFAULT)
    _add_servers(one, instructions.SERVERS_COUNTED)
    one.add_argument("--profiles", type=Path, metavar="FOLDER", help="keep the files of callgrind here")
    one.add_argument("--output", type=Path, help="where the results go (nowhere)")

    one = commands.add_parser("table", help="show results")
    one.set_defaults(command=_table)
    one.add_argument("results", type=Path)
    one.add_argument("--against", choices=SERVERS, default="", metavar="SERVER", help="compare all with this server")

    one = commands.add_parser("plot", help="draw results as SVG")
    one.set_defaults(command=_plot)
    one.add_argument("results", type=Path)
    one.add_argument("output", type=Path)
    one.add_argument("--dark", action="store_true")

    one = commands.add_parser("publish", help="put results into the documentation")
    one.set_defaults(command=_publish)
    one.add_argument("results", type=Path, nargs="+")

    commands.add_parser("micro", help="measure the protocols alone, with pyperf", add_help=False)
    return parser


def _add_scenarios(parser: argparse.ArgumentParser, default: Sequence[str]) -> None:
    parser.add_argument(
        "--scenarios",
        type=lambda names: [Scenario.parse(name) for name in names.split(",")],
        default=[Scenario.parse(name) for name in default],
        metavar="NAME,...",
        help=f"pp-CONNSxBYTES, pipe-CONNSxBYTES, cork-CONNSxBYTES, connect-N, idle-N, fan-MEMBERSxBYTES, "
        f"slow-MEMBERSxBYTES ({','.join(default)})",
    )


def _add_servers(parser: argparse.ArgumentParser, default: Sequence[str] = servers.DEFAULT) -> None:
    parser.add_argument(
        "--servers",
        type=_servers,
        default=[SERVERS[name] for name in default],
        metavar="NAME,...",
        help=f"of {', '.join(SERVERS)} ({','.join(default)}); those that others are compared with are added as needed",
    )


def _servers(names: str) -> list[Server]:
    unknown = [name for name in names.split(",") if name not in SERVERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return [SERVERS[name] for name in names.split(",")]


def _add_client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--client",
        default=os.environ.get(CLIENT_VARIABLE, ""),
        metavar="PATH",
        help=f"a load client to use instead of ours (the environment's {CLIENT_VARIABLE})",
    )
    parser.add_argument("--processes", type=int, default=1, help="processes of our load client")


def _client(options: argparse.Namespace) -> Client:
    return Client(options.client and str(Path(options.client).resolve()), options.processes)


def _run(options: argparse.Namespace) -> int:
    plan = Plan(
        options.scenarios,
        options.servers,
        options.rounds,
        options.window,
        options.warmup,
        _client(options),
        options.note,
        _say,
    )
    path: Path | None = options.output

    def save(results: Results) -> None:
        nonlocal path
        path = path or new_path(results.date)
        results.save(path)

    results = run(plan, save)
    for line in table.lines(results):
        print(line)
    print(f"\nall of it is in {path}")
    return int(any("error" in record for record in results.records))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check(options: argparse.Namespace) -> int:
    return 0 if check(options.servers, _client(options)) else 1


def _clients(options: argparse.Namespace) -> int:
    found = compare_clients(_client(options), options.scenarios, options.rounds, options.window)
    rows: list[tuple[str, ...]] = [("scenario", "server", "ours/other", "our CPU", "other CPU")]
    for scenario, server, values in found:
        rows.append((scenario, server, *(formats.ratio(median(column)) for column in zip(*values, strict=True))))
    print("\n".join(formats.columns(rows)))
    return 0


def _syscalls(options: argparse.Namespace) -> int:
    return syscalls.main(options.servers, _client(options), options.conns, options.tool)


def _instructions(options: argparse.Namespace) -> int:
    if wrong := [one.name for one in options.scenarios if one.mode not in instructions.COUNTED]:
        _say(f"instructions are counted in {', '.join(instructions.COUNTED)}, not in {', '.join(wrong)}")
        return 2

    def save(results: Results) -> None:
        if options.output is not None:
            results.save(options.output)

    results = instructions.main(options.servers, options.scenarios, _say, save=save, profiles=options.profiles)
    if results is None:
        return 1
    for line in table.lines(results):
        print(line)
    return int(any("error" in record for record in results.records))


def _table(options: argparse.Namespace) -> int:
    print("\n".join(table.lines(Results.load(options.results), options.against)))
    return 0


def _plot(options: argparse.Namespace) -> int:
    options.output.write_text(plot.draw(Results.load(options.results), dark=options.dark), encoding="utf-8")
    return 0


def _publish(options: argparse.Namespace) -> int:
    for path in publish.publish(options.results):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
