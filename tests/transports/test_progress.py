"""The progress of what was sent, as the kernel knows it."""

from __future__ import annotations

import socket
import struct
import sys
import time

import pytest

from django_websocket.transports import SendProgress, open_transport
from django_websocket.transports import progress as progress_module
from django_websocket.transports.progress import tcp_progress
from django_websocket.transports.sockets import NonBlockingTransport

from ..running import Running
from .pairs import DEFAULT_TIMEOUT, asleep, fill, read_all, tcp_pair, tls_pair

linux_only = pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux counts acknowledged bytes")
#: Seconds of a pause in which the kernels of both ends come to rest.
REST = 0.3


def until_taken(sock):
    """Return the progress once the peer has taken all."""
    deadline = time.monotonic() + DEFAULT_TIMEOUT
    while (progress := tcp_progress(sock)).pending:
        assert time.monotonic() < deadline, "not taken"
        time.sleep(0.001)
    return progress


def until_at_rest(transport):
    """Return the progress once it has not changed for a while."""
    deadline = time.monotonic() + DEFAULT_TIMEOUT
    before = None
    while (progress := transport.send_progress()) != before:
        assert time.monotonic() < deadline, "the peer takes more and more"
        before = progress
        time.sleep(REST)
    return progress


def read_to_end(sock):
    while sock.recv(1 << 20):
        pass


@linux_only
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_the_peer_takes_what_it_has_room_for(tls, certificate):
    server, client = tls_pair(certificate) if tls else tcp_pair()
    with server, client:
        server.sendall(b"x")
        before = until_taken(server)
        server.sendall(b"x" * 1000)
        after = until_taken(server)
        assert after.taken - before.taken >= 1000


@linux_only
def test_a_peer_that_does_not_read_takes_nothing_more():
    server, client = tcp_pair()
    with server, client:
        transport = open_transport(server, DEFAULT_TIMEOUT)
        fill(transport)
        before = until_at_rest(transport)
        assert before.pending
        reading = Running(read_to_end, client)
        after = until_taken(server)
        assert after.taken > before.taken
        server.shutdown(socket.SHUT_WR)
        reading.result()


@pytest.mark.parametrize(
    "info", [OSError(), b"\0" * 100, b"\0" * 148], ids=["no TCP", "an old kernel", "a system that counts nothing"]
)
def test_where_the_system_does_not_count(info):
    class Socket:
        def getsockopt(self, *_):
            if isinstance(info, OSError):
                raise info
            return info

    assert tcp_progress(Socket()) is None


def test_where_there_is_no_such_option(monkeypatch):
    monkeypatch.delattr(socket, "TCP_INFO", raising=False)
    assert tcp_progress(object()) is None


@linux_only
@pytest.mark.parametrize(("segments", "unsent", "pending"), [(0, 0, False), (1, 0, True), (0, 1, True)])
def test_the_fields_of_the_kernel(segments, unsent, pending):
    info = struct.pack("=24xI92xQ16xI", segments, 7, unsent)

    class Socket:
        def getsockopt(self, *_):
            return info

    assert tcp_progress(Socket()) == SendProgress(7, pending)


@pytest.mark.parametrize("kind", [open_transport, lambda sock, timeout: NonBlockingTransport(sock, sock, timeout)])
def test_a_unix_socket_counts_the_steps_of_a_blocked_sender(kind):
    server, client = socket.socketpair()
    with server, client:
        transport = kind(server, DEFAULT_TIMEOUT)
        assert transport.send_progress() == (0, False)
        transport.send(b"x", 1)
        assert not transport.send_progress().pending
        size = 4_000_000
        sending = Running(transport.send, b"x" * size, DEFAULT_TIMEOUT)
        client.settimeout(DEFAULT_TIMEOUT)
        asleep(sending)
        before = until_at_rest(transport)
        assert before.pending
        got = len(read_all(client, size // 2))
        after = until_at_rest(transport)
        assert after.pending
        assert after.taken > before.taken
        read_all(client, size + 1 - got)
        sending.result()
        assert not transport.send_progress().pending
        assert transport.send_progress().taken > after.taken


def test_a_closed_socket(monkeypatch):
    server, client = tcp_pair()
    with server, client:
        transport = open_transport(server, DEFAULT_TIMEOUT)
        server.close()
        assert transport.send_progress() == (0, False)
        monkeypatch.setattr(progress_module, "_TIOCOUTQ", None)
        assert transport.send_progress() == (0, False)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel has to count bytes on Unix sockets")
def test_a_peer_takes_less_than_makes_room():
    server, client = socket.socketpair()
    with server, client:
        transport = open_transport(server, DEFAULT_TIMEOUT)
        sending = Running(transport.send, b"x" * 4_000_000, DEFAULT_TIMEOUT)
        asleep(sending)
        before = until_at_rest(transport)
        assert before.pending
        got = len(read_all(client, 4096))
        assert until_at_rest(transport).taken != before.taken
        read_all(client, 4_000_000 - got)
        sending.result()
