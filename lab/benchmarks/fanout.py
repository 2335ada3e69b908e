"""Publishing, as the load client measures it: what a delivery and a member cost."""

from __future__ import annotations

import argparse
import socket
import time
from statistics import median
from typing import Any, Final, NamedTuple

from . import batches, frames, usage
from .audience import Audience
from .connections import LoadError, Target
from .loops import rest

#: Deliveries of one batch, if there are not more members than that.
DELIVERIES: Final = 10_000
#: The way that is measured; the others are for comparison. See :meth:`.Batch.answer`.
WAY: Final = "group"
#: The way that each other is divided by.
BARE: Final = "bare"
#: Connections that are opened, or join, between two looks for pings, and the seconds of such a look. On a busy machine
#: all of them together may take longer than a server waits for a pong.
_AT_A_TIME: Final = 250
_MOMENT: Final = 0.001


def open_members(target: Target, count: int, size: int, **options: Any) -> list[socket.socket]:
    """Return connections of which each has echoed a message, and which are no members yet."""
    socks: list[socket.socket] = []
    for _ in range(count):
        sock = target.open(**options)
        target.echo(sock, frames.text(size))
        socks.append(sock)
        if len(socks) % _AT_A_TIME == 0:
            rest(socks, _MOMENT)
    return socks


def join(target: Target, socks: list[socket.socket]) -> None:
    """Make members of connections."""
    for number, sock in enumerate(socks, 1):
        target.echo(sock, batches.JOIN.encode())
        if number % _AT_A_TIME == 0:
            rest(socks, _MOMENT)


def fan(target: Target, options: argparse.Namespace) -> dict[str, Any]:
    """Publish to members in all ways that the server has, in turn, until the window is over.

    Processor time is in microseconds for each delivery: that of the publishing thread, and for the way that is measured
    also that of the whole process.
    """
    if not options.pid:
        raise LoadError("fan needs --pid")
    size, count = max(options.size, batches.LEAST), max(1, DELIVERIES // options.conns)
    pids = usage.family(options.pid)
    # The first members make the server import modules and allocate memory for good: that is no cost of each.
    first = open_members(target, options.warm, size)
    join(target, first)
    target.close(first)
    rest([], 1)
    began = usage.memory(pids).pss
    members = open_members(target, options.conns, size)
    rest(members, 1)
    idle = usage.memory(pids).pss
    join(target, members)
    rest(members, 1)
    joined = usage.memory(pids).pss
    audience = Audience(target, members)
    ways: list[str] = audience.ask()["ways"]

    def take_turn() -> dict[str, _Figures]:
        # Each way is first, second and so on equally often.
        ways.append(ways.pop(0))
        return {way: _publish(audience, way, count, size) for way in ways}

    until = time.monotonic() + options.warmup
    while time.monotonic() < until:
        take_turn()
    began_at, spent = time.monotonic(), time.process_time()
    turns = [take_turn()]
    while time.monotonic() < began_at + options.secs:
        turns.append(take_turn())
    share = (time.process_time() - spent) / (time.monotonic() - began_at)
    audience.leave()
    target.close(members)
    answer: dict[str, Any] = {
        "count": count * options.conns * len(turns),
        "deliveries_per_s": round(median(options.conns / turn[WAY].seconds for turn in turns), 1),
        "server_cpu_us": round(median(turn[WAY].process_us for turn in turns), 3),
        "pss_kb_per_idle": round((idle - began) / options.conns, 2),
        "pss_kb_per_member": round((joined - idle) / options.conns, 2),
        "client_cpu_share": round(share, 3),
    }
    for way in sorted(ways):
        answer[f"{way}_cpu_us"] = round(median(turn[way].cpu_us for turn in turns), 3)
        answer[f"{way}_last_us"] = round(median(turn[way].seconds for turn in turns) * 1e6, 1)
        if BARE in ways:
            found = [turn[BARE].cpu_us / turn[way].cpu_us for turn in turns]
            answer[f"{way}_to_bare"] = round(median(found), 4)
    return answer


class _Figures(NamedTuple):
    """What a batch has shown."""

    #: Microseconds of processor time for each delivery: of the publishing thread, and of the whole process.
    cpu_us: float
    process_us: float
    #: Seconds until the last member had a message, while all of them read.
    seconds: float


def _publish(audience: Audience, way: str, count: int, size: int) -> _Figures:
    before = audience.ask()["process_s"]
    heard = audience.publish(way, count, size, wait=True)
    process_s = audience.ask()["process_s"] - before
    deliveries = len(heard.latencies)
    seconds = audience.publish(way, 1, size).seconds
    return _Figures(heard.answer["cpu_s"] * 1e6 / deliveries, process_s * 1e6 / deliveries, seconds)
