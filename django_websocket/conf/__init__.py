"""The settings of this package, typed and read lazily, and the options of a view, which override them."""

from __future__ import annotations

from ..options import Options
from .settings import DEFAULT_PROTOCOLS, Conf, Setting, check_options, conf, import_protocol

__all__ = ["DEFAULT_PROTOCOLS", "Conf", "Options", "Setting", "check_options", "conf", "import_protocol"]
