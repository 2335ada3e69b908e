"""Which transport a socket gets."""

from __future__ import annotations

import socket
import struct
import sys
from types import SimpleNamespace

import pytest

from django_websocket import transports
from django_websocket.transports import is_tls, open_transport
from django_websocket.transports.sockets import BlockingTransport, NonBlockingTransport

from .pairs import MemoryTransport, tcp_pair, tls_pair


def test_a_plain_socket_gets_a_blocking_transport():
    ours, theirs = tcp_pair()
    with ours, theirs:
        ours.settimeout(7)  # The server may have set a timeout.
        transport = open_transport(ours, 2.5)
        assert type(transport) is BlockingTransport
        assert transport.default_timeout == 2.5
        assert ours.gettimeout() is None
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == struct.pack("@ll", 2, 500_000)


def test_a_tls_socket_gets_a_non_blocking_transport(certificate):
    ours, theirs = tls_pair(certificate)
    with ours, theirs:
        transport = open_transport(ours, 3)
        assert type(transport) is NonBlockingTransport
        assert transport.default_timeout == 3
        assert ours.gettimeout() == 0


def test_a_plain_socket_where_the_kernel_has_no_timeouts(monkeypatch):
    monkeypatch.setattr(transports, "_HAS_KERNEL_TIMEOUTS", False)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert type(open_transport(ours, 3)) is NonBlockingTransport


@pytest.mark.parametrize("name", ["eventlet", "gevent"])
def test_a_plain_socket_beside_a_green_library(monkeypatch, name):
    """The library is imported, but the socket does not belong to it, so that no attribute of it is used."""
    monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert type(open_transport(ours, 3)) is BlockingTransport


@pytest.mark.parametrize("name", ["eventlet", "gevent"])
def test_an_object_of_another_class_of_a_green_library(monkeypatch, name):
    """Its module is one of the library, but ``unwrap()`` finds no green socket in it."""
    asked = []
    library = SimpleNamespace(unwrap=asked.append)
    monkeypatch.setattr(f"django_websocket.transports.{name}.{name.title()}", lambda: library)
    kind = type("Thing", (socket.socket,), {"__module__": f"{name}.things"})
    with kind() as thing:
        assert type(open_transport(thing, 3)) is BlockingTransport
    assert asked == [thing]


def test_a_transport_is_returned_itself():
    transport = MemoryTransport()
    assert open_transport(transport, 3) is transport
    assert transport.default_timeout == 3


def test_is_tls(certificate):
    for pair, answer in ((tcp_pair(), False), (tls_pair(certificate), True)):
        for sock in pair:
            with sock:
                assert is_tls(sock) is answer
