"""The lines of ``runserver`` for WebSockets: one when a WebSocket is opened, and one when it is closed."""

from __future__ import annotations

import logging
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from django.http import HttpRequest

from ..connection.stats import ConnectionStats
from ..signals import websocket_accepted, websocket_closed

#: The logger of the lines that Django's ``runserver`` prints for each request.
logger = logging.getLogger("django.server")


def log_websockets() -> None:
    """Log each WebSocket of this process from now on, as ``runserver`` logs each request.

    The server itself never sees the response to a handshake, and so prints nothing. This goes on until the process
    ends, because WebSockets are closed when the server has ended already.
    """
    websocket_accepted.connect(_on_accepted, dispatch_uid=__name__)
    websocket_closed.connect(_on_closed, dispatch_uid=__name__)


def _on_accepted(request: HttpRequest, **_: Any) -> None:
    _log(request, "open")


def _on_closed(request: HttpRequest, stats: ConnectionStats, **_: Any) -> None:
    _log(request, f"closed {stats.close_code} {stats.duration:.1f} s")


def _log(request: HttpRequest, event: str) -> None:
    """Log an event with the request line, and with the attributes that the formatter of Django uses."""
    line = f"{request.method} {request.get_full_path()} {request.META.get('SERVER_PROTOCOL', 'HTTP/1.1')}"
    logger.info(
        '"%s" 101 %s', line, event, extra={"request": request, "status_code": 101, "server_time": _server_time()}
    )


def _server_time() -> str:
    """Return the time in the format of Django's server, whose months are English whatever the locale."""
    now = time.localtime()
    month = BaseHTTPRequestHandler.monthname[now.tm_mon]
    return f"{now.tm_mday:02}/{month}/{now.tm_year:04} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
