"""The session of a request that becomes a WebSocket.

Django saves a session, and sends its cookie, with the response. A WebSocket has a handshake instead of a response, and
sends it while the view runs. When the view ends, hours later, its session must not overwrite the data that other
requests have saved by then.
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

#: The middleware that may set a cookie which the client of a WebSocket needs.
_COOKIE_CLASSES: Final = (SessionMiddleware, CsrfViewMiddleware, MessageMiddleware)


def handshake_cookies(request: HttpRequest) -> list[tuple[str, str]]:
    """Save the session as it would be saved with a response, and return the ``Set-Cookie`` fields for the handshake.

    The cookies are those of Django's middleware for sessions, CSRF tokens and messages, and of its subclasses.

    :raises SessionInterrupted: the session was deleted since the request began.
    """
    session: Any = getattr(request, "session", None)
    accessed = session is not None and session.accessed
    chain = _cookie_middleware(tuple(settings.MIDDLEWARE), has_session=session is not None)
    if not chain:
        return []
    response = HttpResponse(status=101)
    for middleware in chain:
        # The innermost comes first, as with any response: messages may be stored in the session.
        response = middleware.process_response(request, response)
    if session is not None:
        # Reading the session to build its cookie does not count as access.
        session.accessed = accessed
    return [("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values()]


@lru_cache(maxsize=8)
def _cookie_middleware(paths: tuple[str, ...], *, has_session: bool) -> list[Any]:
    """Return instances of a project's middleware that sets cookies, innermost first, to call ``process_response`` on.

    ``paths`` are those of ``MIDDLEWARE``.
    """
    classes = [found for path in reversed(paths) if isinstance(found := import_string(path), type)]
    classes = [found for found in classes if issubclass(found, _COOKIE_CLASSES)]
    if has_session and not any(issubclass(found, SessionMiddleware) for found in classes):
        # A middleware that is not Django's has made the session of the request.
        classes.append(SessionMiddleware)
    return [found(_unreachable) for found in classes]


def _unreachable(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError(f"no request is to go this way: {request!r}")


def detach_session(request: HttpRequest) -> None:
    """Stop MessageMiddleware and SessionMiddleware from saving when the view ends, if the handshake was sent.

    They process the response in this order, as messages may be stored in the session. MessageMiddleware calls
    ``update()`` of the storage of messages. SessionMiddleware never saves a session whose ``is_empty()`` returns
    ``True``, even with ``SESSION_SAVE_EVERY_REQUEST``; therefore ``is_empty()`` is replaced, and not ``save()``, which
    a view can still call. Both new methods check at each call whether the handshake was sent.
    """
    websocket: Any = request.websocket  # type: ignore[attr-defined]
    session: Any = getattr(request, "session", None)
    if session is not None:
        # A session may be inside a SimpleLazyObject, whose type() is another class.
        original = session.__class__.is_empty
        # The session holds the function; a reference back to the session would be a cycle.
        session_ref = weakref.ref(session)

        def is_empty() -> bool:
            return bool(websocket.handshake_sent or original(session_ref()))

        session.is_empty = is_empty
    messages: Any = getattr(request, "_messages", None)
    if messages is not None:
        update = messages.__class__.update
        messages_ref = weakref.ref(messages)

        def store(response: HttpResponse) -> list[Any]:
            return [] if websocket.handshake_sent else update(messages_ref(), response)

        messages.update = store
