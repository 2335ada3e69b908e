"""The targets: a module for each, whose first sentence is the invariant that holds for every input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

NAMES: Final = (
    "server_frames",
    "client_frames",
    "compiled_frames",
    "compiled_core",
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
    #: Check one input; an exception means that the invariant does not hold. Return the kind of its outcome.
    run: Callable[[bytes], str]
    #: Inputs with which a fuzzer begins.
    seeds: Sequence[bytes]
    #: Words that it may insert.
    dictionary: Sequence[bytes]
    #: The first sentence of its module.
    invariant: str


def load(name: str) -> Target:
    """Import a target and return it; an engine that measures coverage must be prepared before that."""
    module = import_module(f"{__name__}.{name}")
    invariant = str(module.__doc__).partition("\n")[0]
    return Target(name, module.run, module.SEEDS, getattr(module, "DICTIONARY", ()), invariant)
