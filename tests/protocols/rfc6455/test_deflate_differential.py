"""permessage-deflate with two other implementations as the peer: both sides agree and understand each other.

Each peer does its own half of the handshake. The known differences to this package have tests at the end.
"""

from __future__ import annotations

import random

import pytest
import wsproto
import wsproto.events
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto.extensions import PerMessageDeflate

from django_websocket.exceptions import MessageTooBig
from django_websocket.protocols.base import State
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455

from ..inputs import feed
from .deflating import BROAD, COMPRESSIONS, MESSAGES, RSV1, deflated, open_server
from .peers import BINARY, TEXT, make_client, make_frame

BITS = st.integers(9, 15)
#: Messages; whether we compress them when we send them; in how many pieces the peer sends them.
CONVERSATIONS = st.lists(st.tuples(MESSAGES, st.sampled_from([None, True, False]), st.integers(1, 3)), max_size=5)


def pieces(message, count):
    """Return a message cut into ``count`` pieces."""
    size = len(message) // count + 1
    return [message[index * size : (index + 1) * size] for index in range(count)]


class Websockets:
    """``websockets`` as the peer."""

    def __init__(self, protocol):
        self.protocol = protocol

    def sent(self):
        return b"".join(self.protocol.data_to_send())

    def send(self, message, count):
        text = isinstance(message, str)
        parts = [part.encode() if text else part for part in pieces(message, count)]
        send = self.protocol.send_text if text else self.protocol.send_binary
        for index, part in enumerate(parts):
            send(part, index == count - 1)
            send = self.protocol.send_continuation
        return self.sent()

    def receive(self, data):
        self.protocol.receive_data(data)
        frames = self.protocol.events_received()
        assert all(isinstance(frame, Frame) and frame.fin for frame in frames)
        return [bytes(frame.data).decode() if frame.opcode is Opcode.TEXT else bytes(frame.data) for frame in frames]


class Wsproto:
    """``wsproto`` as the peer."""

    def __init__(self, connection):
        self.connection = connection

    def send(self, message, count):
        kind = wsproto.events.TextMessage if isinstance(message, str) else wsproto.events.BytesMessage
        parts = pieces(message, count)
        return b"".join(
            self.connection.send(kind(part, message_finished=index == count - 1)) for index, part in enumerate(parts)
        )

    def receive(self, data):
        self.connection.receive_data(data)
        messages, message = [], None
        for event in self.connection.events():
            message = event.data if message is None else message + event.data
            if event.message_finished:
                messages.append(message if isinstance(message, str) else bytes(message))
                message = None
        return messages


def accept(head, compression):
    """Return our server for the head of a client's request, and its answer."""
    first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert first == "GET / HTTP/1.1"
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    server = RFC6455(Request(headers, http_version=(1, 1)), compression=compression)
    server.accept()
    return server, server.data_to_send()


def websockets_client(compression, **options):
    client = ClientProtocol(parse_uri("ws://example.com/"), extensions=[ClientPerMessageDeflateFactory(**options)])
    client.send_request(client.connect())
    peer = Websockets(client)
    server, answer = accept(peer.sent(), compression)
    client.receive_data(answer)
    (response,) = client.events_received()
    assert response.status_code == 101
    assert client.handshake_exc is None
    return server, peer


def websockets_server(compression, max_size=None, **options):
    client = make_client(compression=compression)
    server = ServerProtocol(extensions=[ServerPerMessageDeflateFactory(**options)], max_size=max_size)
    server.receive_data(client.data_to_send())
    (request,) = server.events_received()
    server.send_response(server.accept(request))
    peer = Websockets(server)
    assert client.receive(peer.sent()) == []
    return client, peer


def wsproto_client(compression, **options):
    connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    head = connection.send(
        wsproto.events.Request(host="example.com", target="/", extensions=[PerMessageDeflate(**options)])
    )
    server, answer = accept(head, compression)
    connection.receive_data(answer)
    (accepted,) = connection.events()
    assert isinstance(accepted, wsproto.events.AcceptConnection)
    return server, Wsproto(connection)


def wsproto_server(compression, **options):
    client = make_client(compression=compression)
    connection = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    connection.receive_data(client.data_to_send())
    (request,) = connection.events()
    assert isinstance(request, wsproto.events.Request)
    answer = connection.send(wsproto.events.AcceptConnection(extensions=[PerMessageDeflate(**options)]))
    assert client.receive(answer) == []
    return client, Wsproto(connection)


def converse(own, peer, conversation, cuts):
    """Check that both sides receive all of a conversation."""
    assert own.state is State.OPEN, own.error
    assert own._deflate is not None
    expected = [message for message, _, _ in conversation]
    stream = b"".join(peer.send(message, count) for message, _, count in conversation)
    assert feed(own, stream, *cuts) == expected
    for message, compress, _ in conversation:
        own.send(message, compress=compress)
    assert peer.receive(own.data_to_send()) == expected


CUTS = st.lists(st.integers(0, 3000), max_size=10)


@given(
    COMPRESSIONS,
    st.fixed_dictionaries(
        {
            "server_no_context_takeover": st.booleans(),
            "client_no_context_takeover": st.booleans(),
            "server_max_window_bits": st.one_of(st.none(), BITS),
            "client_max_window_bits": st.one_of(st.none(), st.just(True), BITS),
        }
    ),
    CONVERSATIONS,
    CUTS,
)
def test_a_client_of_websockets(compression, options, conversation, cuts):
    own, peer = websockets_client(compression, **options)
    converse(own, peer, conversation, cuts)


@given(
    COMPRESSIONS,
    st.fixed_dictionaries(
        {
            "server_no_context_takeover": st.booleans(),
            "client_no_context_takeover": st.booleans(),
            "server_max_window_bits": st.one_of(st.none(), BITS),
            "client_max_window_bits": st.one_of(st.none(), BITS),
        }
    ),
    CONVERSATIONS,
    CUTS,
)
def test_a_server_of_websockets(compression, options, conversation, cuts):
    own, peer = websockets_server(compression, **options)
    converse(own, peer, conversation, cuts)


WSPROTO_OPTIONS = st.fixed_dictionaries(
    {
        "server_no_context_takeover": st.booleans(),
        "client_no_context_takeover": st.booleans(),
        "server_max_window_bits": st.one_of(st.none(), BITS),
        "client_max_window_bits": st.one_of(st.none(), BITS),
    }
)


@given(COMPRESSIONS, WSPROTO_OPTIONS, CONVERSATIONS, CUTS)
def test_a_client_of_wsproto(compression, options, conversation, cuts):
    own, peer = wsproto_client(compression, **options)
    converse(own, peer, conversation, cuts)


@given(COMPRESSIONS, WSPROTO_OPTIONS, CONVERSATIONS, CUTS)
def test_a_server_of_wsproto(compression, options, conversation, cuts):
    own, peer = wsproto_server(compression, **options)
    converse(own, peer, conversation, cuts)


# Limits, which wsproto does not have


@pytest.mark.parametrize("limit", [100, 5000, 100_000])
@pytest.mark.parametrize("beyond", [-1, 0, 1, 1000])
def test_agrees_with_websockets_on_limits(limit, beyond):
    client, peer = websockets_server(BROAD, max_size=limit)
    payload = bytes(limit + beyond)
    client.send(payload, compress=True)
    stream = client.data_to_send()
    server = open_server(max_message_size=limit)
    assert server.receive(stream) == ([] if beyond > 0 else [payload])
    assert isinstance(server.error, MessageTooBig) is (beyond > 0)
    assert close_code(peer, stream) == (1009 if beyond > 0 else None)


# The differences


def close_code(peer, data):
    peer.protocol.receive_data(data)
    return None if peer.protocol.close_sent is None else int(peer.protocol.close_sent.code)


def test_the_limit_of_websockets_is_also_for_the_compressed_message():
    payload = random.Random(1).randbytes(1000)
    client, peer = websockets_server(BROAD, max_size=1000)
    client.send(payload, compress=True)
    stream = client.data_to_send()
    assert open_server(max_message_size=1000).receive(stream) == [payload]
    assert close_code(peer, stream) == 1009


def test_malformed_deflate_is_a_protocol_error_to_websockets_and_invalid_data_to_us():
    own, _ = websockets_client(BROAD)
    own.receive(make_frame(BINARY, b"\x07", rsv=RSV1))
    assert own.close_code == 1007
    _, peer = websockets_server(BROAD)
    assert close_code(peer, make_frame(BINARY, b"\x07", rsv=RSV1)) == 1002


def test_websockets_reads_nothing_behind_a_final_block():
    """A message of two final blocks follows section 7.2.3.4."""
    stream = make_frame(TEXT, bytes.fromhex("f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 00"), rsv=RSV1)
    assert open_server().receive(stream) == ["HelloHello"]
    _, peer = websockets_server(BROAD)
    assert peer.receive(stream) == ["Hello"]


def test_websockets_reads_no_message_after_an_empty_one():
    stream = make_frame(TEXT, b"", rsv=RSV1) + make_frame(TEXT, deflated(b"Hello"), rsv=RSV1)
    assert open_server().receive(stream) == ["", "Hello"]
    _, peer = websockets_server(BROAD)
    assert close_code(peer, stream) == 1002
