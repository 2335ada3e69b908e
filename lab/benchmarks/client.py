"""The load client: ``python -m lab.benchmarks.client MODE --port PORT [options]`` prints one JSON object.

Modes: ``check`` (echoes of all sizes), ``pingpong``, ``pipeline`` (``--burst`` messages at a time), ``connect``
(handshake and closing), ``idle`` (the server's memory), ``fan`` (messages to the members of a group), ``slow`` (the
same, with members that do not read). Another client can replace it in all but the last two, if it takes the same
options and prints the same keys.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

from . import frames, usage
from .connections import LoadError, Target
from .fanout import fan
from .loops import Sample, Window, cycle, exchange, rest
from .slow import slow

#: Sizes on both sides of each change of a frame's header.
CHECKED_SIZES: Final = (0, 1, 125, 126, 1024, 65535, 65536, 1 << 20)
RATES: Final = {"pingpong": "msgs_per_s", "pipeline": "msgs_per_s", "connect": "cycles_per_s"}
#: The modes that one process measures from the beginning to the end.
WHOLE: Final = ("idle", "fan", "slow")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(prog="python -m lab.benchmarks.client", description=__doc__)
    result.add_argument("mode", choices=["check", *RATES, *WHOLE])
    result.add_argument("--port", type=int, required=True)
    result.add_argument("--path", default="/")
    result.add_argument("--raw", action="store_true", help="the server echoes bytes: no handshake")
    result.add_argument("--conns", type=int, default=1, help="connections")
    result.add_argument("--size", type=int, default=125, help="bytes of a message")
    result.add_argument("--burst", type=int, default=64, help="messages sent at a time (pipeline)")
    result.add_argument("--secs", type=float, default=2.0, help="seconds that are measured")
    result.add_argument("--warmup", type=float, default=0.5, help="seconds before that")
    result.add_argument("--idle-secs", type=float, default=2.0, help="seconds to watch an idle server")
    result.add_argument("--warm", type=int, default=20, help="connections opened and closed first (idle)")
    result.add_argument("--processes", type=int, default=1, help="processes that share the connections")
    result.add_argument("--pid", type=int, help="the server's process, for its processor time and memory")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one mode and print its result; return 1 if the server made a mistake, which is printed as ``error``."""
    options = parser().parse_args(arguments)
    target = Target(options.port, "" if options.raw else options.path)
    try:
        if options.mode == "check":
            answer = check(target)
        elif options.mode in WHOLE:
            answer = {"idle": idle, "fan": fan, "slow": slow}[options.mode](target, options)
        else:
            answer = load(target, options)
    except (LoadError, OSError, ValueError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
    return 1 if "error" in answer else 0


def check(target: Target) -> dict[str, Any]:
    """Check that messages of all sizes come back on one connection, and that it closes."""
    sock = target.open()
    for size in CHECKED_SIZES:
        # An empty message shows nothing about a raw server, and some libraries do not echo it.
        if size:
            target.echo(sock, frames.text(size))
    target.close([sock])
    return {"failed": 0}


def load(target: Target, options: argparse.Namespace) -> dict[str, Any]:
    """Put the server under load, from one process or several, and return the sum of their figures."""
    context = multiprocessing.get_context("fork")
    processes = max(1, min(options.processes, options.conns))
    shares = [options.conns // processes + (n < options.conns % processes) for n in range(processes)]
    workers = []
    for share in shares:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, target, share, options), daemon=True)
        process.start()
        theirs.close()
        workers.append(ours)
    for worker in workers:
        _answer(worker)
    begin = time.monotonic_ns() + int(options.warmup * 1e9)
    window = Window(begin, begin + int(options.secs * 1e9))
    for worker in workers:
        worker.send(window)
    server = [_server_cpu(options.pid, when) for when in (window.begin, window.end)]
    samples: list[Sample] = [_answer(worker) for worker in workers]
    count = sum(sample.count for sample in samples)
    if not count:
        raise LoadError("nothing came within the window")
    latencies = sorted(latency for sample in samples for latency in sample.latencies)
    answer: dict[str, Any] = {RATES[options.mode]: round(count / options.secs, 1), "count": count}
    # If an exchange takes longer than the window, there are no latencies.
    for name, part in (("p50_us", 0.5), ("p99_us", 0.99), ("max_us", 1.0)) if latencies else ():
        answer[name] = latencies[min(len(latencies) - 1, int(len(latencies) * part))] / 1000
    if options.pid:
        spent = server[1] - server[0]
        answer["server_cpu_us"] = round(spent * 1e6 / count, 3)
        answer["server_cpu_share"] = round(spent / options.secs, 3)
    # The busiest process limits the rate.
    answer["client_cpu_share"] = round(max(sample.cpu for sample in samples) / options.secs, 3)
    return answer


def _work(pipe: Connection, target: Target, connections: int, options: argparse.Namespace) -> None:
    """Do the share of one process: open the connections, report that, wait for the window, and send the sample."""
    try:
        payload = frames.text(options.size)
        socks = [] if options.mode == "connect" else [_opened(target, payload) for _ in range(connections)]
        pipe.send("ready")
        window = pipe.recv()
        if options.mode == "connect":
            sample = cycle(connections, target, window)
        else:
            sample = exchange(socks, payload, target, options.burst if options.mode == "pipeline" else 1, window)
        target.close(socks)
        pipe.send(sample)
    except (LoadError, OSError, ValueError) as error:
        pipe.send(LoadError(str(error) or repr(error)))


def _opened(target: Target, payload: bytes) -> socket.socket:
    sock = target.open()
    target.echo(sock, payload)
    return sock


def _answer(worker: Connection) -> Any:
    try:
        answer = worker.recv()
    except EOFError:
        raise LoadError("a process of the client is gone") from None
    if isinstance(answer, LoadError):
        raise answer
    return answer


def _server_cpu(pid: int | None, when: int) -> float:
    """Wait until ``when``, and return the processor time that the server has used until then."""
    # The processes are found first, because that takes a while.
    pids = usage.family(pid) if pid else []
    time.sleep(max(0, when - time.monotonic_ns()) / 1e9)
    return usage.cpu(pids)


def idle(target: Target, options: argparse.Namespace) -> dict[str, Any]:
    """Open connections that do nothing, and measure what each costs the server."""
    if not options.pid:
        raise LoadError("idle needs --pid")
    pids = usage.family(options.pid)
    payload = frames.text(options.size)
    # The first connections make the server import modules and allocate memory for good: that is no cost of each.
    target.close([_opened(target, payload) for _ in range(options.warm)])
    rest([], 1)
    before = usage.memory(pids)
    started = time.monotonic()
    socks = [_opened(target, payload) for _ in range(options.conns)]
    opened = time.monotonic() - started
    rest(socks, 1)
    after, spent = usage.memory(pids), usage.cpu(pids)
    rest(socks, options.idle_secs)
    spent = usage.cpu(pids) - spent
    target.close(socks)
    return {
        "pss_kb_per_conn": round((after.pss - before.pss) / options.conns, 2),
        "pte_kb_per_conn": round((after.page_tables - before.page_tables) / options.conns, 2),
        "threads_per_conn": round((after.threads - before.threads) / options.conns, 2),
        "fds_per_conn": round((after.descriptors - before.descriptors) / options.conns, 2),
        "idle_cpu_percent": round(100 * spent / options.idle_secs, 2),
        "open_s": round(opened, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
