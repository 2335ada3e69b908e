"""Report to the project which requests got no WebSocket."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from ..handshake.responses import refusal_of
from ..signals import websocket_refused
from ..websocket import WebSocket


def report_refusal(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Send the signal for a request that asked for a WebSocket, or should have, and gets ``response`` instead.

    The response is returned. It may be one of other code than ours, such as the redirect of ``login_required``.
    """
    status = response.status_code
    websocket_refused.send_robust(
        WebSocket,
        request=request,
        status=status,
        reason=refusal_of(request) or f"answered with {status} before the handshake",
    )
    return response
