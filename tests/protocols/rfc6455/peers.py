"""Both sides of a connection of RFC 6455, and frames made and read without the package."""

from __future__ import annotations

import base64
import gc
import hashlib
import itertools
import operator
import tracemalloc

import pytest

from django_websocket.exceptions import (
    ConnectionClosed,
    HandshakeError,
    ProtocolError,
)
from django_websocket.protocols.base import State
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455, handshake

# Section 1.3
NONCE = b"the sample nonce"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#: The masking key of the examples of section 5.7.
MASK = b"\x37\xfa\x21\x3d"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONTROL = [CLOSE, PING, PONG]
UNKNOWN = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
UPGRADE = {
    "host": "example.com",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}


def make_request(headers=None, **options):
    """Return a request with ``headers`` beside those of a good handshake; ``None`` removes one."""
    merged = UPGRADE | (headers or {})
    options = {"host": "example.com", "http_version": (1, 1)} | options
    return Request({name: value for name, value in merged.items() if value is not None}, **options)


def open_server(**options):
    server = RFC6455(make_request(), **options)
    server.accept()
    server.data_to_send()
    return server


def make_client(headers=None, *, target="/", host="example.com", **options):
    client = RFC6455(Request(headers or {}, target=target, host=host), client=True, **options)
    client.connect()
    return client


def make_answer(client, headers=None, status="101 Switching Protocols"):
    """Return the answer of a server with ``headers`` beside those of a good one; ``None`` removes one."""
    digest = hashlib.sha1(client.request.headers["sec-websocket-key"].encode() + handshake.GUID).digest()
    good = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
    }
    fields = [(name, value) for name, value in (good | (headers or {})).items() if value is not None]
    return "".join([f"HTTP/1.1 {status}\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n"]).encode()


def open_client(**options):
    client = make_client(**options)
    client.data_to_send()
    assert client.receive(make_answer(client)) == []
    assert client.state is State.OPEN
    return client


def naive_mask(data, mask):
    """Return ``data`` masked byte by byte as described in section 5.3."""
    return bytes(map(operator.xor, data, itertools.cycle(mask)))


def make_length(length, width=None):
    """Return the low seven bits of a frame's second byte, and the extended length in ``width`` bytes."""
    if width is None:
        width = 0 if length < 126 else 2 if length < 1 << 16 else 8
    if not width:
        return length, b""
    return {2: 126, 8: 127}[width], length.to_bytes(width, "big")


def make_frame(opcode, payload=b"", *, fin=True, rsv=0, mask=MASK, width=None, length=None):
    """Return a frame, unmasked if ``mask`` is ``None``; ``width`` and ``length`` may be wrong."""
    short, extended = make_length(len(payload) if length is None else length, width)
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short]) + extended
    return head + payload if mask is None else head + mask + naive_mask(payload, mask)


def make_close(code=None, reason=b"", **options):
    return make_frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason, **options)


def split_frames(data):
    """Return the first byte and the payload of each of the whole frames in ``data``."""
    frames = []
    while data:
        short, start = data[1] & 0x7F, 2
        if short >= 126:
            start = 4 if short == 126 else 10
            short = int.from_bytes(data[2:start], "big")
        mask = data[start : start + 4] if data[1] & 0x80 else b""
        start += len(mask)
        payload, rest = data[start : start + short], data[start + short :]
        assert len(payload) == short
        frames.append((data[0], naive_mask(payload, mask) if mask else payload))
        data = rest
    return frames


def assert_failed(protocol, code, kind=ProtocolError):
    """Check that a connection was failed (section 7.1.7): Close, end of the stream, and nothing more is taken."""
    assert (protocol.state, protocol.close_code) == (State.CLOSED, code)
    assert type(protocol.error) is kind
    assert protocol.error.code == code
    assert protocol.close_reason == str(protocol.error)
    *_, last = split_frames(protocol.data_to_send())
    assert last == (0x80 | CLOSE, code.to_bytes(2, "big") + protocol.close_reason.encode())
    assert protocol.eof_to_send
    mask = None if protocol.client else MASK
    for data in (make_frame(TEXT, b"late", mask=mask), make_frame(PING, mask=mask), make_close(1000, mask=mask), b""):
        assert protocol.receive(data) == []
    assert not protocol.outgoing
    assert protocol.close_code == code
    with pytest.raises(ConnectionClosed) as caught:
        protocol.send("late")
    assert (caught.value.code, caught.value.reason) == (code, protocol.close_reason)


def measure(scenario, *arguments):
    """Return the result of ``scenario``, called with a function for the memory in bytes that it takes, now and at most.

    It runs twice and the first run does not count, because a tool that traces lines allocates memory for new ones.
    """
    for _ in range(2):
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            base, _ = tracemalloc.get_traced_memory()
            result = scenario(lambda base=base: [size - base for size in tracemalloc.get_traced_memory()], *arguments)
        finally:
            tracemalloc.stop()
            gc.enable()
    return result


def assert_refused(client):
    assert (client.state, client.close_code, client.close_reason) == (State.CLOSED, 1006, "")
    assert isinstance(client.error, HandshakeError)
    assert not client.outgoing
    assert client.receive(make_frame(TEXT, b"late", mask=None)) == client.receive(b"") == []
    assert client.subprotocol is None


def outcome(server):
    return server.state, server.close_code, server.close_reason, str(server.error), server.eof_to_send, server.pong
