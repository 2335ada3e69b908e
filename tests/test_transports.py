"""Sockets under threads: what each way to wait does with silence, slow readers, ends, signals and TLS."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_websocket import transports
from django_websocket.transports import (
    READ_SIZE,
    Transport,
    is_timeout,
    open_transport,
    sockets,
)
from django_websocket.transports.sockets import SMALL_READ_SIZE, BlockingTransport, NonBlockingTransport, wait_for

from .running import Running
from .vanishing import vanish

#: Seconds for what has to happen, and takes no time unless it is broken.
DEFAULT_TIMEOUT = 10
#: Seconds for what has to end by itself.
SHORT = 0.2
#: Seconds that the machine may be late.
LATE = 3


def make_certificate(directory: Path) -> Path:
    """Make a certificate for ``localhost`` and its key, in one file."""
    path = directory / "localhost.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(path), "-out", str(directory / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + (directory / "certificate.pem").read_text())
    return path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=DEFAULT_TIMEOUT)
        server, _ = listener.accept()
    return server, client


def tls_pair(certificate, version=None):
    server, client = tcp_pair()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate)
    client_context = ssl.create_default_context(cafile=certificate)
    if version is not None:
        client_context.maximum_version = version
    shaking = Running(server_context.wrap_socket, server, server_side=True)
    client = client_context.wrap_socket(client, server_hostname="localhost")
    return shaking.result(), client


KINDS = ["blocking", "nonblocking", "tls"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def connect(kind, request):
    """Give a function that makes a transport and the socket of its peer."""
    opened = []

    def make(default_timeout=DEFAULT_TIMEOUT):
        if kind == "tls":
            ours, theirs = tls_pair(request.getfixturevalue("certificate"))
        else:
            ours, theirs = tcp_pair()
        theirs.settimeout(DEFAULT_TIMEOUT)
        opened.extend((ours, theirs))
        if kind == "blocking":
            return BlockingTransport(ours, default_timeout), theirs
        return NonBlockingTransport(ours, ours, default_timeout), theirs

    yield make
    for sock in opened:
        sock.close()


@contextlib.contextmanager
def taking(least, most=None):
    """Check how many seconds something takes."""
    began = time.monotonic()
    yield
    # Clocks and timers need not agree to the last digit.
    assert least - 0.02 <= time.monotonic() - began <= (least if most is None else most) + LATE


def read_all(sock, size):
    data = bytearray()
    while len(data) < size:
        part = sock.recv(READ_SIZE)
        assert part, "the end"
        data += part
    return bytes(data)


def fill(transport):
    """Send until nothing goes any more; the peer does not read."""
    with pytest.raises(TimeoutError):
        transport.send(b"x" * 30_000_000, SHORT)


def asleep(thread):
    """Wait until a thread sleeps in the kernel, as one that waits does."""
    stat = Path(f"/proc/self/task/{thread.native_id}/stat")
    deadline = time.monotonic() + DEFAULT_TIMEOUT
    times = []
    # Three looks at it in a row: a lock on the way there is not it.
    while times.count("S") < 3:
        assert time.monotonic() < deadline
        assert thread.is_alive()
        state = stat.read_text().rpartition(")")[2].split()[0]
        times = [*times, state] if state == "S" else []
        time.sleep(0.01)


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


def test_receive_gives_up_after_its_patience(connect):
    transport, _ = connect(default_timeout=SHORT)
    with taking(SHORT), pytest.raises(TimeoutError):
        transport.receive()
    with taking(SHORT), pytest.raises(TimeoutError):
        transport.receive()


@pytest.mark.parametrize("timeout", [0, 0.0, SHORT])
@pytest.mark.parametrize("default_timeout", [None, DEFAULT_TIMEOUT, SHORT / 10])
def test_receive_gives_up_after_a_timeout(connect, timeout, default_timeout):
    transport, _ = connect(default_timeout=default_timeout)
    with taking(timeout), pytest.raises(TimeoutError):
        transport.receive(timeout)


@pytest.mark.parametrize("timeout", [None, DEFAULT_TIMEOUT])
@pytest.mark.parametrize("default_timeout", [None, DEFAULT_TIMEOUT])
def test_receive_is_woken_by_data(connect, default_timeout, timeout):
    transport, peer = connect(default_timeout=default_timeout)
    receiving = Running(transport.receive, timeout)
    asleep(receiving)
    peer.sendall(b"x")
    assert receiving.result() == b"x"


def test_a_timeout_is_no_end(connect):
    transport, peer = connect(default_timeout=SHORT)
    for timeout in (None, 0, 0.01):
        with pytest.raises(TimeoutError):
            transport.receive(timeout)
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    transport.send(b"y", 1)
    assert peer.recv(1) == b"y"


def test_receive_takes_a_bounded_piece(connect):
    transport, peer = connect()
    size = 4 * READ_SIZE
    sending = Running(peer.sendall, b"x" * size)
    while size:
        data = transport.receive()
        assert 0 < len(data) <= READ_SIZE
        size -= len(data)
    sending.result()


def test_a_small_read_that_is_filled_makes_the_next_one_large(connect):
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


def test_a_look_takes_all_that_a_read_may(connect):
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


def test_try_receive_takes_a_bounded_piece(connect):
    transport, peer = connect()
    sending = Running(peer.sendall, b"x" * (4 * READ_SIZE))
    left = 4 * READ_SIZE
    while left:
        with contextlib.suppress(TimeoutError):  # TLS may have the rest already
            wait_for(transport._plain, write=False, timeout=0.01)
        data = transport.try_receive()
        assert data is None or 0 < len(data) <= READ_SIZE
        left -= len(data or b"")
    sending.result()


# Ends


@pytest.mark.parametrize("call", ["receive", "try_receive"])
def test_the_end(connect, call):
    transport, peer = connect()
    peer.sendall(b"last")
    peer.close()
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert transport.receive() == b"last"
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert getattr(transport, call)() == b""
    assert getattr(transport, call)() == b""


@pytest.mark.parametrize("call", ["receive", "try_receive"])
def test_a_reset_is_an_end(connect, call):
    transport, peer = connect()
    reset(peer)
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert getattr(transport, call)() == b""
    assert getattr(transport, call)() == b""
    with pytest.raises(OSError, match=r".") as caught:
        transport.send(b"x" * 100_000, SHORT)
    assert not isinstance(caught.value, TimeoutError)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("timeout", [None, DEFAULT_TIMEOUT])
def test_a_reset_wakes(connect, timeout):
    transport, peer = connect()
    receiving = Running(transport.receive, timeout)
    asleep(receiving)
    reset(peer)
    assert receiving.result() == b""


def test_a_closed_socket_is_an_end(connect):
    """The server may have closed it under us."""
    transport, _ = connect()
    transport._socket.close()
    assert transport.receive() == b""
    assert transport.receive(0) == b""
    assert transport.try_receive() == b""
    assert not transport.try_send(b"x")
    with pytest.raises(OSError, match=r"."):
        transport.send(b"x", 1)
    transport.shutdown()
    transport.enable_keepalive(1, 1)


def test_tls_that_is_broken_off_or_broken_is_an_end(certificate):
    for data in (b"", b"no record of TLS"):
        ours, theirs = tls_pair(certificate)
        with ours, theirs:
            plain = socket.socket(fileno=theirs.detach())
            plain.sendall(data)
            plain.close()
            assert NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT).receive() == b""


@pytest.mark.parametrize("timeout", [None, DEFAULT_TIMEOUT])
def test_shutdown_wakes_who_receives(connect, timeout):
    transport, peer = connect(default_timeout=None)
    receiving = Running(transport.receive, timeout)
    asleep(receiving)
    transport.shutdown()
    assert receiving.result() == b""
    assert peer.recv(1) == b""


def test_shutdown_wakes_who_sends(connect):
    transport, _ = connect()
    sending = Running(transport.send, b"x" * 30_000_000, 10 * DEFAULT_TIMEOUT)
    asleep(sending)
    transport.shutdown()
    with pytest.raises(OSError, match=r".") as caught:
        sending.result()
    assert not isinstance(caught.value, TimeoutError)


def test_shutdown_twice_and_of_a_peer_that_is_gone(connect):
    transport, peer = connect()
    reset(peer)
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    for how in (socket.SHUT_WR, socket.SHUT_RDWR, socket.SHUT_RDWR):
        transport.shutdown(how)
    assert transport.receive() == b""


def test_the_end_of_our_half(connect):
    """The peer gets all that was sent, and what it says is read on."""
    transport, peer = connect()
    transport.send(b"last", 1)
    transport.shutdown(socket.SHUT_WR)
    assert peer.recv(100) == b"last"
    peer.sendall(b"answer")
    assert transport.receive() == b"answer"
    assert peer.recv(100) == b""
    peer.close()
    assert transport.receive() == b""


def test_the_end_of_our_half_while_data_comes_in(connect):
    """As when a connection is failed in the midst of a flood: that has to be read, or the peer is reset."""
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


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_close_notify_is_sent(certificate, version):
    ours, theirs = tls_pair(certificate, version)
    with ours, theirs:
        transport = NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT)
        transport.send(b"x", 1)
        transport.shutdown()
        theirs.suppress_ragged_eofs = False
        assert theirs.recv(10) == b"x"
        assert theirs.recv(10) == b""  # without a close_notify: SSLEOFError


def test_shutdown_of_tls_does_not_wait_for_the_peer(certificate):
    ours, theirs = tls_pair(certificate)
    with ours, theirs:
        transport = NonBlockingTransport(ours, ours, None)
        fill(transport)
        with taking(0):
            transport.shutdown()


def test_no_plain_bytes_are_taken_behind_the_end_of_tls(certificate):
    """Who is on the wire may write behind the peer's close_notify; that is not the peer's."""
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


# Sending


def test_send_of_much_to_a_slow_reader(connect):
    transport, peer = connect()
    data = bytes(range(256)) * 40_000
    # Sends nothing for longer than a round of waiting, again and again, but never for the timeout.
    sending = Running(transport.send, data, DEFAULT_TIMEOUT)
    got = bytearray()
    while len(got) < len(data):
        part = peer.recv(READ_SIZE)
        assert part
        got += part
    sending.result()
    assert bytes(got) == data


@pytest.mark.parametrize("size", [1, 20_000, 10_000_000])
def test_send_of_two_pieces(connect, size):
    transport, peer = connect()
    payload = bytes(index % 251 for index in range(size))
    sending = Running(transport.send, b"header", DEFAULT_TIMEOUT, payload)
    assert read_all(peer, 6 + size) == b"header" + payload
    sending.result()


@pytest.mark.parametrize("first", [0, 3, 6, 8])
def test_two_pieces_of_which_the_first_send_takes_a_part(monkeypatch, first):
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


def test_two_pieces_where_the_system_cannot_take_them_at_once(monkeypatch):
    ours, theirs = tcp_pair()
    monkeypatch.setattr(sockets, "_HAS_SENDMSG", False)
    with ours, theirs:
        BlockingTransport(ours, DEFAULT_TIMEOUT).send(b"header", DEFAULT_TIMEOUT, b"payload")
        assert read_all(theirs, 13) == b"headerpayload"


@pytest.mark.parametrize("data", [b"", b"x"])
def test_send_of_little(connect, data):
    transport, peer = connect()
    transport.send(data, SHORT)
    transport.send(b".", SHORT)
    assert read_all(peer, len(data) + 1) == data + b"."


def test_send_gives_up_on_a_peer_that_does_not_read(connect):
    transport, _ = connect()
    with taking(SHORT, 2 * SHORT), pytest.raises(TimeoutError):
        transport.send(b"x" * 30_000_000, SHORT)


def test_send_counts_the_time_without_progress(connect):
    timeout, pause = 0.5, 0.25
    transport, peer = connect()
    # So that the peer makes room in small pieces, each of which lets a bit through.
    transport._plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, READ_SIZE)
    rounds = 6
    size = 25_000_000
    sending = Running(transport.send, b"x" * size, timeout)
    stop = threading.Event()
    began = time.monotonic()
    got = 0
    for _ in range(rounds):
        stop.wait(pause)  # a slow reader: this is the case and not a synchronisation
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
        # A little may fit still; waiting is for more room than that.
        while transport.try_send(b"x" * 1000):
            pass
        while transport.try_send(b"x"):
            pass


def test_try_send_to_nobody(connect):
    transport, peer = connect()
    reset(peer)
    wait_for(transport._plain, write=False, timeout=DEFAULT_TIMEOUT)
    assert not transport.try_send(b"x")


def test_try_send_while_another_thread_is_inside_the_tls_library(certificate):
    """A signal may have interrupted it there: nothing can be sent, and nothing may wait."""
    ours, theirs = tls_pair(certificate)
    with ours, theirs:
        transport = NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT)
        with transport._guard:
            assert not transport.try_send(b"x")
        assert transport.try_send(b"y")
        assert theirs.recv(10) == b"y"


# Both at once


def test_both_ways_at_once(connect):
    """One thread reads and one writes, many MiB; each byte arrives, and none waits for the other way."""
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

    # The peer's own two threads need a lock in the way of our guard, as its TLS is the same OpenSSL.
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


def pattern(size, seed):
    """Give bytes of which no two pieces are alike."""
    return b"".join(struct.pack("<Q", number * seed) for number in range(size // 8))


def test_a_thread_that_waits_does_not_keep_another_from_sending(connect):
    transport, peer = connect(default_timeout=None)
    receiving = Running(transport.receive)
    asleep(receiving)
    transport.send(b"ping", 1)
    assert read_all(peer, 4) == b"ping"
    peer.sendall(b"pong")
    assert receiving.result() == b"pong"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_openssl_holds_back_is_read_without_waiting(certificate, version):
    """A record holds more than was asked for: nothing is left for the system to tell of."""
    ours, theirs = tls_pair(certificate, version)
    with ours, theirs:
        theirs.settimeout(DEFAULT_TIMEOUT)
        transport = NonBlockingTransport(ours, ours, DEFAULT_TIMEOUT)
        theirs.sendall(b"abc")
        wait_for(ours, write=False, timeout=DEFAULT_TIMEOUT)
        while not (first := take(ours, 1)):
            wait_for(ours, write=False, timeout=DEFAULT_TIMEOUT)
        assert first == b"a"
        assert transport.receive(0) == b"bc"


def take(sock, size):
    """Read from a TLS socket, ``b""`` where what has come is no data."""
    try:
        return sock.recv(size)
    except ssl.SSLWantReadError:
        return b""


@pytest.mark.parametrize(
    ("error", "write"), [(BlockingIOError, False), (ssl.SSLWantReadError, False), (ssl.SSLWantWriteError, True)]
)
def test_tls_says_what_to_wait_for_when_it_receives(error, write):
    transport, waits = scripted([error, b"x"])
    assert transport.receive() == b"x"
    assert [wait[0] for wait in waits] == [write]
    transport, _ = scripted([error])
    assert transport.try_receive() is None


@pytest.mark.parametrize(
    ("error", "write"), [(BlockingIOError, True), (ssl.SSLWantWriteError, True), (ssl.SSLWantReadError, False)]
)
def test_tls_says_what_to_wait_for_when_it_sends(error, write):
    transport, waits = scripted([error, 2, error, 1])
    transport.send(b"xyz", DEFAULT_TIMEOUT)
    # Once after each error, and once after the part that was taken.
    assert [wait[0] for wait in waits] == [write, True, write]


def test_sending_has_its_timeout_anew_after_each_part():
    """Whenever there was room the peer has accepted something."""
    transport, waits = scripted([BlockingIOError, BlockingIOError, 1, BlockingIOError, 1])
    transport.send(b"xy", 10)
    assert {timeout for _, timeout in waits} == {10}


def test_receiving_has_one_timeout_for_all_its_waits():
    transport, waits = scripted([BlockingIOError, BlockingIOError, BlockingIOError, b"x"])
    transport.clock = iter([0, 4, 9, 99]).__next__
    transport.receive(10)
    assert [timeout for _, timeout in waits] == [6, 1, 0]


def test_the_systems_own_timeout_is_an_end():
    """It is the same exception in Python, and means that the peer has vanished."""
    transport, _ = scripted([TimeoutError(errno.ETIMEDOUT, "Connection timed out")])
    assert transport.receive() == b""
    assert not is_timeout(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))
    assert is_timeout(TimeoutError())


def scripted(results):
    """Give a transport over a socket that gives ``results``, and the list of its waits."""
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


# Signals


@contextlib.contextmanager
def signals(interval):
    """Let signals arrive in the main thread, with a handler that does nothing; the count of them."""
    count = []
    previous = signal.signal(signal.SIGALRM, lambda *_: count.append(1))
    # With this off CPython restarts calls all the same.
    signal.setitimer(signal.ITIMER_REAL, interval, interval)
    try:
        yield count
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_signals_do_not_extend_an_explicit_timeout(connect):
    transport, _ = connect(default_timeout=DEFAULT_TIMEOUT)
    with signals(0.02) as count, taking(SHORT), pytest.raises(TimeoutError):
        transport.receive(SHORT)
    assert count


def test_signals_do_not_extend_a_timeout_for_sending(connect):
    transport, _ = connect()
    # More often than the rounds of waiting: a call that started anew with each would never end.
    rescue = threading.Timer(DEFAULT_TIMEOUT, transport.shutdown)
    rescue.start()
    try:
        with signals(0.02) as count, taking(2 * SHORT, 4 * SHORT), pytest.raises(TimeoutError):
            transport.send(b"x" * 30_000_000, 2 * SHORT)
    finally:
        rescue.cancel()
        rescue.join()
    assert count


def test_an_exception_of_a_signal_handler_ends_a_wait(connect):
    transport, peer = connect(default_timeout=None)

    def handle(*_):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            transport.receive()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    peer.sendall(b"x")
    assert transport.receive() == b"x"


# Descriptors, families, options


@pytest.fixture
def high_descriptors():
    """Let this process have descriptors over 1023."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("the system allows no descriptors over 1023")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors_that_select_cannot_look_at(high_descriptors, connect):
    transport, peer = connect()
    sock = transport._socket
    high = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, 1500)
    # In the place of the first, of which the object keeps all the rest, TLS too.
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


def test_tcp_does_not_hold_small_frames_back(connect):
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
    transport.enable_keepalive(1e9, 20)  # more than the system can count
    assert get(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2**31 - 1
    transport.enable_keepalive(0.1, 0.1)  # the system counts whole seconds, of which there is at least one
    assert get(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == get(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1


def test_watch_where_the_system_has_fewer_options(monkeypatch, connect):
    transport, _ = connect()
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"):
        monkeypatch.delattr(socket, name)
    transport.enable_keepalive(20, 20)
    assert transport._plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_watched_peers_that_vanish_without_a_word(certificate):
    """Guards the peers that cannot be pinged: with bytes on their way the system sends no probes."""
    receiving = []
    with contextlib.ExitStack() as stack:
        for make, transport_of in (
            (tcp_pair, BlockingTransport),
            (tcp_pair, lambda ours, default_timeout: NonBlockingTransport(ours, ours, default_timeout)),
            (
                lambda: tls_pair(certificate),
                lambda ours, default_timeout: NonBlockingTransport(ours, ours, default_timeout),
            ),
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


# Which one


def test_a_plain_socket_waits_in_the_kernel():
    ours, theirs = tcp_pair()
    with ours, theirs:
        ours.settimeout(7)  # a server's own
        transport = open_transport(ours, 2.5)
        assert type(transport) is BlockingTransport
        assert transport.default_timeout == 2.5
        assert ours.gettimeout() is None
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == struct.pack("@ll", 2, 500_000)


def test_timeouts_of_nearly_nothing_are_not_endless():
    """To the kernel zero is no timeout at all."""
    ours, theirs = tcp_pair()
    with ours, theirs:
        transport = open_transport(ours, 1e-9)
        with taking(0), pytest.raises(TimeoutError):
            transport.receive()


def test_no_patience_is_endless():
    ours, theirs = tcp_pair()
    with ours, theirs:
        open_transport(ours, None)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)


def test_a_tls_socket_is_not_blocked_on(certificate):
    ours, theirs = tls_pair(certificate)
    with ours, theirs:
        transport = open_transport(ours, 3)
        assert type(transport) is NonBlockingTransport
        assert transport.default_timeout == 3
        assert ours.gettimeout() == 0


def test_a_system_without_timeouts_of_its_own(monkeypatch):
    monkeypatch.setattr(transports, "_HAS_KERNEL_TIMEOUTS", False)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert type(open_transport(ours, 3)) is NonBlockingTransport


@pytest.mark.parametrize("name", ["eventlet", "gevent"])
def test_a_plain_socket_beside_a_green_library(monkeypatch, name):
    """The library is loaded, by whomever, but the socket is none of its own: nothing else of it is."""
    monkeypatch.setitem(transports.sys.modules, name, SimpleNamespace())
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


class Memory(Transport):
    """A transport that somebody else has made."""

    def receive(self, timeout=None):
        return b""

    def try_receive(self):
        return b""

    def send(self, data, timeout, payload=b""):
        pass

    def try_send(self, data):
        return True

    def shutdown(self, how=socket.SHUT_RDWR):
        pass

    def enable_keepalive(self, interval, timeout):
        pass


def test_a_transport_is_taken_as_it_is():
    memory = Memory()
    assert open_transport(memory, 3) is memory
    assert memory.default_timeout == 3
    assert memory.current() == threading.get_ident()
    with memory.lock() as _, memory.mutex() as _:
        pass
    assert memory.clock() <= time.monotonic()


# Waiting itself


@pytest.fixture(params=["poll", "select"])
def module(request):
    """The module ``select``, and what is left of it on systems that have no poll()."""
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
