"""WebSockets in plain, synchronous Django views.

A file of this package is what a project imports, configures or subclasses; a folder is a layer. A line of code finds
its folder by what it knows: bytes (``protocols``), a socket's world (``transports``), what exists once per process
(``process``), messages and time (``connection``), a server's environ (``servers``), whether a request may become a
WebSocket (``handshake``), what Django does between requests (``housekeeping``). Imports go only down. Where there is a
choice among the files of a folder, its ``__init__.py`` makes it. Nothing knows two layers but ``middleware.py``.

Importing this package imports neither Django nor eventlet: a name is loaded when it is first used, so that a server's
worker can still monkey-patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .exceptions import (
    ConnectionClosed,
    HandshakeError,
    InvalidData,
    MalformedWebSocket,
    MessageTooBig,
    PolicyViolation,
    ProtocolError,
    SocketNotFound,
    UnsupportedFeature,
    WebSocketError,
)

if TYPE_CHECKING:
    from .decorators import accept_websocket, require_websocket
    from .websocket import WebSocket

__version__ = "1.0.0"

_LAZY = {"accept_websocket": "decorators", "require_websocket": "decorators", "WebSocket": "websocket"}

__all__ = [
    "ConnectionClosed",
    "HandshakeError",
    "InvalidData",
    "MalformedWebSocket",
    "MessageTooBig",
    "PolicyViolation",
    "ProtocolError",
    "SocketNotFound",
    "UnsupportedFeature",
    "WebSocket",
    "WebSocketError",
    "accept_websocket",
    "require_websocket",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    from importlib import import_module

    try:
        module = _LAZY[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return value
