"""WebSockets in plain, synchronous Django views.

Each folder is a layer: ``protocols`` converts bytes to messages, ``transports`` wait for sockets, ``process`` holds the
state of the process, ``connection`` joins a protocol to a transport, ``handshake`` decides whether a request may become
a WebSocket, ``housekeeping`` does what Django does between requests, ``servers`` find the socket of a request, and
``groups`` send one message to many members; ``speedups`` has compiled twins of what each message passes through;
``gunicorn``, ``conf``, ``checks``, ``doctor``, ``management``, ``testing``, ``admin`` and ``prometheus`` serve
projects. A module imports only from its own layer and from lower ones, and ``middleware`` joins all of them. Where a
folder has alternatives, its ``__init__.py`` chooses one.

Importing this package imports neither Django nor eventlet: a name is loaded when it is first used, so that a server's
worker can still monkey-patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .exceptions import (
    ConnectionClosed,
    GroupConfigurationError,
    GroupError,
    GroupUnavailable,
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
    from .access import websocket_login_required, websocket_permission_required
    from .connection.listing import connections
    from .decorators import accept_websocket, require_websocket
    from .groups.group import Group
    from .groups.listing import all_connections
    from .groups.logout import disconnect_connection, disconnect_session, disconnect_user
    from .groups.status import groups_status
    from .requests import MaybeWebSocketRequest, WebSocketOptions, WebSocketRequest
    from .websocket import WebSocket

__version__ = "1.0.0"

# The module of each public name that is imported at its first use.
_LAZY = {
    "Group": "groups.group",
    "MaybeWebSocketRequest": "requests",
    "WebSocket": "websocket",
    "WebSocketOptions": "requests",
    "WebSocketRequest": "requests",
    "accept_websocket": "decorators",
    "all_connections": "groups.listing",
    "connections": "connection.listing",
    "disconnect_connection": "groups.logout",
    "disconnect_session": "groups.logout",
    "disconnect_user": "groups.logout",
    "groups_status": "groups.status",
    "require_websocket": "decorators",
    "websocket_login_required": "access",
    "websocket_permission_required": "access",
}

__all__ = [
    "ConnectionClosed",
    "Group",
    "GroupConfigurationError",
    "GroupError",
    "GroupUnavailable",
    "HandshakeError",
    "InvalidData",
    "MalformedWebSocket",
    "MaybeWebSocketRequest",
    "MessageTooBig",
    "PolicyViolation",
    "ProtocolError",
    "SocketNotFound",
    "UnsupportedFeature",
    "WebSocket",
    "WebSocketError",
    "WebSocketOptions",
    "WebSocketRequest",
    "accept_websocket",
    "all_connections",
    "connections",
    "disconnect_connection",
    "disconnect_session",
    "disconnect_user",
    "groups_status",
    "require_websocket",
    "websocket_login_required",
    "websocket_permission_required",
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
