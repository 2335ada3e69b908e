"""Plain HTTP requests: refuse them for views that take WebSockets only, and notice those that were handshakes.

A proxy that drops the ``Upgrade`` of a handshake makes a plain HTTP request of the handshake. No mistake in front of a
WebSocket is more common, because proxies pass that header field on only if they are told to. They do pass on the other
header fields of the handshake, which no client sends for any other reason.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from ..exceptions import HandshakeError
from .remedies import LOST_UPGRADE
from .responses import escape_for_log, refuse

logger = logging.getLogger("django_websocket.handshake")

WEBSOCKETS_ONLY: Final = "this address takes WebSockets only"
#: Seconds between two warnings. Any client can send such requests, and the mistake is the same each time.
REPORT_INTERVAL: Final = 60.0

_HEADERS_OF_HANDSHAKES: Final = (
    "HTTP_SEC_WEBSOCKET_KEY",
    "HTTP_SEC_WEBSOCKET_VERSION",
    "HTTP_SEC_WEBSOCKET_KEY1",
    "HTTP_SEC_WEBSOCKET_KEY2",
)


def refuse_plain(request: HttpRequest) -> HttpResponseBase:
    """Log the refusal of a plain HTTP request to a view that takes WebSockets only, and return the response."""
    lost = f"; {LOST_UPGRADE}" if has_lost_upgrade(request) else ""
    return refuse(request, HandshakeError(f"{WEBSOCKETS_ONLY}{lost}"))


def answer_plain(request: HttpRequest, *, required: bool) -> HttpResponseBase | None:
    """Return the refusal of a plain HTTP request, or ``None`` if the view is to answer it.

    It is refused if the view has a WebSocket ``required``. Otherwise a request that was a handshake is logged, because
    its client waits for a WebSocket and gets a page.
    """
    if required:
        return refuse_plain(request)
    if has_lost_upgrade(request):
        _reporter.report(request)
    return None


def has_lost_upgrade(request: HttpRequest) -> bool:
    """Return whether a plain HTTP request was a handshake when its client sent it.

    It has to be a GET: over HTTP/2 a handshake is a CONNECT, and has no ``Upgrade`` (RFC 8441 section 5).
    """
    return request.method == "GET" and any(name in request.META for name in _HEADERS_OF_HANDSHAKES)


class Reporter:
    """Logs handshakes that were answered like plain HTTP requests, one in :data:`REPORT_INTERVAL`."""

    def __init__(self) -> None:
        #: The time from which on the next one is logged.
        self._due = -math.inf

    def report(self, request: HttpRequest) -> None:
        """Log a request, unless another one was logged a short time ago.

        Thread-safe. Two threads that report at the same moment may both log, which is no reason for a lock.
        """
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REPORT_INTERVAL
            path = escape_for_log(request.path)
            logger.warning("A WebSocket handshake was answered like plain HTTP at %s: %s", path, LOST_UPGRADE)


_reporter: Final = Reporter()
