"""Publish to a group from a process that serves nobody: ``python -m lab.groups.publish GROUP``, as a command would.

The report is one line of JSON at the end: for each publisher what was acknowledged and what was not.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from .messages import compose

#: Seconds that a publisher waits after an error.
PAUSE: Final = 0.02


def publish(
    group: Any, name: str, *, messages: int, rate: float, size: int, goes_on: Callable[[], bool]
) -> dict[str, Any]:
    """Publish numbered messages, and return the report: ``acknowledged`` and ``failed``, by number.

    ``slowest`` has the seconds of the longest call. ``rate`` is messages a second; 0: as fast as it goes. It ends
    after so many ``messages``, or when ``goes_on`` says so.
    """
    from django_websocket.exceptions import GroupError

    acknowledged: list[tuple[int, float, str | None]] = []
    failed: list[tuple[int, float, bool, str]] = []
    slowest = 0.0
    began = time.monotonic()
    for number in range(messages):
        if rate:
            wait = began + number / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
        sent = time.monotonic()
        if not goes_on():
            break
        try:
            position = group.send(compose(name, number, sent, size))
        except GroupError as error:
            failed.append((number, sent, getattr(error, "maybe_sent", False), str(error)))
            slowest = max(slowest, time.monotonic() - sent)
            time.sleep(PAUSE)
        else:
            slowest = max(slowest, time.monotonic() - sent)
            acknowledged.append((number, sent, position))
    return {"acknowledged": acknowledged, "failed": failed, "slowest": slowest}


def publish_all(
    group: str,
    name: str,
    *,
    messages: int,
    history: int = 0,
    threads: int = 1,
    rate: float = 0.0,
    size: int = 125,
    goes_on: Callable[[], bool] = lambda: True,
    thread: Callable[..., Any] = threading.Thread,
) -> dict[str, Any]:
    """Publish from some threads at once, each with a name of its own, and return their reports by name."""
    from django_websocket import Group

    room = Group(group, history=history)
    reports: dict[str, Any] = {}

    def run(own: str) -> None:
        try:
            reports[own] = publish(room, own, messages=messages, rate=rate, size=size, goes_on=goes_on)
        except Exception as error:  # noqa: BLE001 - the report says it.
            reports[own] = {"acknowledged": [], "failed": [], "slowest": 0.0, "error": repr(error)}

    running = [thread(target=run, args=(f"{name}.{number}",)) for number in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    return reports


def main() -> None:
    """Publish by the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m lab.groups.publish")
    parser.add_argument("group")
    parser.add_argument("--name", default="p")
    parser.add_argument("--messages", type=int, default=10**9)
    parser.add_argument("--rate", type=float, default=0.0, help="a second and publisher; 0: as fast as it goes")
    parser.add_argument("--history", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="publishers at once")
    parser.add_argument("--size", type=int, default=125)
    parser.add_argument("--until-eof", action="store_true", help="end at the end of the standard input")
    options = vars(parser.parse_args())
    ended = threading.Event()
    if options.pop("until_eof"):

        def wait() -> None:
            sys.stdin.read()
            ended.set()

        threading.Thread(target=wait, daemon=True).start()

    import django

    django.setup()
    group, name = options.pop("group"), options.pop("name")
    print(json.dumps(publish_all(group, name, goes_on=lambda: not ended.is_set(), **options)))


if __name__ == "__main__":
    main()
