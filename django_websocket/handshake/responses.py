"""Responses of this package: refusals, and the response that stands for a WebSocket that has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from ..exceptions import HandshakeError

logger = logging.getLogger("django_websocket.handshake")

#: Seconds after which a client that found no room may come again.
RETRY_AFTER: Final = 5
#: Characters of one text of a client's that are logged, so that the line can still be read.
MAX_LOGGED: Final = 200
NOT_PLAIN: Final = "this address takes WebSockets only"
BAD_HOST: Final = "the Host header is missing, malformed or not allowed"


def refuse_plain(request: HttpRequest) -> HttpResponseBase:
    """Return the response for a plain HTTP request where only WebSockets are taken, and log it."""
    return refuse(request, HandshakeError(NOT_PLAIN))


def refuse(request: HttpRequest, error: HandshakeError, level: int = logging.WARNING) -> HttpResponse:
    """Return the response for a refused request, and log it."""
    logger.log(
        level,
        "WebSocket refused with %d at %s: %s%s",
        error.status,
        escape_for_log(request.path),
        error,
        error.detail and f" ({escape_for_log(error.detail)})",
        extra={"status_code": error.status, "request": request},
    )
    response = HttpResponse(f"{error}\n", status=error.status, content_type="text/plain; charset=utf-8")
    # Else Django logs it once more, and mails a 503 to the site's admins.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 - as log_response() does
    # CommonMiddleware, which would add it, stands behind ours.
    response.headers["Content-Length"] = str(len(response.content))
    for name, value in error.headers:
        response.headers[name] = value
    return response


def unavailable(reason: str) -> HandshakeError:
    """Return the refusal of a server that has no room now."""
    return HandshakeError(reason, status=503, headers=[("Retry-After", str(RETRY_AFTER))])


def escape_for_log(text: str) -> str:
    """Return a client's text fit for a log: it may hold any character, and have any length."""
    shown = ascii(text[:MAX_LOGGED])[1:-1]
    return shown if len(shown) <= MAX_LOGGED and len(text) <= MAX_LOGGED else f"{shown[:MAX_LOGGED]}..."


class EndedResponse(HttpResponse):
    """What the server gets when a WebSocket has ended: nothing to write, and the news that it was answered."""

    status_code = 101
    #: Makes the server find that its client is gone; set once the connection has ended.
    finish_connection: Callable[[], None] | None = None

    def items(self) -> Iterable[tuple[str, str]]:
        """Return no headers, whatever middleware has added: a server may use them before it finds its client gone."""
        return ()

    def __iter__(self) -> Iterator[bytes]:
        if self.finish_connection is not None:
            # Some servers find the socket shut down and never call close(): request_finished would not be sent.
            self.close()
            self.finish_connection()
        return iter(())

    def close(self) -> None:
        """Close the response the first time; servers call this again."""
        if not self.closed:
            super().close()


def response_of_ended_websocket(
    response: object = None, finish_connection: Callable[[], None] | None = None
) -> EndedResponse:
    """Return the response of a WebSocket whose handshake was sent, in place of the view's ``response``; nobody sees it.

    ``finish_connection`` is :attr:`EndedResponse.finish_connection`, for a connection that has ended.
    """
    if isinstance(response, EndedResponse):
        ended = response
        ended.status_code = EndedResponse.status_code
        ended.cookies.clear()
    else:
        ended = EndedResponse()
        if isinstance(response, HttpResponseBase):
            # Files and the like, which the view's response would have closed.
            ended._resource_closers.extend(response._resource_closers)  # type: ignore[attr-defined]  # noqa: SLF001
    ended.finish_connection = finish_connection
    return ended
