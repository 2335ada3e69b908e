"""A request is accepted, with an answer that repeats nothing unchecked, or refused in a clean line by HandshakeError.

This is the server's handshake of every version, which is chosen as the middleware chooses it.
"""

from __future__ import annotations

import re

from django_websocket.exceptions import HandshakeError
from django_websocket.protocols import choose
from django_websocket.protocols.base import Compression, Protocol, State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455

from ..peers import KEY3, accept_value, challenge_response

PROTOCOLS = (RFC6455, Hixie76, Hixie75)
HTTP_VERSIONS = (None, (1, 1), (1, 0), (2, 0))

# The first byte of the options
_SECURE = 0x01
_COMPRESSED = 0x02
_TAKEOVER = 0x04
_SUBPROTOCOL = 0x08

_LATEST = b"""GET / example.com
host: example.com
upgrade: websocket
connection: keep-alive, Upgrade
sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
sec-websocket-version: 13
"""
_OLDER = b"""GET /demo?a=b example.com:8000
upgrade: WebSocket
connection: Upgrade
origin: http://example.com
"""
_KEYS = b"""sec-websocket-key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8
sec-websocket-key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0
"""
_OFFER = b"sec-websocket-extensions: permessage-deflate; client_max_window_bits, x; y=1\n"
_SPOKEN = b"sec-websocket-protocol: chat.v2, chat.v1\n"

SEEDS = [
    bytes([options]) + head
    for options in (0x04, 0x0A, 0x1F)
    for head in (
        _LATEST,
        _LATEST + _OFFER + _SPOKEN,
        _LATEST.replace(b"13", b"8") + b"sec-websocket-origin: http://example.com\n",
        _OLDER,
        _OLDER + b"websocket-protocol: sample\n",
        _OLDER + _KEYS,
        _OLDER + _KEYS + b"content-length: 8\nsec-websocket-draft: 0\nsec-websocket-protocol: sample\n",
        b"POST / \nupgrade: h2c\n",
    )
]
DICTIONARY = [b"\r\n", b"\r", b"\x00", b"\x85", b"transfer-encoding: chunked\n", b"%0d%0a", b"  ", b'"', b";", b","]

# The answer of each version, with a group for each value.
_LINE = r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?"
_EXTRA = r"X-Added: a value\r\n\r\n"
_RFC6455 = re.compile(
    r"HTTP/1\.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    rf"Sec-WebSocket-Accept: ({_LINE})\r\n(?:Sec-WebSocket-Protocol: ({_LINE})\r\n)?"
    rf"(?:Sec-WebSocket-Extensions: ({_LINE})\r\n)?{_EXTRA}"
)
_HIXIE76 = re.compile(
    r"HTTP/1\.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    rf"Sec-WebSocket-Location: ({_LINE})\r\nSec-WebSocket-Origin: ({_LINE})\r\n"
    rf"(?:Sec-WebSocket-Protocol: ({_LINE})\r\n)?{_EXTRA}"
)
_HIXIE75 = re.compile(
    r"HTTP/1\.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    rf"WebSocket-Location: ({_LINE})\r\nWebSocket-Origin: ({_LINE})\r\n"
    rf"(?:WebSocket-Protocol: ({_LINE})\r\n)?{_EXTRA}"
)
_EXTENSION = re.compile(
    "permessage-deflate(?:; server_no_context_takeover)?(?:; client_no_context_takeover)?"
    "(?:; server_max_window_bits=(?:9|1[0-5]))?(?:; client_max_window_bits=(?:[89]|1[0-4]))?"
)


def parse(data: bytes) -> Request:
    """Return a request; ``data`` has a byte of options, a line of method, target and host, and a line for each header.

    Lines end with LF here, because a server may leave CR and other characters in a value.
    """
    first, *lines = data[1:].decode("latin-1").split("\n")
    method, target, host = (*first.split(" ", 2), "", "")[:3]
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.removeprefix(" ") for name, colon, value in pairs if colon}
    options = data[0]
    version = HTTP_VERSIONS[options >> 4 & 3]
    return Request(headers, method, target, host or None, secure=bool(options & _SECURE), http_version=version)


def run(data: bytes) -> str:
    """Answer the request by the version it asks for, and return the kind of the outcome."""
    if not data:
        return "nothing"
    request, options = parse(data), data[0]
    try:
        protocol = choose(request, PROTOCOLS)
    except HandshakeError as error:
        return refused(error)
    if request.host is None:
        # The middleware refuses what has no host; the versions themselves differ in that.
        return "no host"
    assert request.method == "GET"
    assert protocol.state is State.CONNECTING
    if options & _COMPRESSED:
        protocol.compression = Compression(context_takeover=bool(options & _TAKEOVER))
    offered = protocol.offered_subprotocols
    assert len(set(offered)) == len(offered) <= 32
    subprotocol = offered[-1] if offered and options & _SUBPROTOCOL else None
    protocol.accept(subprotocol, [("X-Added", "a value")])
    answer = protocol.data_to_send().decode("ascii")
    if protocol.version > 76 or protocol.version < 75:
        return check_latest(protocol, answer, subprotocol)
    return check_old(protocol, answer, subprotocol)


def refused(error: HandshakeError) -> str:
    """Check a refusal and return its text, which is one of a few and never repeats the request."""
    text = str(error)
    assert re.fullmatch(r"[\x20-\x7e]{10,150}", text), text
    assert error.status == 400
    assert error.headers in {(), (("Sec-WebSocket-Version", "13, 8, 7"),)}
    return text


def check_latest(protocol: Protocol, answer: str, subprotocol: str | None) -> str:
    """Check an answer of RFC 6455."""
    match = _RFC6455.fullmatch(answer)
    assert match is not None, answer
    accept, chosen, extension = match.groups()
    assert accept == accept_value(protocol.request.headers["sec-websocket-key"].strip(" \t"))
    assert chosen == subprotocol == protocol.subprotocol
    assert extension is None or (protocol.compression is not None and _EXTENSION.fullmatch(extension)), extension
    assert protocol.state is State.OPEN
    return f"{protocol.version} {chosen is not None} {extension}"


def check_old(protocol: Protocol, answer: str, subprotocol: str | None) -> str:
    """Check an answer of the old drafts, which repeat the address, the Origin and a subprotocol."""
    match = (_HIXIE76 if protocol.version == 76 else _HIXIE75).fullmatch(answer)
    assert match is not None, answer
    location, origin, chosen = match.groups()
    request = protocol.request
    host = (request.host or "").lower()
    scheme, port = ("wss", ":443") if request.secure else ("ws", ":80")
    assert location == f"{scheme}://{host.removesuffix(port)}{request.target}"
    assert origin == request.headers["origin"]
    assert chosen == subprotocol == protocol.subprotocol
    assert not re.search(r"[^\x21-\x7e]", location + origin + (chosen or ""))
    if protocol.version == 76:
        assert protocol.state is State.CONNECTING
        protocol.receive(KEY3)
        lines = "".join(f"{name}: {request.headers[name]}\r\n" for name in ("sec-websocket-key1", "sec-websocket-key2"))
        assert protocol.data_to_send() == challenge_response(f"GET / HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + KEY3)
    assert protocol.state is State.OPEN
    return f"{protocol.version} {chosen is not None}"
