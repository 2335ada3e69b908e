"""The loops that are measured: one process, one epoll, and no more Python for a message than it takes to check it."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass, field
from typing import Final

from . import frames
from .connections import LoadError, Target

#: Seconds without any progress after which a server counts as stalled.
STALL: Final = 6.0
#: The most bytes of one read.
CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Window:
    """The time to measure, in nanoseconds of the monotonic clock, which all processes share."""

    begin: int
    end: int


@dataclass
class Sample:
    """The counts of one process within its window."""

    count: int = 0
    #: Nanoseconds from sending to the last byte of the answer.
    latencies: list[int] = field(default_factory=list)
    #: Seconds of processor time of this process.
    cpu: float = 0.0


class Meter:
    """The clock of a loop: it knows whether the window is open, and holds the sample."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.sample = Sample()
        self._begun: float | None = None
        self._progress = time.monotonic_ns()

    def look(self, events: int) -> tuple[int, bool, bool]:
        """Return the time, whether answers that arrive now count, and whether the window is over.

        :raises LoadError: nothing has come for :data:`STALL` seconds.
        """
        now = time.monotonic_ns()
        if events:
            self._progress = now
        elif now - self._progress > STALL * 1e9:
            raise LoadError(f"nothing came for {STALL:.0f} s")
        within = self.window.begin <= now < self.window.end
        if within and self._begun is None:
            self._begun = time.process_time()
        if now >= self.window.end and self._begun is not None:
            self.sample.cpu = time.process_time() - self._begun
            self._begun = None
        return now, within, now >= self.window.end


class Exchange:
    """A connection that sends the same bytes again and again, and checks the answers."""

    __slots__ = ("began", "buffer", "burst", "got", "reader", "recv", "reply", "rest", "seen", "send", "sock", "view")

    def __init__(self, sock: socket.socket, reply: bytes, burst: int) -> None:
        sock.setblocking(False)
        self.sock, self.recv, self.send = sock, sock.recv, sock.send
        self.reply, self.burst = reply, burst
        #: A buffer for an answer that is too big for one read, so that it is allocated and compared only once.
        self.buffer = bytearray(len(reply) if len(reply) > CHUNK else 0)
        self.view = memoryview(self.buffer)
        #: The time when it last sent, in nanoseconds.
        self.began = 0
        #: Bytes that the socket had no room for, to be sent later.
        self.rest = b""
        #: The number of bytes of ``reply`` that have arrived.
        self.got = 0
        #: A parser, while the bytes that arrive are not just ``reply``, and the number of messages it has found.
        self.reader: frames.Reader | None = None
        self.seen = 0

    def flush(self, data: bytes) -> None:
        """Send as much as the socket has room for, and keep the rest."""
        try:
            sent = self.send(data)
        except BlockingIOError:
            sent = 0
        self.rest = data[sent:]

    def fill(self) -> bool:
        """Receive into the buffer, and return whether the answer is complete. There must be a buffer.

        :raises LoadError: the answer is wrong, or the stream has ended.
        """
        if self.reader is not None:
            return self.take(self.recv(CHUNK))
        count = self.sock.recv_into(self.view[self.got :])
        self.got += count
        if count and self.got < len(self.reply):
            return False
        if count and self.buffer == self.reply:
            self.got = 0
            return True
        got, self.got = self.got, 0
        return self.take(bytes(self.view[:got]) if count else b"")

    def take(self, data: bytes) -> bool:
        """Take bytes that are not exactly the answer, and return whether the answer is complete now.

        :raises LoadError: the answer is wrong, or the stream has ended.
        """
        if not data:
            raise LoadError("the server hung up")
        if self.reader is None:
            got = self.got + len(data)
            if self.reply[self.got : got] == data:
                self.got = got if got < len(self.reply) else 0
                return not self.got
            # There is a ping among the answers, or the answer is wrong.
            self.reader = frames.Reader()
            data = self.reply[: self.got] + data
        single = self.reply[: len(self.reply) // self.burst]
        for first, payload in self.reader.feed(data):
            if first == frames.FIN | frames.PING:
                self.flush(self.rest + frames.client_frame(payload, frames.PONG))
            elif single == frames.header(len(payload), first & 0x0F, masked=False) + payload:
                self.seen += 1
            else:
                raise LoadError(f"a wrong answer: {first:#x} {payload[:40]!r}")
        if self.seen < self.burst or self.reader.data:
            return False
        self.got, self.seen, self.reader = 0, 0, None
        return True


def exchange(socks: list[socket.socket], payload: bytes, target: Target, burst: int, window: Window) -> Sample:
    """Send ``burst`` messages on every connection, wait for all their echoes, and repeat that until the window ends."""
    wire = frames.client_frame(payload) * burst
    reply = target.reply(payload) * burst
    big = len(reply) > CHUNK
    of = {sock.fileno(): Exchange(sock, reply, burst) for sock in socks}
    meter = Meter(window)
    sample, latencies = meter.sample, meter.sample.latencies
    epoll = select.epoll(len(socks))
    clock, size, both = time.monotonic_ns, len(wire), select.EPOLLIN | select.EPOLLOUT
    for fd, each in of.items():
        each.began = clock()
        each.flush(wire)
        epoll.register(fd, both if each.rest else select.EPOLLIN)
    active = len(of)
    while active:
        events = epoll.poll(0.5)
        now, within, over = meter.look(len(events))
        for fd, event in events:
            each = of[fd]
            if event & select.EPOLLOUT:
                each.flush(each.rest)
                if not each.rest:
                    epoll.modify(fd, select.EPOLLIN)
                if event == select.EPOLLOUT:
                    continue
            if big:
                whole = each.fill()
            else:
                data = each.recv(CHUNK)
                whole = (data == reply and not each.got and each.reader is None) or each.take(data)
            if not whole:
                if each.rest:
                    epoll.modify(fd, both)
                continue
            if within:
                sample.count += burst
                if each.began >= window.begin:
                    latencies.append(now - each.began)
            if over:
                active -= 1
                continue
            each.began = clock()
            if each.rest:
                each.rest += wire
            else:
                try:
                    sent = each.send(wire)
                except BlockingIOError:
                    sent = 0
                if sent == size:
                    continue
                each.rest = wire[sent:]
            epoll.modify(fd, both)
    epoll.close()
    return sample


class _Cycle:
    """One connection, from the handshake to the end of the stream."""

    __slots__ = ("began", "closing", "data", "sock")

    def __init__(self, target: Target) -> None:
        self.began = time.monotonic_ns()
        self.sock = target.dial()
        self.sock.sendall(target.request)
        self.sock.setblocking(False)
        self.data = b""
        self.closing = False

    def step(self, target: Target) -> bool:
        """Receive once and answer, and return whether the stream has ended.

        :raises LoadError: the stream has ended before we sent Close.
        """
        try:
            data = self.sock.recv(4096)
        except ConnectionResetError:
            data = b""
        if not data:
            # Some servers do not always answer a Close, or reset the connection. They have ended it all the same.
            if not self.closing:
                raise LoadError("the server hung up")
            self.sock.close()
            return True
        self.data += data
        if self.closing:
            return False
        if target.raw:
            if self.data == target.request:
                self.sock.shutdown(socket.SHUT_WR)
                self.closing = True
        elif frames.after_handshake(self.data) is not None:
            self.sock.sendall(frames.CLOSE_FRAME)
            self.closing = True
        return False


def cycle(connections: int, target: Target, window: Window) -> Sample:
    """Open and close ``connections`` at a time: connect, handshake, Close, end of the stream."""
    meter = Meter(window)
    sample = meter.sample
    epoll = select.epoll()
    of: dict[int, _Cycle] = {}

    def start() -> None:
        each = _Cycle(target)
        of[each.sock.fileno()] = each
        epoll.register(each.sock.fileno(), select.EPOLLIN)

    for _ in range(connections):
        start()
    while of:
        events = epoll.poll(0.5)
        now, within, over = meter.look(len(events))
        for fd, _event in events:
            each = of[fd]
            if not each.step(target):
                continue
            del of[fd]
            if within:
                sample.count += 1
                if each.began >= window.begin:
                    sample.latencies.append(now - each.began)
            if not over:
                start()
    epoll.close()
    return sample


def rest(socks: list[socket.socket], seconds: float) -> None:
    """Do nothing for some seconds but answer pings.

    :raises LoadError: a connection ended.
    """
    epoll = select.epoll()
    of = {sock.fileno(): (sock, frames.Reader()) for sock in socks}
    for fd in of:
        epoll.register(fd, select.EPOLLIN)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        for fd, _event in epoll.poll(left):
            sock, reader = of[fd]
            if not (data := sock.recv(4096)):
                raise LoadError("the server closed an idle connection")
            for first, payload in reader.feed(data):
                if first == frames.FIN | frames.PING:
                    sock.sendall(frames.client_frame(payload, frames.PONG))
    epoll.close()
