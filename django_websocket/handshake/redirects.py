"""Log why a WebSocket was refused by a redirect."""

from __future__ import annotations

import logging
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch

from .responses import escape_for_log

logger = logging.getLogger("django_websocket.handshake")


def log_redirect(request: HttpRequest, response: HttpResponseBase) -> None:
    """Log that a redirect was the answer to a handshake, and the likely reason."""
    path = escape_for_log(request.path)
    if is_login(request, response.headers.get("Location", "")):
        logger.warning(
            "WebSocket refused at %s: not logged in, or the cookie of the session did not come along (the answer is a "
            "redirect to the login page, which no browser follows here, though other clients may)",
            path,
        )
    else:
        logger.warning(
            "WebSocket refused at %s by a redirect, which no browser follows here, though other clients may: is its "
            "address right, to the slash and the scheme?",
            path,
        )


def is_login(request: HttpRequest, location: str) -> bool:
    """Return whether a redirect leads to a login page.

    That is ``LOGIN_URL``, or any other address whose query names the path of the request, to come back to it: some
    decorators have a page of their own, as the admin has.
    """
    # An address that cannot be parsed is not that of a login page. Such an address may contain what a client has put
    # into the path of its request.
    with suppress(ValueError):
        target = urlsplit(location)
        if any(urlsplit(value).path == request.path for _, value in parse_qsl(target.query)):
            return True
        with suppress(NoReverseMatch):
            login = urlsplit(resolve_url(settings.LOGIN_URL))
            return (target.netloc, target.path) == (login.netloc, login.path)
    return False
