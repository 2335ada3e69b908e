"""Frames that are made once for many connections."""

from __future__ import annotations

import itertools

import pytest

from django_websocket.protocols.base import Compression
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455

TEXT = "one and the same, " * 200


def connect(compression=None):
    """Return the client and the server of an open connection."""
    client = RFC6455(Request(host="example.com"), client=True, compression=compression)
    client.connect()
    request = client.data_to_send()
    assert request
    server = RFC6455(Request(client.request.headers, host="example.com", http_version=(1, 1)), compression=compression)
    server.accept()
    assert client.receive(server.data_to_send()) == []
    return client, server


KINDS = [
    None,
    Compression(),
    Compression(threshold=1),
    Compression(level=1, window_bits=15, memory_level=9),
    Compression(context_takeover=True),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", ["", "short", TEXT, b"", bytes(5000)])
def test_every_connection_with_the_key_understands_the_frame(kind, message):
    """It may come between messages of its own, at any place."""
    pairs = [connect(kind) for _ in range(3)]
    assert len({server.frame_key for _, server in pairs}) == 1
    frame, size, messages = pairs[0][1].encode_shared(message)
    assert (size, messages) == (len(message), 1), "the test has no other texts than ASCII"
    for count, (client, server) in enumerate(pairs):
        own = [f"{TEXT} {number}" for number in range(count)]
        for text in own:
            server.send(text)
        assert client.receive(server.data_to_send() + frame) == [*own, message]
        server.send(TEXT)
        assert client.receive(server.data_to_send() + frame) == [TEXT, message]


def test_connections_with_other_parameters_have_other_keys():
    keys = [connect(kind)[1].frame_key for kind in KINDS]
    # What is compressed with context takeover cannot be shared, and is sent as if there were no compression.
    assert keys[0] == keys[-1]
    assert all(one != other for one, other in itertools.combinations(keys[:-1], 2))


def test_it_saves_bytes_where_connections_are_compressed_alike():
    plain, shared = (connect(kind)[1].encode_shared(TEXT) for kind in (None, Compression()))
    assert len(shared.data) < len(plain.data) / 10
    assert shared.size == plain.size == len(TEXT)


def test_a_closed_connection_can_still_make_frames_for_others():
    _, server = connect(Compression())
    _, other = connect(Compression())
    client, _ = connect(Compression())
    server.connection_lost()
    assert client.receive(server.encode_shared(TEXT).data + other.encode_shared(TEXT).data) == [TEXT, TEXT]
