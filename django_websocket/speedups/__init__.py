"""Optional compiled code for what each message passes through.

Each compiled module has a twin in Python, which serves where the package was installed without a compiler, and which
every test runs with too. The environment variable ``DJANGO_WEBSOCKET_SPEEDUPS=0`` turns the compiled code off.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final

#: The name of the environment variable that turns the compiled code off.
VARIABLE: Final = "DJANGO_WEBSOCKET_SPEEDUPS"
#: The compiled modules: bytes, locks, the connection at its descriptor, and waiting in hubs.
NAMES: Final = ("frames", "lock", "core", "poller")


def load(name: str) -> Any:
    """Return a compiled module, one of :data:`NAMES`; ``None`` if it is turned off or was not compiled."""
    if os.environ.get(VARIABLE) == "0":
        return None
    try:
        return import_module(f"._{name}", __name__)
    except ImportError:
        return None
