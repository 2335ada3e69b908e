"""A connection in memory, with a clock of its own, and what tests do with it.

Most tests of a connection play over :class:`Line`: nothing sleeps in them, and the times in them are exact. The rest
have a socket pair, and the client's half of the protocol at its other end.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import socket
import threading
import time
from collections import deque

from django_websocket.connection.hooks import NO_HOOKS
from django_websocket.protocols.base import State
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import READ_SIZE, Bell, TimedOut, Transport
from django_websocket.websocket import WebSocket

from ..options import make_options

LOGGER = "django_websocket.connection"


#: Seconds that a test waits for what has to happen; nothing takes that long unless it is broken.
PATIENCE = 10


START = 1024.0
PING_INTERVAL, PING_TIMEOUT, CLOSE_TIMEOUT = 20, 10, 5


class WatchedLock:
    """A lock that calls a hook before each attempt to take it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.hooks = deque()
        #: Set when a thread has not got the lock at once.
        self.busy = threading.Event()

    def acquire(self, blocking=True, timeout=-1):
        if self.hooks:
            self.hooks.popleft()()
        if self.lock.acquire(False):
            return True
        self.busy.set()
        return blocking and self.lock.acquire(True, timeout)

    def release(self):
        self.lock.release()

    def locked(self):
        return self.lock.locked()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


class Line(Transport):
    """A connection in memory. Waiting moves its clock; ``peer``, if there is one, answers at once."""

    def __init__(self, peer=None):
        self.now = START
        self.clock = lambda: self.now
        self.peer = peer
        self.answering = peer is not None
        #: What comes in: when, and bytes, an exception, or something to call for them.
        self.incoming = []
        #: What went out, whole; what the peer made of it.
        self.sent = bytearray()
        self.heard = []
        #: Called before bytes are sent, with them; may raise.
        self.on_send = None
        self.shut = []
        self.watched = None
        #: How long each receive was ready to wait.
        self.waits = []
        self.reads = 0
        self.locks = []
        self.bells = []
        #: Whether, or how many bytes of a chunk, can be sent without waiting.
        self.sends_now = True

    def lock(self):
        self.locks.append(WatchedLock())
        return self.locks[-1]

    @property
    def writing(self):
        return self.locks[0]

    @property
    def reading(self):
        return self.locks[1]

    def feed(self, data, at=None):
        """Make ``data`` come in, now or at a time."""
        bisect.insort(self.incoming, (self.now if at is None else at, data), key=lambda item: item[0])

    def say(self, message, at=None):
        """Make the peer send a message."""
        self.peer.send(message)
        self.feed(self.peer.data_to_send(), at)

    def _take(self):
        at, data = self.incoming.pop(0)
        self.now = max(self.now, at)
        self.reads += 1
        data = data() if callable(data) else data
        if isinstance(data, BaseException):
            raise data
        self.more = len(data) >= self.read_size
        if len(data) > self.read_size:
            self.incoming.insert(0, (at, data[self.read_size :]))
        return data[: self.read_size]

    def receive(self, timeout=None):
        timeout = self.default_timeout if timeout is None else timeout
        self.waits.append(timeout)
        if timeout is not None:
            assert timeout >= 0
        if self.incoming and (timeout is None or self.incoming[0][0] <= self.now + timeout):
            return self._take()
        if socket.SHUT_RDWR in self.shut:
            return b""
        assert timeout is not None, "waits for ever"
        self.now += timeout
        raise TimedOut

    def try_receive(self):
        if self.incoming and self.incoming[0][0] <= self.now:
            return self._take()
        return b"" if socket.SHUT_RDWR in self.shut else None

    def send(self, data, timeout, payload=b""):
        if self.on_send is not None:
            self.on_send(data + payload)
        if self.shut:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        self._send(data + payload)

    def _send(self, data):
        self.sent += data
        if self.peer is not None:
            self.heard += self.peer.receive(data)
            if self.answering and (answer := self.peer.data_to_send()):
                self.feed(answer)

    def try_send(self, data):
        data = data[: self.sends_now] if type(self.sends_now) is int else data * self.sends_now
        if data:
            self._send(data)
        return len(data)

    def shutdown(self, how=socket.SHUT_RDWR):
        self.shut.append(how)

    def enable_keepalive(self, interval, timeout):
        self.watched = interval, timeout

    def bell(self):
        self.bells.append(LineBell(self))
        return self.bells[-1]

    @property
    def frames(self):
        """What went out after the handshake, as opcodes and payloads."""
        return frames(bytes(self.sent).partition(b"\r\n\r\n")[2])


class LineBell(Bell):
    """A bell, which :class:`Line` need not be woken by: what rings is among what comes in."""

    def __init__(self, line):
        self.line = line
        self.closed = False

    def ring(self):
        self.rung = True

    def receive(self, timeout):
        return self.line.receive(0 if self.rung else timeout)

    def close(self):
        self.closed = True


def frames(data):
    found = []
    while data:
        opcode, length, start = data[0] & 15, data[1], 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        found.append((Opcode(opcode), data[start : start + length]))
        assert len(data) >= start + length, "a frame is cut"
        data = data[start + length :]
    return found


def pair(kind=RFC6455, offered=(), **options):
    """Return both ends of a handshake, the client's and the server's before its answer; and hixie-76's eight bytes."""
    client = kind(Request(host="example.com"), client=True, subprotocols=offered, **options)
    client.connect()
    head, _, key3 = client.data_to_send().partition(b"\r\n\r\n")
    assert head.startswith(b"GET / ")
    server = kind(Request(client.request.headers, host="example.com", http_version=(1, 1)))
    return client, server, key3


def connect(kind=RFC6455, *, offered=(), received=None, line=None, accept=True, hooks=NO_HOOKS, name=None, **options):
    """Return a WebSocket over a :class:`Line`, and the line."""
    client, server, key3 = pair(kind, offered)
    line = line or Line(client)
    options = {"ping_interval": PING_INTERVAL, "ping_timeout": PING_TIMEOUT, "close_timeout": CLOSE_TIMEOUT} | options
    ws = WebSocket(
        server,
        lambda: (line, key3 if received is None else received),
        make_options(**options),
        hooks,
        "/echo/" if name is None else name,
    )
    if accept:
        ws.accept()
    return ws, line


class Browser:
    """The other end of a WebSocket over a socket pair."""

    def __init__(self, sock, protocol):
        self.sock, self.protocol = sock, protocol
        self.messages = deque()
        sock.settimeout(PATIENCE)

    def flush(self):
        if data := self.protocol.data_to_send():
            self.sock.sendall(data)

    def send(self, message):
        self.protocol.send(message)
        self.flush()

    def close(self, code=1000):
        self.protocol.close(code)
        self.flush()

    def read(self):
        """Read once, and answer; return whether there was something."""
        data = self.sock.recv(READ_SIZE)
        self.messages += self.protocol.receive(data)
        self.flush()
        return bool(data)

    def wait(self):
        while not self.messages and self.protocol.state < State.CLOSED:
            self.read()
        return self.messages.popleft() if self.messages else None

    def read_to_end(self):
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while self.read():
                pass
        return self.protocol.close_code


def connection_of(ws):
    return ws._connection


def protocol_of(ws):
    return ws._protocol


def reading_lock(ws):
    return ws._connection._reading


def writing_lock(ws):
    return ws._connection._writing


def until(condition):
    """Wait until something holds, which has to."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.001)


def records(caplog):
    return [(record.levelno, record.getMessage()) for record in caplog.records if record.name == LOGGER]
