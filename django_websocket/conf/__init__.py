"""The settings of this package, typed and read lazily, and the options that a view sets in place of them."""

from __future__ import annotations

from .settings import DEFAULT_PROTOCOLS, MEMORY_BACKEND, SETTINGS, Conf, Setting, check_options, conf
from .validators import GroupsConfig, import_protocol

__all__ = [
    "DEFAULT_PROTOCOLS",
    "MEMORY_BACKEND",
    "SETTINGS",
    "Conf",
    "GroupsConfig",
    "Setting",
    "check_options",
    "conf",
    "import_protocol",
]
