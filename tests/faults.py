"""Conversations over a socket that fails at any byte, in any way, with each kind of transport.

The socket is a real one. The peer has sent everything beforehand, so that a conversation waits for nothing but its
fault. The system call that would pass the chosen byte fails.
"""

from __future__ import annotations

import errno
import gc
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
from django_websocket.transports import TimedOut, open_transport
from django_websocket.transports.sockets import BlockingTransport, NonBlockingTransport
from django_websocket.websocket import WebSocket

from .options import make_options
from .promptness import within

URI = parse_uri("ws://example.com/")
#: Seconds that a conversation may take.
LIMIT = 5
#: Seconds by which a late peer delays its bytes.
DELAY = 0.001

#: Errors of the system for a connection. Which one is raised depends on the position of the fault.
ERRORS = [
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    OSError(errno.ENOBUFS, "No buffer space available"),
]
#: The kinds of faults when the server reads, and when it writes.
READING = ["short", "again", "late", "signal", "end", "reset", "error"]
WRITING = ["short", "again", "signal", "stall", "reset", "error"]
#: The kinds of faults that neither the view nor the peer may notice.
HARMLESS = {"short", "again", "late", "signal"}


@dataclass
class Fault:
    """A fault of one kind at one byte."""

    kind: str
    #: Whether it happens at a byte that the server writes, not at one that it reads.
    writing: bool
    position: int
    #: Whether it has happened. A stall goes on after that.
    done: bool = False

    def __str__(self):
        return f"{self.kind} at byte {self.position} of what {'goes out' if self.writing else 'comes in'}"


class FaultySocket(socket.socket):
    """A socket with a fault."""

    fault = None
    #: Called at the byte of the fault, if the peer or a signal causes the fault.
    act = None
    #: Called once all bytes before the fault have been read: the peer sends the rest of its bytes.
    rest = None
    #: Numbers of bytes that have passed.
    read = written = 0
    #: The number of written bytes that the peer waits for. Then ``finish`` is called.
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
        """Make the peer send its rest later, once the bytes before it have been read, so that the reader waits."""
        if self.rest is not None and self.read == self.fault.position:
            rest, self.rest = self.rest, None
            rest()

    def fail(self):
        """Cause the fault. It may raise an exception of the system call."""
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

#: The sizes in bytes of the answer to the handshake, and of the masking key of a client's frame.
HEAD = 129
MASK = 4


def frame(opcode, data, fin=True):
    return Frame(opcode, data, fin).serialize(mask=True)


@dataclass(frozen=True)
class Script:
    """The bytes that the client sends, the view, and the expected result of the conversation."""

    says: bytes
    #: The bytes that the client sends once it has got all answers except the Close.
    closes: bytes
    view: object
    #: The messages that the view receives.
    got: list
    #: The events that the client receives: the pong at any place, the others in this order.
    answers: list
    #: The close code on both sides.
    code: int

    @property
    def size(self):
        """The number of bytes of the answers, without the Close."""
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
    """Send messages and a ping, close the connection, and take the messages of the client."""
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
    """Return the events that an independent client parses from bytes; if there is a handshake, it has to be a 101."""
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


# The kinds of transports, each with its threads or greenlets


class Threads:
    """Threads, with transports that block in the kernel or poll."""

    def __init__(self, transport):
        self.transport = transport

    def wrap(self, sock):
        """Return the socket that a server of this kind would use, over a plain one."""
        return sock

    def open(self, sock):
        """Return a transport whose connection calls the methods of the socket: compiled code would meet no fault."""
        transport = self.transport(sock)
        transport.engage = lambda core, locks: None
        return transport

    def leftovers(self):
        """Return the listeners and timers that are left over after a conversation."""
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
        # gevent has made a socket of its own for the descriptor. The faulty one takes its place.
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
    """Run a conversation with a fault.

    Return the messages that the view got, the events that the client got (``None`` if the client has cut the
    connection itself), the close code, and the numbers of bytes that were read and written.
    """
    theirs = socket.create_connection(listener.getsockname())
    ours, _ = listener.accept()
    faulty = FaultySocket(fileno=ours.detach())
    faulty.fault = fault
    sock = world.wrap(faulty)
    later, held = [], []
    try:

        def speak(data, start):
            """Send bytes of the peer, of which the first has the position ``start``, after those that are held back."""
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
        skipped = 0.0

        def wait_unless_stalled(write, timeout):
            nonlocal skipped
            if write and fault.kind == "stall" and fault.done:
                skipped += timeout
                raise TimedOut
            wait(write, timeout)

        transport._wait = wait_unless_stalled
        transport.clock = lambda: time.monotonic() + skipped
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
    """Sends the rest of the peer's bytes a little later and, with ``interrupting``, a signal before them."""

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
    """Close a socket with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def take(sock):
    """Return the bytes that have arrived, up to the end of the stream, which has to have arrived too."""
    sock.setblocking(False)
    return b"".join(iter(lambda: sock.recv(65536), b""))


def judge(script, fault, got, heard, code):
    """Check that a conversation was complete, or that it broke off cleanly."""
    whole = fault.kind in HARMLESS
    assert code == script.code or (not whole and code == 1006), code
    assert got == script.got[: len(got)], got
    if whole:
        assert got == script.got
    if heard is None:
        return
    # The pong may be sent between any two answers.
    pong = (Opcode.PONG, b"in between")
    assert heard.count(pong) <= 1
    said, expected = ([event for event in events if event != pong] for events in (heard, script.answers))
    assert said == expected[: len(said)], heard
    if whole:
        assert sorted(map(repr, heard)) == sorted(map(repr, script.answers)), heard


class Ear(logging.Handler):
    """A handler that collects the log records of the library."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


def usage():
    """Return the numbers of open descriptors and of threads, without those of garbage."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def sweep(world, step=1):
    """Run each conversation with each kind of fault at each byte, and return the number of conversations.

    With a ``step``, each kind of fault happens only at every ``step``-th byte, beginning at a different one for each
    kind.
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
                                assert within(time.monotonic() - began, LIMIT), "it took its time"
                                levels = {record.levelno for record in ear.records}
                                assert levels <= (set() if kind in HARMLESS else {logging.INFO}), ear.records
                                assert not len(registry), "still registered"
                            except Exception as error:
                                raise AssertionError(f"{script.view.__name__}, {fault}: {error!r}") from error
                            ear.records.clear()
                            count += 1
                # Those of other tests in the process may have come to their ends meanwhile.
                after = usage()
                is_clean = all(now <= then for now, then in zip(after, before, strict=True))
                assert is_clean, f"descriptors or threads are left: {before} before, {after} after"
                assert world.leftovers() == left
    finally:
        signal.signal(signal.SIGUSR2, handler)
        logger.removeHandler(ear)
        logger.setLevel(level)
    return count


if __name__ == "__main__":
    print(sweep(WORLDS[sys.argv[1]](), int(sys.argv[2])))
