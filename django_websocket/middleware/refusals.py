"""Report to the project which requests got no WebSocket."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponseBase
from django.http.multipartparser import MultiPartParserError

from ..handshake.responses import refusal_of
from ..signals import websocket_refused
from ..websocket import WebSocket

_STATUS_OF: Final[tuple[tuple[type[Exception], int], ...]] = (
    (Http404, 404),
    (PermissionDenied, 403),
    (MultiPartParserError, 400),
    (BadRequest, 400),
    (SuspiciousOperation, 400),
)


def report_exception(request: HttpRequest, exception: Exception) -> None:
    """Send the signal for a request whose view has raised an exception instead of opening its WebSocket.

    Django makes the response later, with this status unless the project has others.
    """
    status = next((status for kind, status in _STATUS_OF if isinstance(exception, kind)), 500)
    _send(request, status)


def report_refusal(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Send the signal for a request that asked for a WebSocket, or should have, and gets ``response`` instead.

    The response is returned. It may be one of other code than ours, such as the redirect of ``login_required``.
    """
    _send(request, response.status_code)
    return response


def _send(request: HttpRequest, status: int) -> None:
    reason = refusal_of(request) or f"answered with {status} before the handshake"
    websocket_refused.send_robust(WebSocket, request=request, status=status, reason=reason)
