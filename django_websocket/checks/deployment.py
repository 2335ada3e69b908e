"""Checks for ``check --deploy``: settings that are valid, but risky on a public server.

A message about a value that the project has set is a warning; one about a default is an Info.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Info, Tags, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured

from ..conf.settings import conf

_APP: Final = "django_websocket"
_HIXIE_VERSIONS: Final = frozenset({75, 76})
_SECURITY_MIDDLEWARE: Final = "django.middleware.security.SecurityMiddleware"
_MODERN_ONLY: Final = 'WEBSOCKET_PROTOCOLS = ["django_websocket.protocols.rfc6455.RFC6455"]'

#: Bytes of a message; a higher limit is reported. Each connection may hold a message of that size, and somewhat more
#: while it is received.
_LARGE_MESSAGE: Final = 16 * 1024 * 1024
#: Seconds of silence after which nginx cuts a connection by default (``proxy_read_timeout``).
_PROXY_READ_TIMEOUT: Final = 60


# Origins


def _every_origin() -> Iterator[CheckMessage]:
    if "*" in (conf.allowed_origins or ()):
        yield Warning(
            "WEBSOCKET_ALLOWED_ORIGINS allows every origin: any page can open a WebSocket with the cookies of its "
            "visitor.",
            hint="List the origins, or make it None for this site and CSRF_TRUSTED_ORIGINS.",
            id=f"{_APP}.W201",
        )


def _missing_origin() -> Iterator[CheckMessage]:
    if not conf.require_origin:
        yield Info(
            "Clients that name no Origin are let in. No browser omits it; scripts and applications do.",
            hint="If only browsers are to connect, set WEBSOCKET_REQUIRE_ORIGIN = True.",
            id=f"{_APP}.I209",
        )


def _every_host() -> Iterator[CheckMessage]:
    if conf.allowed_origins is None and "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS allows every host, so that a page of any name whose DNS entry points here counts as this "
            "site's own.",
            hint="List the hosts in ALLOWED_HOSTS, or the origins in WEBSOCKET_ALLOWED_ORIGINS.",
            id=f"{_APP}.W210",
        )


def _forwarded_host() -> Iterator[CheckMessage]:
    if conf.allowed_origins is None and settings.USE_X_FORWARDED_HOST:
        yield Warning(
            "With USE_X_FORWARDED_HOST the site's own origin is what X-Forwarded-Host says.",
            hint="See that the proxy always sets that header, whatever the client has sent, and that nobody gets past "
            "the proxy. Or list the origins in WEBSOCKET_ALLOWED_ORIGINS.",
            id=f"{_APP}.W211",
        )


def _cross_site_session() -> Iterator[CheckMessage]:
    others = settings.CSRF_TRUSTED_ORIGINS if conf.allowed_origins is None else conf.allowed_origins
    if others and (settings.SESSION_COOKIE_SAMESITE or "").lower() == "none":
        yield Warning(
            "SESSION_COOKIE_SAMESITE is 'None' and other origins than this site's may connect: their pages act with "
            "the session of their visitor.",
            hint="Make it 'Lax' unless those pages are on other sites and are meant to.",
            id=f"{_APP}.W212",
        )


def _redirect_to_https() -> Iterator[CheckMessage]:
    if (
        settings.SECURE_SSL_REDIRECT
        and not settings.SECURE_PROXY_SSL_HEADER
        and _SECURITY_MIDDLEWARE in settings.MIDDLEWARE
    ):
        yield Warning(
            "SECURE_SSL_REDIRECT without SECURE_PROXY_SSL_HEADER: behind a proxy that ends TLS every WebSocket is "
            "redirected, and no browser follows.",
            hint="Tell Django by SECURE_PROXY_SSL_HEADER what the proxy says. If the server itself ends TLS, silence "
            "this check.",
            id=f"{_APP}.W213",
        )


# Resources


def _message_size() -> Iterator[CheckMessage]:
    size = conf.max_message_size
    if size is None or size > _LARGE_MESSAGE:
        given = "None" if size is None else f"{size} bytes"
        yield Warning(
            f"WEBSOCKET_MAX_MESSAGE_SIZE is {given}: a few clients can fill the memory.",
            hint="Set it to as many bytes as your largest message has, or give the view that takes such messages the "
            "option max_message_size.",
            id=f"{_APP}.W202",
        )


def _fragments() -> Iterator[CheckMessage]:
    if conf.max_fragments is None:
        yield Warning(
            "WEBSOCKET_MAX_FRAGMENTS is None: a message can be cut into pieces of no bytes and never end.",
            hint="Leave it at its default unless a client of yours needs more.",
            id=f"{_APP}.W205",
        )


def _ping_interval() -> Iterator[CheckMessage]:
    interval = conf.ping_interval
    if interval is None or interval >= _PROXY_READ_TIMEOUT:
        yield Warning(
            f"WEBSOCKET_PING_INTERVAL is {interval}: a client that has vanished keeps its thread, and nginx cuts one "
            f"that is silent for {_PROXY_READ_TIMEOUT} seconds.",
            hint=f"Set it below {_PROXY_READ_TIMEOUT}, and below what any proxy on the way allows.",
            id=f"{_APP}.W206",
        )


def _ping_timeout() -> Iterator[CheckMessage]:
    if conf.ping_timeout is None:
        yield Warning(
            "WEBSOCKET_PING_TIMEOUT is None: a client that has vanished is pinged once, and keeps its thread.",
            hint="Set it to the seconds that a client may take to answer.",
            id=f"{_APP}.W207",
        )


def _compression() -> Iterator[CheckMessage]:
    if conf.compression is not None:
        yield Warning(
            "WEBSOCKET_COMPRESSION is on: the length of a message that holds a secret and a stranger's words tells "
            "something of the secret (CRIME, BREACH).",
            hint="Send secrets with compress=False, and see the page on security. If you have, silence this check.",
            id=f"{_APP}.W208",
        )


def _old_versions() -> Iterator[CheckMessage]:
    old = [protocol.__name__ for protocol in conf.protocols if not _HIXIE_VERSIONS.isdisjoint(protocol.versions)]
    if old:
        yield Info(
            f"WebSocket versions of before RFC 6455 are spoken ({', '.join(old)}).",
            hint=f"If no client needs them, switch them off: {_MODERN_ONLY}",
            id=f"{_APP}.I203",
        )


_CHECKS: Final[tuple[Callable[[], Iterator[CheckMessage]], ...]] = (
    _every_origin,
    _missing_origin,
    _every_host,
    _forwarded_host,
    _cross_site_session,
    _redirect_to_https,
    _message_size,
    _fragments,
    _ping_interval,
    _ping_timeout,
    _compression,
    _old_versions,
)


@register(Tags.security, deploy=True)
def check_deployment(**_kwargs: Any) -> list[CheckMessage]:
    """Return the messages about settings that are risky on a public server."""
    messages: list[CheckMessage] = []
    for check in _CHECKS:
        # check_settings() reports a setting that has a bad value.
        with suppress(ImproperlyConfigured):
            messages.extend(check())
    return messages


@register(Tags.compatibility, deploy=True)
def check_asgi(**_kwargs: Any) -> list[CheckMessage]:
    """Return a warning if there are signs that an ASGI server is going to serve the project.

    An ``asgi.py`` is no sign, as ``startproject`` always writes one; nor is ``"channels"`` in ``INSTALLED_APPS``, whose
    layers and workers are useful beside WSGI too.
    """
    signs = []
    if getattr(settings, "ASGI_APPLICATION", None):
        signs.append("ASGI_APPLICATION is set")
    if apps.is_installed("daphne"):
        signs.append("'daphne' is in INSTALLED_APPS")
    if not signs:
        return []
    return [
        Warning(
            f"{' and '.join(signs)}: an ASGI server serves no WebSockets of this package.",
            hint="Serve the WSGI application on one of the servers in the documentation. If the WebSockets' addresses "
            "go there already, silence this check.",
            id=f"{_APP}.W204",
        )
    ]
