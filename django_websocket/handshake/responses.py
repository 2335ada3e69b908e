"""Responses that this package gives: refusals, and what stands for a WebSocket that has ended."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from .. import servers
from ..exceptions import HandshakeError

logger = logging.getLogger("django_websocket.handshake")

#: Seconds after which a client that found no room may come again.
RETRY_AFTER: Final = 5
#: Characters that one thing a client has sent gets in the log: a line of it is to stay one that can be read.
MAX_LOGGED: Final = 200
NOT_PLAIN: Final = "this address takes WebSockets only"
BAD_HOST: Final = "the Host header is missing, malformed or not allowed"


def refuse_plain(request: HttpRequest) -> HttpResponseBase:
    """Give the answer for a plain HTTP request where only WebSockets are taken."""
    return refuse(request, HandshakeError(NOT_PLAIN))


def refuse(request: HttpRequest, error: HandshakeError, level: int = logging.WARNING) -> HttpResponse:
    """Give the answer for a refused request, and log it."""
    logger.log(
        level,
        "WebSocket refused with %d at %s: %s%s",
        error.status,
        printable(request.path),
        error,
        error.detail and f" ({printable(error.detail)})",
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
    """Give the refusal of a server that has no room now."""
    return HandshakeError(reason, status=503, headers=[("Retry-After", str(RETRY_AFTER))])


def printable(text: str) -> str:
    """Give what a client has sent fit for a log: it may be anything, and of any length."""
    shown = ascii(text[:MAX_LOGGED])[1:-1]
    return shown if len(shown) <= MAX_LOGGED and len(text) <= MAX_LOGGED else f"{shown[:MAX_LOGGED]}..."


class EndedResponse(HttpResponse):
    """What the server gets when a WebSocket has ended: nothing to write, and the word that it was answered."""

    status_code = 101
    #: The connection that has ended, once it has.
    link: servers.Link | None = None

    def items(self) -> Iterable[tuple[str, str]]:
        """Give no headers, whatever middleware has added: a server may look at them before it finds nobody there."""
        return ()

    def __iter__(self) -> Iterator[bytes]:
        if self.link is not None:
            # Some servers find the socket shut down and never call close(): request_finished would not be sent.
            self.close()
            self.link.finish()
        return iter(())

    def close(self) -> None:
        """Close once: others call it again."""
        if not self.closed:
            super().close()


def ended(response: object = None, link: servers.Link | None = None) -> EndedResponse:
    """Give the response of a WebSocket that has been used, in the place of ``response``; nobody sees it.

    ``link`` is that of a connection that has ended.
    """
    if isinstance(response, EndedResponse):
        end = response
        end.status_code = EndedResponse.status_code
        end.cookies.clear()
    else:
        end = EndedResponse()
        if isinstance(response, HttpResponseBase):
            # Files and the like, which the other response would have closed.
            end._resource_closers.extend(response._resource_closers)  # type: ignore[attr-defined]  # noqa: SLF001
    end.link = link
    return end
