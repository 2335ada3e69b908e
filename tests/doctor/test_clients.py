import socket
import struct
import time
from contextlib import suppress

import pytest

from django_websocket.doctor.clients import MAX_BODY, Answer, Client, ask
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455

from .peers import HOST, opens, peer, refuses, says

#: Seconds that a test waits for what does not happen.
SHORT = 0.05
#: Seconds that a test waits for what has to happen.
LONG = 10


def connected(address):
    return socket.create_connection((HOST, address.port), LONG)


def client_of(address, protocol=RFC6455, **headers):
    return Client(connected(address), protocol(Request(headers, "GET", "/", address.netloc), client=True))


@pytest.mark.parametrize("protocol", [RFC6455, Hixie76, Hixie75])
def test_messages(protocol):
    with peer(opens()) as address, client_of(address, protocol) as client:
        assert client.open(LONG).status == 101
        assert client.is_open
        client.protocol.send("hello")
        assert client.wait(lambda: "hello" in client.messages, LONG)
        client.protocol.close()
        assert not client.wait(lambda: False, LONG)
        assert client.is_closed


def test_pings_of_the_server_are_counted():
    def ping(sock, protocol):
        protocol.ping(b"1")
        protocol.ping(b"2")
        sock.sendall(protocol.data_to_send())

    with peer(opens(ping)) as address, client_of(address) as client:
        client.open(LONG)
        assert client.wait(lambda: client.pings == 2, LONG)


def test_waiting_ends():
    with peer(opens()) as address, client_of(address) as client:
        client.open(LONG)
        assert not client.wait(lambda: False, SHORT)
        assert not client.wait(lambda: False, 0)
        assert client.is_open


def test_the_body_of_a_refusal():
    with peer(refuses(400, "no", "Server: peer")) as address, client_of(address) as client:
        answer = client.open(LONG)
    assert (answer.status, answer.header("server"), answer.body, answer.error) == (400, "peer", "no", "")
    assert answer.header("via") == ""


@pytest.mark.parametrize("length", ["Content-Length: 99999999", "Content-Length: 99999999999999999999999", "X: y"])
def test_a_long_body_is_cut(length):
    text = f"HTTP/1.1 200 OK\n{length}\n\n" + "x" * 100_000
    with peer(says(text)) as address, client_of(address) as client:
        assert client.open(LONG).body == "x" * MAX_BODY


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "hung up"),
        ("HTTP/1.1 200", "hung up"),
        ("SSH-2.0-OpenSSH\n\n", "does not speak HTTP/1"),
        ("x" * 30_000, "has no end"),
        ("HTTP/1.1 101 Yes\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: x\n\n", "Accept is wrong"),
    ],
)
def test_an_answer_that_is_none(text, error):
    with peer(says(text)) as address, client_of(address) as client:
        answer = client.open(LONG)
    assert error in answer.error
    assert not answer.timed_out


def test_no_answer():
    with socket.create_server((HOST, 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        with Client(sock, RFC6455(Request({}, "GET", "/", "localhost"), client=True)) as client:
            assert client.open(SHORT) == Answer(timed_out=True, error="the server hung up before it answered")
        with socket.create_connection(listener.getsockname()) as sock:
            assert ask(sock, b"GET / HTTP/1.1\r\n\r\n", SHORT).timed_out


def test_nobody_takes_what_is_sent():
    """Guards the deadline of sending: the other side reads nothing."""
    left, right = socket.socketpair()
    with right, Client(left, RFC6455(Request({}, "GET", "/", "localhost"), client=True)) as client:
        left.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                left.send(b"x" * 65536)
        assert client.open(SHORT).timed_out


def test_a_connection_that_is_gone():
    left, right = socket.socketpair()
    right.close()
    with Client(left, RFC6455(Request({}, "GET", "/", "localhost"), client=True)) as client:
        assert "hung up" in client.open(LONG).error


def test_a_connection_that_is_reset():
    def reset(sock, _):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with peer(reset) as address, client_of(address) as client:
        assert "hung up" in client.open(LONG).error


def test_a_body_in_pieces():
    def handle(sock, _):
        sock.sendall(b"HTTP/1.1 400 Bad\r\nContent-Length: 4\r\n\r\nre")
        # The client has most likely seen the head by then; the result is the same if it has not.
        time.sleep(SHORT)
        sock.sendall(b"st")

    with peer(handle) as address, client_of(address) as client:
        assert client.open(LONG).body == "rest"


def test_plain_requests():
    with peer(refuses(400, "this address takes WebSockets only")) as address:
        answer = ask(connected(address), b"GET / HTTP/1.1\r\n\r\n", LONG)
    assert (answer.status, answer.body) == (400, "this address takes WebSockets only")


def test_a_plain_request_that_is_reset():
    left, right = socket.socketpair()
    right.close()
    assert ask(left, b"GET / HTTP/1.1\r\n\r\n", LONG).status is None
