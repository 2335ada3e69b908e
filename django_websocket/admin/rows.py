"""What the page shows of each WebSocket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from ..connection.info import ConnectionInfo
from ..groups.snapshot import Snapshot
from .users import ShownUser, Users

_PROTOCOLS: Final[Mapping[int, str]] = {13: "RFC 6455", 76: "hixie-76", 75: "hixie-75"}
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Row(NamedTuple):
    """A WebSocket as the page shows it."""

    info: ConnectionInfo
    #: ``None`` if nobody is logged in, as far as is known.
    user: ShownUser | None
    #: The machine of its process, and the number there; the first half of the id and ``None`` if they are not known.
    host: str
    pid: int | None
    protocol: str
    #: How long it has been open.
    age: str
    #: How long ago something arrived last; ``""`` if nothing has.
    silence: str
    #: The time between a ping and its pong; ``""`` if that is not known.
    latency: str


def make_rows(infos: Iterable[ConnectionInfo], processes: Iterable[Snapshot], users: Users, now: datetime) -> list[Row]:
    """Return the rows of some WebSockets, which are of these processes."""
    places = {process.process: process for process in processes}
    rows = []
    for given in infos:
        info = given._replace(path=printable(given.path))
        process = info.id.partition("/")[0]
        place = places.get(process)
        last = info.last_received
        rows.append(
            Row(
                info,
                None if info.user_id is None else users.show(info.user_id),
                process if place is None else place.host,
                None if place is None else place.pid,
                _PROTOCOLS.get(info.version, f"version {info.version}"),
                duration((now - info.since).total_seconds()),
                "" if last is None else duration((now - last).total_seconds()),
                "" if info.latency is None else _short(info.latency),
            )
        )
    return rows


def printable(text: str) -> str:
    """Return a text of a client without what does not print, such as NUL, which databases refuse, and line breaks."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def duration(seconds: float) -> str:
    """Return a time in its two largest units; ``0 s`` for one ahead, as the clocks of two machines differ."""
    left = max(0, int(seconds))
    parts: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        number, rest = divmod(left, size)
        if number or parts:
            parts.append((number, unit))
            left = rest
        if len(parts) == 2:
            break
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
