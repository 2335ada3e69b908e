"""The loops that are measured: one process, one epoll, as little Python for each message as will check it."""

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
_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Window:
    """When to measure, in nanoseconds of the monotonic clock, which all processes share."""

    begin: int
    end: int


@dataclass
class Sample:
    """What one process has counted within its window."""

    count: int = 0
    #: Nanoseconds from sending to the last byte of the answer.
    latencies: list[int] = field(default_factory=list)
    #: Seconds of this process's own processor time.
    cpu: float = 0.0


class Meter:
    """Knows whether the window is open, and adds up."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.sample = Sample()
        self._begun: float | None = None
        self._progress = time.monotonic_ns()

    def look(self, events: int) -> tuple[int, bool, bool]:
        """Give the time, whether what comes now counts, and whether the window is over.

        :raises LoadError: nothing has come for too long.
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
    """A connection that sends the same bytes again and again, and knows what has to come back."""

    __slots__ = ("began", "buffer", "burst", "got", "reader", "recv", "reply", "rest", "seen", "send", "sock", "view")

    def __init__(self, sock: socket.socket, reply: bytes, burst: int) -> None:
        sock.setblocking(False)
        self.sock, self.recv, self.send = sock, sock.recv, sock.send
        self.reply, self.burst = reply, burst
        #: Where an answer is collected that does not come at once, so that it is compared, and allocated, only once.
        self.buffer = bytearray(len(reply) if len(reply) > _CHUNK else 0)
        self.view = memoryview(self.buffer)
        #: When it last sent.
        self.began = 0
        #: Bytes to send that the socket had no room for.
        self.rest = b""
        #: Bytes of ``reply`` that have come.
        self.got = 0
        #: There while what has come is not just ``reply``, and how many messages of it were whole.
        self.reader: frames.Reader | None = None
        self.seen = 0

    def flush(self, data: bytes) -> None:
        """Send, as far as there is room."""
        try:
            sent = self.send(data)
        except BlockingIOError:
            sent = 0
        self.rest = data[sent:]

    def fill(self) -> bool:
        """Receive into the buffer; tell whether the answer is whole. Only where there is a buffer.

        :raises LoadError: it is another one, or the stream has ended.
        """
        if self.reader is not None:
            return self.take(self.recv(_CHUNK))
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
        """Take bytes that are not the whole answer at once; tell whether it is whole now.

        :raises LoadError: it is another one, or the stream has ended.
        """
        if not data:
            raise LoadError("the server hung up")
        if self.reader is None:
            got = self.got + len(data)
            if self.reply[self.got : got] == data:
                self.got = got if got < len(self.reply) else 0
                return not self.got
            # A ping among the answers, or something wrong.
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
    """Let every connection send ``burst`` messages, wait for all their echoes, and do so again."""
    wire = frames.client_frame(payload) * burst
    reply = target.reply(payload) * burst
    big = len(reply) > _CHUNK
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
                data = each.recv(_CHUNK)
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
    """One connection on its way from the handshake to the end of the stream."""

    __slots__ = ("began", "closing", "data", "sock")

    def __init__(self, target: Target) -> None:
        self.began = time.monotonic_ns()
        self.sock = target.dial()
        self.sock.sendall(target.request)
        self.sock.setblocking(False)
        self.data = b""
        self.closing = False

    def step(self, target: Target) -> bool:
        """Take what has come, and answer; tell whether the stream has ended.

        :raises LoadError: it has ended before we said Close.
        """
        try:
            data = self.sock.recv(4096)
        except ConnectionResetError:
            data = b""
        if not data:
            # There are servers that do not always answer a Close, or that reset; they too have ended what was asked.
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
    """Open and close ``connections`` at a time, again and again: connect, handshake, Close, end of the stream."""
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
    """Do nothing for a while, but answer pings.

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
