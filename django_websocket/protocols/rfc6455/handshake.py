"""The opening handshake of RFC 6455, versions 13, 8 and 7, on both sides (section 4).

A server calls :func:`check_request`, then :func:`write_answer`. A client calls :func:`write_request`, then
:func:`check_answer`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from ...exceptions import HandshakeError
from .. import http
from ..base import Compression
from ..http import (
    CACHE_SIZE,
    Request,
    check_extensions,
    check_reflected,
    check_upgrade,
    further_headers,
    lowercase_tokens,
    parse_tokens,
)
from . import deflate

#: The constant from which a server derives Sec-WebSocket-Accept (section 1.3).
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: Characters that a Sec-WebSocket-Key of the drafts has at most.
MAX_DRAFT_KEY_SIZE: Final = 64

# Sixteen bytes in base64
_KEY: Final = re.compile("[A-Za-z0-9+/]{22}==")
_DRAFT_KEY: Final = re.compile("[A-Za-z0-9+/]+={0,2}")


def find_origins(request: Request, version: int) -> tuple[str, ...]:
    """Return the origins that the client sent, unchecked.

    Before version 13 the origin is in Sec-WebSocket-Origin. Some clients of the drafts send an Origin beside it, which
    may have another value.
    """
    origins = [request.headers.get("origin")]
    if version < 13:
        origins.insert(0, request.headers.get("sec-websocket-origin"))
    return tuple([origin for origin in origins if origin is not None])


# Server


def check_request(
    request: Request, versions: Sequence[int], version_headers: Sequence[tuple[str, str]]
) -> tuple[int, tuple[str, ...]]:
    """Check the client's request and return its version and the subprotocols that it offers (section 4.2.1).

    :raises HandshakeError: the request is malformed, or its version is not one of ``versions``; the error carries
        ``version_headers`` then.
    """
    check_upgrade(request)
    get = request.headers.get
    version = _find_version(get("sec-websocket-version", ""), tuple(versions))
    if version is None:
        raise HandshakeError("the Sec-WebSocket-Version is missing or unsupported", headers=version_headers)
    _check_key(get("sec-websocket-key", "").strip(" \t"), version)
    check_extensions(get("sec-websocket-extensions", ""))
    return version, parse_tokens(get("sec-websocket-protocol", ""), "Sec-WebSocket-Protocol")


@lru_cache(CACHE_SIZE)
def _find_version(text: str, versions: tuple[int, ...]) -> int | None:
    """Return the version that a Sec-WebSocket-Version names, ``None`` if it is not one of ``versions``."""
    return next((version for version in versions if text.strip(" \t") == str(version)), None)


def write_answer(request: Request, subprotocol: str | None, agreed: deflate.Parameters | None, lines: str) -> bytes:
    """Return the answer that accepts a checked request (section 4.2.2).

    ``subprotocol`` and ``agreed``, the parameters of compression, are ``None`` where nothing was agreed on. ``lines``
    are further header lines, each with its CRLF.
    """
    if agreed is not None:
        lines = f"Sec-WebSocket-Extensions: {agreed}\r\n{lines}"
    if subprotocol is not None:
        lines = f"Sec-WebSocket-Protocol: {subprotocol}\r\n{lines}"
    accept = _accept_value(request.header("sec-websocket-key").strip(" \t"))
    return (
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n"
        f"{lines}\r\n".encode("ascii")
    )


def _check_key(key: str, version: int) -> None:
    """Check a Sec-WebSocket-Key: 16 bytes in base64 (section 4.2.1), in the drafts any base64 of bounded size.

    The drafts ask for 16 bytes too, but servers only ever hash the key, and clients of that time sent fewer bytes.

    :raises HandshakeError: ``key`` is something else.
    """
    valid = (_KEY if version >= 13 else _DRAFT_KEY).fullmatch(key)
    if valid is None or len(key) > MAX_DRAFT_KEY_SIZE:
        raise HandshakeError("the Sec-WebSocket-Key is missing or malformed")


# Client


def write_request(
    request: Request, version: int, subprotocols: tuple[str, ...], compression: Compression | None
) -> tuple[bytes, Request]:
    """Return the bytes of a client's request, and the request as the server will find it (section 4.1).

    ``request`` holds the target, the host and further header fields.

    :raises ValueError: a handshake cannot carry the host, the target, a header field or a subprotocol.
    """
    extra = further_headers(request)
    headers = {
        "Host": check_reflected(extra.pop("Host", request.host or ""), "Host"),
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": str(version),
    }
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
        if parse_tokens(headers["Sec-WebSocket-Protocol"], "Sec-WebSocket-Protocol") != subprotocols:
            raise HandshakeError("the subprotocols to offer are malformed")
    if compression is not None:
        headers["Sec-WebSocket-Extensions"] = str(deflate.make_offer(compression))
    if version < 13 and "Origin" in extra:
        extra["Sec-WebSocket-Origin"] = extra.pop("Origin")
    return http.write_request(request, headers | extra)


def check_answer(
    request: Request,
    status: int,
    headers: Mapping[str, str],
    subprotocols: Sequence[str],
    compression: Compression | None,
) -> tuple[str | None, deflate.Parameters | None]:
    """Check the server's answer and return the agreed subprotocol and the agreed parameters of compression.

    ``request`` is the request as it was sent, with the offer of ``subprotocols`` and ``compression`` (section 4.1).
    Both results are ``None`` where nothing was agreed on.

    :raises HandshakeError: the server refused, or its answer does not fit the request.
    """
    if status != 101:
        raise HandshakeError(f"the server refused with status {status}", status=status)
    upgrade, connection = (lowercase_tokens(headers.get(name, "")) for name in ("upgrade", "connection"))
    if upgrade != {"websocket"} or "upgrade" not in connection:
        raise HandshakeError("the server's answer is no upgrade to WebSocket")
    expected = _accept_value(request.header("sec-websocket-key"))
    if not hmac.compare_digest(headers.get("sec-websocket-accept", "").encode(), expected.encode()):
        raise HandshakeError("the server's Sec-WebSocket-Accept is wrong")
    agreed = None
    if "sec-websocket-extensions" in headers:
        if compression is None:
            raise HandshakeError("the server uses an extension that was not offered")
        agreed = deflate.check_answer(headers["sec-websocket-extensions"], deflate.make_offer(compression))
    subprotocol = headers.get("sec-websocket-protocol")
    if subprotocol is not None and subprotocol not in subprotocols:
        raise HandshakeError("the server uses a subprotocol that was not offered")
    return subprotocol, agreed


def _accept_value(key: str) -> str:
    """Return the Sec-WebSocket-Accept for a key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()).decode()
