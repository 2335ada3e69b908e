"""Both sides of a connection of RFC 6455 with compression, and strategies for it."""

from __future__ import annotations

import random
import zlib

from hypothesis import strategies as st

from django_websocket.protocols.base import Compression, State
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.deflate import TAIL

from .peers import (
    make_answer,
    make_client,
    make_request,
)

OFFER = "permessage-deflate; client_max_window_bits"
BROAD = Compression(window_bits=15, context_takeover=True)
#: Compresses messages of any length.
EAGER = Compression(threshold=0)
RSV1 = 4
HELLO = bytes.fromhex("f2 48 cd c9 c9 07 00")


def deflated(payload, *, bits=15, flush=zlib.Z_SYNC_FLUSH, level=6):
    """Return ``payload`` compressed as described in section 7.2.1."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (compressor.compress(payload) + compressor.flush(flush)).removesuffix(TAIL)


def make_pair(compression=EAGER, offer=EAGER, **options):
    """Return a server with ``compression`` and a client with ``offer``, connected to each other."""
    client = make_client(compression=offer)
    head = client.data_to_send().decode().partition("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
    server = RFC6455(Request(headers, http_version=(1, 1)), compression=compression, **options)
    server.accept()
    assert client.receive(server.data_to_send()) == []
    assert client.state is State.OPEN
    return server, client


def open_server(offer=OFFER, compression=BROAD, **options):
    server = RFC6455(make_request({"sec-websocket-extensions": offer}), compression=compression, **options)
    server.accept()
    assert b"\r\nSec-WebSocket-Extensions: permessage-deflate" in server.data_to_send()
    return server


def open_client(answer="permessage-deflate", compression=BROAD, **options):
    client = make_client(compression=compression, **options)
    client.data_to_send()
    assert client.receive(make_answer(client, {"Sec-WebSocket-Extensions": answer})) == []
    assert client.state is State.OPEN
    return client


COMPRESSIONS = st.builds(
    Compression,
    level=st.integers(1, 9),
    window_bits=st.integers(9, 15),
    memory_level=st.integers(1, 9),
    threshold=st.sampled_from([0, 10, 1024]),
    context_takeover=st.booleans(),
)
WORDS = st.lists(st.sampled_from(["lorem ", "ipsum ", "dolor ", "x", "é", "\U0001f603"]), max_size=200).map("".join)
MESSAGES = st.one_of(
    WORDS,
    WORDS.map(str.encode),
    st.binary(max_size=100),
    st.integers(0, 2**32).map(lambda seed: random.Random(seed).randbytes(seed % 40_000)),
    st.just("a" * 70_000),
)
