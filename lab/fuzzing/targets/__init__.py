"""What is fuzzed: a module for each target, whose first sentence says what holds for every input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

NAMES: Final = (
    "server_frames",
    "client_frames",
    "hixie76",
    "hixie75",
    "requests",
    "answers",
    "extensions",
    "origins",
)


@dataclass(frozen=True)
class Target:
    """One target."""

    name: str
    #: Raises when the invariant does not hold; gives a word for what has happened, for whoever looks for something new.
    run: Callable[[bytes], str]
    #: Where a fuzzer begins.
    seeds: Sequence[bytes]
    #: What it may insert.
    dictionary: Sequence[bytes]
    #: The first sentence of its module.
    invariant: str


def load(name: str) -> Target:
    """Import a target: whoever measures coverage does so first."""
    module = import_module(f"{__name__}.{name}")
    invariant = str(module.__doc__).partition("\n")[0]
    return Target(name, module.run, module.SEEDS, getattr(module, "DICTIONARY", ()), invariant)
