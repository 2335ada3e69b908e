"""The connection below a request: what the server has read of it already, its end, and a refusal."""

from __future__ import annotations

import _socket
import socket
from types import SimpleNamespace

import pytest

from django_websocket.servers.base import BufferedConnection, end_reader, plain_socket, receive_at_once

from ..connections import FakeConnection
from ..running import Running
from ..transports.pairs import tls_pair
from .reading import arrived, receive


def test_the_end_of_a_websocket_over_tls(certificate):
    """A write of the server fails as on a socket whose client has hung up."""
    ours, theirs = tls_pair(certificate)
    with ours, theirs:
        connection = FakeConnection(ours)
        _socket.socket.shutdown(ours, socket.SHUT_RDWR)
        connection.finish()
        with pytest.raises(BrokenPipeError):
            ours.sendall(b"HTTP")
    connection.finish()


# What the server has read already


def test_buffered_bytes_are_not_lost(pair):
    ours, theirs = pair
    theirs.sendall(b"head\r\nbehind it")
    with ours.makefile("rb") as reader:
        assert reader.readline() == b"head\r\n"
        sock, received = BufferedConnection(ours, reader).take_over()
        assert sock is ours
        assert received == b"behind it"
        theirs.sendall(b"later")
        assert receive(ours, 5) == b"later"


def test_bytes_beyond_the_buffer_stay_in_the_socket(pair):
    ours, theirs = pair
    data = bytes(range(256)) * 200
    theirs.sendall(b"head\r\n" + data)
    with ours.makefile("rb", 1024) as reader:
        assert reader.readline() == b"head\r\n"
        received = end_reader(reader)
        assert 0 < len(received) <= 1024
        assert received + receive(ours, len(data) - len(received)) == data


def test_an_empty_buffer(pair):
    ours, theirs = pair
    with ours.makefile("rb") as reader:
        began = Running(end_reader, reader)
        assert began.result() == b""
        theirs.sendall(b"x")
        assert receive(ours, 1) == b"x"


def test_bytes_that_have_come_since(pair):
    ours, theirs = pair
    with ours.makefile("rb") as reader:
        theirs.sendall(b"x" * 10)
        arrived(ours)
        received = end_reader(reader)
        # The first read of TLS may return nothing, as it has taken a record of TLS itself.
        assert received + receive(ours, 10 - len(received)) == b"x" * 10


def test_the_server_reads_nothing_more(pair):
    """Whatever comes is for the WebSocket, and never a further request."""
    ours, theirs = pair
    theirs.sendall(b"head\r\nGET / HTTP/1.1\r\n")
    with ours.makefile("rb") as reader:
        assert reader.readline() == b"head\r\n"
        sock, received = BufferedConnection(ours, reader).take_over()
        assert received == b"GET / HTTP/1.1\r\n"
        theirs.sendall(b"GET / HTTP/1.1\r\n")
        arrived(ours)
        assert reader.readline() == reader.read() == b""
        assert receive(sock, 16) == b"GET / HTTP/1.1\r\n"
    # The server has closed its reader, and the socket is still open.
    theirs.sendall(b"x")
    assert receive(ours, 1) == b"x"


def test_a_client_that_is_gone(pair):
    ours, theirs = pair
    with ours.makefile("rb") as reader:
        theirs.close()
        arrived(ours)
        assert end_reader(reader) == b""
        assert end_reader(reader) == b""


def test_a_socket_that_the_server_has_closed(pair):
    ours, _ = pair
    reader = ours.makefile("rb")
    reader.close()
    ours.close()
    assert end_reader(reader) == b""


def test_a_reader_that_is_closed(pair):
    ours, _ = pair
    reader = ours.makefile("rb")
    reader.close()
    assert end_reader(reader) == b""


# A refusal


def test_a_refused_connection_is_ended_and_emptied(pair):
    """A server that waits for a further request finds the end, and the response can be written after that."""
    ours, theirs = pair
    pipelined = b"GET / HTTP/1.1\r\n\r\n" * 5000
    theirs.sendall(b"head\r\n" + pipelined)
    with ours.makefile("rb") as reader:
        assert reader.readline() == b"head\r\n"
        connection = BufferedConnection(ours, reader)
        connection.refuse()
        assert connection.received == b""
        assert reader.readline() == b""
        ours.sendall(b"no")
        assert receive(theirs, 2) == b"no"
        arrived(ours)


def test_a_client_that_goes_on_sending():
    """What it sends is discarded, for a while."""
    reads = []

    class Flooded(socket.socket):
        def recv(self, size):
            reads.append(size)
            return b"x" * size

    with Flooded() as sock:
        FakeConnection(sock).refuse()
    assert sum(reads) == 1 << 20


def test_a_refusal_to_a_client_that_is_gone(pair):
    ours, theirs = pair
    theirs.close()
    with ours.makefile("rb") as reader:
        connection = BufferedConnection(ours, reader)
        connection.refuse()
        connection.refuse()


def test_a_refusal_after_the_server_has_closed(pair):
    ours, _ = pair
    reader = ours.makefile("rb")
    connection = BufferedConnection(ours, reader)
    reader.close()
    ours.close()
    connection.refuse()


@pytest.mark.parametrize("name", ["fd", "_sock"])
def test_a_refusal_reaches_the_socket_below_a_wrapper(name):
    """A green library's own shutdown may wait, or end TLS first."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"c")
        wrapper = type("Wrapper", (), {name: ours, "__getattr__": lambda _, method: getattr(ours, method)})
        connection = FakeConnection(wrapper(), b"ab")
        connection.refuse()
        assert connection.received == b""
        assert ours.recv(1) == b""
        ours.sendall(b"no")
        assert theirs.recv(2) == b"no"


# Sockets


@pytest.mark.parametrize("names", [(), ("fd",), ("_sock",), ("fd", "_sock"), ("_sock", "_sock")])
def test_the_socket_below_wrappers(names):
    with socket.socket() as sock:
        wrapped = sock
        for name in names:
            wrapped = SimpleNamespace(**{name: wrapped})
        assert plain_socket(wrapped) is sock


@pytest.mark.parametrize("timeout", [None, 0, 7.5])
def test_one_read_does_not_wait_and_keeps_the_timeout(pair, timeout):
    ours, theirs = pair
    ours.settimeout(timeout)
    assert receive_at_once(ours) == b""
    assert ours.gettimeout() == timeout
    theirs.sendall(b"x")
    arrived(ours)
    data = receive_at_once(ours)
    # The first read of TLS may return nothing, as it has taken a record of TLS itself.
    assert data + receive(ours, 1 - len(data)) == b"x"
    assert ours.gettimeout() == timeout


def test_one_read_of_a_socket_that_is_closed(pair):
    ours, _ = pair
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        ours.recv(1)
    assert receive_at_once(ours) == b""
