"""The scenarios, each described by its name: ``pp-50x125``, ``pipe-1x125``, ``fan-1000x125``, ``idle-1000`` etc."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: Messages sent at a time in pipelining.
BURST: Final = 64

_NAME: Final = re.compile(r"(?:(pp|pipe|cork|fan|slow)-(\d+)x(\d+)([km]?)|(connect|idle)-(\d+))")
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20}
_MODES: Final = {
    "pp": "pingpong",
    "pipe": "pipeline",
    "cork": "corked",
    "fan": "fan",
    "slow": "slow",
    "connect": "connect",
    "idle": "idle",
}
#: The modes in which :data:`BURST` messages are sent at a time. In the second one the view sends its answers together.
BURSTS: Final = frozenset({"pipeline", "corked"})
#: The modes in which messages are published to the members of a group, instead of being echoed.
PUBLISHING: Final = frozenset({"fan", "slow"})
#: The modes that find out what a connection or a member costs in memory, or what becomes of it: each window needs a
#: server that has just been started.
FRESH: Final = PUBLISHING | {"idle"}

DEFAULT: Final = (
    "pp-1x125",
    "pp-50x125",
    "pp-50x1024",
    "pp-50x64k",
    "pp-4x1m",
    "pp-500x125",
    "pipe-50x125",
    "cork-50x125",
    "connect-16",
    "fan-1000x125",
)


@dataclass(frozen=True)
class Scenario:
    """One kind of load."""

    name: str
    #: What is measured. It is the load client's mode, but for ``corked``, which looks like ``pipeline`` to a client.
    mode: str
    connections: int
    #: Bytes of a message.
    size: int = 125

    @classmethod
    def parse(cls, name: str) -> Scenario:
        """Return the scenario of a name.

        :raises ValueError: there is no such scenario.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(
                f"not a scenario: {name!r}; they are pp-50x125, pp-50x64k, pipe-1x125, cork-1x125, fan-1000x125, "
                "slow-1000x4000, connect-16, idle-1000"
            )
        kind, connections, size, unit, other, count = match.groups()
        if other:
            found = cls(name, _MODES[other], int(count))
        else:
            found = cls(name, _MODES[kind], int(connections), int(size) * _UNITS[unit])
        if not found.connections or found.size > _UNITS["m"]:
            raise ValueError(f"{name!r} has no connections, or more than 1 MiB in a message")
        return found

    @property
    def arguments(self) -> list[str]:
        """The load client's arguments."""
        sizes = ["--conns", str(self.connections), "--size", str(self.size)]
        return ["pipeline", *sizes, "--burst", str(BURST)] if self.mode in BURSTS else [self.mode, *sizes]

    @property
    def title(self) -> str:
        """The scenario in words."""
        connections = f"{self.connections} connection{'s' * (self.connections > 1)}"
        size = f"{self.size // 1024} KiB" if self.size % 1024 == 0 and self.size else f"{self.size} bytes"
        return {
            "pingpong": f"{connections}, {size}",
            "pipeline": f"{connections}, {BURST} x {size}",
            "corked": f"corked, {self.connections} x {BURST} x {size}",
            "fan": f"{size} to each of {self.connections} members",
            "slow": f"{size} to each of {self.connections} members, of which some do not read",
            "connect": f"connect and close, {self.connections} at a time",
            "idle": f"{self.connections} idle connections",
        }[self.mode]
