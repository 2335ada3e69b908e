"""An Origin is let in only if a second reading of it finds its host in the list, and refused else with status 403."""

from __future__ import annotations

import ipaddress
import re

from django_websocket.exceptions import HandshakeError
from django_websocket.handshake.origins import check_origins

from ..timing import check_linear

#: Lists of allowed origins; ``None``: the origin of the host itself, and the trusted ones.
ALLOWED: tuple[tuple[str, ...] | None, ...] = (
    None,
    ("https://example.com",),
    ("https://*.example.com:8443", "http://localhost:8000"),
    ("null", "file://", "http://[::1]:8000", "chrome-extension://abc"),
)
TRUSTED = ("https://trusted.example",)
HOSTS = ("example.com", "example.com:8000", "[::1]:8000", "127.0.0.1")

SEEDS = [
    bytes([options]) + origin
    for options in range(0x20)
    for origin in (
        b"https://example.com",
        b"http://example.com:8000",
        b"https://a.b.example.com:8443",
        b"http://[::1]:8000",
        b"http://[0:0::0001]:8000",
        b"https://TRUSTED.example:443",
        b"chrome-extension://abc",
        b"null",
        b"file://",
        b"https://example.com@evil.example",
        b"https://evilexample.com:8443",
        b"example.com",
        b"example.com:8000",
        b"[::1]:8000",
    )
]
DICTIONARY = [b"://", b"https://", b"example.com", b":443", b"@", b"*.", b"[::1]", b".", b"\xe2\x84\xaa"]

_DEFAULT_PORTS = {"http": "80", "https": "443"}


def run(data: bytes) -> str:
    """Check an Origin; the first byte chooses the allowed origins and the host of the request."""
    if not data:
        return "nothing"
    options = data[0]
    # Servers decode headers as Latin-1; some code decodes them as UTF-8.
    origin = data[1:].decode("latin-1" if options & 0x20 else "utf-8", "replace")
    allowed, host, secure = ALLOWED[options & 3], HOSTS[options >> 2 & 3], bool(options & 0x10)
    check_linear(lambda: show(origin * 200, allowed, host, secure=secure), len(origin) * 200)
    refused = show(origin, allowed, host, secure=secure)
    if refused:
        return refused
    own = f"http{'s' if secure else ''}://{host}"
    entries = [own, *TRUSTED] if allowed is None else allowed
    if origin == host:
        # Clients of long ago leave the scheme out.
        origin = own
    assert any(covers(entry, origin) for entry in entries), f"{origin!r} was let in by {entries}"
    return f"let in by {options & 3}"


def show(origin: str, allowed: tuple[str, ...] | None, host: str, *, secure: bool) -> str:
    """Return the reason for a refusal, or ``""``."""
    try:
        check_origins([origin], host=host, secure=secure, allowed=allowed, trusted=TRUSTED)
    except HandshakeError as error:
        assert error.status == 403
        assert str(error) in {"the Origin header is malformed", "the Origin is not allowed"}
        return str(error)
    return ""


def covers(entry: str, origin: str) -> bool:
    """Return whether an entry of a list covers an origin, by splitting both."""
    if entry in {"null", "file://"} or origin in {"null", "file://"}:
        return entry == origin
    (scheme, host, port), (other_scheme, other_host, other_port) = split(entry), split(origin)
    if (scheme, port) != (other_scheme, other_port):
        return False
    # As in Django, a pattern of subdomains covers the domain itself too.
    return host == other_host or (host.startswith("*.") and f".{other_host}".endswith(host[1:]))


def split(origin: str) -> tuple[str, str, str]:
    """Return the scheme, host and port of an origin; of a malformed one, values that are equal to no other."""
    scheme, mark, rest = origin.lower().partition("://")
    if not mark or re.search(r"[^!-~]|[@/?#\\]", rest) or re.search(r"[^!-~]", origin):
        return ("", origin, "")
    host, colon, port = rest.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = rest, ""
    if host.startswith("["):
        host = ipaddress.ip_address(host[1:-1]).compressed
    return scheme, host, port or _DEFAULT_PORTS.get(scheme, "")
