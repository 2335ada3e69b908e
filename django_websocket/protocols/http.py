"""What the versions' opening handshakes have of HTTP.

Requests arrive parsed by the WSGI server, but unchecked: servers join doubled headers, and let control characters
and folded lines through. Everything here is linear in the size of what it looks at, which is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..exceptions import HandshakeError

#: Bytes of one subprotocol or extension list that are looked at. Headers of real clients stay far below;
#: servers let 8 KiB and more through, and what is never parsed can never be slow.
MAX_LIST_SIZE: Final = 4096
#: Items of such a list.
MAX_LIST_ITEMS: Final = 32
#: Bytes a client reads in search of the end of the server's handshake.
MAX_HEAD_SIZE: Final = 16384
# A token, RFC 9110 section 5.6.2
_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TOKEN: Final = re.compile(_NAME)
# What may be written into a handshake of ours: visible ASCII. No space, no control character, nothing that
# two parsers could read differently.
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
# RFC 9110 section 5.5, without obs-text
_FIELD_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")

# One extension of a list (RFC 6455 section 9.1). Each character decides which way to go on, so there is one way to
# match and nothing to go back for.
_EXTENSION: Final = re.compile(rf'{_NAME}[ \t]*(?:;[ \t]*{_NAME}[ \t]*(?:=[ \t]*(?:{_NAME}|"{_NAME}")[ \t]*)?)*')

_OWN_HEADERS: Final = ("sec-websocket-", "websocket-")
#: Header fields that a handshake writes itself or that would change how its answer is read.
RESERVED_HEADERS: Final = frozenset({"upgrade", "connection", "content-length", "transfer-encoding", "trailer", "te"})


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request that may be an opening handshake, as its server has parsed it.

    A client describes with it the handshake it is going to send.
    """

    #: Header fields by lower-case name, as in ``{"sec-websocket-version": "13"}``.
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    #: The request target: path and query, percent-encoded as on the request line.
    target: str = "/"
    #: ``host[:port]``, already found good, or ``None``: then no handshake that repeats it can be accepted.
    host: str | None = None
    #: Whether the client speaks TLS, to us or to a proxy before us.
    secure: bool = False
    #: As in ``(1, 1)``; ``None`` when the server hides it.
    http_version: tuple[int, int] | None = None

    def header(self, name: str) -> str:
        """Give the header field ``name`` (lower case), ``""`` where it is absent."""
        return self.headers.get(name, "")

    @property
    def is_upgrade(self) -> bool:
        """Whether the request attempts a WebSocket: its Upgrade names the token ``websocket``."""
        return "websocket" in tokens(self.header("upgrade"))

    @property
    def location(self) -> str:
        """The address the client used, as the old drafts repeat it: ``ws://host/path?query``.

        :raises HandshakeError: host or target is missing or not clean.
        """
        scheme, default_port = ("wss", ":443") if self.secure else ("ws", ":80")
        host = reflectable((self.host or "").lower(), "Host").removesuffix(default_port)
        return f"{scheme}://{host}{reflectable(self.target, 'request target')}"


def check_upgrade(request: Request, *, body: str = "") -> None:
    """Check what every version asks of its request; ``body`` is the Content-Length it may have.

    :raises HandshakeError: not GET, HTTP/1.0, no ``Upgrade: websocket``, no Connection token ``upgrade``, or a body: a
        body that nobody reads would be taken for the next request.
    """
    if request.method != "GET":
        raise HandshakeError("a WebSocket handshake is a GET request")
    if request.http_version is not None and request.http_version < (1, 1):
        raise HandshakeError("a WebSocket handshake needs HTTP/1.1 (a proxy before this server may speak 1.0 to it)")
    if not request.is_upgrade:
        raise HandshakeError("the Upgrade header does not name websocket")
    if "upgrade" not in tokens(request.header("connection")):
        raise HandshakeError("the Connection header does not name upgrade")
    length = request.header("content-length").strip(" \t")
    if request.header("transfer-encoding") or length not in ("", "0", body):
        raise HandshakeError("a WebSocket handshake has no body")


def parse_tokens(value: str, header: str) -> tuple[str, ...]:
    """Parse a comma-separated list of tokens, such as Sec-WebSocket-Protocol, in linear time.

    Empty elements are skipped (RFC 9110 section 5.6.1.2).

    :raises HandshakeError: too long, too many, doubled, or not tokens.
    """
    if not value:
        return ()
    if len(value) > MAX_LIST_SIZE:
        raise HandshakeError(f"the {header} header is too long")
    items = tuple(item for item in (part.strip(" \t") for part in value.split(",")) if item)
    if len(items) > MAX_LIST_ITEMS:
        raise HandshakeError(f"the {header} header has too many items")
    if not all(_TOKEN.fullmatch(item) for item in items) or len(set(items)) != len(items):
        raise HandshakeError(f"the {header} header is malformed")
    return items


def check_extensions(value: str) -> None:
    """Check the form of Sec-WebSocket-Extensions (RFC 6455 section 9.1).

    :raises HandshakeError: too long, too many, or malformed.
    """
    if len(value) > MAX_LIST_SIZE or value.count(",") >= MAX_LIST_ITEMS:
        raise HandshakeError("the Sec-WebSocket-Extensions header is too long")
    if not all(_EXTENSION.fullmatch(item) for item in (part.strip(" \t") for part in value.split(",")) if item):
        raise HandshakeError("the Sec-WebSocket-Extensions header is malformed")


def parse_extensions(value: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Parse Sec-WebSocket-Extensions into names and their parameters, ``None`` for one without a value.

    :raises HandshakeError: as :func:`check_extensions`, behind which everything splits where it looks as if it did.
    """
    check_extensions(value)
    extensions = []
    for item in filter(None, (part.strip(" \t") for part in value.split(","))):
        name, *parameters = (part.strip(" \t") for part in item.split(";"))
        extensions.append((name, [_parse_parameter(parameter) for parameter in parameters]))
    return extensions


def _parse_parameter(parameter: str) -> tuple[str, str | None]:
    name, equals, value = parameter.partition("=")
    return name.rstrip(" \t"), value.strip(' \t"') if equals else None


def header_lines(headers: Iterable[tuple[str, str]]) -> str:
    """Give the lines for ``(name, value)`` pairs that a handshake carries beside its own.

    :raises ValueError: a name that is the handshake's own or no token, or a value that is not visible ASCII: what
        is written here passes no check of the WSGI server.
    """
    lines = []
    for name, value in headers:
        lowered = name.lower()
        if not _TOKEN.fullmatch(name) or lowered in RESERVED_HEADERS or lowered.startswith(_OWN_HEADERS):
            raise ValueError(f"not a header that can be added to a handshake: {name!r}")
        if not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} is not visible ASCII")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)


def reflectable(value: str, name: str) -> str:
    """Give ``value`` back if it may be repeated in a handshake of ours.

    :raises HandshakeError: it is empty or has anything but visible ASCII. The old drafts make a server repeat
        what the client sent; servers let CR, LF and other control characters through.
    """
    if not _VISIBLE.fullmatch(value):
        raise HandshakeError(f"the {name} is missing or malformed")
    return value


def tokens(value: str) -> set[str]:
    """Give the elements of a list header in lower case; a match is by whole token, never by substring."""
    return {part.strip(" \t").lower() for part in value[:MAX_LIST_SIZE].split(",")}


def parse_head(head: str) -> tuple[int, dict[str, str]]:
    """Parse the head of an HTTP response into its status and header fields."""
    first, *lines = head.split("\r\n")
    match = re.fullmatch(r"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?", first)
    if not match:
        raise HandshakeError("the server does not speak HTTP/1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise HandshakeError("the server's answer has a malformed header")
        name, value = name.lower(), value.strip(" \t")
        # Cookies do not go into a list (RFC 9110 section 5.3), as they have commas of their own.
        separator = "\n" if name == "set-cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return int(match[1]), headers
