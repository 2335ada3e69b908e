"""TLS sockets under threads: what OpenSSL needs, what it holds, and how a connection over it ends."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from types import SimpleNamespace

import pytest

from django_websocket.transports.sockets import NonBlockingTransport, wait_for

from ..running import Running
from .pairs import DEFAULT_TIMEOUT, fill, taking, tls_pair


def test_receive_from_broken_tls(certificate):
    for data in (b"", b"no record of TLS"):
        ours, theirs = tls_pair(certificate)
        with ours, theirs:
            plain = socket.socket(fileno=theirs.detach())
            plain.sendall(data)
            plain.close()
            assert NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT).receive() == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_shutdown_sends_close_notify(certificate, version):
    ours, theirs = tls_pair(certificate, version)
    with ours, theirs:
        transport = NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT)
        transport.send(b"x", 1)
        transport.shutdown()
        theirs.suppress_ragged_eofs = False
        assert theirs.recv(10) == b"x"
        assert theirs.recv(10) == b""  # Without a close_notify, this raises SSLEOFError.


def test_shutdown_of_tls_does_not_wait_for_the_peer(certificate):
    ours, theirs = tls_pair(certificate)
    with ours, theirs:
        transport = NonBlockingTransport(ours, ours, None)
        fill(transport)
        with taking(0):
            transport.shutdown()


def test_plain_bytes_after_the_end_of_tls_are_not_returned(certificate):
    """They may be forged: anybody on the network can write after the close_notify of the peer."""
    ours, theirs = tls_pair(certificate)
    with ours, theirs:
        transport = NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT)
        theirs.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            theirs.unwrap()
        assert transport.receive() == b""
        transport.shutdown(socket.SHUT_WR)
        plain = socket.socket(fileno=theirs.detach())
        with plain:
            plain.sendall(b"forged")
            wait_for(ours, write=False, timeout=DEFAULT_TIMEOUT)
            assert transport.try_receive() in {b"", None}


def test_try_send_while_another_thread_is_inside_the_tls_library(certificate):
    """Nothing can be sent then, and nothing may wait."""
    ours, theirs = tls_pair(certificate)
    with ours, theirs:
        transport = NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT)
        with transport._guard:
            assert not Running(transport.try_send, b"x").result()
            # A signal handler that has interrupted this thread there finds no call of OpenSSL under way.
            assert transport.try_send(b"x") == 1
            assert theirs.recv(10) == b"x"
        assert transport.try_send(b"y")
        assert theirs.recv(10) == b"y"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bytes_inside_openssl_are_returned_without_waiting(certificate, version):
    """A TLS record holds more than the read asked for, and the system no longer reports anything to read."""
    ours, theirs = tls_pair(certificate, version)
    with ours, theirs:
        theirs.settimeout(DEFAULT_TIMEOUT)
        transport = NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT)
        theirs.sendall(b"abc")
        wait_for(ours, write=False, timeout=DEFAULT_TIMEOUT)
        while not (first := read_if_data(ours, 1)):
            wait_for(ours, write=False, timeout=DEFAULT_TIMEOUT)
        assert first == b"a"
        assert transport.receive(0) == b"bc"


def read_if_data(sock, size):
    """Read from a TLS socket; return ``b""`` if no data has arrived but other records of TLS."""
    try:
        return sock.recv(size)
    except ssl.SSLWantReadError:
        return b""


@pytest.mark.parametrize(
    ("error", "write"), [(BlockingIOError, False), (ssl.SSLWantReadError, False), (ssl.SSLWantWriteError, True)]
)
def test_receive_waits_for_what_tls_needs(error, write):
    transport, waits = scripted([error, b"x"])
    assert transport.receive() == b"x"
    assert [wait[0] for wait in waits] == [write]
    transport, _ = scripted([error])
    assert transport.try_receive() is None


@pytest.mark.parametrize(
    ("error", "write"), [(BlockingIOError, True), (ssl.SSLWantWriteError, True), (ssl.SSLWantReadError, False)]
)
def test_send_waits_for_what_tls_needs(error, write):
    transport, waits = scripted([error, 2, error, 1])
    transport.send(b"xyz", DEFAULT_TIMEOUT)
    # There is a wait after each error, and one after the part that was sent.
    assert [wait[0] for wait in waits] == [write, True, write]


def test_the_timeout_of_send_starts_anew_after_each_part():
    """When there is room again, the peer has accepted bytes."""
    transport, waits = scripted([BlockingIOError, BlockingIOError, 1, BlockingIOError, 1])
    transport.clock = lambda: 0.0
    transport.send(b"xy", 80)
    assert {timeout for _, timeout in waits} == {10}


def test_receive_has_one_timeout_for_all_its_waits():
    transport, waits = scripted([BlockingIOError, BlockingIOError, BlockingIOError, b"x"])
    transport.clock = iter([0, 4, 9, 99]).__next__
    transport.receive(10)
    assert [timeout for _, timeout in waits] == [6, 1, 0]


def test_etimedout_is_the_end_of_the_connection():
    """Python raises TimeoutError for it, but it means that the peer has vanished."""
    transport, _ = scripted([TimeoutError(errno.ETIMEDOUT, "Connection timed out")])
    assert transport.receive() == b""


def scripted(results):
    """Return a transport whose socket returns or raises ``results`` in turn, and the list of the transport's waits."""
    results = list(results)

    def call(*_):
        result = results.pop(0)
        if isinstance(result, (type, OSError)):
            raise result
        return result

    sock = SimpleNamespace(recv=call, send=call, setblocking=lambda _: None, do_handshake=None)
    waits = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = NonBlockingTransport(sock, ours, DEFAULT_TIMEOUT)
    transport._wait = lambda write, timeout: waits.append((write, timeout))
    return transport, waits
