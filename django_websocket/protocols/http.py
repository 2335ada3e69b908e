"""The HTTP of the opening handshakes: heads of requests and responses.

The WSGI server parses requests, but does not check them: servers join repeated headers, and let control characters and
folded lines through. Every function here takes time linear in the size of its input, and that size is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from ..exceptions import HandshakeError

#: Characters of one list of subprotocols or extensions that are parsed. Headers of real clients are far shorter;
#: servers let 8 KiB and more through, and a header that is refused by its size costs no time to parse.
MAX_LIST_SIZE: Final = 4096
#: Items of such a list that are parsed.
MAX_LIST_ITEMS: Final = 32
#: Bytes of the head of the server's answer that a client reads.
MAX_HEAD_SIZE: Final = 16384
#: Results of a check that are kept. Nearly all clients of a site send the same few values in the header fields of a
#: handshake, except in its key. Clients choose what is kept, and so it is little.
CACHE_SIZE: Final = 32
#: The header fields that the handshakes of all versions have, by lower-case name.
HANDSHAKE_HEADERS: Final = (
    "upgrade",
    "connection",
    "content-length",
    "transfer-encoding",
    "origin",
    "sec-websocket-origin",
    "sec-websocket-version",
    "sec-websocket-key",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "sec-websocket-key1",
    "sec-websocket-key2",
    "sec-websocket-draft",
    "websocket-protocol",
)
# A token, RFC 9110 section 5.6.2
_CHARACTER: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_NAME: Final = f"{_CHARACTER}+"
_TOKEN: Final = re.compile(_NAME)
# Only visible ASCII may be repeated in a handshake of ours: no spaces, no control characters, and no other characters
# that two parsers could read differently.
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
# RFC 9110 section 5.5, without obs-text
_FIELD_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")

# A quoted string that is a token once it is unquoted: each character may follow a backslash.
_QUOTED: Final = rf'"(?:\\?{_CHARACTER})+"'
# One extension of a list (RFC 6455 section 9.1). Each character decides how the match continues, so that the
# pattern never backtracks.
_EXTENSION: Final = re.compile(rf"{_NAME}[ \t]*(?:;[ \t]*{_NAME}[ \t]*(?:=[ \t]*(?:{_NAME}|{_QUOTED})[ \t]*)?)*")

_OWN_HEADERS: Final = ("sec-websocket-", "websocket-")
#: Header fields that a handshake writes itself, or that would change how its answer is parsed.
RESERVED_HEADERS: Final = frozenset({"upgrade", "connection", "content-length", "transfer-encoding", "trailer", "te"})


@dataclass(slots=True)
class Request:
    """An HTTP request that may be an opening handshake, as the WSGI server parsed it.

    On the client side it describes the handshake that is to be sent. Nothing changes it. The class is not frozen: there
    is an object for each handshake, and the attributes of frozen classes take several times as long to set.
    """

    #: Header fields by lower-case name, such as ``{"sec-websocket-version": "13"}``: those of
    #: :data:`HANDSHAKE_HEADERS` that the request has, or on the client side those to send.
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    #: The request target: path and query, percent-encoded as on the request line.
    target: str = "/"
    #: ``host[:port]``, checked already; ``None`` if it is missing or not allowed. Whoever drives the connection refuses
    #: the handshake then.
    host: str | None = None
    #: Whether the client uses TLS, to us or to a proxy in front of us.
    secure: bool = False
    #: The version of HTTP, such as ``(1, 1)``; ``None`` if the server does not provide it.
    http_version: tuple[int, int] | None = None

    def header(self, name: str) -> str:
        """Return the header field ``name`` (lower case), ``""`` if it is absent."""
        return self.headers.get(name, "")

    @property
    def is_upgrade(self) -> bool:
        """Whether the request asks for a WebSocket: its Upgrade has the token ``websocket``."""
        return "websocket" in lowercase_tokens(self.header("upgrade"))

    @property
    def location(self) -> str:
        """The address that the client used, as the old drafts repeat it: ``ws://host/path?query``.

        :raises HandshakeError: the host or the target is missing, or is not visible ASCII.
        """
        scheme, default_port = ("wss", ":443") if self.secure else ("ws", ":80")
        host = check_reflected((self.host or "").lower(), "Host").removesuffix(default_port)
        return f"{scheme}://{host}{check_reflected(self.target, 'request target')}"


def check_upgrade(request: Request, *, body: str = "") -> None:
    """Check the requirements that every version has for its request; ``body`` is a Content-Length to allow.

    :raises HandshakeError: the method is not GET, the version is HTTP/1.0, there is no ``Upgrade: websocket``, no
        Connection token ``upgrade``, or there is a body, which nothing would read and which would therefore be taken
        for the next request.
    """
    get = request.headers.get
    fields = get("upgrade", ""), get("connection", ""), get("transfer-encoding", ""), get("content-length", "")
    _check_upgrade(request.method, request.http_version, fields, body)


@lru_cache(CACHE_SIZE)
def _check_upgrade(
    method: str, http_version: tuple[int, int] | None, fields: tuple[str, str, str, str], body: str
) -> None:
    upgrade, connection, transfer_encoding, content_length = fields
    if method != "GET":
        raise HandshakeError("a WebSocket handshake is a GET request")
    if http_version is not None and http_version < (1, 1):
        raise HandshakeError(
            "a WebSocket handshake needs HTTP/1.1 (a proxy before this server may speak 1.0 to it)",
            remedy="nginx speaks 1.1 with 'proxy_http_version 1.1;'",
        )
    if "websocket" not in lowercase_tokens(upgrade):
        raise HandshakeError("the Upgrade header does not name websocket")
    if "upgrade" not in lowercase_tokens(connection):
        raise HandshakeError(
            "the Connection header does not name upgrade",
            remedy="if a proxy in front of this server drops it, it has to pass it on, as nginx does with "
            "'proxy_set_header Connection \"upgrade\";'",
        )
    if transfer_encoding or content_length.strip(" \t") not in ("", "0", body):
        raise HandshakeError("a WebSocket handshake has no body")


@lru_cache(CACHE_SIZE)
def parse_tokens(value: str, header: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list of tokens, such as Sec-WebSocket-Protocol.

    Empty elements are skipped (RFC 9110 section 5.6.1.2).

    :raises HandshakeError: the list is too long, or has too many items, an item twice, or one that is not a token.
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


@lru_cache(CACHE_SIZE)
def check_extensions(value: str) -> None:
    """Check the form of Sec-WebSocket-Extensions (RFC 6455 section 9.1).

    A quoted value has to be a token once it is unquoted.

    :raises HandshakeError: ``value`` is too long, has too many items, or is malformed.
    """
    if len(value) > MAX_LIST_SIZE or value.count(",") >= MAX_LIST_ITEMS:
        raise HandshakeError("the Sec-WebSocket-Extensions header is too long")
    if not all(_EXTENSION.fullmatch(item) for item in (part.strip(" \t") for part in value.split(",")) if item):
        raise HandshakeError("the Sec-WebSocket-Extensions header is malformed")


def parse_extensions(value: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Return the extensions of a Sec-WebSocket-Extensions: their names and parameters.

    The value of a parameter is ``None`` if it has none.

    :raises HandshakeError: ``value`` is too long, has too many items, or is malformed.
    """
    # In a list of this form no separator stands inside quotes, so that splitting at each of them is right.
    check_extensions(value)
    extensions = []
    for item in filter(None, (part.strip(" \t") for part in value.split(","))):
        name, *parameters = (part.strip(" \t") for part in item.split(";"))
        extensions.append((name, [_parse_parameter(parameter) for parameter in parameters]))
    return extensions


def _parse_parameter(parameter: str) -> tuple[str, str | None]:
    name, equals, value = parameter.partition("=")
    # No token has a backslash, so that each one is the first half of a quoted pair (RFC 9110 section 5.6.4).
    return name.rstrip(" \t"), value.strip(' \t"').replace("\\", "") if equals else None


def header_lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return the lines for ``(name, value)`` pairs that a handshake carries beside its own header fields.

    The pairs are checked here because no WSGI server checks them.

    :raises ValueError: a name is not a token or belongs to the handshake, or a value has characters other than visible
        ASCII, inner spaces and tabs.
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


def check_reflected(value: str, name: str) -> str:
    """Return ``value`` if it may be repeated in a handshake of ours.

    The old drafts make a server repeat header fields of the client, and WSGI servers let CR, LF and other control
    characters through.

    :raises HandshakeError: ``value`` is empty, or is not visible ASCII throughout.
    """
    if not _VISIBLE.fullmatch(value):
        raise HandshakeError(f"the {name} is missing or malformed")
    return value


@lru_cache(CACHE_SIZE)
def lowercase_tokens(value: str) -> frozenset[str]:
    """Return the elements of a list header in lower case, to be compared as a whole and never as substrings."""
    return frozenset(part.strip(" \t").lower() for part in value[:MAX_LIST_SIZE].split(","))


def further_headers(request: Request, *, without: Container[str] = ()) -> dict[str, str]:
    """Return the header fields of a request to send, with their names in the usual capitals, after a check of each.

    ``without`` holds the lower-case names of header fields to leave out.

    :raises ValueError: a handshake cannot carry one of them; see :func:`header_lines`.
    """
    headers = {name.title(): value for name, value in request.headers.items() if name not in without}
    header_lines(headers.items())
    return headers


def write_request(request: Request, headers: Mapping[str, str]) -> tuple[bytes, Request]:
    """Return the head of a GET request with ``headers``, and the request that the server will find in it.

    ``headers`` takes the place of the header fields of ``request``, and has to be checked already.

    :raises HandshakeError: the target is missing, or is not visible ASCII.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    target = check_reflected(request.target, "request target")
    head = f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii")
    return head, replace(request, headers={name.lower(): value for name, value in headers.items()})


def parse_head(head: str) -> tuple[int, dict[str, str]]:
    """Return the status and the header fields, by lower-case name, of the head of an HTTP response.

    :raises HandshakeError: ``head`` is not of HTTP/1, or a header field is malformed.
    """
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
        # A cookie may contain commas, so that several cannot be joined to a list (RFC 9110 section 5.3).
        separator = "\n" if name == "set-cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return int(match[1]), headers
