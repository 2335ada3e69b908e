"""Convert a request of Django into a request of the protocols."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import split_domain_port

from .. import protocols
from ..exceptions import HandshakeError
from ..protocols.http import lowercase_tokens
from . import remedies


def parse(request: HttpRequest) -> protocols.Request:
    """Return the request for the protocols to check; it is empty if ``request`` asks for no WebSocket.

    In the ``META`` of a request that asks for one, the schemes of WebSockets are replaced by those of HTTP.
    """
    meta = request.META
    upgrade = meta.get("HTTP_UPGRADE")
    if not upgrade or "websocket" not in lowercase_tokens(upgrade):
        return _NO_UPGRADE
    _translate_scheme(meta)
    headers = {_field_name(name): value for name, value in meta.items() if name.startswith("HTTP_")}
    headers["content-length"] = meta.get("CONTENT_LENGTH") or ""
    try:
        # Without the header get_host() would return the name of the server.
        host = request.get_host() if "host" in headers else None
    except DisallowedHost:
        host = None
    return protocols.Request(
        headers=headers,
        method=request.method or "",
        target=_target(request),
        host=host,
        secure=request.is_secure(),
        http_version=_http_version(meta),
    )


def unwrap(request: HttpRequest) -> HttpRequest:
    """Return Django's own request, of which Django REST framework gives its views a wrapper.

    Attributes that are set on the wrapper are not seen by Django.
    """
    own = getattr(request, "_request", None)
    return own if isinstance(own, HttpRequest) else request


_NO_UPGRADE: Final = protocols.Request()


@lru_cache(maxsize=256)
def _field_name(key: str) -> str:
    """Return the name of the header field with the key ``key`` in the environ.

    The cache makes all connections share one string.
    """
    return key[5:].replace("_", "-").lower()


def host_error(request: HttpRequest) -> HandshakeError:
    """Return the error for a request whose Host is missing, malformed or not in ``ALLOWED_HOSTS``."""
    meta = request.META
    if not meta.get("HTTP_HOST"):
        return HandshakeError("the Host header is missing", remedy=remedies.MISSING_HOST)
    name, host = "Host", meta["HTTP_HOST"]
    if settings.USE_X_FORWARDED_HOST and "HTTP_X_FORWARDED_HOST" in meta:
        name, host = "X-Forwarded-Host", meta["HTTP_X_FORWARDED_HOST"]
    detail = f"it says {host}"
    domain, _ = split_domain_port(host)
    if not domain:
        return HandshakeError(f"the {name} header is malformed", detail=detail)
    return HandshakeError(f"the {name} header is not allowed", detail=detail, remedy=remedies.UNKNOWN_HOST)


#: The schemes of HTTP by those of WebSockets.
_HTTP_SCHEMES: Final = {"wss": "https", "ws": "http"}


def _translate_scheme(meta: dict[str, Any]) -> None:
    """Replace ``wss`` and ``ws`` by ``https`` and ``http`` wherever Django reads the scheme of a request.

    Some proxies, Traefik for one, announce the scheme of an upgrade as it stands in the address of the WebSocket.
    Django knows the schemes of HTTP only, and ``SecurityMiddleware`` would redirect the request to its own address.
    """
    header, secure_value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    for key in ("wsgi.url_scheme", header):
        # Of a list Django reads the first item.
        scheme = meta.get(key, "").partition(",")[0].strip()
        if scheme in _HTTP_SCHEMES and scheme != secure_value:
            meta[key] = _HTTP_SCHEMES[scheme]


def _target(request: HttpRequest) -> str:
    """Return the request target as the client sent it if the server keeps that, otherwise as Django would write it."""
    meta = request.META
    target: str = meta.get("RAW_URI") or meta.get("REQUEST_URI") or ""
    if "RAW_PATH_INFO" in meta:  # eventlet
        target = "?".join(filter(None, (meta["RAW_PATH_INFO"], meta.get("QUERY_STRING"))))
    return target if target.startswith("/") else request.get_full_path()


def _http_version(meta: dict[str, Any]) -> tuple[int, int] | None:
    """Return the HTTP version of a request, ``None`` if it is unknown: eventlet reports 1.0 for all of them."""
    version = meta.get("SERVER_PROTOCOL", "")
    if "eventlet.input" in meta or version not in {"HTTP/0.9", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/2.0"}:
        return None
    major, _, minor = version[5:].partition(".")
    return int(major), int(minor or 0)
