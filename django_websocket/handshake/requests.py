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
from ..protocols.http import CACHE_SIZE, HANDSHAKE_HEADERS, lowercase_tokens
from . import remedies
from .django_settings import read_setting


def parse(request: HttpRequest) -> protocols.Request:
    """Return the request for the protocols to check; it is empty if ``request`` asks for no WebSocket.

    In the ``META`` of a request that asks for one, the schemes of WebSockets are replaced by those of HTTP.
    """
    meta = request.META
    upgrade = meta.get("HTTP_UPGRADE")
    if not upgrade or "websocket" not in lowercase_tokens(upgrade):
        return _NO_UPGRADE
    _translate_scheme(meta)
    headers = {name: meta[key] for name, key in _KEYS if key in meta}
    headers["content-length"] = meta.get("CONTENT_LENGTH") or ""
    # eventlet reports 1.0 for all requests.
    version = None if "eventlet.input" in meta else _HTTP_VERSIONS.get(meta.get("SERVER_PROTOCOL", ""))
    # The arguments go by position because Python takes twice as long to make an object otherwise.
    return protocols.Request(
        headers, request.method or "", _target(request), _host(request), request.is_secure(), version
    )


def unwrap(request: HttpRequest) -> HttpRequest:
    """Return Django's own request, of which Django REST framework gives its views a wrapper.

    Attributes that are set on the wrapper are not seen by Django.
    """
    own = getattr(request, "_request", None)
    return own if isinstance(own, HttpRequest) else request


_NO_UPGRADE: Final = protocols.Request()
#: The keys of the environ by the names of header fields.
_KEYS: Final = tuple((name, f"HTTP_{name.replace('-', '_').upper()}") for name in HANDSHAKE_HEADERS)
_HTTP_VERSIONS: Final = {
    "HTTP/0.9": (0, 9),
    "HTTP/1.0": (1, 0),
    "HTTP/1.1": (1, 1),
    "HTTP/2": (2, 0),
    "HTTP/2.0": (2, 0),
}


def _host(request: HttpRequest) -> str | None:
    """Return ``get_host()`` of a request, ``None`` if the header is missing, malformed or not allowed.

    The method takes as long as all the other checks of a handshake together, and its results are kept.
    """
    meta = request.META
    # Without the header get_host() would return the name of the server.
    if "HTTP_HOST" not in meta:
        return None
    try:
        if getattr(request.get_host, "__func__", None) is not HttpRequest.get_host:
            # The request has a method of its own.
            return request.get_host()
        return _check_host(
            meta["HTTP_HOST"],
            meta.get("HTTP_X_FORWARDED_HOST"),
            read_setting("USE_X_FORWARDED_HOST"),
            tuple(read_setting("ALLOWED_HOSTS")),
            read_setting("DEBUG"),
        )
    except DisallowedHost:
        return None


@lru_cache(CACHE_SIZE)
def _check_host(host: str, forwarded_host: str | None, *_settings: object) -> str:
    """Return ``get_host()`` of a request with these header fields; it also depends on ``_settings``.

    :raises DisallowedHost: the host is malformed or not allowed.
    """
    request = HttpRequest()
    request.META = (
        {"HTTP_HOST": host} if forwarded_host is None else {"HTTP_HOST": host, "HTTP_X_FORWARDED_HOST": forwarded_host}
    )
    return request.get_host()


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
    remedy = f"{remedies.REPLACED_HOST}; {remedies.UNKNOWN_HOST}" if name == "Host" else remedies.UNKNOWN_HOST
    return HandshakeError(f"the {name} header is not allowed", detail=detail, remedy=remedy)


#: The schemes of HTTP by those of WebSockets.
HTTP_SCHEMES: Final = {"wss": "https", "ws": "http"}


def _translate_scheme(meta: dict[str, Any]) -> None:
    """Replace ``wss`` and ``ws`` by ``https`` and ``http`` wherever Django reads the scheme of a request.

    Some proxies, Traefik for one, announce the scheme of an upgrade as it stands in the address of the WebSocket.
    Django knows the schemes of HTTP only, and ``SecurityMiddleware`` would redirect the request to its own address.
    """
    header, secure_value = read_setting("SECURE_PROXY_SSL_HEADER") or ("", "")
    for key in ("wsgi.url_scheme", header):
        if key in meta and "ws" in meta[key]:
            # Of a list Django reads the first item.
            scheme = meta[key].partition(",")[0].strip()
            if scheme in HTTP_SCHEMES and scheme != secure_value:
                meta[key] = HTTP_SCHEMES[scheme]


def _target(request: HttpRequest) -> str:
    """Return the request target as the client sent it if the server keeps that, otherwise as Django would write it."""
    meta = request.META
    target: str = meta.get("RAW_URI") or meta.get("REQUEST_URI") or ""
    if "RAW_PATH_INFO" in meta:  # eventlet
        target = "?".join(filter(None, (meta["RAW_PATH_INFO"], meta.get("QUERY_STRING"))))
    return target if target.startswith("/") else request.get_full_path()
