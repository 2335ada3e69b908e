"""Decorators that reject a WebSocket whose user may not open it, with a close code that the page can see.

Django's own decorators refuse a handshake by a redirect or a 403, of which a browser tells its page nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final, NamedTuple, TypeVar, overload

from asgiref.sync import iscoroutinefunction
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponseBase

from .connection.connection import UNAUTHORIZED
from .decorators import require_websocket
from .handshake.marks import read_marks
from .handshake.requests import parse, unwrap
from .handshake.responses import response_of_ended_websocket

View = TypeVar("View", bound=Callable[..., Any])

#: HTTP's 403, moved into the range 4000 to 4999 for private use as :data:`UNAUTHORIZED` is (RFC 6455 section 7.4.2).
FORBIDDEN: Final = 4403


class Rejection(NamedTuple):
    """What the page sees of a rejected WebSocket."""

    code: int
    reason: str


NOT_LOGGED_IN: Final = Rejection(UNAUTHORIZED, "not logged in")
NO_PERMISSION: Final = Rejection(FORBIDDEN, "permission denied")


@overload
def websocket_login_required(
    function: View, redirect_field_name: str | None = ..., login_url: str | None = ...
) -> View: ...
@overload
def websocket_login_required(
    function: None = ..., redirect_field_name: str | None = ..., login_url: str | None = ...
) -> Callable[[View], View]: ...
def websocket_login_required(
    function: Any = None, redirect_field_name: str | None = REDIRECT_FIELD_NAME, login_url: str | None = None
) -> Any:
    """Reject the WebSocket of a user who is not logged in, with close code 4401.

    For a plain HTTP request the decorator is Django's ``login_required``, with the same arguments. It may stand on
    either side of :func:`~django_websocket.accept_websocket` and :func:`~django_websocket.require_websocket`. Django's
    ``LoginRequiredMiddleware`` leaves the view to it.

    :raises TypeError: an ``async def`` view.
    """

    def decorate(view: Any) -> Any:
        plain = login_required(view, redirect_field_name, login_url)
        guard = _guard("websocket_login_required", view, plain, _reject_strangers)
        # The middleware would redirect the handshake before the guard sees it. The guard makes the same check.
        guard.login_required = False  # type: ignore[attr-defined]
        return guard

    return decorate if function is None else decorate(function)


def websocket_permission_required(
    perm: str | Iterable[str], login_url: str | None = None, raise_exception: bool = False
) -> Callable[[View], View]:
    """Reject the WebSocket of a user without the permission ``perm``, or all permissions in it, with close code 4403.

    A user who is not logged in is rejected with 4401. For a plain HTTP request the decorator is Django's
    ``permission_required``, with the same arguments. It may stand on either side of
    :func:`~django_websocket.accept_websocket` and :func:`~django_websocket.require_websocket`.

    :raises TypeError: an ``async def`` view.
    """
    perms = (perm,) if isinstance(perm, str) else tuple(perm)

    def find_rejection(user: Any) -> Rejection | None:
        # Some backends give permissions to anonymous users.
        return None if user.has_perms(perms) else _reject_strangers(user) or NO_PERMISSION

    def decorate(view: Any) -> Any:
        plain = permission_required(perms, login_url, raise_exception)(view)
        return _guard("websocket_permission_required", view, plain, find_rejection)

    return decorate


def _reject_strangers(user: Any) -> Rejection | None:
    return None if user.is_authenticated else NOT_LOGGED_IN


def _guard(
    name: str, view: Any, plain: Callable[..., Any], find_rejection: Callable[[Any], Rejection | None]
) -> Callable[..., HttpResponseBase | None]:
    """Return ``view`` with a check of the user of a WebSocket; ``plain`` is called for all other requests.

    The marks of this package's decorators, if ``view`` has any, are those of the result too.
    """
    if iscoroutinefunction(view):
        raise TypeError(f"{name}() takes synchronous views, as WebSockets do. Django's own decorator takes async ones")

    @wraps(plain)
    def guard(given: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        request = unwrap(given)
        websocket = getattr(request, "websocket", None)
        if websocket is None and not (parse(request).is_upgrade and read_marks(view).marked):
            return plain(given, *args, **kwargs)  # type: ignore[no-any-return]
        rejection = find_rejection(given.user)
        if rejection is None:
            return view(given, *args, **kwargs)  # type: ignore[no-any-return]
        if websocket is None:
            # The guard stands outside the decorator that admits WebSockets. This one admits it with the same options,
            # as far as they are known, and checks the Origin.
            return require_websocket(**read_marks(view).options or {})(_reject)(request, rejection)
        return _reject(request, rejection)

    return guard


def _reject(request: Any, rejection: Rejection) -> HttpResponseBase:
    """Reject the WebSocket of a request, and return the response that other decorators ask for."""
    request.websocket.reject(*rejection)
    return response_of_ended_websocket()
