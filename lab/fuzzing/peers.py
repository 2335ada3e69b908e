"""Both ends of a connection, opened by their public interface; the answers they must give are computed here again."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from django_websocket.protocols.base import Compression, State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455

#: The eight bytes that end the handshake of a hixie-76 client.
KEY3: Final = b"Tm[K T2u"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def fields(head: bytes) -> dict[str, str]:
    """Return the header fields of a handshake, by lower-case name."""
    _, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def rfc6455_server(
    compression: Compression | None, limit: int | None, fragments: int | None, extensions: str = ""
) -> RFC6455:
    """Return a server that has sent its handshake."""
    headers = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-extensions": extensions,
    }
    request = Request(headers, host="example.com", http_version=(1, 1))
    server = RFC6455(request, compression=compression, max_message_size=limit, max_fragments=fragments)
    server.accept()
    server.data_to_send()
    return server


def rfc6455_client(
    compression: Compression | None, limit: int | None, fragments: int | None, extensions: str = ""
) -> RFC6455:
    """Return a client that has received the answer to its handshake."""
    request = Request(host="example.com")
    client = RFC6455(request, client=True, compression=compression, max_message_size=limit, max_fragments=fragments)
    client.connect()
    accept = accept_value(fields(client.data_to_send())["sec-websocket-key"])
    lines = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
    client.receive(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n".encode()
    )
    if client.state is not State.OPEN:
        raise AssertionError(f"a good answer was refused: {client.error}")
    return client


def hixie_server(version: int, limit: int | None) -> Hixie75:
    """Return a server that has sent the head of its answer; one of hixie-76 waits for eight bytes more."""
    headers = {"upgrade": "WebSocket", "connection": "Upgrade", "origin": "http://example.com"}
    if version == 76:
        headers |= {
            "sec-websocket-key1": "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
            "sec-websocket-key2": "1_ tx7X d  <  nw  334J702) 7]o}` 0",
        }
    protocol = Hixie76 if version == 76 else Hixie75
    server = protocol(Request(headers, host="example.com"), max_message_size=limit)
    server.accept()
    server.data_to_send()
    return server


def hixie_client(version: int, limit: int | None) -> Hixie75:
    """Return a client that has received the answer to its handshake."""
    protocol = Hixie76 if version == 76 else Hixie75
    client = protocol(Request(host="example.com"), client=True, max_message_size=limit)
    client.connect()
    sent = client.data_to_send()
    prefix = b"Sec-" if version == 76 else b""
    client.receive(
        b"HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        b"%bWebSocket-Location: ws://example.com/\r\n%bWebSocket-Origin: http://example.com\r\n\r\n%b"
        % (prefix, prefix, challenge_response(sent) if version == 76 else b"")
    )
    if client.state is not State.OPEN:
        raise AssertionError(f"a good answer was refused: {client.error}")
    return client


def accept_value(key: str) -> str:
    """Return the Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def challenge_response(request: bytes) -> bytes:
    """Return the sixteen bytes that answer a complete request of hixie-76 (section 5.2)."""
    head, _, key3 = request.partition(b"\r\n\r\n")
    challenge = b""
    for name in ("sec-websocket-key1", "sec-websocket-key2"):
        key = fields(head)[name]
        challenge += (int(re.sub("[^0-9]", "", key)) // key.count(" ")).to_bytes(4, "big")
    return hashlib.md5(challenge + key3, usedforsecurity=False).digest()
