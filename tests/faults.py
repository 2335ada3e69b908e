"""A conversation over a socket that fails, at each byte of it and in each way, in every world that sockets belong to.

The socket is a real one, with a peer that has said everything beforehand, so that nothing waits for anything but a
fault. What fails is the call that passes the byte.
"""

from __future__ import annotations

import errno
import logging
import math
import signal
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from django_websocket.exceptions import ConnectionClosed
from django_websocket.process.registry import registry
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.transports import open_transport
from django_websocket.transports.sockets import BlockingTransport, NonBlockingTransport
from django_websocket.websocket import WebSocket

from .options import make_options

URI = parse_uri("ws://example.com/")
#: Seconds that any conversation may take.
LIMIT = 5
#: Seconds that a peer is late, where it is.
DELAY = 0.001

#: What the system can say of a connection: each at another byte.
ERRORS = [
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    OSError(errno.ENOBUFS, "No buffer space available"),
]
#: What can happen where the server reads, and where it writes.
READING = ["short", "again", "late", "signal", "end", "reset", "error"]
WRITING = ["short", "again", "signal", "stall", "reset", "error"]
#: What nobody is to notice.
HARMLESS = {"short", "again", "late", "signal"}


@dataclass
class Fault:
    """What happens at which byte, of those that come in or of those that go out."""

    kind: str
    writing: bool
    position: int
    #: Whether it has happened; a stall has no end.
    done: bool = False

    def __str__(self):
        return f"{self.kind} at byte {self.position} of what {'goes out' if self.writing else 'comes in'}"


class FaultySocket(socket.socket):
    """A socket with a fault."""

    fault = None
    #: What the peer does at that byte, if it is that which does something.
    act = None
    #: What it does once the bytes ahead of that have been read.
    rest = None
    #: Bytes that have passed.
    read = written = 0
    #: How many of those that go out the peer waits for, and what it does then.
    goal = 0
    finish = None

    def recv(self, size, flags=0):
        if not self.fault.writing and not self.fault.done:
            left = self.fault.position - self.read
            if left <= 0:
                self.fail()
            else:
                size = min(size, left)
        data = super().recv(size, flags)
        self.read += len(data)
        self.go_on()
        return data

    def send(self, data, flags=0):
        if self.fault.writing and (not self.fault.done or self.fault.kind == "stall"):
            left = self.fault.position - self.written
            if left <= 0:
                self.fail()
            else:
                data = memoryview(data)[:left]
        sent = super().send(data, flags)
        self.written += sent
        if self.written >= self.goal and self.finish is not None:
            finish, self.finish = self.finish, None
            finish()
        return sent

    def sendmsg(self, buffers, ancdata=(), flags=0):
        return self.send(b"".join(buffers), flags)

    def go_on(self):
        """Let the peer say the rest later, once what it has said is read: who reads waits for it then."""
        if self.rest is not None and self.read == self.fault.position:
            rest, self.rest = self.rest, None
            rest()

    def fail(self):
        fault = self.fault
        fault.done = True
        if fault.kind == "error":
            raise ERRORS[fault.position % len(ERRORS)]
        if fault.kind in {"again", "stall"}:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        if self.act is not None:
            self.act()
        if fault.kind == "reset":
            self.finish = None


# The conversation

#: Bytes of the handshake's answer, and of a client's mask.
HEAD = 129
MASK = 4


def frame(opcode, data, fin=True):
    return Frame(opcode, data, fin).serialize(mask=True)


@dataclass(frozen=True)
class Script:
    """What the client says, what the view does, and what has to come of that."""

    says: bytes
    #: What it says once it has got all but the Close.
    closes: bytes
    view: object
    #: Messages that the view gets; events that the client gets, in order but for the pong.
    got: list
    answers: list
    #: The close code of both.
    code: int

    @property
    def size(self):
        """Bytes of the answers, without the Close."""
        frames = (
            frame(*answer) if isinstance(answer, tuple) else frame(*data_frame(answer)) for answer in self.answers[:-1]
        )
        return sum(len(data) - MASK for data in frames)


def data_frame(message):
    return (Opcode.TEXT, message.encode()) if isinstance(message, str) else (Opcode.BINARY, message)


def echo(ws, got):
    for message in ws:
        got.append(message)
        ws.send(message)


def talk(ws, got):
    """Say something, close, and take what the client has said."""
    ws.send("first")
    ws.ping(b"there?")
    ws.send(b"second" * 21)
    ws.close(4000, "enough")
    got.extend(ws)


SAYS = [
    frame(Opcode.TEXT, "text é".encode()),
    frame(Opcode.BINARY, bytes(range(130))),
    frame(Opcode.TEXT, b"fr\xc3", fin=False),
    frame(Opcode.PING, b"in between"),
    frame(Opcode.CONT, b"", fin=False),
    frame(Opcode.CONT, b"\xa9agments"),
]
MESSAGES = ["text é", bytes(range(130)), "fréagments"]
SCRIPTS = [
    Script(
        b"".join(SAYS),
        frame(Opcode.CLOSE, struct.pack("!H", 1000)),
        echo,
        MESSAGES,
        [*MESSAGES, (Opcode.PONG, b"in between"), (Opcode.CLOSE, 1000)],
        1000,
    ),
    Script(
        frame(Opcode.PONG, b"there?"),
        frame(Opcode.CLOSE, struct.pack("!H", 4000)),
        talk,
        [],
        ["first", (Opcode.PING, b"there?"), b"second" * 21, (Opcode.CLOSE, 4000)],
        4000,
    ),
]


def hear(protocol, data):
    """Give what an independent client makes of the bytes that came: events, and whether there was a handshake."""
    protocol.receive_data(data)
    protocol.receive_eof()
    assert protocol.parser_exc is None or isinstance(protocol.parser_exc, EOFError), repr(protocol.parser_exc)
    events = []
    for event in protocol.events_received():
        if not isinstance(event, Frame):
            assert event.status_code == 101
        elif event.opcode in {Opcode.TEXT, Opcode.BINARY}:
            assert event.fin
            events.append(event.data.decode() if event.opcode is Opcode.TEXT else bytes(event.data))
        elif event.opcode is Opcode.CLOSE:
            events.append((event.opcode, int.from_bytes(event.data[:2], "big")))
        else:
            events.append((event.opcode, bytes(event.data)))
    return events


# The worlds


class Threads:
    """Threads, which block in the kernel or poll."""

    def __init__(self, transport):
        self.transport = transport

    def wrap(self, sock):
        """Give a server's socket over a plain one."""
        return sock

    def open(self, sock):
        return self.transport(sock)

    def leftovers(self):
        """Give what stays in the world behind a conversation."""
        return []


class Eventlet(Threads):
    def __init__(self):
        from eventlet import greenio, hubs

        super().__init__(lambda sock: open_transport(sock, LIMIT))
        self.wrap = greenio.GreenSocket
        self.hub = hubs.get_hub()

    def leftovers(self):
        timers = [timer for _, timer in [*self.hub.timers, *self.hub.next_timers] if not timer.called]
        return [listeners for listeners in self.hub.listeners.values() if listeners] + timers


class Gevent(Threads):
    def __init__(self):
        from gevent import get_hub
        from gevent import socket as green

        super().__init__(lambda sock: open_transport(sock, LIMIT))
        self.green, self.loop = green, get_hub().loop
        self.before = self.loop.activecnt

    def wrap(self, sock):
        sock.setblocking(False)
        wrapped = self.green.socket(sock.family, sock.type, fileno=sock.fileno())
        # In the place of its own, for the same descriptor.
        wrapped._sock.detach()
        wrapped._sock = sock
        return wrapped

    def leftovers(self):
        return list(range(self.before, self.loop.activecnt))


WORLDS = {
    "blocking": lambda: Threads(lambda sock: BlockingTransport(sock, LIMIT)),
    "nonblocking": lambda: Threads(lambda sock: NonBlockingTransport(sock, sock, LIMIT)),
    "eventlet": Eventlet,
    "gevent": Gevent,
}


# One conversation


def converse(world, listener, script, fault):
    """Have a conversation with a fault.

    Gives what the view got, what the client heard (``None`` where it has cut the connection itself), the close code,
    and how many bytes came in and went out.
    """
    theirs = socket.create_connection(listener.getsockname())
    ours, _ = listener.accept()
    faulty = FaultySocket(fileno=ours.detach())
    faulty.fault = fault
    sock = world.wrap(faulty)
    later, held = [], []
    try:

        def speak(data, start):
            """Say what begins at that byte of all that the peer says, behind what it still has to say."""
            if faulty.rest is not None:
                held.append(data)
                return
            for thread in later:
                thread.join()
            cut = fault.position - start
            if fault.writing or fault.kind not in {"late", "signal", "end"} or not 0 <= cut <= len(data):
                theirs.sendall(data)
                return
            theirs.sendall(data[:cut])
            if fault.kind == "end":
                theirs.shutdown(socket.SHUT_WR)
                faulty.goal = math.inf
            else:
                faulty.rest = lambda: later.append(Later(theirs, b"".join([data[cut:], *held]), fault.kind == "signal"))
                faulty.go_on()

        faulty.goal = HEAD + script.size
        faulty.finish = lambda: speak(script.closes, len(script.says))
        if fault.kind == "reset":
            faulty.act = lambda: reset(theirs)
        elif fault.kind == "signal" and fault.writing:
            faulty.act = interrupt
        speak(script.says, 0)
        client = ClientProtocol(URI)
        client.send_request(client.connect())
        head = b"".join(client.data_to_send()).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ") for line in head[1:] if line)}
        protocol = RFC6455(Request(headers, host="example.com"))
        transport = world.open(sock)
        wait = transport._wait

        def wait_unless_stalled(write, timeout):
            if write and fault.kind == "stall" and fault.done:
                raise TimeoutError
            wait(write, timeout)

        transport._wait = wait_unless_stalled
        ws = WebSocket(
            protocol, lambda: (transport, b""), make_options(ping_interval=None, close_timeout=LIMIT), name="/"
        )
        got = []
        try:
            script.view(ws, got)
        except ConnectionClosed:
            pass
        finally:
            ws.end()
        for thread in later:
            thread.join(LIMIT)
        heard = None if theirs.fileno() < 0 else hear(client, take(theirs))
        return got, heard, ws.close_code, (faulty.read, faulty.written)
    finally:
        sock.close()
        theirs.close()


class Later(threading.Thread):
    """The peer's rest of what it has to say, a little later; if it is asked to, a signal comes before it."""

    def __init__(self, sock, data, interrupting):
        super().__init__(daemon=True)
        self.sock, self.data, self.interrupting = sock, data, interrupting
        self.start()

    def run(self):
        time.sleep(DELAY)
        if self.interrupting:
            interrupt()
            time.sleep(DELAY)
        self.sock.sendall(self.data)


def interrupt():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR2)


def reset(sock):
    """Vanish with RST, once; both sides may have reason to."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def take(sock):
    """Give what has arrived, up to the end, which has to have arrived too."""
    sock.setblocking(False)
    return b"".join(iter(lambda: sock.recv(65536), b""))


def judge(script, fault, got, heard, code):
    """See that a conversation was whole, or that it broke off cleanly."""
    whole = fault.kind in HARMLESS
    assert code == script.code or (not whole and code == 1006), code
    assert got == script.got[: len(got)], got
    if whole:
        assert got == script.got
    if heard is None:
        return
    # When the pong goes out between the answers is open.
    pong = (Opcode.PONG, b"in between")
    assert heard.count(pong) <= 1
    said, expected = ([event for event in events if event != pong] for events in (heard, script.answers))
    assert said == expected[: len(said)], heard
    if whole:
        assert sorted(map(repr, heard)) == sorted(map(repr, script.answers)), heard


class Ear(logging.Handler):
    """What the library logs."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


def usage():
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def sweep(world, step=1):
    """Have each conversation with each fault at each byte, and give how many that were.

    With a ``step`` it is not each byte for each kind of fault, but each byte for some.
    """
    ear, count = Ear(), 0
    logger = logging.getLogger("django_websocket")
    logger.addHandler(ear)
    level = logger.level
    logger.setLevel(logging.INFO)
    handler = signal.signal(signal.SIGUSR2, lambda *_: None)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for script in SCRIPTS:
                nothing = Fault("short", True, -1, done=True)
                *outcome, sizes = converse(world, listener, script, nothing)
                judge(script, nothing, *outcome)
                before, left = usage(), world.leftovers()
                for writing, kinds in ((False, READING), (True, WRITING)):
                    for number, kind in enumerate(kinds):
                        for position in range(number % step, sizes[writing] + 1, step):
                            fault = Fault(kind, writing, position)
                            began = time.monotonic()
                            try:
                                judge(script, fault, *converse(world, listener, script, fault)[:3])
                                assert time.monotonic() - began < LIMIT, "it took its time"
                                levels = {record.levelno for record in ear.records}
                                assert levels <= (set() if kind in HARMLESS else {logging.INFO}), ear.records
                                assert not len(registry), "still registered"
                            except Exception as error:
                                raise AssertionError(f"{script.view.__name__}, {fault}: {error!r}") from error
                            ear.records.clear()
                            count += 1
                assert usage() == before, "descriptors or threads are left"
                assert world.leftovers() == left
    finally:
        signal.signal(signal.SIGUSR2, handler)
        logger.removeHandler(ear)
        logger.setLevel(level)
    return count


if __name__ == "__main__":
    print(sweep(WORLDS[sys.argv[1]](), int(sys.argv[2])))
