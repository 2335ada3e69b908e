"""What the project that the doctor runs in says of an address.

The server at the address may be of another project, or have other settings. What is read here decides only where the
answer of the server leaves it open. Nothing here raises an error: a project that is broken says nothing, and the doctor
without an address says what is broken in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve

from ..checks import check_asgi
from ..checks.settings import MIDDLEWARE
from ..conf import conf
from ..handshake.marks import read_marks
from .urlconf import is_marked

T = TypeVar("T")


def has_middleware() -> bool:
    """Return whether the project has ``WebSocketMiddleware``."""
    return _guarded(lambda: MIDDLEWARE in settings.MIDDLEWARE, False)


def takes_websockets(path: str) -> bool | None:
    """Return whether the view at a path takes WebSockets; ``None`` if there is none, or the project cannot be asked."""

    def find() -> bool | None:
        view = _view_at(path)
        return None if view is None else is_marked(view) or (has_middleware() and conf.accept_all)

    return _guarded(find, None)


def allows_host(host: str) -> bool | None:
    """Return whether ``ALLOWED_HOSTS`` has a host, with or without a port; ``None`` if the project cannot be asked."""

    def find() -> bool:
        request = HttpRequest()
        request.META["HTTP_HOST"] = host
        try:
            request.get_host()
        except DisallowedHost:
            return False
        return True

    return _guarded(find, None)


def lists_origins(path: str) -> bool:
    """Return whether ``WEBSOCKET_ALLOWED_ORIGINS``, or the view at a path, lists the origins that may connect."""
    options = _guarded(lambda: read_marks(_view_at(path)).options, None)
    if options is not None and "allowed_origins" in options:
        return options["allowed_origins"] is not None
    return _guarded(lambda: conf.allowed_origins is not None, False)


def login_urls() -> tuple[str, ...]:
    """Return the address of the login page, as far as the settings say it."""
    return _guarded(lambda: (resolve_url(settings.LOGIN_URL),), ())


def speaks() -> tuple[int, ...]:
    """Return the versions that the project speaks, in its order of preference."""
    return _guarded(lambda: tuple(version for protocol in conf.protocols for version in protocol.versions), (13,))


def names_versions() -> bool:
    """Return whether the settings say which versions are spoken; otherwise the project speaks all of them."""
    return _guarded(lambda: hasattr(settings, "WEBSOCKET_PROTOCOLS"), False)


def looks_like_asgi() -> bool:
    """Return whether there are signs that the project is served by an ASGI server."""
    nothing: list[CheckMessage] = []
    return bool(_guarded(check_asgi, nothing))


def _view_at(path: str) -> Callable[..., Any] | None:
    try:
        return resolve(unquote(path)).func
    except Resolver404:
        return None


def _guarded(read: Callable[[], T], otherwise: T) -> T:
    """Return what ``read`` returns, and ``otherwise`` if the project cannot be asked."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - the modules of a project may raise anything when they are imported
        return otherwise
