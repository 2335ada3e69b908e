"""System calls for each message: where the time of a server goes outside its own code."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from .runner import Client, present, server_cpus
from .servers import Running, Server
from .usage import family

#: perf hardly slows a server down; strace does, but needs no special rights.
TOOLS: Final = ("perf", "strace")
CALLS: Final = (
    *("sendto", "write", "writev", "sendmsg", "recvfrom", "read", "recvmsg"),
    *("epoll_wait", "epoll_pwait", "epoll_ctl", "poll", "ppoll", "select", "futex", "sched_yield"),
    *("getpid", "getsockopt", "setsockopt", "fcntl", "io_uring_enter", "clock_nanosleep"),
)
SWITCHES: Final = "context-switches"
SECONDS: Final = 1.5
#: Calls for each message below which a call has nothing to do with messages.
LEAST: Final = 0.02

_PREFIX: Final = "syscalls:sys_enter_"
# The columns are % time, seconds, usecs/call, calls, errors (or nothing), syscall.
_STRACE: Final = re.compile(r" *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?([a-z]\w*)")


def find_tool() -> str | None:
    """Return the first tool that works on this machine, or ``None`` if none does."""
    perf = ["perf", "stat", "-x,", "-e", f"{_PREFIX}futex", "true"]
    if shutil.which("perf") and subprocess.run(perf, capture_output=True, check=False).returncode == 0:
        return "perf"
    return "strace" if shutil.which("strace") else None


def main(servers: Sequence[Server], client: Client, connections: int, tool: str | None = None) -> int:
    """Count the calls of each server and print a line for it; return 1 if that failed for one of them."""
    tool = tool or find_tool()
    if tool is None:
        print("neither perf nor strace is installed, or neither is allowed")
        return 1
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for server in present(servers, {}, print):
            try:
                with Running(server, Path(folder) / "log", server_cpus()) as running:
                    found = count(running, client, connections, tool)
            except RuntimeError as error:
                print(error)
                good = False
                continue
            each = ", ".join(f"{name} {number:.2f}" for name, number in found.items() if number >= LEAST)
            print(f"{server.name}: {each}", flush=True)
    return 0 if good else 1


def count(running: Running, client: Client, connections: int, tool: str) -> dict[str, float]:
    """Return how often each call is made for a message, the most frequent first.

    :raises RuntimeError: the client failed.
    """
    arguments = ["pingpong", "--conns", str(connections), "--secs", str(SECONDS), "--warmup", "0"]
    # The imports that the first connection causes must not be counted.
    client.measure(running, arguments, SECONDS)
    pids = ",".join(map(str, family(running.pid)))
    if tool == "perf":
        events = ",".join([SWITCHES, *(_PREFIX + call for call in CALLS)])
        command = ["perf", "stat", "-x,", "-e", events, "-p", pids]
    else:
        command = ["strace", "-f", "-c", "-p", pids]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tracer:
        # The tracer has no way to report that it has begun.
        time.sleep(0.5)
        answer = client.measure(running, arguments, SECONDS)
        tracer.send_signal(signal.SIGINT)
        output = tracer.communicate(timeout=30)[1]
    if "error" in answer:
        raise RuntimeError(answer["error"])
    found = {name: number / answer["count"] for name, number in parse(output, tool)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def parse(output: str, tool: str) -> Iterator[tuple[str, int]]:
    """Return the calls and their numbers in the output of a tool."""
    for line in output.splitlines():
        if tool == "perf":
            number, _, name, *_rest = [*line.split(","), "", ""]
            if number.isdigit():
                yield name.removeprefix(_PREFIX), int(number)
        elif (match := _STRACE.fullmatch(line)) and match[2] != "total":
            yield match[2], int(match[1])
