"""Check whether an Origin may connect (RFC 6455 section 10.2).

Any page may open a WebSocket to any site, and the browser sends the cookies of that site with the handshake. The
handshake is a GET, which ``CsrfViewMiddleware`` does not check, so that only the Origin header distinguishes the pages
of the site from those of an attacker. Origins are parsed and compared as a whole; no part of one is ever searched for
in another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from django.utils.http import is_same_domain

from ..exceptions import HandshakeError
from . import remedies
from .django_settings import read_setting

#: Characters of an Origin; a longer one is malformed. A host name has at most 253.
MAX_ORIGIN_SIZE: Final = 512

# The serialization of RFC 6454 section 6.2, and the wildcard, which is allowed in lists only. Each character can match
# in one way only, so that matching takes linear time. ASCII keeps IGNORECASE from matching U+212A as a "k".
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://((?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?",
    re.ASCII | re.IGNORECASE,
)
# With "*" an origin need not have that form. The old drafts reflect it, and so it is visible ASCII at least.
_VISIBLE: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_ORIGIN_SIZE}}}")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# No entry of a list may have these schemes. Browsers send the scheme of the page, never that of the WebSocket; and
# "null" stands for many origins, not for one.
_UNLISTED_SCHEMES: Final = frozenset({"ws", "wss", "null"})


class Origin(NamedTuple):
    """The parts of an origin, in lower case. Two origins are the same if they are equal."""

    scheme: str
    host: str
    #: The default of the scheme if the text has no port; ``None`` if the scheme has no default either.
    port: int | None


# Two origins do not have the form scheme://host: "null", which sandboxed pages and local files have, and "file://",
# which local files have in some embedded browsers.
_HOSTLESS: Final = {"null": Origin("null", "", None), "file://": Origin("file", "", None)}


def check_origins(
    origins: Sequence[str],
    *,
    host: str,
    secure: bool,
    allowed: Sequence[str] | None = None,
    trusted: Sequence[str] = (),
    require: bool = False,
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Check each origin that a handshake names; browsers name one, in the Origin header.

    ``host`` and ``secure`` are ``get_host()`` and ``is_secure()`` of the request. ``allowed`` is a list of origins, in
    which ``"*"`` allows every origin, even malformed ones of visible ASCII; ``None`` allows the request's own origin
    and those of the list ``trusted``. ``require`` refuses requests without an Origin. ``meta`` is that of the
    request, and shows why Django does not take it for secure.

    An origin that is exactly ``host``, without a scheme, is the request's own: clients of 2010 to 2015 that are no
    browsers send such a one.

    :raises HandshakeError: the origin is missing but required, malformed, or not allowed (403). The text never repeats
        the header; the ``detail`` for the log does, and may name the origin of this site.
    """
    if require and not origins:
        raise HandshakeError("the Origin header is missing", status=403)
    for origin in origins:
        if allowed is not None and "*" in allowed:
            if not _VISIBLE.fullmatch(origin):
                raise _malformed(origin)
        else:
            _check_origin(origin, f"{'https' if secure else 'http'}://{host}", allowed, trusted, meta or {})


def _check_origin(
    origin: str, own: str, allowed: Sequence[str] | None, trusted: Sequence[str], meta: Mapping[str, Any]
) -> None:
    """Check one origin; ``own`` is the origin of the request. The other arguments are as in :func:`check_origins`."""
    is_host = origin == own.partition("://")[2]
    source = _parse(origin) or (_parse(own) if is_host else None)
    if source is None or source.host.startswith("*"):
        raise _malformed(origin)
    page = f"the page is of {origin}"
    if allowed is not None:
        if not _covers(tuple(allowed), source):
            raise _not_allowed(page, remedies.NOT_IN_ALLOWED_ORIGINS)
    elif source != _parse(own) and not _covers(tuple(trusted), source):
        raise _not_allowed(f"this site is {own}, {page}", _find_remedy(source, own, meta))


def _malformed(origin: str) -> HandshakeError:
    return HandshakeError("the Origin header is malformed", status=403, detail=f"it says {origin}")


def _not_allowed(detail: str, remedy: str) -> HandshakeError:
    return HandshakeError("the Origin is not allowed", status=403, detail=detail, remedy=remedy)


def _find_remedy(page: Origin, own_text: str, meta: Mapping[str, Any]) -> str:
    """Return what to change so that ``page`` may connect to the site that takes ``own_text`` for its origin.

    Whether the page may connect is for the reader to decide: it may as well be that of an attacker.
    """
    own = _parse(own_text)
    if page.scheme == "null":
        return remedies.NO_ORIGIN
    if own is None or page.host != own.host:
        # Another port or scheme would be that of a proxy on the same machine.
        if own is not None and page == own._replace(host=page.host) and _is_loopback(page.host, own.host):
            return remedies.OTHER_LOOPBACK_NAME
        return f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"
    ports_differ = page.port != own.port and not (_has_default_port(page) and _has_default_port(own))
    if ports_differ and not _has_default_port(own):
        # The Host has a port, so that no proxy has dropped it. A page with the default port has been served by a proxy
        # that replaces the Host, and a page with another port by another server on the same machine.
        return f"{remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}" if _has_default_port(page) else remedies.NOT_TRUSTED
    found = [remedies.LOST_PORT] if ports_differ else []
    if page.scheme != own.scheme:
        by_scheme = {"https": _find_tls_remedy(meta), "http": remedies.HTTP_PAGE}
        found.insert(0, by_scheme.get(page.scheme, remedies.NOT_TRUSTED))
    return "; ".join(found)


def _find_tls_remedy(meta: Mapping[str, Any]) -> str:
    """Return what a proxy that ends TLS, or the project, has to change so that Django takes its requests for secure."""
    header, _ = read_setting("SECURE_PROXY_SSL_HEADER") or ("", "")
    if not header:
        return remedies.TLS_PROXY
    return remedies.OTHER_TLS_HEADER if header in meta else remedies.NO_TLS_HEADER


def _is_loopback(*hosts: str) -> bool:
    """Return whether all hosts are names or addresses of the machine itself."""
    return all(host == "localhost" or _is_loopback_address(host) for host in hosts)


def _is_loopback_address(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _has_default_port(origin: Origin) -> bool:
    return origin.port == _DEFAULT_PORTS.get(origin.scheme)


def parse_listed(text: str) -> Origin | None:
    """Return the origin of an entry of a list, ``None`` if no origin could ever match the entry.

    The format is that of ``CSRF_TRUSTED_ORIGINS``: ``https://example.com`` or, with its subdomains,
    ``https://*.example.com``, whose host is returned as ``.example.com``.
    """
    listed = _parse(text)
    if listed is None or listed.scheme in _UNLISTED_SCHEMES:
        return None
    return listed._replace(host=listed.host.removeprefix("*"))


def _covers(entries: tuple[str, ...], source: Origin) -> bool:
    """Return whether an entry of a list matches ``source``: as the same origin, or by a wildcard for its subdomains."""
    listed = _parse_list(entries)
    return source in listed or any(
        (entry.scheme, entry.port) == (source.scheme, source.port) and is_same_domain(source.host, entry.host)
        for entry in listed
    )


@lru_cache
def _parse_list(entries: tuple[str, ...]) -> tuple[Origin, ...]:
    """Return the origins of a list, without the entries that no origin could ever match."""
    return tuple(listed for listed in map(parse_listed, entries) if listed)


def _parse(text: str) -> Origin | None:
    """Return the origin that ``text`` denotes, ``None`` if it is not an origin. A wildcard stays in the host."""
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
