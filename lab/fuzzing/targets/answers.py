"""A server's answer opens a client or ends it with HandshakeError, the same however it is cut and in bounded memory.

The client of every version. The right values are different each time, so names in braces stand for them: ``{accept}``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from copy import deepcopy

from django_websocket.exceptions import HandshakeError
from django_websocket.protocols.base import Compression, Message, Protocol, State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.http import MAX_HEAD_SIZE, Request
from django_websocket.protocols.rfc6455 import RFC6455

from ..peers import accept_value, challenge_response, fields
from ..streams import EVERY, SLACK, cut, kept

PROTOCOLS: tuple[type[Protocol], ...] = (RFC6455, RFC6455, Hixie76, Hixie75)

#: The number of bytes at the end of an answer that are passed one by one.
DRIBBLED = 100

# The bits of the first byte of the options, whose two lowest bits choose the version
_COMPRESSED = 0x04
_SUBPROTOCOL = 0x08

_LATEST = b"""HTTP/1.1 101 Switching Protocols\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Accept: {accept}\r
"""
_OLD = b"""HTTP/1.1 101 WebSocket Protocol Handshake\r
Upgrade: WebSocket\r
Connection: Upgrade\r
"""
_FRAMES = b"\x81\x02hi\x89\x011\x88\x00"
_REPEATED = b"WebSocket-Location: ws://example.com/\r\n%bWebSocket-Origin: http://example.com\r\n"

SEEDS = [
    # The padding makes the head of the answer short, or about as long as a client reads.
    *(
        bytes([0, 7, length]) + _LATEST + b"X-Padding: {padding}\r\n\r\n" + _FRAMES
        for length in (0, *range(0x70, 0x90))
    ),
    bytes([0, 7, 0]) + _LATEST + b"\r\n" + _FRAMES,
    bytes([4, 7, 0]) + _LATEST + b"Sec-WebSocket-Extensions: {offer}\r\n\r\n\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
    bytes([8, 7, 0]) + _LATEST + b"Sec-WebSocket-Protocol: chat\r\n\r\n" + _FRAMES,
    bytes([2, 7, 0]) + _OLD + b"Sec-" + _REPEATED % b"Sec-" + b"\r\n{response}\x00hi\xff\xff\x00",
    bytes([10, 7, 0]) + _OLD + b"Sec-" + _REPEATED % b"Sec-" + b"Sec-WebSocket-Protocol: chat\r\n\r\n{response}",
    bytes([3, 7, 0]) + _OLD + _REPEATED % b"" + b"\r\n\x00hi\xff",
    bytes([11, 7, 0]) + _OLD + _REPEATED % b"" + b"WebSocket-Protocol: chat\r\n\r\n\x00hi\xff",
    bytes([0, 7, 0]) + b"HTTP/1.0 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
    bytes([0, 7, 0]) + b"no HTTP\r\n\r\n",
]
DICTIONARY = [b"{accept}", b"{offer}", b"{response}", b"{padding}", b"\r\n\r\n", b"permessage-deflate", b"; "]


def connect(options: int, padding: int) -> tuple[Protocol, dict[bytes, bytes]]:
    """Return a client that has sent its handshake, and the values for the names in braces."""
    protocol = PROTOCOLS[options & 3]
    subprotocols = ["chat"] if options & _SUBPROTOCOL else []
    compression = Compression(window_bits=15) if options & _COMPRESSED else None
    request = Request(host="example.com")
    client = protocol(request, client=True, subprotocols=subprotocols, compression=compression, max_message_size=1000)
    client.connect()
    sent = client.data_to_send()
    # A great number makes the head about as long as a client reads, a small one much shorter.
    size = padding if padding < 0x40 else MAX_HEAD_SIZE - 0x80 - 140 + padding
    names = {b"{padding}": bytes(size).replace(b"\0", b"x")}
    if protocol is RFC6455:
        asked = fields(sent)
        names[b"{accept}"] = accept_value(asked["sec-websocket-key"]).encode()
        names[b"{offer}"] = asked.get("sec-websocket-extensions", "").encode()
    elif protocol is Hixie76:
        names[b"{response}"] = challenge_response(sent)
    return client, names


def run(data: bytes) -> str:
    """Answer a client with a head that comes whole, in pieces and byte by byte; return the one outcome.

    Three bytes choose the client, the places where the answer is cut, and the padding.
    """
    if len(data) < 4:
        return "nothing"
    options, seed, padding = data[:3]
    cuts = random.Random(seed)
    client, names = connect(options, padding)
    answer = data[3:]
    for name, meant in names.items():
        answer = answer.replace(name, meant, 1)
    # Only the end of an answer comes byte by byte, because all of a long one would take too much time.
    end = range(max(0, len(answer) - DRIBBLED), len(answer))
    ways: tuple[Sequence[int], ...] = ([], sorted(cuts.choices(range(len(answer) + 1), k=6)), end)
    whole, *others = (deliver(deepcopy(client), cut(answer, places), len(answer)) for places in ways)
    assert all(other == whole for other in others), f"in pieces: {others}; whole: {whole}"
    return str(whole)


def deliver(client: Protocol, pieces: list[bytes], size: int) -> tuple[list[Message], State, int | None, str]:
    """Pass the pieces of an answer of ``size`` bytes to a client, and return its messages, state, code and error."""
    fresh = kept(client)
    messages: list[Message] = []
    for index, piece in enumerate(pieces):
        messages += client.receive(piece)
        if index % EVERY == 0 or index == len(pieces) - 1:
            more = kept(client) - fresh
            # Header fields in a dictionary take more memory than their bytes.
            allowed = 1.3 * MAX_HEAD_SIZE + 150 * min(size, MAX_HEAD_SIZE) + SLACK
            assert more <= allowed, f"{more} bytes are kept"
    if client.state is State.CLOSED and client.error is not None and client.close_code == 1006:
        assert isinstance(client.error, HandshakeError)
        assert not client.outgoing, "a refused client speaks"
    result = messages, client.state, client.close_code, repr(client.error)
    assert not client.receive(b"")
    assert client.state is State.CLOSED
    return result
