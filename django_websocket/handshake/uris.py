"""The absolute URIs of WebSockets, for the pages that connect to them."""

from __future__ import annotations

from typing import Any, Final
from weakref import ref

from django.http import HttpRequest

from .requests import HTTP_SCHEMES

#: The schemes of WebSockets by those that a location may have.
_SCHEMES: Final = {name: scheme for scheme, http in HTTP_SCHEMES.items() for name in (scheme, http)}


def build_websocket_uri(request: HttpRequest, location: str | None = None) -> str:
    """Return the absolute ``ws://`` or ``wss://`` URI of a location, as ``request.build_absolute_uri()`` would.

    ``None`` is the address of the request itself. A location with a host keeps it.

    :raises DisallowedHost: the Host of the request is not allowed.
    :raises ValueError: the location has a scheme of neither HTTP nor WebSockets, or a fragment, which the URI of a
        WebSocket must not have (RFC 6455 section 3).
    """
    uri = request.build_absolute_uri(location)
    if location is None:
        # Some servers leave in the query what follows a "#".
        uri = uri.replace("#", "%23")
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() not in _SCHEMES:
        raise ValueError(f"{uri!r} is no address of a WebSocket: its scheme has to be ws, wss, http or https")
    if "#" in rest:
        raise ValueError(f"{uri!r} is no address of a WebSocket: it has a fragment; write %23 for a '#' in it")
    return f"{_SCHEMES[scheme.lower()]}://{rest}"


class URIBuilder(ref[HttpRequest]):
    """``request.build_websocket_uri``: :func:`build_websocket_uri` of a request, which it refers to weakly.

    A bound method, or a closure, would be a cycle with each request. The reference is the object itself, because
    each request has one.
    """

    __slots__ = ()

    def __call__(self, location: str | None = None) -> str:  # type: ignore[override]  # it is no reference to callers
        """Return the absolute ``ws://`` or ``wss://`` URI of a location, of the request itself for ``None``.

        :raises ReferenceError: the request does not exist any more.
        :raises Exception: the errors of :func:`build_websocket_uri`.
        """
        request = super().__call__()
        if request is None:
            raise ReferenceError("the request whose build_websocket_uri() was called does not exist any more")
        return build_websocket_uri(request, location)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to copy and to pickle it: a copy of a request has one of its own."""
        return type(self), (super().__call__(),)
