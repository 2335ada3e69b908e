"""Reports of what happens to WebSockets: signals for the project, and lines in the log."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.http import HttpRequest

from ..connection.hooks import Peer
from ..connection.stats import ConnectionStats
from ..signals import websocket_accepted, websocket_closed, websocket_refused
from .authentication import user_id

connection_logger: Final = logging.getLogger("django_websocket.connection")

_VERSIONS: Final = {13: "RFC 6455", 8: "hybi-08", 7: "hybi-07", 76: "hixie-76", 75: "hixie-75"}


def describe_peer(request: HttpRequest, websocket: Any) -> Peer:
    """Return who has made a request that became a WebSocket, as far as the request knows: nothing is loaded."""
    match = request.resolver_match
    return Peer(websocket.member_id, request.path, None if match is None else match.route, user_id(request))


def report_accepted(request: HttpRequest, websocket: Any, name: str) -> None:
    """Report a WebSocket whose handshake was sent; ``name`` is its path as it may stand in the log."""
    if connection_logger.isEnabledFor(logging.INFO):
        extra = _extra(request, websocket)
        user = _user(extra, "{}, ")
        connection_logger.info("WebSocket accepted: %s (%s%s)", name, user, _VERSIONS[websocket.version], extra=extra)
    websocket_accepted.send_robust(type(websocket), request=request, websocket=websocket)


def report_closed(request: HttpRequest, websocket: Any, name: str, stats: ConnectionStats) -> None:
    """Report a WebSocket that has ended, after :func:`report_accepted`."""
    level = logging.WARNING if stats.is_faulty else logging.INFO
    if connection_logger.isEnabledFor(level):
        extra = _extra(request, websocket)
        end = "without a Close" if stats.closed_by == "network" else f"by {stats.closed_by}"
        connection_logger.log(
            level,
            "WebSocket closed: %s%s %d %s%s after %.1f s, %d messages in (%d bytes), %d out (%d bytes)",
            name,
            _user(extra, " ({})"),
            stats.close_code,
            end,
            "" if stats.cause == "normal" else f" ({stats.cause})",
            stats.duration,
            stats.messages_received,
            stats.bytes_received,
            stats.messages_sent,
            stats.bytes_sent,
            extra={**extra, **stats._asdict()},
        )
    websocket_closed.send_robust(type(websocket), request=request, websocket=websocket, stats=stats)


def report_rejected(request: HttpRequest, websocket: Any, code: int, reason: str) -> None:
    """Report a WebSocket that is closed with ``code`` as soon as its handshake was sent."""
    websocket_refused.send_robust(type(websocket), request=request, status=code, reason=reason)


def _extra(request: HttpRequest, websocket: Any) -> dict[str, Any]:
    """Return what a record in the log says of a WebSocket besides its text."""
    peer = describe_peer(request, websocket)
    return {**peer._asdict(), "version": websocket.version, "subprotocol": websocket.subprotocol}


def _user(extra: dict[str, Any], form: str) -> str:
    """Return the user of a record in a form for its text; empty if the request has none so far."""
    return "" if extra["user_id"] is None else form.format(f"user {ascii(extra['user_id'])[1:-1]}")
