"""What every scenario has: a carrier, a server with some workers, members, and the time to let things settle."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .carriers import CARRIERS, Carrier
from .workers import BUILD, Publisher, Workers, raise_limits


@dataclass
class Stage:
    """A running carrier, and a running server on it."""

    carrier: Carrier
    server: Workers
    folder: Path

    def publisher(self, group: str, **options: Any) -> Publisher:
        """Start a process that publishes."""
        return Publisher(self.server, group, **options)


@contextmanager
def staged(
    name: str, server: str, carrier: str = "redis", folder: Path | None = None, **options: Any
) -> Iterator[Stage]:
    """Start a carrier, and a server of a kind on it, with the options of :class:`Workers`; stop both at the end."""
    raise_limits()
    folder = folder or BUILD / f"{name}-{server}-{carrier}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    running = CARRIERS[carrier](folder / "redis")
    stop: list[Callable[[], None]] = [running.stop]
    try:
        workers = Workers(server, running, folder, **options)
        stop.append(workers.stop)
        yield Stage(running, workers, folder)
    finally:
        for call in reversed(stop):
            call()
