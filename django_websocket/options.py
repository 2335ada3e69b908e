"""The options of one view's connections."""

from __future__ import annotations

from dataclasses import dataclass

from .protocols.base import Compression


@dataclass(frozen=True)
class Options:
    """What holds for one view's connections; each field but the last is as the setting of its name."""

    allowed_origins: tuple[str, ...] | None
    require_origin: bool
    max_message_size: int | None
    max_fragments: int | None
    compression: Compression | None
    ping_interval: float | None
    ping_timeout: float | None
    send_timeout: float
    close_timeout: float
    handshake_timeout: float
    #: What the view speaks, best first.
    subprotocols: tuple[str, ...] = ()
