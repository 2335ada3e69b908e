"""The bell of a thread: a wait for bytes or for a ring, on plain sockets and over TLS."""

import contextlib
import os
import select
import signal
import threading
import time
from collections import deque
from types import SimpleNamespace

import pytest

from django_websocket.transports.bells import ThreadBell

from ..running import Running
from .pairs import DEFAULT_TIMEOUT, SHORT, asleep, count_descriptors, signals, taking


@pytest.fixture(params=["eventfd", "sockets"])
def waker(request, monkeypatch):
    """What wakes the thread: with and without eventfd."""
    if request.param == "sockets":
        monkeypatch.delattr(os, "eventfd")


@pytest.fixture
def ring(connect, waker):
    """A transport's bell, its peer, and the transport."""
    transport, peer = connect()
    bell = transport.bell()
    yield bell, peer, transport
    bell.close()


def test_a_ring_ends_a_wait(ring):
    bell, _, _ = ring
    for _ in range(2):
        receiving = Running(bell.receive, DEFAULT_TIMEOUT)
        asleep(receiving)
        with taking(0):
            bell.ring()
            with pytest.raises(TimeoutError):
                receiving.result()
        assert bell.rung
        bell.rung = False


def test_a_ring_ends_the_next_wait(ring):
    bell, _, _ = ring
    bell.ring()
    for _ in range(2):
        with taking(0), pytest.raises(TimeoutError):
            bell.receive(DEFAULT_TIMEOUT)
    bell.rung = False
    with taking(SHORT), pytest.raises(TimeoutError):
        bell.receive(SHORT)


@pytest.mark.parametrize("timeout", [-1, 0, SHORT])
def test_a_timeout(ring, timeout):
    bell, _, _ = ring
    with taking(max(0, timeout)), pytest.raises(TimeoutError):
        bell.receive(timeout)
    assert not bell.rung


def test_bytes(ring):
    bell, peer, _ = ring
    receiving = Running(bell.receive, DEFAULT_TIMEOUT)
    asleep(receiving)
    peer.sendall(b"x")
    assert receiving.result() == b"x"
    data = os.urandom(100_000)
    sending = Running(peer.sendall, data)
    received = b""
    while len(received) < len(data):
        with contextlib.suppress(TimeoutError):
            received += bell.receive(DEFAULT_TIMEOUT)
    assert received == data
    sending.result()


def test_bytes_come_first(ring):
    bell, peer, _ = ring
    bell.ring()
    peer.sendall(b"x")
    deadline = time.monotonic() + DEFAULT_TIMEOUT
    received = None
    while received is None and time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            received = bell.receive(DEFAULT_TIMEOUT)
    assert received == b"x"


def test_bytes_that_tls_holds(connect, kind):
    """The socket below is empty then, so that no poll reports it."""
    if kind != "tls":
        pytest.skip("only TLS holds bytes")
    transport, peer = connect()
    peer.sendall(b"xyz")
    transport._size = 1
    assert transport.receive() == b"x"
    transport.more = False
    bell = transport.bell()
    assert bell.receive(DEFAULT_TIMEOUT) == b"yz"
    bell.close()


def test_the_end(ring):
    bell, peer, _ = ring
    receiving = Running(bell.receive, DEFAULT_TIMEOUT)
    asleep(receiving)
    peer.close()
    assert receiving.result() == b""


def test_a_shutdown(ring):
    bell, _, transport = ring
    receiving = Running(bell.receive, DEFAULT_TIMEOUT)
    asleep(receiving)
    transport.shutdown()
    assert receiving.result() == b""


def test_a_signal_handler_rings(ring):
    bell, _, _ = ring
    previous = signal.signal(signal.SIGALRM, lambda *_: bell.ring())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with taking(0.05), pytest.raises(TimeoutError):
            bell.receive(DEFAULT_TIMEOUT)
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_signals_do_not_extend_a_timeout(ring):
    bell, _, _ = ring
    with signals(0.02) as handled, taking(SHORT), pytest.raises(TimeoutError):
        bell.receive(SHORT)
    assert handled


def test_no_ring_is_lost(ring):
    """Of many threads, while the one that waits looks in its box before it sleeps."""
    bell, _, _ = ring
    box = deque()

    def listen():
        heard = []
        while len(heard) < 4000:
            bell.rung = False
            while box:
                heard.append(box.popleft())
            if len(heard) < 4000:
                with contextlib.suppress(TimeoutError):
                    bell.receive(DEFAULT_TIMEOUT)
        return heard

    def ring_often(name):
        for number in range(1000):
            box.append((name, number))
            bell.ring()

    with taking(0, 5):
        listening = Running(listen)
        ringing = [Running(ring_often, name) for name in range(4)]
        heard = listening.result()
        for running in ringing:
            running.result()
    for name in range(4):
        assert [number for one, number in heard if one == name] == list(range(1000))


def test_a_ring_is_a_system_call_only_for_a_thread_that_sleeps(ring):
    bell, _, _ = ring
    written = []
    bell._waker = SimpleNamespace(wake=lambda: written.append(1), fileno=bell._waker.fileno, close=bell._waker.close)
    for _ in range(3):
        bell.ring()
    assert written == []
    bell._asleep = True
    for _ in range(3):
        bell.ring()
    assert written == [1]


def test_no_descriptor_is_left(connect, waker):
    transport, _ = connect()
    before = count_descriptors()
    bell = transport.bell()
    assert count_descriptors() > before
    bell.close()
    assert count_descriptors() == before
    bell.close()
    bell.ring()


def test_a_close_in_another_thread_wakes(ring):
    bell, _, _ = ring
    receiving = Running(bell.receive, DEFAULT_TIMEOUT)
    asleep(receiving)
    bell.ring()
    bell.close()
    with taking(0), pytest.raises(TimeoutError):
        receiving.result()


def test_a_socket_that_is_closed(connect):
    transport, _ = connect()
    transport._socket.close()
    bell = transport.bell()
    with contextlib.suppress(TimeoutError):
        assert bell.receive(0) == b""
    bell.close()


def test_a_system_without_poll(connect):
    transport, peer = connect()
    bell = ThreadBell(transport, buffers=True, select=SimpleNamespace(select=select.select))
    with taking(SHORT), pytest.raises(TimeoutError):
        bell.receive(SHORT)
    timer = threading.Timer(0.05, bell.ring)
    timer.start()
    with taking(0), pytest.raises(TimeoutError):
        bell.receive(DEFAULT_TIMEOUT)
    timer.join()
    bell.rung = False
    peer.sendall(b"x")
    assert bell.receive(DEFAULT_TIMEOUT) == b"x"
    bell.close()
