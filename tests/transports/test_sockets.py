"""Sockets under threads: how each transport treats silence, slow readers, ends, signals and TLS."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import select
import signal
import socket
import ssl
import threading
import time
from types import SimpleNamespace

import pytest

from django_websocket.transports import open_transport, sockets
from django_websocket.transports.base import READ_SIZE
from django_websocket.transports.sockets import (
    SMALL_READ_SIZE,
    BlockingTransport,
    NonBlockingTransport,
    nothing_sent,
    wait_for,
)

from ..running import Running
from ..vanishing import vanish
from .pairs import (
    DEFAULT_TIMEOUT,
    SHORT,
    asleep,
    fill,
    pattern,
    read_all,
    reset,
    signals,
    taking,
    tcp_pair,
    tls_pair,
)

# Receiving


def test_receive(connect):
    transport, peer = connect()
    for data in (b"a", b"b" * 1000):
        peer.sendall(data)
        assert transport.receive() == data
    peer.sendall(b"c")
    assert transport.receive(DEFAULT_TIMEOUT) == b"c"
    peer.sendall(b"d")
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert transport.receive(0) == b"d"


def test_receive_times_out_after_the_default_timeout(connect):
    transport, _ = connect(default_timeout=SHORT)
    with taking(SHORT), pytest.raises(TimeoutError):
        transport.receive()
    with taking(SHORT), pytest.raises(TimeoutError):
        transport.receive()


@pytest.mark.parametrize("timeout", [0, 0.0, SHORT])
@pytest.mark.parametrize("default_timeout", [None, DEFAULT_TIMEOUT, SHORT / 10])
def test_receive_times_out_after_an_explicit_timeout(connect, timeout, default_timeout):
    transport, _ = connect(default_timeout=default_timeout)
    with taking(timeout), pytest.raises(TimeoutError):
        transport.receive(timeout)


@pytest.mark.parametrize("timeout", [None, DEFAULT_TIMEOUT])
@pytest.mark.parametrize("default_timeout", [None, DEFAULT_TIMEOUT])
def test_data_wakes_a_thread_that_receives(connect, default_timeout, timeout):
    transport, peer = connect(default_timeout=default_timeout)
    receiving = Running(transport.receive, timeout)
    asleep(receiving)
    peer.sendall(b"x")
    assert receiving.result() == b"x"


def test_the_connection_goes_on_after_a_timeout(connect):
    transport, peer = connect(default_timeout=SHORT)
    for timeout in (None, 0, 0.01):
        with pytest.raises(TimeoutError):
            transport.receive(timeout)
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    transport.send(b"y", 1)
    assert peer.recv(1) == b"y"


def test_receive_returns_no_more_than_one_read(connect):
    transport, peer = connect()
    size = 4 * READ_SIZE
    sending = Running(peer.sendall, b"x" * size)
    while size:
        data = transport.receive()
        assert 0 < len(data) <= READ_SIZE
        size -= len(data)
    sending.result()


def test_a_filled_small_read_makes_the_next_one_large(connect):
    transport, peer = connect()
    peer.sendall(b"few")
    assert (transport.receive(), transport.more) == (b"few", False)
    peer.sendall(b"x" * (2 * SMALL_READ_SIZE + 9))
    assert (len(transport.receive()), transport.more) == (SMALL_READ_SIZE, True)
    assert (len(transport.receive()), transport.more) == (SMALL_READ_SIZE + 9, False)
    peer.sendall(b"x" * (2 * SMALL_READ_SIZE + 9))
    assert (len(transport.receive()), transport.more) == (2 * SMALL_READ_SIZE + 9, False)
    peer.sendall(b"few")
    assert (transport.receive(), transport.more) == (b"few", False)
    peer.sendall(b"x" * (SMALL_READ_SIZE + 1))
    assert (len(transport.receive()), transport.more) == (SMALL_READ_SIZE, True)
    assert (transport.receive(), transport.more) == (b"x", False)


def test_try_receive_reads_as_much_as_a_large_read(connect):
    transport, peer = connect()
    peer.sendall(b"x" * (2 * SMALL_READ_SIZE))
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert (len(transport.try_receive()), transport.more) == (2 * SMALL_READ_SIZE, False)
    transport.read_size = 4096
    peer.sendall(b"x" * 4097)
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert (len(transport.try_receive()), transport.more) == (4096, True)
    assert (transport.receive(), transport.more) == (b"x", False)


def test_try_receive(connect):
    transport, peer = connect()
    with taking(0):
        assert transport.try_receive() is None
    peer.sendall(b"x")
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert transport.try_receive() == b"x"
    assert transport.try_receive() is None


def test_try_receive_returns_no_more_than_one_read(connect):
    transport, peer = connect()
    sending = Running(peer.sendall, b"x" * (4 * READ_SIZE))
    left = 4 * READ_SIZE
    while left:
        with contextlib.suppress(TimeoutError):  # OpenSSL may hold the rest already.
            wait_for(transport._plain, write=False, timeout=0.01)
        data = transport.try_receive()
        assert data is None or 0 < len(data) <= READ_SIZE
        left -= len(data or b"")
    sending.result()


# Ends


@pytest.mark.parametrize("call", ["receive", "try_receive"])
def test_receive_at_the_end_of_the_stream(connect, call):
    transport, peer = connect()
    peer.sendall(b"last")
    peer.close()
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert transport.receive() == b"last"
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert getattr(transport, call)() == b""
    assert getattr(transport, call)() == b""


@pytest.mark.parametrize("call", ["receive", "try_receive"])
def test_receive_after_a_reset(connect, call):
    transport, peer = connect()
    reset(peer)
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert getattr(transport, call)() == b""
    assert getattr(transport, call)() == b""
    with pytest.raises(OSError, match=r".") as caught:
        transport.send(b"x" * 100_000, SHORT)
    assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("timeout", [None, DEFAULT_TIMEOUT])
def test_a_reset_wakes_a_thread_that_receives(connect, timeout):
    transport, peer = connect()
    receiving = Running(transport.receive, timeout)
    asleep(receiving)
    reset(peer)
    assert receiving.result() == b""


def test_a_closed_socket(connect):
    """The server may have closed it while its view still runs."""
    transport, _ = connect()
    transport._socket.close()
    assert transport.receive() == b""
    assert transport.receive(0) == b""
    assert transport.try_receive() == b""
    assert transport.try_send(b"x") is None
    with pytest.raises(OSError, match=r"."):
        transport.send(b"x", 1)
    transport.shutdown()
    transport.enable_keepalive(1, 1)


@pytest.mark.parametrize("timeout", [None, DEFAULT_TIMEOUT])
def test_shutdown_wakes_a_thread_that_receives(connect, timeout):
    transport, peer = connect(default_timeout=None)
    receiving = Running(transport.receive, timeout)
    asleep(receiving)
    transport.shutdown()
    assert receiving.result() == b""
    assert peer.recv(1) == b""


def test_shutdown_wakes_a_thread_that_sends(connect):
    transport, _ = connect()
    sending = Running(transport.send, b"x" * 30_000_000, 10 * DEFAULT_TIMEOUT)
    asleep(sending)
    transport.shutdown()
    with pytest.raises(OSError, match=r".") as caught:
        sending.result()
    assert not isinstance(caught.value, TimeoutError)


def test_shutdown_twice_after_the_peer_is_gone(connect):
    transport, peer = connect()
    reset(peer)
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    for how in (socket.SHUT_WR, socket.SHUT_RDWR, socket.SHUT_RDWR):
        transport.shutdown(how)
    assert transport.receive() == b""


def test_shutdown_of_writing(connect):
    """The peer gets all that was sent, and what the peer sends can still be read."""
    transport, peer = connect()
    transport.send(b"last", 1)
    transport.shutdown(socket.SHUT_WR)
    assert peer.recv(100) == b"last"
    peer.sendall(b"answer")
    assert transport.receive() == b"answer"
    assert peer.recv(100) == b""
    peer.close()
    assert transport.receive() == b""


def test_shutdown_of_writing_while_data_arrives(connect):
    """A failed connection ends like this while data floods in. Unread data would make the system reset the peer."""
    transport, peer = connect()
    size = 50_000
    peer.sendall(b"x" * size)
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    transport.send(b"last", 1)
    transport.shutdown(socket.SHUT_WR)
    assert peer.recv(100) == b"last"
    got = 0
    while got < size:
        data = transport.receive()
        assert data, f"the end after {got} bytes"
        got += len(data)


# Sending


def test_send_much_to_a_slow_reader(connect):
    transport, peer = connect()
    data = bytes(range(256)) * 40_000
    # Again and again send() makes no progress while it waits once, but never for as long as the timeout.
    sending = Running(transport.send, data, DEFAULT_TIMEOUT)
    got = bytearray()
    while len(got) < len(data):
        part = peer.recv(READ_SIZE)
        assert part
        got += part
    sending.result()
    assert bytes(got) == data


@pytest.mark.parametrize("size", [1, 20_000, 10_000_000])
def test_send_data_and_payload(connect, size):
    transport, peer = connect()
    payload = (bytes(range(251)) * (size // 251 + 1))[:size]
    sending = Running(transport.send, b"header", DEFAULT_TIMEOUT, payload)
    assert read_all(peer, 6 + size) == b"header" + payload
    sending.result()


@pytest.mark.parametrize("first", [0, 3, 6, 8])
def test_send_data_and_payload_after_a_partial_send(monkeypatch, first):
    ours, theirs = tcp_pair()
    transport = BlockingTransport(ours, DEFAULT_TIMEOUT)

    class Slow:
        def sendmsg(self, pieces, ancillary, flags):
            if not first:
                raise BlockingIOError
            return ours.send(b"".join(pieces)[:first], flags)

        def __getattr__(self, name):
            return getattr(ours, name)

    monkeypatch.setattr(transport, "_plain", Slow())
    with ours, theirs:
        transport.send(b"header", DEFAULT_TIMEOUT, b"payload")
        assert read_all(theirs, 13) == b"headerpayload"


def test_send_data_and_payload_without_sendmsg(monkeypatch):
    ours, theirs = tcp_pair()
    monkeypatch.setattr(sockets, "_HAS_SENDMSG", False)
    with ours, theirs:
        BlockingTransport(ours, DEFAULT_TIMEOUT).send(b"header", DEFAULT_TIMEOUT, b"payload")
        assert read_all(theirs, 13) == b"headerpayload"


@pytest.mark.parametrize("data", [b"", b"x"])
def test_send_little(connect, data):
    transport, peer = connect()
    transport.send(data, SHORT)
    transport.send(b".", SHORT)
    assert read_all(peer, len(data) + 1) == data + b"."


def test_send_times_out_if_the_peer_does_not_read(connect):
    transport, _ = connect()
    with taking(SHORT, 2 * SHORT), pytest.raises(TimeoutError):
        transport.send(b"x" * 30_000_000, SHORT)


def test_the_timeout_of_send_counts_time_without_progress(connect):
    timeout, pause = 0.5, 0.25
    transport, peer = connect()
    # With a small buffer, each piece that the peer reads makes room for only a little.
    transport._plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, READ_SIZE)
    rounds = 6
    size = 25_000_000
    sending = Running(transport.send, b"x" * size, timeout)
    stop = threading.Event()
    began = time.monotonic()
    got = 0
    for _ in range(rounds):
        stop.wait(pause)  # The pause is the slow reader, it synchronizes nothing.
        assert sending.is_alive(), sending.error
        got += len(read_all(peer, 500_000))
    assert time.monotonic() - began > 2 * timeout
    read_all(peer, size - got)
    sending.result()


def test_try_send(connect):
    transport, peer = connect()
    assert transport.try_send(b"now") == 3
    transport.send(b"later", 1)
    assert read_all(peer, 8) == b"nowlater"


def test_try_send_does_not_wait(connect):
    transport, _ = connect()
    fill(transport)
    with taking(0):
        # A little may still fit, as poll() reports no room before there is more of it.
        while transport.try_send(b"x" * 1000):
            pass
        while transport.try_send(b"x"):
            pass


def test_try_send_to_a_peer_that_is_gone(connect):
    transport, peer = connect()
    reset(peer)
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert transport.try_send(b"x") is None


@pytest.mark.parametrize(
    ("number", "sent"),
    [(errno.ENOBUFS, 0), (errno.ENOMEM, 0), (errno.EAGAIN, 0), (errno.EPIPE, None), (errno.EIO, None)],
)
def test_errors_of_a_send_without_waiting(number, sent):
    """Those of a system that is short of memory pass; the others do not."""
    assert nothing_sent(OSError(number, "")) == sent


# Sending and receiving at once


def test_one_thread_sends_while_another_receives(connect):
    """Each byte of many MiB arrives, and neither direction waits for the other."""
    transport, peer = connect()
    size = 8 * 1024 * 1024
    out, back = pattern(size, 3), pattern(size, 5)

    def send(call, data):
        for start in range(0, len(data), 100_000):
            call(data[start : start + 100_000])

    def receive(call, size):
        data = bytearray()
        while len(data) < size:
            part = call()
            assert part
            data += part
        return bytes(data)

    # The peer is a transport too, because its two threads need a lock around OpenSSL as ours do.
    other = NonBlockingTransport(peer, peer, DEFAULT_TIMEOUT)
    running = [
        Running(send, lambda data: transport.send(data, DEFAULT_TIMEOUT), out),
        Running(send, lambda data: other.send(data, DEFAULT_TIMEOUT), back),
    ]
    received = Running(receive, transport.receive, size), Running(receive, other.receive, size)
    for thread in running:
        thread.result()
    assert received[0].result() == back
    assert received[1].result() == out


def test_send_while_another_thread_waits(connect):
    transport, peer = connect(default_timeout=None)
    receiving = Running(transport.receive)
    asleep(receiving)
    transport.send(b"ping", 1)
    assert read_all(peer, 4) == b"ping"
    peer.sendall(b"pong")
    assert receiving.result() == b"pong"


# Signals


def test_signals_do_not_extend_an_explicit_timeout(connect):
    transport, _ = connect(default_timeout=DEFAULT_TIMEOUT)
    with signals(0.02) as handled, taking(SHORT), pytest.raises(TimeoutError):
        transport.receive(SHORT)
    assert handled


def test_signals_do_not_extend_a_timeout_for_sending(connect):
    transport, _ = connect()
    # A call that began its timeout anew after each signal would never end.
    rescue = threading.Timer(DEFAULT_TIMEOUT, transport.shutdown)
    rescue.start()
    try:
        with signals(0.02) as handled, taking(2 * SHORT, 4 * SHORT), pytest.raises(TimeoutError):
            transport.send(b"x" * 30_000_000, 2 * SHORT)
    finally:
        rescue.cancel()
        rescue.join()
    assert handled


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TimeoutError("the handler's own"), OSError("its own")])
def test_an_exception_of_a_signal_handler_ends_a_wait(connect, error):
    transport, peer = connect(default_timeout=None)

    def handle(*_):
        raise error

    previous = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(type(error)) as caught:
            transport.receive()
        assert caught.value is error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    peer.sendall(b"x")
    assert transport.receive() == b"x"


@pytest.mark.parametrize("call", ["receive", "try_receive", "try_send"])
def test_an_exception_that_is_not_the_systems_is_not_swallowed(kind, call):
    """A signal handler may raise it in the midst of a system call."""
    own = OSError("the handler's own")

    def interrupted(*_):
        raise own

    ours, theirs = socket.socketpair()
    with ours, theirs:
        if kind == "blocking":
            transport = BlockingTransport(ours, DEFAULT_TIMEOUT)
        else:
            transport = NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT)
        transport._handles_signals = False
        transport._socket = SimpleNamespace(recv=interrupted, send=interrupted)
        with pytest.raises(OSError, match="own") as caught:
            getattr(transport, call)(*[b"x"] * (call == "try_send"))
    assert caught.value is own


# Descriptors, families, options


@pytest.fixture
def high_descriptors():
    """Allow this process to have descriptors over 1023."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("the system allows no descriptors over 1023")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors_too_high_for_select(high_descriptors, connect):
    transport, peer = connect()
    sock = transport._socket
    high = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, 1500)
    # The transport gets a socket with the high descriptor. Under TLS only its waits use it: the TLS socket stays.
    low = sock.fileno()
    replaced = socket.socket(fileno=high)
    with replaced:
        if isinstance(sock, ssl.SSLSocket):
            transport._plain = replaced
        else:
            transport._socket = transport._plain = replaced
            replaced.settimeout(sock.gettimeout())
        assert transport._plain.fileno() >= 1024 > low
        with pytest.raises(ValueError, match="out of range"):
            select.select([high], [], [], 0)
        with taking(0.01), pytest.raises(TimeoutError):
            transport.receive(0.01)
        receiving = Running(transport.receive, DEFAULT_TIMEOUT)
        asleep(receiving)
        peer.sendall(b"x")
        assert receiving.result() == b"x"
        fill(transport)


def test_unix_sockets():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = open_transport(ours, DEFAULT_TIMEOUT)
        transport.enable_keepalive(20, 20)
        theirs.sendall(b"x")
        assert transport.receive() == b"x"
        transport.send(b"y", 1)
        assert theirs.recv(1) == b"y"


def test_small_frames_are_not_delayed(connect):
    transport, _ = connect()
    assert transport._plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_enable_keepalive(connect):
    transport, _ = connect()
    get = transport._plain.getsockopt
    assert not get(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    transport.enable_keepalive(20, 40)
    assert get(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    idle, interval, count = (
        get(socket.IPPROTO_TCP, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle == 20
    assert interval * count == 40
    assert get(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    transport.enable_keepalive(1e9, 20)  # This is more than the system can count.
    assert get(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2**31 - 1
    transport.enable_keepalive(0.1, 0.1)  # The system counts whole seconds, at least one.
    assert get(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == get(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1


def test_enable_keepalive_where_the_system_has_fewer_options(monkeypatch, connect):
    transport, _ = connect()
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"):
        monkeypatch.delattr(socket, name)
    transport.enable_keepalive(20, 20)
    assert transport._plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_keepalive_notices_peers_that_have_vanished(certificate):
    """It guards peers that cannot be pinged, also while bytes are unacknowledged, when the system sends no probes."""

    def non_blocking(sock, default_timeout):
        return NonBlockingTransport(sock, sock, default_timeout)

    receiving = []
    with contextlib.ExitStack() as stack:
        for make, transport_of in (
            (tcp_pair, BlockingTransport),
            (tcp_pair, non_blocking),
            (lambda: tls_pair(certificate), non_blocking),
        ):
            for unacknowledged in (b"", b"x" * 1000):
                ours, theirs = map(stack.enter_context, make())
                transport = transport_of(ours, None)
                transport.enable_keepalive(0.5, 0.5)
                vanish(theirs)
                if unacknowledged:
                    transport.send(unacknowledged, SHORT)
                receiving.append(Running(transport.receive))
        with taking(1, 2):
            assert [thread.result() for thread in receiving] == [b""] * 6


# The timeout in the kernel


def test_a_tiny_default_timeout_is_not_endless():
    """To the kernel, a timeout of zero means none."""
    ours, theirs = tcp_pair()
    with ours, theirs:
        transport = open_transport(ours, 1e-9)
        with taking(0), pytest.raises(TimeoutError):
            transport.receive()


def test_without_a_default_timeout_the_kernel_has_none():
    ours, theirs = tcp_pair()
    with ours, theirs:
        open_transport(ours, None)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)


# wait_for


@pytest.fixture(params=["poll", "select"])
def module(request):
    """The module ``select``, with and without poll(), which some systems do not have."""
    return select if request.param == "poll" else SimpleNamespace(select=select.select)


def test_wait_for(module):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for timeout in (0, SHORT, -1):
            with taking(max(0, timeout)), pytest.raises(TimeoutError):
                wait_for(ours, write=False, timeout=timeout if module is select else max(0, timeout), select=module)
        wait_for(ours, write=True, timeout=None, select=module)
        theirs.sendall(b"x")
        wait_for(ours, write=False, timeout=None, select=module)
        wait_for(ours, write=False, timeout=0, select=module)
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(b"x" * READ_SIZE)
        with pytest.raises(TimeoutError):
            wait_for(ours, write=True, timeout=0.01, select=module)
        theirs.close()
        wait_for(ours, write=False, timeout=None, select=module)
        wait_for(ours, write=True, timeout=None, select=module)


def test_wait_for_a_closed_socket(module):
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.close()
    wait_for(ours, write=False, timeout=None, select=module)
