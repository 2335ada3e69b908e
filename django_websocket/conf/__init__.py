"""The settings of this package, typed and read lazily, and the options that a view sets in place of them."""

from __future__ import annotations

from .settings import DEFAULT_PROTOCOLS, SETTINGS, Conf, Setting, check_options, conf
from .validators import import_protocol

__all__ = ["DEFAULT_PROTOCOLS", "SETTINGS", "Conf", "Setting", "check_options", "conf", "import_protocol"]
