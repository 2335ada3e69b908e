"""Is this Origin allowed here (RFC 6455 section 10.2).

Any page may open a WebSocket to any site, and the browser sends the site's cookies along. The handshake is
a GET, which ``CsrfViewMiddleware`` lets pass, so the Origin header is all that tells a site's own pages from
an attacker's. Origins are parsed and compared whole; no part of one is ever searched for in another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final, NamedTuple

from django.utils.http import is_same_domain

from ..exceptions import HandshakeError

#: Bytes of an Origin that are looked at: a host name has at most 253.
MAX_ORIGIN_SIZE: Final = 512

# RFC 6454 section 6.2, and the wildcard that only lists may use. Every character has one way to match, so
# the time is linear. ASCII keeps IGNORECASE from taking U+212A for a "k".
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://((?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?",
    re.ASCII | re.IGNORECASE,
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Browsers send the scheme of the page, never that of the WebSocket. "null" is many origins, not one.
_UNLISTED_SCHEMES: Final = frozenset({"ws", "wss", "null"})


class Origin(NamedTuple):
    """An origin in parts, in lower case; equal ones are the same origin."""

    scheme: str
    host: str
    #: The scheme's own where the text has none; ``None`` where the scheme has none either.
    port: int | None


# Not of the form scheme://host: sandboxed pages and local files; local files in some embedded browsers.
_HOSTLESS: Final = {"null": Origin("null", "", None), "file://": Origin("file", "", None)}


def check_origin(
    origin: str | None,
    *,
    host: str,
    secure: bool,
    allowed: Sequence[str] | None = None,
    trusted: Sequence[str] = (),
    require: bool = False,
) -> None:
    """Check the Origin header of a handshake; ``None`` is a request without one.

    ``host`` and ``secure`` are the request's own ``get_host()`` and ``is_secure()``. ``allowed`` lists
    origins, ``"*"`` among them allows every origin; ``None`` allows the request's own and those of
    ``trusted``. ``require`` refuses requests without an Origin.

    :raises HandshakeError: not allowed (403). The text never repeats what the peer sent; the ``detail`` for the log
        does, and names the origin that it was compared with.
    """
    if origin is None:
        if require:
            raise HandshakeError("the Origin header is missing", status=403)
        return
    source = _parse(origin)
    if source is None or source.host.startswith("*"):
        raise HandshakeError("the Origin header is malformed", status=403, detail=f"it says {origin}")
    detail = f"the page is of {origin}"
    if allowed is None:
        own = f"{'https' if secure else 'http'}://{host}"
        # What is wrong behind a proxy that ends TLS, mostly: this site takes itself for http.
        detail = f"this site is {own}, {detail}"
        good = source == _parse(own) or _covers(tuple(trusted), source)
    else:
        good = "*" in allowed or _covers(tuple(allowed), source)
    if not good:
        raise HandshakeError("the Origin is not allowed", status=403, detail=detail)


def parse_listed(text: str) -> Origin | None:
    """Parse an entry of a list of origins; ``None`` when it could never match.

    The format is that of ``CSRF_TRUSTED_ORIGINS``: ``https://example.com`` or, with its subdomains,
    ``https://*.example.com``; the host of the latter comes out as ``.example.com``.
    """
    listed = _parse(text)
    if listed is None or listed.scheme in _UNLISTED_SCHEMES:
        return None
    return listed._replace(host=listed.host.removeprefix("*"))


def _covers(entries: tuple[str, ...], source: Origin) -> bool:
    """Tell whether one of the listed origins is ``source`` or, with a wildcard, a domain above it."""
    listed = _parse_list(entries)
    return source in listed or any(
        (entry.scheme, entry.port) == (source.scheme, source.port) and is_same_domain(source.host, entry.host)
        for entry in listed
    )


@lru_cache
def _parse_list(entries: tuple[str, ...]) -> tuple[Origin, ...]:
    """Parse a list of origins, without the entries that could never match."""
    return tuple(listed for listed in map(parse_listed, entries) if listed)


def _parse(text: str) -> Origin | None:
    """Parse an origin; ``None`` when it is none. A wildcard stays in the host."""
    if text in _HOSTLESS:
        return _HOSTLESS[text]
    return _parse_hosted(text) if len(text) <= MAX_ORIGIN_SIZE else None


@lru_cache
def _parse_hosted(text: str) -> Origin | None:
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    scheme, host = match[1].lower(), match[2].lower()
    port = int(match[3]) if match[3] else _DEFAULT_PORTS.get(scheme)
    if port is not None and port > 65535:
        return None
    if host.startswith("["):
        try:
            host = str(IPv6Address(host[1:-1]))
        except ValueError:
            return None
    return Origin(scheme, host, port)
