"""Members that never read: what they do to the others, and what becomes of them."""

from __future__ import annotations

import argparse
import socket
import time
from statistics import median
from typing import Any, Final

from . import batches, frames, usage
from .audience import Audience
from .connections import LoadError, Target
from .fanout import WAY, join, open_members

#: Members that never read, out of all.
STUCK: Final = 10
#: Messages that are published while they are there. As many are published while they are not.
MESSAGES: Final = 100
#: Seconds from one message to the next.
PAUSE: Final = 0.06
#: Bytes of the receive buffer of a member that never reads.
_BUFFER: Final = 4096
#: Seconds in which the views of such members have to end, after the last message.
GONE: Final = 30.0


def slow(target: Target, options: argparse.Namespace) -> dict[str, Any]:
    """Publish to members, at first and at last without those that never read, and in the middle with them.

    Half of the latter begin to read when they have been dropped; the others do not even then, until their views have
    ended.
    """
    if not options.pid or options.conns <= STUCK:
        raise LoadError(f"slow needs --pid, and more than {STUCK} members")
    size = max(options.size, batches.LEAST)
    pids = usage.family(options.pid)
    readers = open_members(target, options.conns - STUCK, size)
    join(target, readers)
    audience = Audience(target, readers)
    _Phase(audience, pids, size, MESSAGES // 5)
    before = _Phase(audience, pids, size, MESSAGES // 2)
    stuck = open_members(target, STUCK, size, receive_buffer=_BUFFER)
    join(target, stuck)
    during = _Phase(audience, pids, size, MESSAGES)
    told = [_read_to_end(sock) for sock in stuck[::2]]
    after = _Phase(audience, pids, size, MESSAGES // 2)
    deadline = time.monotonic() + GONE
    while (left := audience.ask()["views"] - len(readers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    ended = [_read_to_end(sock) for sock in stuck[1::2]]
    status = audience.ask()["status"]
    audience.leave()
    target.close(readers)
    for sock in stuck:
        sock.close()
    without = before.latencies + after.latencies
    return {
        "count": len(during.latencies),
        "p50_us": percentile(during.latencies, 0.5),
        "p99_us": percentile(during.latencies, 0.99),
        "p50_without_us": percentile(without, 0.5),
        "p99_without_us": percentile(without, 0.99),
        "p99_to_without": round(percentile(during.latencies, 0.99) / percentile(without, 0.99), 3),
        "overflows": status["overflows"],
        "members_left": status["members"],
        "views_left": left,
        # Those that began to read in time were told why; the others found the end of the stream.
        "told": told.count("1013"),
        "ended": ended.count("EOF") + ended.count("reset"),
        "rss_kb_more": max(during.resident) - round(median(before.resident)),
        "rss_kb_after": after.resident[-1] - round(median(before.resident)),
    }


def percentile(values: list[int], part: float) -> float:
    """Return a percentile of times in nanoseconds, in microseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] / 1000


class _Phase:
    """Some messages, one at a time at intervals: their latencies, and the memory of the server after each."""

    def __init__(self, audience: Audience, pids: list[int], size: int, count: int) -> None:
        self.latencies: list[int] = []
        self.resident: list[int] = []
        for _ in range(count):
            due = time.monotonic() + PAUSE
            self.latencies += audience.publish(WAY, 1, size).latencies
            self.resident.append(usage.resident(pids))
            time.sleep(max(0.0, due - time.monotonic()))


def _read_to_end(sock: socket.socket) -> str:
    """Read a connection to its end, and return the code of its Close, or how it ended without one."""
    reader = frames.Reader()
    code = ""
    try:
        while data := sock.recv(1 << 16):
            for first, payload in reader.feed(data):
                if first == frames.FIN | frames.CLOSE:
                    code = str(int.from_bytes(payload[:2], "big"))
                    sock.sendall(frames.CLOSE_FRAME)
    except TimeoutError:
        return "open"
    except OSError:
        return code or "reset"
    return code or "EOF"
