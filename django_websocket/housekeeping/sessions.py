"""The session of a request that becomes a WebSocket.

Django saves a session, and sends its cookie, with the response. A WebSocket has its handshake for one, in the midst of
the view; what ends the view hours later must not overwrite what others have saved meanwhile.
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string

#: Those that may have a cookie for the client.
_COOKIES: Final = (SessionMiddleware, CsrfViewMiddleware, MessageMiddleware)


def handshake_cookies(request: HttpRequest) -> list[tuple[str, str]]:
    """Save the session, as it would be with a response, and give the cookies that belong into the handshake.

    They are those that Django's own middleware for sessions, CSRF tokens and messages would set, or subclasses of it.

    :raises SessionInterrupted: the session has been deleted since the request began.
    """
    session: Any = getattr(request, "session", None)
    accessed = session is not None and session.accessed
    chain = _cookie_middleware(tuple(settings.MIDDLEWARE), has_session=session is not None)
    if not chain:
        return []
    response = HttpResponse(status=101)
    for middleware in chain:
        # Innermost first: messages may be stored in the session.
        response = middleware.process_response(request, response)
    if session is not None:
        # To be looked at for its cookie is no use of it.
        session.accessed = accessed
    return [("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values()]


@lru_cache(maxsize=8)
def _cookie_middleware(paths: tuple[str, ...], *, has_session: bool) -> list[Any]:
    """Give instances of the middleware of a project that sets cookies; they are asked for them, and call nobody."""
    classes = [found for path in reversed(paths) if isinstance(found := import_string(path), type)]
    classes = [found for found in classes if issubclass(found, _COOKIES)]
    if has_session and not any(issubclass(found, SessionMiddleware) for found in classes):
        # Another one, which has made the request's session.
        classes.append(SessionMiddleware)
    return [found(_nobody) for found in classes]


def _nobody(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError(f"no request is to go this way: {request!r}")


def let_go(request: HttpRequest) -> None:
    """Have nothing saved any more when the response of an ended WebSocket goes through the middleware.

    From now on the session says that it is empty, once the handshake has been sent; ``session.save()`` works on, for
    whoever calls it.
    """
    websocket: Any = request.websocket  # type: ignore[attr-defined]
    session: Any = getattr(request, "session", None)
    if session is not None:
        is_empty = type(session).is_empty
        own = weakref.ref(session)
        # What SessionMiddleware asks for last, also with SESSION_SAVE_EVERY_REQUEST. Its save() looks like a view's.
        session.is_empty = lambda: websocket.handshake_sent or is_empty(own())
    messages: Any = getattr(request, "_messages", None)
    if messages is not None and websocket.handshake_sent:
        messages.used = messages.added_new = False
