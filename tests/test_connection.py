"""The WebSocket of a view, and the connection below it: queue, time, closing.

Most tests play over :class:`Line`, a transport in memory with a clock of its own: nothing sleeps in them, and what
happens when is exact. The rest have a socket pair, and the client's half of the protocol at its other end.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
import logging
import re
import signal
import socket
import struct
import threading
import time
from array import array
from collections import deque
from types import SimpleNamespace

import pytest

from django_websocket import websocket
from django_websocket.connection import sending
from django_websocket.connection.connection import CONTROL_BURST, CONTROL_RATE, MAX_PATIENCE, SILENCE
from django_websocket.connection.hooks import Hooks
from django_websocket.exceptions import ConnectionClosed, UnsupportedFeature
from django_websocket.process.closer import Reaper
from django_websocket.process.registry import registry
from django_websocket.protocols.base import MAX_CLOSE_REASON, CloseCode, Compression, State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import READ_SIZE, Transport
from django_websocket.websocket import LEAVING_TIME, LOOK_INTERVAL, MAX_NONES, WebSocket

from .running import Running

LOGGER = "django_websocket.connection"
#: Seconds that a test waits for what has to happen; nothing takes that long unless it is broken.
PATIENCE = 10
START = 1024.0
PING_INTERVAL, PING_TIMEOUT, CLOSE_TIMEOUT = 20, 10, 5


class WatchedLock:
    """A lock that tells of each attempt to take it, before it is made."""

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
        """Let ``data`` come in, now or at a time."""
        bisect.insort(self.incoming, (self.now if at is None else at, data), key=lambda item: item[0])

    def say(self, message, at=None):
        """Let the peer send a message."""
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
        raise TimeoutError

    def try_receive(self):
        if self.incoming and self.incoming[0][0] <= self.now:
            return self._take()
        return b"" if socket.SHUT_RDWR in self.shut else None

    def send(self, data, timeout, payload=b""):
        if self.on_send is not None:
            self.on_send(data + payload)
        if self.shut:
            raise BrokenPipeError
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

    @property
    def frames(self):
        """What went out after the handshake, as opcodes and payloads."""
        return frames(bytes(self.sent).partition(b"\r\n\r\n")[2])


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
    """Give both ends of a handshake: the client's, and the server's before it has answered."""
    client = kind(Request(host="example.com"), client=True, subprotocols=offered, **options)
    client.connect()
    head, _, key3 = client.data_to_send().partition(b"\r\n\r\n")
    assert head.startswith(b"GET / ")
    server = kind(Request(client.request.headers, host="example.com", http_version=(1, 1)))
    return client, server, key3


def connect(kind=RFC6455, *, offered=(), received=None, line=None, accept=True, **options):
    """Give a WebSocket over a :class:`Line`, and that."""
    client, server, key3 = pair(kind, offered)
    line = line or Line(client)
    options = {
        "ping_interval": PING_INTERVAL,
        "ping_timeout": PING_TIMEOUT,
        "close_timeout": CLOSE_TIMEOUT,
        "name": "/echo/",
    } | options
    ws = WebSocket(server, lambda: (line, key3 if received is None else received), **options)
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
        """Read once, and answer; whether there was something."""
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


@pytest.fixture
def live():
    """Give a function that makes a WebSocket over a socket pair, and its browser."""
    made = []

    def make(kind=RFC6455, **options):
        ours, theirs = socket.socketpair()
        client, server, key3 = pair(kind)
        ws = WebSocket(server, lambda: (ours, key3), **{"close_timeout": PATIENCE, **options})
        browser = Browser(theirs, client)
        made.append((ws, ours, theirs))
        ws.accept()
        while client.state is State.CONNECTING:
            assert browser.read()
        return ws, browser

    yield make
    for ws, ours, theirs in made:
        theirs.close()
        ws.end(wait=False)
        ours.close()


@pytest.fixture(autouse=True)
def reaped(monkeypatch):
    """Let no reaper look at connections whose clock is a test's own; give what it would look at."""
    connections = []
    for module in (sending, websocket):
        monkeypatch.setattr(module, "reaper", SimpleNamespace(add=connections.append))
    return connections


@pytest.fixture(autouse=True)
def clean_registry():
    yield
    registry.forget()


def until(condition):
    """Wait until something holds, which has to."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.001)


def records(caplog):
    return [(record.levelno, record.getMessage()) for record in caplog.records if record.name == LOGGER]


# The handshake


def test_nothing_is_sent_before_first_use():
    ws, line = connect(accept=False)
    assert not ws.handshake_sent
    assert not line.sent
    assert not ws.closed
    assert ws.close_code is None
    assert ws.close_reason == ""
    assert ws.latency is None
    assert len(registry) == 0


USES = {
    "accept": lambda ws: ws.accept(),
    "send_handshake": lambda ws: ws.send_handshake(),
    "send": lambda ws: ws.send("x"),
    "send_json": lambda ws: ws.send_json(1),
    "ping": lambda ws: ws.ping(),
    "read": lambda ws: ws.read(),
    "has_messages": lambda ws: ws.has_messages(),
    "count_messages": lambda ws: ws.count_messages(),
    "close": lambda ws: ws.close(),
    "wait": lambda ws: ws.wait(0),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_first_use_sends_the_handshake_once(use):
    ws, line = connect(accept=False)
    with contextlib.suppress(TimeoutError):
        use(ws)
    assert ws.handshake_sent
    ws.read()
    assert line.sent.count(b"HTTP/1.1 101 ") == 1
    assert line.peer.error is None
    assert ws in registry._open


def test_iteration_sends_the_handshake():
    ws, line = connect(accept=False)
    line.feed(b"")
    assert list(ws) == []
    assert line.sent.startswith(b"HTTP/1.1 101 ")


def test_what_the_server_has_read_comes_first():
    client, server, _ = pair()
    client.state = State.OPEN  # it does not wait for the answer
    line = Line()
    client.send("early")
    early = client.data_to_send()
    client.send("late")
    ws = WebSocket(server, lambda: (line, early))
    line.feed(client.data_to_send())
    assert ws.wait() == "early"
    assert ws.wait() == "late"


def test_the_first_of_the_views_subprotocols_that_is_offered():
    ws, line = connect(offered=("a", "b", "c"), subprotocols=("x", "c", "a"), accept=False)
    assert ws.offered_subprotocols == ("a", "b", "c")
    assert ws.subprotocol == ws.protocol == "c"
    ws.accept()
    assert ws.subprotocol == line.peer.subprotocol == "c"


def test_no_subprotocol_in_common():
    ws, line = connect(offered=("a",), subprotocols=("x",))
    assert ws.subprotocol is None
    assert line.peer.state is State.OPEN


@pytest.mark.parametrize("subprotocol", ["a", None])
def test_another_subprotocol_than_the_negotiated_one(subprotocol):
    ws, line = connect(offered=("a", "b"), subprotocols=("b",), accept=False)
    ws.accept(subprotocol)
    assert ws.subprotocol == line.peer.subprotocol == subprotocol


@pytest.mark.parametrize(
    "headers", [{"Set-Cookie": "a=1"}, [("Set-Cookie", "a=1")], iter([("Set-Cookie", "a=1")])], ids=type
)
def test_more_headers(headers):
    ws, line = connect(accept=False)
    ws.accept(headers=headers)
    assert b"\r\nSet-Cookie: a=1\r\n" in line.sent


@pytest.mark.parametrize(
    "arguments",
    [
        {"subprotocol": "z"},
        {"headers": {"X-Bad": "a\r\nb"}},
        {"headers": [("Bad Name", "a")]},
        {"headers": {"Upgrade": "h2c"}},
        {"headers": {"Sec-WebSocket-Accept": "x"}},
    ],
    ids=str,
)
def test_a_bad_handshake_is_not_sent(arguments):
    ws, line = connect(accept=False, offered=("a",))
    with pytest.raises(ValueError, match=r"."):
        ws.accept(**arguments)
    assert not line.sent
    assert not ws.handshake_sent
    ws.accept("a")  # the view may do better
    assert line.peer.state is State.OPEN


def test_accept_twice():
    ws, line = connect(offered=("a",))
    ws.accept()
    ws.accept(headers={})
    for arguments in ({"subprotocol": None}, {"subprotocol": "a"}, {"headers": {"A": "b"}}):
        with pytest.raises(RuntimeError, match="already"):
            ws.accept(**arguments)
    assert line.sent.count(b"101") == 1


def test_a_client_that_is_gone_before_the_handshake():
    ws, line = connect(accept=False)
    line.shut.append(socket.SHUT_RDWR)
    ws.accept()
    assert ws.handshake_sent
    assert ws.closed
    assert ws.close_code == 1006
    assert ws.wait() is None
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == 1006


def test_no_handshake_after_the_end():
    ws, line = connect(accept=False)
    ws.end()
    assert not line.sent
    assert not ws.handshake_sent
    with pytest.raises(ConnectionClosed):
        ws.send("x")
    assert not line.sent


def test_a_server_that_has_no_socket_after_all():
    def take_over():
        raise OSError("gone")

    ws = WebSocket(pair()[1], take_over)
    with pytest.raises(OSError, match="gone"):
        ws.accept()
    assert not ws.handshake_sent
    ws.end()


def test_version_and_repr():
    ws, _ = connect()
    assert ws.version == 13
    assert repr(ws) == "<WebSocket /echo/ version 13 OPEN>"
    nameless, _ = connect(name="", kind=Hixie75)
    assert re.fullmatch("<WebSocket 0x[0-9a-f]+ version 75 OPEN>", repr(nameless))


def test_old_versions_are_watched_by_the_system():
    assert connect()[1].watched is None
    assert connect(Hixie76)[1].watched == (PING_INTERVAL, PING_TIMEOUT)
    assert connect(Hixie75, ping_timeout=None)[1].watched == (PING_INTERVAL, PING_INTERVAL)
    assert connect(Hixie75, ping_interval=None)[1].watched is None


@pytest.mark.parametrize("kind", [RFC6455, Hixie75])
def test_the_request_is_let_go_of_after_the_handshake(kind):
    ws, _ = connect(kind, accept=False)
    assert ws._protocol.request.header("upgrade")
    ws.accept()
    assert not ws._protocol.request.headers
    assert ws.version == kind.versions[0]


# hixie-76's handshake


def test_eight_bytes_after_the_head():
    line = Line()
    ws, _ = connect(Hixie76, line=line, accept=False, received=b"1234")
    line.feed(b"5678\x00hi\xff", at=START + 4)
    ws.accept()
    assert ws._protocol.state is State.OPEN
    assert ws.wait() == "hi"


def test_the_head_goes_out_before_the_eight_bytes_have_come():
    line = Line()
    ws, _ = connect(Hixie76, line=line, accept=False, received=b"")

    def rest():
        assert line.sent.endswith(b"\r\n\r\n")
        return b"12345678"

    line.feed(rest)
    ws.accept()
    assert not line.sent.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("trickle", [False, True])
def test_eight_bytes_that_do_not_come(caplog, trickle):
    line = Line()
    ws, _ = connect(Hixie76, line=line, accept=False, received=b"", handshake_timeout=5)
    for second in range(1, 9 * trickle):
        line.feed(b"k", at=START + second)
    ws.accept()
    assert line.now == START + 5
    assert ws.closed
    assert ws.close_code == 1006
    assert socket.SHUT_RDWR in line.shut
    assert ws.wait() is None
    assert [level for level, _ in records(caplog)] == [logging.WARNING]
    assert "rest of the handshake" in caplog.text
    assert "/echo/" in caplog.text


def test_a_client_that_hangs_up_in_the_handshake(caplog):
    line = Line()
    line.feed(b"")
    ws, _ = connect(Hixie76, line=line, received=b"1234")
    assert ws.close_code == 1006
    assert ws.wait() is None
    assert "hung up" in caplog.text
    ws.end()


# Messages


def test_echo():
    ws, line = connect()
    for message in ("text", "", "ä€😀", b"bytes", b""):
        line.say(message)
        got = ws.wait()
        assert got == message
        assert type(got) is type(message)
        ws.send(got)
    assert line.heard == ["text", "", "ä€😀", b"bytes", b""]


def test_what_is_neither_text_nor_bytes_is_sent_as_text():
    ws, line = connect()
    for message in (bytearray(b"a"), memoryview(b"bcd")[::2], 5, None, 1.5):
        ws.send(message)
    assert line.heard == [b"a", b"bd", "5", "None", "1.5"]


def test_text_that_cannot_be_sent_leaves_the_connection_as_it_is():
    ws, line = connect()
    with pytest.raises(UnicodeEncodeError):
        ws.send("\ud800")
    ws.send("good")
    assert line.heard == ["good"]


def test_json():
    class Encoder(json.JSONEncoder):
        def default(self, obj):
            return "encoded" if isinstance(obj, set) else super().default(obj)

    ws, line = connect(encoder=Encoder)
    ws.send_json({"a": [1, None, {2}]})
    assert line.heard == ['{"a": [1, null, "encoded"]}']
    with pytest.raises(TypeError):
        ws.send_json(object())
    for text in ('{"b": 2}', b"[3]", "nothing", "[" * 100_000):
        line.say(text)
    assert ws.wait_json() == {"b": 2}
    assert ws.wait_json() == [3]
    with pytest.raises(ValueError, match="Expecting"):
        ws.wait_json()
    with pytest.raises(ValueError, match="nested"):
        ws.wait_json()
    with pytest.raises(TimeoutError):
        ws.wait_json(1)
    line.feed(b"")
    assert ws.wait_json() is None


def test_bytes_over_an_old_version():
    ws, line = connect(Hixie75)
    with pytest.raises(UnsupportedFeature):
        ws.send(b"x")
    with pytest.raises(UnsupportedFeature):
        ws.ping()
    ws.send("x")
    assert line.heard == ["x"]


def test_read():
    ws, line = connect()
    assert ws.read() is None
    assert ws.read("nothing") == "nothing"
    line.say("a")
    line.say("b")
    assert ws.read() == "a"
    assert ws.read() == "b"
    assert ws.read() is None
    assert line.waits == []


def test_read_after_the_end():
    ws, line = connect()
    line.say("last")
    line.peer.close()
    line.feed(line.peer.data_to_send())
    line.feed(b"")
    assert ws.read() == "last"
    assert ws.read() is None
    assert ws.closed
    assert ws.read() is None
    assert line.reads == 2, "a closed connection is not read from"


def test_has_messages_sees_whole_messages_only():
    ws, line = connect()
    line.peer.send("message")
    data = line.peer.data_to_send()
    line.feed(data[:-1])
    assert not ws.has_messages()
    line.feed(data[-1:])
    assert ws.has_messages()
    assert ws.has_messages()
    assert ws.wait() == "message"
    assert line.waits == []


def test_has_messages_reads_nothing_while_one_is_queued():
    ws, line = connect()
    line.say("a")
    line.say("b")
    assert ws.has_messages()
    assert ws.has_messages()
    assert line.reads == 1


def test_count_messages():
    ws, line = connect()
    assert ws.count_messages() == 0
    for message in "abc":
        line.say(message)
    # One read each, as each came by itself.
    assert [ws.count_messages() for _ in range(4)] == [1, 2, 3, 3]
    assert [ws.wait() for _ in range(3)] == ["a", "b", "c"]


def test_no_more_than_one_reads_worth_is_queued():
    ws, line = connect()
    for _ in range(10):
        line.peer.send(b"x" * 1016)
    block = line.peer.data_to_send()
    line.feed(block * 100)
    counts = [ws.count_messages() for _ in range(50)]
    assert counts == sorted(counts)
    assert line.reads == 1
    assert counts[-1] == READ_SIZE // 1024
    # When all of it is taken the next is read, for which wait() need not wait.
    for _ in range(counts[-1]):
        ws.wait()
    assert line.reads == 1
    ws.wait()
    assert line.reads == 2


def test_small_reads_queue_up_to_one_reads_worth():
    ws, line = connect()
    size = 1024
    line.peer.send(b"x" * (size - 8))
    data = line.peer.data_to_send()
    assert len(data) == size
    reads = -(-READ_SIZE // size)
    for _ in range(3 * reads):
        line.feed(data)
    for _ in range(3 * reads):
        ws.count_messages()
    assert ws.count_messages() == reads
    # send() looks as well, and goes no further either.
    line.now += 2 * LOOK_INTERVAL
    ws.send("x")
    assert ws.count_messages() == reads


def test_unread_rest_of_a_big_message_is_read_on():
    """The limit is for what is queued: it must not keep has_messages() from ever seeing a message longer than it."""
    ws, line = connect()
    line.say(b"x" * (5 * READ_SIZE))
    looks = 0
    while not ws.has_messages():
        looks += 1
        assert looks < 10
    assert len(ws.read()) == 5 * READ_SIZE


@pytest.mark.parametrize("ask", [WebSocket.count_messages, lambda ws: len(ws.wait()) and ws.count_messages()])
def test_one_read_of_compressed_messages_inflates_to_a_few(ask):
    """Sixty messages of 1 MiB, each within the limit, fit into what one read could take."""
    size = 1024 * 1024
    client = RFC6455(Request(host="example.com"), client=True, compression=Compression())
    client.connect()
    client.data_to_send()
    server = RFC6455(
        Request(client.request.headers, host="example.com", http_version=(1, 1)), compression=Compression()
    )
    line = Line(client)
    ws = WebSocket(server, lambda: (line, b""))
    ws.accept()
    client.send(b"\0" * size)
    line.feed(client.data_to_send() * 60)
    assert 0 < ask(ws) <= 8
    assert sum(1 for _ in iter(ws.read, None)) >= 59


# wait() and its timeout


def test_wait_timeout():
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(3)
    assert line.now == START + 3
    line.say("here", at=START + 4)
    assert ws.wait(3) == "here"
    assert line.now == START + 4


def test_wait_timeout_of_nothing():
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(0)
    with pytest.raises(TimeoutError):
        ws.wait(-1)
    assert line.now == START
    line.say("here")
    assert ws.wait(0) == "here"


def test_wait_timeout_counts_from_the_call_and_not_from_the_last_byte():
    ws, line = connect()
    line.peer.send("a long message")
    for second, byte in enumerate(line.peer.data_to_send()):
        line.feed(bytes([byte]), at=START + second)
    with pytest.raises(TimeoutError):
        ws.wait(5)
    assert START + 5 <= line.now <= START + 6
    assert ws.wait() == "a long message"


def test_wait_timeout_over_the_ping_interval():
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(3 * PING_INTERVAL + 1)
    assert line.now == START + 3 * PING_INTERVAL + 1
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING] * 3
    assert not ws.closed


def test_wait_of_a_closed_connection_does_not_time_out():
    ws, line = connect()
    line.feed(b"", at=START + 1)
    assert ws.wait(5) is None
    assert ws.wait(5) is None
    assert line.now == START + 1


def test_the_hundredth_none_in_a_row():
    ws, line = connect()
    line.say("last")
    line.peer.close(4000, "why")
    line.feed(line.peer.data_to_send())
    assert ws.wait() == "last"
    for _ in range(MAX_NONES - 1):
        assert ws.wait() is None
    for _ in range(2):
        with pytest.raises(ConnectionClosed) as caught:
            ws.wait()
        assert (caught.value.code, caught.value.reason) == (4000, "why")
    assert "4000, 'why'" in str(caught.value)


def test_iteration_ends_with_the_connection():
    ws, line = connect()
    for message in ("a", "", b"b"):
        line.say(message)
    line.feed(b"")
    assert list(ws) == ["a", "", b"b"]
    assert ws.close_code == 1006


def test_another_thread_waits(live):
    ws, browser = live()
    waiting = Running(ws.wait)
    until(ws._reading.locked)
    with pytest.raises(RuntimeError, match="another thread"):
        ws.wait()
    assert ws.read("nothing") == "nothing"
    assert ws.count_messages() == 0
    browser.send("x")
    assert waiting.result() == "x"
    browser.send("y")
    assert ws.wait() == "y"


def test_a_message_that_another_threads_look_has_queued():
    """Between wait()'s look at its queue and its lock for reading, a thread that sends may have read for it."""
    ws, line = connect()
    line.say("here")
    line.reading.hooks.append(lambda: Running(ws.has_messages).result())
    assert ws.wait(60) == "here"
    assert line.now == START


def test_a_close_that_another_threads_look_has_read():
    ws, line = connect()
    line.peer.close()
    line.feed(line.peer.data_to_send())
    line.reading.hooks.append(lambda: Running(ws.has_messages).result())
    assert ws.wait(60) is None
    assert line.now == START


def test_waiting_while_another_thread_looks():
    """A thread that sends looks for what has come in; the view that begins to wait meanwhile is no second reader."""
    ws, line = connect()
    go_on = threading.Event()

    def slow():
        assert go_on.wait(PATIENCE)
        line.peer.send("here")
        return line.peer.data_to_send()

    line.feed(slow)
    looking = Running(ws.has_messages)
    until(ws._reading.locked)
    waiting = Running(ws.wait, 60)
    try:
        assert line.reading.busy.wait(PATIENCE)
    finally:
        go_on.set()
    looking.result()
    assert waiting.result() == "here"


# Keepalive


def test_a_ping_after_the_interval():
    ws, line = connect()
    line.say("late", at=START + 2.5 * PING_INTERVAL)
    assert ws.wait() == "late"
    pings = [payload for opcode, payload in line.frames if opcode == Opcode.PING]
    assert len(set(pings)) == 2
    assert line.now == START + 2.5 * PING_INTERVAL


def test_a_silent_peer_is_dropped(caplog):
    caplog.set_level(logging.INFO)
    ws, line = connect()
    line.answering = False
    assert ws.wait() is None
    assert line.now == START + PING_INTERVAL + PING_TIMEOUT
    assert ws.close_code == 1006
    assert line.shut == [socket.SHUT_RDWR]
    assert records(caplog) == [(logging.INFO, "WebSocket /echo/ lost: no sign of life after a ping")]


def test_any_byte_is_a_sign_of_life():
    ws, line = connect()
    line.answering = False
    line.peer.send("x" * 20)
    data = line.peer.data_to_send()
    for number, byte in enumerate(data, 1):
        line.feed(bytes([byte]), at=START + number * (PING_INTERVAL + PING_TIMEOUT - 1))
    assert ws.wait() == "x" * 20
    assert sum(opcode == Opcode.PING for opcode, _ in line.frames) == len(data)


def test_waits_with_timeouts_of_their_own_keep_the_connection_alive_too():
    ws, line = connect()
    line.answering = False
    while not ws.closed:
        with contextlib.suppress(TimeoutError):
            assert ws.wait(0.75) is None
    assert line.now == START + PING_INTERVAL + PING_TIMEOUT


def test_a_pong_that_came_while_the_view_was_busy_counts():
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(PING_INTERVAL + 1)
    line.now += 1000
    line.say("x")
    assert ws.wait() == "x"


def test_no_ping_timeout():
    ws, line = connect(ping_timeout=None)
    line.answering = False
    line.say("x", at=START + 1000)
    assert ws.wait() == "x"
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING]


def test_no_pings():
    ws, line = connect(ping_interval=None)
    line.say("x", at=START + 1000)
    assert ws.wait() == "x"
    assert line.frames == []
    with pytest.raises(TimeoutError):
        ws.wait(1000)
    assert line.now == START + 2000


def test_most_waits_need_no_timeout_of_their_own():
    ws, line = connect()
    for number in range(10):
        line.say("x", at=START + number)
        ws.wait()
    assert line.default_timeout == SILENCE
    assert set(line.waits) == {SILENCE}


def test_after_a_silence_a_wait_is_as_long_as_it_may():
    ws, line = connect()
    line.say("x")
    line.say("y", at=START + SILENCE + 1)
    assert (ws.wait(), ws.wait()) == ("x", "y")
    assert line.waits[-2:] == [SILENCE, PING_INTERVAL - SILENCE]


def test_who_waits_idly_is_woken_by_nothing_but_pings():
    """Each wakes a thread, which wants the interpreter: with thousands of them too many would queue for it."""
    ws, line = connect()
    line.say("x", at=START + 10 * PING_INTERVAL - 1)
    assert ws.wait() == "x"
    pings = [opcode for opcode, _ in line.frames].count(Opcode.PING)
    assert pings == 9
    # The first silence, then a ping and its pong for each interval.
    assert len(line.waits) <= 2 + 2 * pings


def test_a_short_ping_interval_is_shorter_than_a_silence():
    ws, line = connect(ping_interval=0.25)
    line.say("x")
    line.say("y", at=START + 0.3)
    assert (ws.wait(), ws.wait()) == ("x", "y")
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING]


def test_latency():
    ws, line = connect()
    line.answering = False
    ws.ping(b"mine")
    assert ws.latency is None
    line.feed(line.peer.data_to_send(), at=START + 0.25)
    line.say("x", at=START + 0.25)
    ws.wait()
    assert ws.latency == 0.25
    # A pong that nobody asked for.
    line.feed(pong(b"other"), at=START + 2)
    line.say("x", at=START + 2)
    ws.wait()
    assert ws.latency == 0.25


def pong(payload):
    return bytes([0x80 | Opcode.PONG, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def test_latency_of_the_keepalive():
    ws, line = connect()
    line.on_send = lambda _: setattr(line, "now", line.now + 0.5)
    with pytest.raises(TimeoutError):
        ws.wait(PING_INTERVAL + 5)
    assert ws.latency == 0.5


@pytest.mark.parametrize(
    ("data", "error"), [("x", TypeError), (None, TypeError), (5, TypeError), (b"x" * 126, ValueError)]
)
def test_bad_pings(data, error):
    ws, line = connect()
    with pytest.raises(error):
        ws.ping(data)
    ws.ping(bytearray(b"y"))
    assert line.frames == [(Opcode.PING, b"y")]


def test_pings_are_answered():
    ws, line = connect()
    line.peer.ping(b"hello")
    line.feed(line.peer.data_to_send())
    line.say("x")
    ws.wait()
    assert line.peer.pong == b"hello"
    line.peer.ping(b"again")
    line.feed(line.peer.data_to_send())
    ws.read()
    assert line.peer.pong == b"again"


# Sending


def test_a_view_that_only_sends_answers_pings():
    ws, line = connect()
    line.peer.ping(b"alive?")
    line.feed(line.peer.data_to_send())
    ws.send("at once")
    assert line.reads == 0
    line.now += LOOK_INTERVAL
    ws.send("not yet")
    assert line.reads == 0
    line.now += 0.125
    ws.send("now")
    assert line.peer.pong == b"alive?"
    assert line.heard == ["at once", "not yet", "now"]
    # Not again, while nothing comes, before the next second is over.
    line.feed(AssertionError("looked"))
    ws.send("later")


def test_a_view_that_only_sends_notices_the_close():
    ws, line = connect()
    line.peer.close(4001, "bye")
    line.feed(line.peer.data_to_send())
    line.now += 2 * LOOK_INTERVAL
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert (caught.value.code, caught.value.reason) == (4001, "bye")
    assert line.heard == []


def test_a_view_that_only_sends_keeps_what_it_finds():
    ws, line = connect()
    line.say("for later")
    line.now += 2 * LOOK_INTERVAL
    ws.send("x")
    assert ws.wait() == "for later"


def test_send_after_close():
    ws, line = connect()
    line.answering = False
    Running(ws.close).result()
    assert ws.closed
    for call in (ws.send, ws.send_json):
        with pytest.raises(ConnectionClosed) as caught:
            call("x")
        assert caught.value.code == 1005
    with pytest.raises(ConnectionClosed):
        ws.ping()
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1000))]


def test_a_client_that_does_not_read(caplog):
    caplog.set_level(logging.INFO)
    ws, line = connect(send_timeout=7)

    def on_send(data):
        raise TimeoutError

    line.on_send = on_send
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == ws.close_code == 1006
    assert ws.closed
    assert line.shut == [socket.SHUT_RDWR]
    assert records(caplog) == [(logging.INFO, "WebSocket /echo/ lost: the client does not read")]
    assert ws.wait() is None


def test_a_client_that_is_gone():
    ws, line = connect()
    line.shut.append(socket.SHUT_RDWR)
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == 1006
    assert ws.close_code == 1006


def test_the_last_words_of_a_client_that_is_gone():
    ws, line = connect()
    line.say("last")
    line.peer.close(4002)
    line.feed(line.peer.data_to_send())
    first, second = line.incoming
    line.incoming = [(START, first[1] + second[1])]

    def on_send(data):
        raise ConnectionResetError

    line.on_send = on_send
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == ws.close_code == 4002
    assert ws.wait() == "last"
    assert ws.wait() is None


def test_a_client_that_is_gone_while_another_thread_reads():
    """The thread that sends leaves the rest to the other, which may find a Close there."""
    ws, line = connect()
    with ws._reading:
        line.shut.append(socket.SHUT_WR)
        with pytest.raises(ConnectionClosed):
            ws.send("x")
    line.peer.close(4003)
    line.feed(line.peer.data_to_send())
    assert ws.wait() is None
    assert ws.close_code == 4003


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupted_in_the_midst_of_a_frame(interruption):
    ws, line = connect()

    def on_send(data):
        line.sent += data[:1]
        raise interruption

    line.on_send = on_send
    with pytest.raises(interruption):
        ws.send("x")
    assert ws.close_code == 1006
    assert line.shut == [socket.SHUT_RDWR]
    assert not line.writing.locked()
    with pytest.raises(ConnectionClosed):
        ws.send("y")
    sent = len(line.sent)
    ws.end()
    assert len(line.sent) == sent


def test_interrupted_while_answering():
    ws, line = connect()
    line.peer.ping(b"x")
    line.feed(line.peer.data_to_send())

    def on_send(data):
        raise KeyboardInterrupt

    line.on_send = on_send
    with pytest.raises(KeyboardInterrupt):
        ws.wait()
    assert ws.close_code == 1006
    assert not any(lock.locked() for lock in line.locks)
    assert ws.wait() is None


def test_interrupted_while_waiting():
    ws, line = connect()
    line.feed(KeyboardInterrupt())
    line.say("x")
    with pytest.raises(KeyboardInterrupt):
        ws.wait()
    assert ws.wait() == "x"


def test_threads_that_send_at_once(live):
    ws, browser = live()
    count, size = 8, 30_000

    def send(number):
        for _ in range(20):
            ws.send(f"{number}" * size)

    senders = [Running(send, number) for number in range(count)]
    got = [browser.wait() for _ in range(20 * count)]
    for sender in senders:
        sender.result()
    assert sorted(got) == sorted(str(number) * size for number in range(count) for _ in range(20))


def test_what_the_protocol_says_waits_for_the_frame_that_is_being_sent():
    """A pong for a ping that comes while another thread sends leaves with that thread."""
    ws, line = connect()
    line.peer.ping(b"now")
    line.feed(line.peer.data_to_send())
    line.say("x")
    seen = []

    def on_send(data):
        if not seen:
            seen.append(Running(ws.wait).result())
            seen.append(line.peer.pong)

    line.on_send = on_send
    ws.send("y")
    assert seen == ["x", None]
    assert line.heard == ["y"]
    assert line.peer.pong == b"now"


# Closing, by us


def test_close():
    ws, line = connect()
    ws.close(4000, "enough")
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 4000) + b"enough")]
    assert ws.closed
    assert (ws.close_code, ws.close_reason) == (4000, "")
    assert line.now == START
    ws.close()
    ws.close(1001)
    assert len(line.frames) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((1005,), ValueError),
        ((1006,), ValueError),
        ((1015,), ValueError),
        ((1010,), ValueError),
        ((999,), ValueError),
        ((5000,), ValueError),
        ((1000, "ä" * 62), ValueError),
        ((1000, "\ud800"), ValueError),
        (("1000",), TypeError),
        ((True,), TypeError),
        ((1000, b"x"), TypeError),
    ],
)
@pytest.mark.parametrize("kind", [RFC6455, Hixie75])
def test_bad_closes(kind, arguments, error):
    ws, line = connect(kind)
    with pytest.raises(error):
        ws.close(*arguments)
    assert not ws.closed
    ws.send("x")
    assert line.heard == ["x"]


def test_the_longest_reason():
    ws, line = connect()
    reason = "ä" * (MAX_CLOSE_REASON // 2) + "x"
    ws.close(3000, reason)
    assert line.peer.close_reason == reason


def test_close_waits_no_longer_than_its_timeout(caplog):
    caplog.set_level(logging.INFO)
    ws, line = connect()
    line.answering = False
    ws.close()
    assert line.now == START + CLOSE_TIMEOUT
    assert ws.close_code == 1006
    assert line.shut == [socket.SHUT_RDWR]
    assert records(caplog) == [(logging.INFO, "WebSocket /echo/ lost: the peer did not answer Close")]


def test_a_peer_that_floods_instead_of_answering_is_cut():
    ws, line = connect()
    line.answering = False
    line.peer.send("x" * 1000)
    block = line.peer.data_to_send()
    step = 0.25

    def more():
        line.feed(more, at=line.now + step)
        return block

    line.feed(more)
    ws.close()
    assert START + CLOSE_TIMEOUT <= line.now <= START + CLOSE_TIMEOUT + step
    assert ws.close_code == 1006
    assert not ws.has_messages()


def test_a_peer_that_floods_while_the_view_reads_on_is_cut():
    """Another thread closed; the view gets what comes, but not longer than the close timeout."""
    ws, line = connect()
    line.answering = False
    line.peer.send("x")
    block = line.peer.data_to_send()
    step = 0.25

    def more():
        line.feed(more, at=line.now + step)
        return block

    line.feed(more)
    Running(ws.close).result()
    messages = list(itertools.islice(ws, 1000))
    assert set(messages) == {"x"}
    assert START + CLOSE_TIMEOUT <= line.now <= START + CLOSE_TIMEOUT + step


def test_messages_before_the_close_can_still_be_read_and_those_after_it_are_dropped():
    ws, line = connect()
    for message in ("a", "b"):
        line.say(message)
    assert [ws.count_messages() for _ in range(2)] == [1, 2]
    line.say("after", at=START + 1)
    line.answering = False
    line.peer.close()
    line.feed(line.peer.data_to_send(), at=START + 2)
    ws.close()
    assert ws.closed
    assert list(ws) == ["a", "b"]
    assert ws.close_code == 1000


def test_close_from_another_thread_only_sends():
    ws, line = connect()
    line.answering = False
    Running(ws.close, 4000).result()
    assert line.now == START
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 4000))]
    assert ws.closed
    assert ws.close_code is None
    line.feed(line.peer.data_to_send(), at=START + 1)
    assert ws.wait() is None
    assert ws.close_code == 4000
    assert line.now == START + 1


def test_close_from_another_thread_that_the_peer_does_not_answer():
    ws, line = connect()
    line.answering = False
    Running(ws.close).result()
    assert ws.wait() is None
    assert line.now == START + CLOSE_TIMEOUT
    assert ws.close_code == 1006


@pytest.mark.parametrize(
    ("kind", "options"),
    [(RFC6455, {}), (RFC6455, {"ping_interval": None}), (Hixie76, {})],
    ids=["pings", "none", "old"],
)
def test_close_from_another_thread_ends_a_wait_that_has_begun(kind, options):
    """However patient that wait was: the peer, which is there but does not answer, has its close timeout."""
    ws, line = connect(kind, **options)
    line.answering = False

    def idle():
        Running(ws.close).result()
        # What a transport does when its patience is over; it must have had some.
        patience = line.waits[-1]
        assert patience is not None, "waits for ever"
        line.now += patience
        raise TimeoutError

    line.feed(idle)
    assert ws.wait() is None
    assert ws.close_code == 1006
    assert line.now <= START + max(PING_INTERVAL, CLOSE_TIMEOUT) + CLOSE_TIMEOUT


def test_close_while_another_thread_reads(live):
    ws, browser = live()
    reading = Running(lambda: list(ws))
    until(ws._reading.locked)
    browser.send("x")
    answering = Running(browser.read_to_end)
    ws.close(4005)  # by the thread of the handshake
    assert reading.result() == ["x"]
    assert ws.close_code == 4005
    ws.end()
    assert answering.result() == 4005


def test_close_does_not_wait_for_ever_for_a_thread_that_reads():
    ws, line = connect(close_timeout=0.05)
    line.answering = False
    with ws._reading:
        ws.close()
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1000))]


def test_close_while_another_thread_sends_to_a_client_that_does_not_read(caplog):
    caplog.set_level(logging.INFO)
    ws, line = connect(close_timeout=0.05)
    with ws._writing:
        ws.close()
    assert ws.close_code == 1006
    assert socket.SHUT_RDWR in line.shut
    assert "does not read" in caplog.text


def test_close_to_a_client_that_is_gone():
    ws, line = connect()
    line.shut.append(socket.SHUT_RDWR)
    ws.close()
    assert ws.close_code == 1006


def test_close_of_hixie_76():
    ws, line = connect(Hixie76)
    ws.close(4000, "unsaid")
    assert line.sent.endswith(b"\xff\x00")
    assert ws.close_code == 1005
    assert line.now == START


def test_close_of_hixie_75_is_the_end_of_the_stream():
    ws, line = connect(Hixie75)
    line.feed(lambda: b"" if socket.SHUT_WR in line.shut else TimeoutError(), at=START + 1)
    ws.send("x")
    ws.close()
    assert line.shut == [socket.SHUT_WR]
    assert ws.close_code == 1005
    assert line.now == START + 1


# Closing, by the peer


def test_the_peers_close_is_answered():
    ws, line = connect()
    line.peer.close(4004, "over")
    line.feed(line.peer.data_to_send())
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 4004))]
    assert (ws.close_code, ws.close_reason) == (4004, "over")
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == 4004
    ws.end()
    assert len(line.frames) == 1
    assert line.peer.close_code == 4004


def test_a_close_without_a_code():
    ws, line = connect()
    line.feed(b"\x88\x80\0\0\0\0")
    assert ws.wait() is None
    assert ws.close_code == 1005
    assert line.frames == [(Opcode.CLOSE, b"")]


def test_what_comes_behind_the_peers_close_is_dropped():
    ws, line = connect()
    line.peer.send("before")
    before = line.peer.data_to_send()
    line.peer.send("behind")
    behind = line.peer.data_to_send()
    line.peer.close()
    line.feed(before + line.peer.data_to_send() + behind)
    assert list(ws) == ["before"]


# A peer that breaks the protocol

BAD_FRAME = b"\x81\x85\0\0\0\0\xff\xff\xff\xff\xff"


def test_a_failed_connection():
    ws, line = connect()
    line.answering = False
    line.say("good")
    line.feed(line.incoming.pop()[1] + BAD_FRAME)
    assert ws.wait() == "good"
    assert ws.wait() is None
    assert ws.close_code == 1007
    assert "UTF-8" in ws.close_reason
    [(opcode, payload)] = line.frames
    assert opcode == Opcode.CLOSE
    assert payload[:2] == struct.pack("!H", 1007)
    # Our half is ended, and the other read to its end, so that the peer gets to see the Close.
    assert line.shut == [socket.SHUT_WR]
    rest = [b"x" * 100, b"y" * 100, b""]
    for data in rest:
        line.feed(data)
    reads = line.reads
    ws.end()
    assert line.reads == reads + len(rest)
    assert line.shut == [socket.SHUT_WR, socket.SHUT_RDWR]


#: For each version what it does not allow, and the code that says so.
FAULTS = {
    RFC6455: (BAD_FRAME, 1007),
    Hixie76: (b"\x80" * 12, 1002),
    Hixie75: (b"\x80" * 12, 1002),
}


def faulty(kind=RFC6455, messages=("a", "b"), **options):
    """Give a WebSocket to which messages and a mistake come at once, and its line."""
    ws, line = connect(kind, **options)
    line.answering = False
    for message in messages:
        line.peer.send(message)
    line.feed(line.peer.data_to_send() + FAULTS[kind][0])
    return ws, line


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("use", ["wait", "iteration", "read"])
def test_what_came_ahead_of_a_mistake_is_answered(kind, use):
    ws, line = faulty(kind)
    taken = {"wait": iter(ws.wait, None), "iteration": iter(ws), "read": iter(ws.read, None)}[use]
    for message in taken:
        assert not ws.closed
        assert ws.close_code is None
        assert line.shut == []
        ws.send(message.upper())
        ws.send("more")
    assert line.heard == ["A", "more", "B", "more"]
    assert ws.closed
    assert ws.close_code == FAULTS[kind][1]
    assert ws.close_reason
    # The oldest version says it by the end of the stream alone.
    assert line.peer.state is (State.OPEN if kind is Hixie75 else State.CLOSED)
    assert line.shut == [socket.SHUT_WR]
    with pytest.raises(ConnectionClosed):
        ws.send("late")


def test_nothing_is_read_behind_a_mistake():
    ws, line = faulty()
    assert ws.wait() == "a"
    line.say("behind")
    reads = line.reads
    line.now += LOOK_INTERVAL + 1
    ws.send("A")
    assert ws.count_messages() == 1
    assert [ws.wait(), ws.wait()] == ["b", None]
    assert line.reads == reads


def test_a_mistake_that_a_view_finds_while_it_answers():
    """It came in another segment than the message, which makes no difference."""
    ws, line = connect()
    line.answering = False
    line.say("a")
    assert ws.wait() == "a"
    line.feed(BAD_FRAME)
    line.now += LOOK_INTERVAL + 1
    ws.send("A")
    ws.send("more")
    assert line.heard == ["A", "more"]
    assert not ws.has_messages()
    assert ws.close_code == 1007


def test_a_mistake_behind_no_message_is_answered_at_once():
    ws, line = faulty(messages=())
    assert not ws.has_messages()
    assert [opcode for opcode, _ in line.frames] == [Opcode.CLOSE]
    assert ws.close_code == 1007


def test_a_mistake_waits_for_the_close_timeout_at_most(caplog):
    """A view that sends, and does not take its messages, is not to keep the peer for ever."""
    ws, line = faulty()
    assert ws.has_messages()
    began = line.now
    with contextlib.suppress(ConnectionClosed):
        while True:
            ws.send("tick")
            line.now += 0.25
    assert began + CLOSE_TIMEOUT <= line.now <= began + CLOSE_TIMEOUT + LOOK_INTERVAL + 0.25
    assert ws.close_code == line.peer.close_code == 1007
    assert {opcode for opcode, _ in line.frames[:-1]} == {Opcode.TEXT}
    assert line.frames[-1][0] == Opcode.CLOSE
    assert list(ws) == ["a", "b"]
    assert len(records(caplog)) == 1


def test_a_peer_that_made_a_mistake_is_not_pinged():
    ws, line = faulty(close_timeout=3 * PING_INTERVAL)
    assert ws.count_messages() == 2
    line.now += 2 * PING_INTERVAL
    assert ws.count_messages() == 2
    assert line.frames == []


@pytest.mark.parametrize(
    "close",
    [
        WebSocket.close,
        lambda ws: ws.close(4000, "enough"),
        lambda ws: Running(ws.close).result(),
        lambda ws: ws.request_close(1012),
        WebSocket.end,
        lambda ws: ws.end(wait=False),
    ],
    ids=["close", "with a reason", "another thread", "signal", "end", "stop"],
)
def test_a_closing_tells_of_the_mistake(close):
    ws, line = faulty()
    assert ws.wait() == "a"
    close(ws)
    [(opcode, payload)] = line.frames
    assert opcode == Opcode.CLOSE
    assert payload[:2] == struct.pack("!H", 1007)
    assert ws.close_code == 1007
    assert line.shut[0] == socket.SHUT_WR
    assert list(ws) == ["b"]


def test_a_peer_that_goes_away_behind_its_mistake():
    ws, line = faulty()
    assert ws.wait() == "a"
    line.shut.append(socket.SHUT_RDWR)
    reads = line.reads
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("A")
    assert caught.value.code == ws.close_code == 1006
    assert list(ws) == ["b"]
    assert line.reads == reads


def test_a_failed_connection_is_logged(caplog):
    ws, line = connect()
    line.feed(BAD_FRAME)
    assert ws.wait() is None
    ws.end()
    [(level, text)] = records(caplog)
    assert level == logging.WARNING
    assert text.startswith("WebSocket /echo/ failed with 1007: ")


def test_the_log_has_one_line_and_nothing_of_the_peers(caplog):
    caplog.set_level(logging.DEBUG)
    attack = "\r\nWARNING forged \x1b[31m"
    for data in (
        BAD_FRAME + attack.encode(),
        frame(Opcode.CLOSE, struct.pack("!H", 5000) + attack.encode()),
        frame(Opcode.PING, attack.encode()) + b"\xff" * 20,
        attack.encode(),
    ):
        ws, line = connect()
        line.feed(data)
        ws.wait()
        ws.end()
    assert records(caplog)
    for _, text in records(caplog):
        assert "forged" not in text
        assert text.isprintable()


def frame(opcode, payload):
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def test_a_failed_connection_that_floods_is_read_no_longer_than_the_close_timeout():
    ws, line = connect()

    def more():
        line.feed(more, at=line.now + 0.5)
        return b"x" * READ_SIZE

    line.feed(BAD_FRAME)
    line.feed(more)
    assert ws.wait() is None
    ws.end()
    assert line.now == START + CLOSE_TIMEOUT
    assert line.shut[-1] == socket.SHUT_RDWR


def test_a_failed_connection_that_stays_open_is_given_up():
    ws, line = connect()
    line.feed(BAD_FRAME)
    assert ws.wait() is None
    ws.end()
    assert line.now == START + CLOSE_TIMEOUT


def test_a_failure_while_another_thread_sends():
    """The Close comes behind that thread's frame, and the end of the stream behind the Close."""
    ws, line = connect()
    line.feed(BAD_FRAME)
    seen = []

    def on_send(data):
        if not seen:
            seen.append(Running(ws.wait).result())

    line.on_send = on_send
    with contextlib.suppress(ConnectionClosed):
        ws.send("y")
    assert seen == [None]
    assert line.heard == ["y"]
    assert [opcode for opcode, _ in line.frames] == [Opcode.TEXT, Opcode.CLOSE]
    assert line.shut == [socket.SHUT_WR]


@pytest.mark.parametrize("size", [100, 4 * READ_SIZE])
def test_the_peer_sees_why_it_failed(live, size):
    ws, browser = live()
    browser.sock.sendall(BAD_FRAME)
    late = Running(browser.sock.sendall, b"\x82" * size)
    assert ws.wait() is None
    ending = Running(ws.end)
    with contextlib.suppress(OSError):
        late.result()
    while browser.protocol.state is not State.CLOSED:
        assert browser.read(), "no Close came"
    browser.sock.shutdown(socket.SHUT_WR)
    ending.result()
    assert browser.protocol.close_code == 1007


# request_close(), for signal handlers


def test_request_close_of_an_idle_connection():
    ws, line = connect()
    ws.request_close(1012)
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.closed
    assert ws.wait() is None
    assert ws.close_code == 1012


def test_request_close_is_for_open_connections():
    ws, line = connect(accept=False)
    ws.request_close(1012)
    assert not line.sent
    ws.accept()
    ws.close()
    ws.request_close(1012)
    assert len(line.frames) == 1


def test_request_close_of_a_silent_peer():
    ws, line = connect()
    line.answering = False
    ws.request_close(1012)
    assert ws.wait() is None
    assert line.now == START + CLOSE_TIMEOUT


def test_request_close_while_a_thread_sends():
    ws, line = connect()

    def on_send(data):
        line.on_send = None
        ws.request_close(1012)
        assert line.frames == []

    line.on_send = on_send
    ws.send("whole")
    assert line.frames == [(Opcode.TEXT, b"whole"), (Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.closed


def test_request_close_while_the_protocol_is_called():
    """As a signal handler does that interrupts the thread in there: nothing may wait for the mutex."""
    ws, line = connect()
    receive = ws._protocol.receive

    def interrupted(data):
        ws._protocol.receive = receive
        ws.request_close(1012)
        return receive(data)

    ws._protocol.receive = interrupted
    line.say("x")
    assert ws.wait() == "x"
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]


def test_request_close_while_a_ping_is_made():
    ws, line = connect()
    ping = ws._protocol.ping

    def interrupted(data):
        ws.request_close(1012)
        ping(data)

    ws._protocol.ping = interrupted
    ws.ping(b"p")
    assert line.frames == [(Opcode.PING, b"p"), (Opcode.CLOSE, struct.pack("!H", 1012))]


def test_the_keepalive_does_not_ping_a_connection_that_is_closed_meanwhile():
    ws, line = connect()

    def idle():
        line.now += PING_INTERVAL
        # Between the clock and the mutex another thread closes.
        mutex = ws._mutex

        class Mutex:
            def __enter__(self):
                ws._mutex = mutex
                Running(ws.close).result()
                mutex.acquire()

            def __exit__(self, *_):
                mutex.release()

        ws._mutex = Mutex()
        raise TimeoutError

    line.feed(idle)
    assert ws.wait() is None
    assert [opcode for opcode, _ in line.frames] == [Opcode.CLOSE]
    assert ws.close_code == 1000


def test_a_signal_while_waiting(live):
    """A real one, in the thread that waits."""
    ws, browser = live()
    previous = signal.signal(signal.SIGALRM, lambda *_: ws.request_close(1012))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        answering = Running(browser.read_to_end)
        assert ws.wait() is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert ws.close_code == 1012
    ws.end()
    assert answering.result() == 1012


# What the reaper does


def test_the_reaper_sees_to_closings_that_nobody_waits_for(reaped):
    ws, line = connect()
    ws.close()
    assert reaped == [], "the view's own thread waits"
    ws, line = connect()
    line.answering = False
    Running(ws.close).result()
    assert reaped == [ws]
    other, _ = connect()
    other.request_close(1012)
    assert reaped == [ws, other]


def test_a_closing_is_hurried_until_its_time_is_over():
    ws, line = connect()
    line.answering = False
    ws.request_close(1012)
    assert not ws.hurry()
    line.now += CLOSE_TIMEOUT - 1
    assert not ws.hurry()
    assert line.shut == []
    line.now += 1
    assert ws.hurry()
    assert line.shut == [socket.SHUT_RDWR]
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]


def test_nothing_is_hurried_that_is_closed_or_has_not_begun():
    ws, line = connect()
    line.answering = True
    ws.request_close(1012)
    assert ws.wait() is None
    assert ws.hurry()
    assert line.shut == []
    ws, line = connect(accept=False)
    assert ws.hurry()


def test_a_close_that_could_not_leave_is_sent_by_the_reaper():
    """A thread is sending, for as long as the client reads slowly; the Close has its time from when it leaves."""
    ws, line = connect()
    line.answering = False
    with ws._writing:
        ws.request_close(1012)
        line.now += 2 * CLOSE_TIMEOUT
        assert not ws.hurry()
        assert line.frames == []
    assert not ws.hurry()
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    line.now += CLOSE_TIMEOUT
    assert ws.hurry()


def test_a_wait_without_an_end_is_woken(live, monkeypatch):
    """A view sleeps in a read, and its peer answers nothing."""
    monkeypatch.setattr(sending, "reaper", Reaper())
    ws, _ = live(close_timeout=0.2, ping_interval=None)
    waiting = Running(ws.wait)
    until(ws._reading.locked)
    ws.request_close(1012)
    assert waiting.result() is None
    assert ws.close_code == 1006


def test_request_close_that_cannot_be_sent_at_once():
    ws, line = connect()
    line.sends_now = False
    ws.request_close(1012)
    assert line.frames == []
    line.say("x")
    assert ws.wait() == "x"
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.wait() is None
    assert ws.close_code == 1012


def test_request_close_that_cannot_be_sent_at_once_reaches_an_idle_peer():
    """Over TLS it never can be, and the peer is to learn why it is cut."""
    ws, line = connect()
    line.sends_now = False
    ws.request_close(1012)
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.close_code == 1012


# The end


@pytest.mark.parametrize("code", [1000, 1011])
def test_end(code):
    ws, line = connect()
    assert len(registry) == 1
    ws.end(code)
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", code))]
    assert line.shut[-1] == socket.SHUT_RDWR
    assert len(registry) == 0
    ws.end()
    assert len(line.frames) == 1


def test_end_without_waiting():
    ws, line = connect()
    line.answering = False
    ws.end(1011, wait=False)
    assert line.now == START
    assert line.waits == []
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1011))]
    assert line.shut == [socket.SHUT_RDWR]
    assert ws.close_code == 1006
    assert len(registry) == 0
    assert ws.wait() is None


def test_end_without_waiting_of_a_closed_connection():
    ws, line = connect()
    ws.close()
    ws.end(1011, wait=False)
    assert len(line.frames) == 1
    assert line.shut == [socket.SHUT_RDWR]


def test_end_without_waiting_while_a_thread_sends():
    ws, line = connect()
    go_on = threading.Event()
    line.on_send = lambda _: go_on.wait(PATIENCE)
    sending = Running(ws.send, "x")
    until(line.writing.locked)
    line.shutdown = lambda how=socket.SHUT_RDWR: (line.shut.append(how), go_on.set())
    ws.end(wait=False)
    assert not line.writing.locked(), "the thread that sent is out of the socket"
    with pytest.raises(ConnectionClosed):
        sending.result()


def test_end_lets_go_of_the_socket_when_it_is_interrupted():
    ws, line = connect()
    line.answering = False
    line.feed(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        ws.end()
    assert line.shut == [socket.SHUT_RDWR]
    assert len(registry) == 0
    assert ws.closed


def test_end_while_another_thread_sends(live):
    """To a client that does not read. When end() is over no thread is in the socket any more."""
    ws, _ = live(close_timeout=0.1, send_timeout=PATIENCE)
    sending = Running(ws.send, b"x" * 20_000_000)
    until(ws._writing.locked)
    began = time.monotonic()
    ws.end()
    assert time.monotonic() - began < LEAVING_TIME + PATIENCE / 2
    assert not ws._writing.locked()
    with pytest.raises(ConnectionClosed) as caught:
        sending.result()
    assert caught.value.code == 1006


def test_end_while_another_thread_waits(live):
    ws, browser = live(close_timeout=0.1)
    waiting = Running(ws.wait)
    until(ws._reading.locked)
    ws.end()
    assert waiting.result() is None
    assert browser.read_to_end() == 1000


def test_end_gives_up_on_a_thread_that_does_not_wake(monkeypatch):
    monkeypatch.setattr("django_websocket.websocket.LEAVING_TIME", 0.01)
    ws, line = connect()
    ws.close()
    with ws._writing:
        ws.end(wait=False)
    assert line.shut == [socket.SHUT_RDWR]


def test_nothing_touches_the_socket_after_the_end():
    """The system may have given its number to another connection."""
    ws, line = connect()
    ws.end()

    def touched(*_):
        raise AssertionError("touched")

    line.receive = line.try_receive = line.send = line.try_send = line.shutdown = touched
    line.now += 1000
    assert ws.wait() is None
    assert ws.read() is None
    assert ws.count_messages() == 0
    assert not ws.has_messages()
    for call in (ws.send, ws.send_json):
        with pytest.raises(ConnectionClosed):
            call("x")
    with pytest.raises(ConnectionClosed):
        ws.ping()
    ws.request_close(1012)
    ws.close()


# A process that ends


def test_a_connection_that_opens_while_the_process_ends():
    registry.draining = True
    ws, line = connect()
    assert line.sent.startswith(b"HTTP/1.1 101 ")
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.wait() is None
    assert ws.close_code == 1012


def test_a_connection_that_opens_slowly_while_the_process_ends():
    line = Line()

    def rest():
        registry.close_all()
        return b"12345678"

    line.feed(rest)
    ws, _ = connect(Hixie76, line=line, received=b"")
    assert ws.closed
    assert line.sent.endswith(b"\xff\x00")


def test_close_all():
    both = [connect(), connect(Hixie76)]
    registry.close_all()
    for ws, line in both:
        assert ws.closed
        assert line.peer.state is State.CLOSED


# Over a socket pair


@pytest.mark.parametrize("kind", [RFC6455, Hixie76, Hixie75])
def test_a_conversation(live, kind):
    ws, browser = live(kind)
    got = []

    def view():
        for message in ws:
            got.append(message)
            ws.send(message.upper())
        ws.end()

    running = Running(view)
    for message in ("a", "b" * 200, "c" * 200_000):
        browser.send(message)
        assert browser.wait() == message.upper()
    browser.close()
    if kind is Hixie75:
        browser.sock.shutdown(socket.SHUT_WR)
    running.result()
    assert got == ["a", "b" * 200, "c" * 200_000]
    assert ws.close_code == (1000 if kind is RFC6455 else 1005)


def test_a_peer_that_vanishes(live):
    ws, browser = live()
    browser.send("last")
    browser.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    browser.sock.close()
    assert list(ws) == ["last"]
    assert ws.close_code == 1006
    ws.end()


def send_for_ever(ws, message):
    while True:
        ws.send(message)


def test_a_peer_that_stops_reading(live):
    ws, _ = live(send_timeout=0.2)
    began = time.monotonic()
    with pytest.raises(ConnectionClosed) as caught:
        send_for_ever(ws, b"x" * 1_000_000)
    assert 0.2 <= time.monotonic() - began < PATIENCE
    assert caught.value.code == 1006


def test_send_to_a_client_that_has_closed_and_gone(live):
    ws, browser = live()
    browser.close(4006)
    browser.sock.close()
    with pytest.raises(ConnectionClosed) as caught:
        send_for_ever(ws, b"x" * 1000)
    assert caught.value.code == 4006


# Looking never waits


@pytest.mark.parametrize("look", [WebSocket.read, WebSocket.has_messages, WebSocket.count_messages])
def test_looking_does_not_wait_for_a_client_that_does_not_read(look):
    ws, line = connect()
    line.peer.ping(b"hello")
    line.feed(line.peer.data_to_send())
    line.sends_now = False
    line.on_send = lambda data: pytest.fail("it may wait")
    look(ws)
    assert line.frames == []
    line.on_send = None
    line.say("x")
    assert ws.wait() == "x"
    assert line.frames == [(Opcode.PONG, b"hello")]


def test_what_could_not_be_sent_of_a_close_follows():
    ws, line = connect()
    line.sends_now = 3
    ws.request_close(1012)
    assert bytes(line.sent).partition(b"\r\n\r\n")[2] == b"\x88\x02\x03"
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.close_code == 1012


def test_a_close_that_leaves_late_has_its_time():
    """The answer's time begins when the Close has gone out, not when it was asked for."""
    ws, line = connect()
    line.sends_now = False
    line.answering = False
    ws.request_close(1012)
    asked = line.now
    line.now += 2 * CLOSE_TIMEOUT
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert line.now >= asked + 3 * CLOSE_TIMEOUT
    assert ws.close_code == 1006


@pytest.mark.parametrize("timeout", [float("inf"), 1e9])
def test_very_long_waits(timeout):
    """The system's poll() takes 24 days at most."""
    ws, line = connect(ping_interval=None)
    line.say("at last", at=line.now + 10 * MAX_PATIENCE)
    assert ws.wait(timeout) == "at last"
    assert max(line.waits) <= MAX_PATIENCE


def test_the_end_waits_for_a_thread_that_still_reads():
    ws, line = connect()
    line.reading.acquire()
    ending = Running(ws.end, wait=False)
    assert ending.is_alive()
    line.reading.release()
    ending.join(PATIENCE)
    assert not ending.is_alive()
    assert ending.error is None


def test_a_failed_connection_that_another_thread_still_reads():
    """The socket is not read by two at once."""
    ws, line = connect(close_timeout=0.05)
    line.peer = None
    line.feed(b"\xff\xff")
    assert ws.wait() is None
    line.reading.acquire()
    reads = line.reads
    ws.end()
    assert line.reads == reads
    line.reading.release()


# Found by review


def test_a_view_that_polls_is_kept_alive():
    ws, line = connect()
    line.answering = False
    line.now += PING_INTERVAL
    assert ws.read() is None
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING]
    line.now += PING_TIMEOUT
    assert not ws.has_messages()
    assert (ws.closed, ws.close_code) == (True, 1006)


def test_the_oldest_version_is_told_of_a_restart():
    """It has no frame for that: the end of our stream says it."""
    ws, line = connect(Hixie75)
    ws.request_close(1012)
    assert line.shut == [socket.SHUT_WR]


def test_what_another_thread_has_left_goes_out_after_a_mistake():
    ws, line = connect()
    line.peer.ping(b"hello")
    ping = line.peer.data_to_send()

    class Message(str):
        def encode(self, *args):
            # The other thread's part: a ping comes in while this one holds the lock for writing.
            ws._feed(ping)
            return super().encode(*args)

    with pytest.raises(UnicodeEncodeError):
        ws.send(Message("\ud800"))
    assert line.frames == [(Opcode.PONG, b"hello")]


def test_what_another_thread_has_left_goes_out_after_a_wrong_ping(monkeypatch):
    ws, line = connect()
    line.peer.ping(b"hello")
    data = line.peer.data_to_send()
    mutex = ws._mutex
    entered = iter([True])

    class Mutex:
        """Lets the other thread's ping come in before this one has the mutex, and while it has the lock for writing."""

        def __enter__(self):
            if next(entered, False):
                ws._feed(data)
            mutex.acquire()

        def __exit__(self, *_):
            mutex.release()

    monkeypatch.setattr(ws, "_mutex", Mutex())
    with pytest.raises(ValueError, match="125"):
        ws.ping(b"x" * 126)
    assert line.frames == [(Opcode.PONG, b"hello")]


def test_a_close_that_comes_while_another_thread_sends_is_answered_behind_that():
    ws, line = connect()
    line.answering = False
    line.peer.close(1000)
    close = line.peer.data_to_send()
    line.on_send = lambda _: ws._feed(close) if not ws.closed else None
    ws.send("ahead")
    assert [opcode for opcode, _ in line.frames] == [Opcode.TEXT, Opcode.CLOSE]
    with pytest.raises(ConnectionClosed):
        ws.send("behind")


def test_the_rest_of_a_frame_goes_ahead_of_what_is_sent_next():
    ws, line = connect()
    line.sends_now = 3
    line.feed(b"\x89\x85\0\0\0\0hello")
    assert ws.read() is None
    assert line.sent.endswith(b"\r\n\r\n\x8a\x05h")
    ws.send("x")
    assert line.frames == [(Opcode.PONG, b"hello"), (Opcode.TEXT, b"x")]


# Control frames, which are to be few

PING = b"\x89\x80\0\0\0\0"
TEXT_X = b"\x81\x81\0\0\0\0x"


def test_control_frames_come_in_bursts():
    ws, line = connect()
    line.answering = False
    for second in range(1, 10):
        line.feed(PING * CONTROL_RATE, at=START + second)
    line.feed(PING * CONTROL_BURST, at=START + 12)
    line.feed(TEXT_X, at=START + 12)
    assert ws.wait() == "x"


@pytest.mark.parametrize("frame", [PING, b"\x8a\x80\0\0\0\0"], ids=["ping", "pong"])
@pytest.mark.parametrize("seconds", [0, 3])
def test_a_flood_of_control_frames(caplog, frame, seconds):
    ws, line = connect()
    line.answering = False
    line.feed(frame, at=START)
    line.feed(TEXT_X + frame * (CONTROL_BURST + seconds * CONTROL_RATE), at=START + seconds)
    assert ws.wait() == "x"
    assert ws.wait() is None
    assert (ws.close_code, ws.close_reason) == (1008, "too many control frames")
    assert line.frames[-1] == (Opcode.CLOSE, b"\x03\xf0too many control frames")
    assert records(caplog) == [(logging.WARNING, "WebSocket /echo/ failed with 1008: too many control frames")]


class Busy(Hooks):
    """Something that is told of each wait, and holds something or not."""

    def __init__(self, *holds):
        self.resources = holds
        self.told = []

    def before_wait(self):
        self.told.append("pause")
        return 1.0

    def on_idle(self):
        self.told.append("silence")


def test_hooks_are_called_only_where_something_is_held():
    hooks = Busy()
    ws, line = connect(hooks=hooks)
    line.say("x", at=START + 30)
    assert ws.wait() == "x"
    assert hooks.told == []


def test_a_wait_ends_when_the_peer_is_to_be_revalidated():
    hooks = Busy()
    hooks.revalidate_interval = 5.0
    asked = []
    hooks.revalidate = lambda: asked.append(line.now)
    ws, line = connect(hooks=hooks)
    line.say("x", at=START + 12)
    assert ws.wait() == "x"
    assert line.default_timeout == 5
    assert asked == [START + 5, START + 10]


def test_hooks_are_called_before_each_wait_and_once_for_a_silence():
    hooks = Busy("a connection")
    ws, line = connect(hooks=hooks)
    line.say("x")
    line.say("y", at=START + 0.5)
    line.say("z", at=START + 2)
    assert [ws.wait(), ws.wait()] == ["x", "y"]
    assert hooks.told == ["pause", "pause"]
    assert ws.wait() == "z"
    assert hooks.told == ["pause", "pause", "pause", "silence", "pause"]


@pytest.mark.parametrize("kind", [Hixie75, Hixie76])
@pytest.mark.parametrize("frame", [b"\x01\xff", b"\x7fx\xff", b"\x80\x00", b"\x81\x01x"])
def test_a_flood_of_frames_that_say_nothing(kind, frame):
    ws, line = connect(kind)
    line.feed(b"\0x\xff" + frame * CONTROL_BURST + b"\0y\xff")
    assert (ws.wait(), ws.wait()) == ("x", "y")
    line.feed(frame)
    assert ws.wait() is None
    assert (ws.close_code, ws.close_reason) == (1008, "too many control frames")


def test_a_view_that_was_busy_finds_many_control_frames():
    """More than one read takes, and no more a second than there may be."""
    ws, line = connect()
    line.feed(PING)
    assert ws.read() is None
    line.now += 600
    line.feed(PING * 600 * CONTROL_RATE + TEXT_X)
    assert ws.wait() == "x"
    line.feed(PING * (CONTROL_BURST - 1) + TEXT_X)
    assert ws.wait() == "x"
    line.feed(PING)
    assert ws.wait() is None
    assert ws.close_code == 1008


def test_a_flood_that_ends_with_a_mistake_is_failed_for_the_mistake():
    ws, line = connect()
    line.answering = False
    line.feed(PING * (CONTROL_BURST + 1) + b"\xff\xff")
    assert ws.wait() is None
    assert ws.close_code == 1002


def test_the_first_use_from_two_threads():
    ws, line = connect(accept=False)
    refused = []

    def broadcast(data):
        line.on_send = None
        with pytest.raises(RuntimeError, match="another thread is sending the handshake") as caught:
            ws._connect(None, ())
        refused.append(caught.value)

    line.on_send = broadcast
    ws.send("x")
    assert len(refused) == 1
    assert bytes(line.sent).count(b"HTTP/1.1 101") == 1


def test_a_second_try_after_a_mistake():
    ws, line = connect(accept=False)
    with pytest.raises(ValueError, match="did not offer"):
        ws.accept("nothing")
    ws.accept()
    assert bytes(line.sent).startswith(b"HTTP/1.1 101")


def test_sends_whatever_has_bytes():
    ws, line = connect()
    ws.send(array("H", [0x4142]))
    assert line.heard == [array("H", [0x4142]).tobytes()]


def test_a_reason_is_escaped_in_the_errors_text():
    assert str(ConnectionClosed(CloseCode.NORMAL_CLOSURE, "a\nb")) == "the WebSocket is closed (1000, 'a\\nb')"
