"""Pairs of connected sockets, and helpers around them, for all tests of transports."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import struct
import subprocess
import time
from pathlib import Path

import pytest

from django_websocket.transports.base import READ_SIZE, Transport

from ..promptness import within
from ..running import Running

#: Seconds that tests wait for events that come at once, unless something is broken.
DEFAULT_TIMEOUT = 10
#: Seconds of timeouts that have to expire.
SHORT = 0.2
#: Seconds that a slow machine may add.
LATE = 3


def make_certificate(directory: Path) -> Path:
    """Make a certificate for ``localhost`` and its key, and return the path of the file that holds both."""
    path = directory / "localhost.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(path), "-out", str(directory / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + (directory / "certificate.pem").read_text())
    return path


def tcp_pair():
    """Return the server's and the client's socket of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=DEFAULT_TIMEOUT)
        server, _ = listener.accept()
    return server, client


def tls_pair(certificate, version=None):
    """Return the server's and the client's socket of a TLS connection, of at most ``version``."""
    server, client = tcp_pair()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate)
    client_context = ssl.create_default_context(cafile=certificate)
    if version is not None:
        client_context.maximum_version = version
    shaking = Running(server_context.wrap_socket, server, server_side=True)
    client = client_context.wrap_socket(client, server_hostname="localhost")
    return shaking.result(), client


@contextlib.contextmanager
def taking(least, most=None):
    """Check that a block takes from ``least`` to ``most`` seconds, or a little longer."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    # Clocks and timers do not agree exactly.
    assert least - 0.02 <= took, took
    assert within(took, (least if most is None else most) + LATE, LATE), took


def read_all(sock, size):
    """Read exactly ``size`` bytes."""
    data = bytearray()
    while len(data) < size:
        part = sock.recv(READ_SIZE)
        assert part, "the end"
        data += part
    return bytes(data)


def pattern(size, seed):
    """Return bytes of which no two pieces are alike."""
    return b"".join(struct.pack("<Q", number * seed) for number in range(size // 8))


def fill(transport):
    """Send until nothing more can be sent, to a peer that does not read."""
    with pytest.raises(TimeoutError):
        transport.send(b"x" * 30_000_000, SHORT)


def asleep(thread):
    """Wait until a thread sleeps in the kernel, as a waiting one does."""
    stat = Path(f"/proc/self/task/{thread.native_id}/stat")
    deadline = time.monotonic() + DEFAULT_TIMEOUT
    times = []
    # The thread may sleep shortly at a lock on its way, so that it has to be found asleep three times in a row.
    while times.count("S") < 3:
        assert time.monotonic() < deadline
        assert thread.is_alive()
        state = stat.read_text().rpartition(")")[2].split()[0]
        times = [*times, state] if state == "S" else []
        time.sleep(0.01)


def count_descriptors():
    """Return the number of open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def reset(sock):
    """Close a TCP socket so that its peer gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def signals(interval):
    """Send this process a signal at each interval of seconds, and yield the list of those handled."""
    handled = []
    previous = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    # CPython repeats an interrupted call itself, whatever signal.siginterrupt() says.
    signal.setitimer(signal.ITIMER_REAL, interval, interval)
    try:
        yield handled
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


class MemoryTransport(Transport):
    """A transport without a socket; it has what the base class gives it, and nothing arrives."""

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

    def bell(self):
        raise NotImplementedError
