"""The responses of this package: refusals of a handshake, and the response of a WebSocket that has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from http.cookies import SimpleCookie
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from ..exceptions import HandshakeError
from . import remedies

logger = logging.getLogger("django_websocket.handshake")

#: Seconds after which a client may try again, when the server has no room for more WebSockets.
RETRY_AFTER: Final = 5
#: Characters of a client's text in a log record; the rest is cut off, so that the record stays readable.
MAX_LOGGED: Final = 200
# The key in ``request.META`` of the reason why the request was refused.
_REFUSAL: Final = "django_websocket.refusal"
NO_WEBSOCKETS: Final = "this address takes no WebSockets"


def refuse(request: HttpRequest, error: HandshakeError, level: int = logging.WARNING) -> HttpResponse:
    """Log the refusal of a request at ``level``, and return the response.

    With ``DEBUG`` the remedy stands in the response too: only the people who run the site see it then.
    """
    remedy = error.remedy and f"; {error.remedy}"
    logger.log(
        level,
        "WebSocket refused with %d at %s: %s%s%s",
        error.status,
        escape_for_log(request.path),
        error,
        error.detail and f" ({escape_for_log(error.detail)})",
        remedy,
        extra={"status_code": error.status, "request": request},
    )
    request.META[_REFUSAL] = str(error)
    text = f"{error}{remedy}\n" if settings.DEBUG else f"{error}\n"
    response = HttpResponse(text, status=error.status, content_type="text/plain; charset=utf-8")
    # Otherwise Django would log the response again, and mail a 503 to the admins of the site.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 - as log_response() does
    # CommonMiddleware, which adds this header, stands behind our middleware and does not see the response.
    response.headers["Content-Length"] = str(len(response.content))
    for name, value in error.headers:
        response.headers[name] = value
    return response


def refusal_of(request: HttpRequest) -> str | None:
    """Return why :func:`refuse` has refused a request, ``None`` if it has not."""
    return request.META.get(_REFUSAL)


def takes_no_websockets(*, redirected: bool = False) -> HandshakeError:
    """Return the error for a view that is not marked; ``redirected``: it has answered with a redirect."""
    return HandshakeError(NO_WEBSOCKETS, remedy=remedies.REDIRECTING_VIEW if redirected else remedies.UNMARKED_VIEW)


def replace(response: HttpResponseBase, refusal: HttpResponse) -> HttpResponse:
    """Return a refusal that takes the place of a response, with its cookies and resources.

    A middleware may just have given the session a new key, and the client needs its cookie.
    """
    refusal.cookies = response.cookies
    refusal._resource_closers.extend(response._resource_closers)  # type: ignore[attr-defined]  # noqa: SLF001
    return refusal


def unavailable(reason: str) -> HandshakeError:
    """Return the error for a server that takes no WebSocket now, with status 503 and ``Retry-After``."""
    return HandshakeError(reason, status=503, headers=[("Retry-After", str(RETRY_AFTER))])


def escape_for_log(text: str) -> str:
    """Return ``text``, which a client has sent, in printable ASCII and cut off after :data:`MAX_LOGGED` characters."""
    shown = ascii(text[:MAX_LOGGED])[1:-1]
    return shown if len(shown) <= MAX_LOGGED and len(text) <= MAX_LOGGED else f"{shown[:MAX_LOGGED]}..."


class EndedResponse(HttpResponse):
    """The response of a WebSocket that has ended: the server writes nothing for it, as the handshake was the answer."""

    status_code = 101
    # The constructor of HttpResponse takes long, and nobody reads most of what it makes. The rest of its attributes are
    # made when they are asked for, by middleware perhaps.
    closed = False
    _charset: str | None = None
    _reason_phrase: str | None = None
    _handler_class: type | None = None
    #: Called to make the server believe that its client has disconnected; ``None`` before the connection has ended.
    finish_connection: Callable[[], None] | None = None

    def __init__(self) -> None:
        self._resource_closers: list[Callable[[], None]] = []

    @cached_property
    def headers(self) -> Any:  # type: ignore[override]  # A cached property can be set.
        """The header fields of an empty response, none of which is sent."""
        return HttpResponse().headers

    @cached_property
    def cookies(self) -> SimpleCookie:  # type: ignore[override]  # A cached property can be set.
        """The cookies that middleware sets, none of which is sent."""
        return SimpleCookie()

    @cached_property
    def _container(self) -> list[bytes]:
        return [b""]

    def items(self) -> Iterable[tuple[str, str]]:
        """Return no header fields, even if middleware has added some.

        A server may read them before it finds the socket shut down.
        """
        return ()

    def __iter__(self) -> Iterator[bytes]:
        if self.finish_connection is not None:
            # Some servers do not call close() when they find the socket shut down; request_finished would not be sent.
            self.close()
            self.finish_connection()
        return iter(())

    def close(self) -> None:
        """Close the response, once: servers call this again after ``__iter__()`` has."""
        if not self.closed:
            super().close()


def response_of_ended_websocket(
    response: object = None, finish_connection: Callable[[], None] | None = None
) -> EndedResponse:
    """Return the response for a request whose handshake was sent; no part of the response reaches the client.

    The returned response replaces ``response`` and takes over its resources. ``finish_connection`` is as in
    :class:`EndedResponse`.
    """
    if isinstance(response, EndedResponse):
        end = response
        end.status_code = EndedResponse.status_code
        end.cookies.clear()
    else:
        end = EndedResponse()
        if isinstance(response, HttpResponseBase):
            # The ended response closes the files and other resources that the view's response would have closed.
            end._resource_closers.extend(response._resource_closers)  # type: ignore[attr-defined]  # noqa: SLF001
    end.finish_connection = finish_connection
    return end
