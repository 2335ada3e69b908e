"""The options of a connection, with every value validated. This module knows nothing of Django."""

from __future__ import annotations

from dataclasses import dataclass

from .protocols.base import Compression


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the connections of one view.

    ``conf.options()`` builds them from the settings of the project and the arguments of the view's decorator.
    """

    #: The origins whose pages may connect, ``"*"`` for any; ``None``: the request's own and ``CSRF_TRUSTED_ORIGINS``.
    allowed_origins: tuple[str, ...] | None
    #: Whether a client that sends no ``Origin`` is refused.
    require_origin: bool
    #: Bytes of a message, after decompression; ``None``: no limit.
    max_message_size: int | None
    #: Frames of a message; ``None``: no limit.
    max_fragments: int | None
    #: How messages are compressed; ``None``: they are not.
    compression: Compression | None
    #: Seconds without a byte from the peer before a ping; ``None``: no pings.
    ping_interval: float | None
    #: Seconds without a byte from the peer after a ping before the connection is dropped; ``None``: no limit.
    ping_timeout: float | None
    #: Seconds in which the peer takes not one byte before the connection is dropped.
    send_timeout: float
    #: Seconds to wait for the peer's Close after ours.
    close_timeout: float
    #: Seconds to wait for the rest of a handshake. No decorator takes it: only the setting has it.
    handshake_timeout: float
    #: The subprotocols that the view speaks, in order of preference. Only the decorators have it: there is no setting.
    subprotocols: tuple[str, ...] = ()
