"""The members of a group, as their clients see it: connections that must all get the same messages, in order."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from . import batches, frames
from .connections import LoadError, Target

#: Seconds without any progress after which messages count as lost.
STALL: Final = 10.0
_CHUNK: Final = 1 << 18


class Listener:
    """A connection that gets the frames of one batch after another, all frames of a batch having the same size."""

    __slots__ = ("_reader", "_sock", "got", "recv")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock, self.recv = sock, sock.recv
        #: The bytes of the batch that have arrived.
        self.got = 0
        #: A parser, while a ping is among the frames.
        self._reader: frames.Reader | None = None

    def take(self, data: bytes, batch: bytes, size: int) -> None:
        """Take bytes; ``size`` is that of one frame of the batch.

        :raises LoadError: they are not those of the batch, or the stream has ended.
        """
        if self._reader is None:
            end = self.got + len(data)
            if data and batch[self.got : end] == data:
                self.got = end
                return
            if not data:
                raise LoadError("the server hung up")
            begun = self.got % size
            self.got -= begun
            data = batch[self.got : self.got + begun] + data
            self._reader = frames.Reader()
        for first, payload in self._reader.feed(data):
            frame = frames.header(len(payload), first & 0x0F, masked=False) + payload
            if first == frames.FIN | frames.PING:
                self._sock.sendall(frames.client_frame(payload, frames.PONG))
            elif batch[self.got : self.got + size] == frame:
                self.got += size
            else:
                raise LoadError(f"a wrong message: {first:#x} {payload[:40]!r}")
        if not self._reader.data:
            self._reader = None


@dataclass(frozen=True)
class Heard:
    """What a batch has shown, once all of it has arrived."""

    #: The answer of the server; see :meth:`.Batch.answer`.
    answer: dict[str, Any]
    #: Nanoseconds from the publishing of a message to its arrival, for each message and member.
    latencies: list[int]
    #: Seconds from the publishing of the first message to the arrival of the last.
    seconds: float


class Audience:
    """Connections that are members, and the one that orders the messages."""

    def __init__(self, target: Target, members: Sequence[socket.socket]) -> None:
        """Connect to publish to ``members``, who have joined and have nothing unread.

        :raises LoadError: the connection failed.
        """
        self._control = Target(target.port, batches.control_path(target.path), target.host).open()
        self._control.setblocking(False)
        self._listeners = {sock.fileno(): Listener(sock) for sock in members}
        self._epoll = select.epoll()
        for descriptor in (*self._listeners, self._control.fileno()):
            self._epoll.register(descriptor, select.EPOLLIN)
        #: The number of the next message.
        self._next = 0

    def ask(self) -> dict[str, Any]:
        """Return what the server answers to a batch without messages."""
        return self.publish("", 0, batches.LEAST).answer

    def publish(self, way: str, count: int, size: int, *, wait: bool = False) -> Heard:
        """Publish ``count`` messages of ``size`` bytes in a way, and return when all members have got them.

        With ``wait`` they read when the server has answered, and not before. What a delivery costs the server does not
        depend on how fast they read, then: the kernel does not have to wake them.

        :raises LoadError: a member has got anything else, or nothing comes any more.
        """
        numbers = range(self._next, self._next + count)
        self._next = numbers.stop
        batch = b"".join(frames.server_frame(batches.numbered(number, size)) for number in numbers)
        frame = len(frames.server_frame(bytes(size)))
        #: When each message arrived at each member.
        arrivals: list[list[int]] = [[] for _ in numbers]
        left = len(self._listeners) if count else 0
        for listener in self._listeners.values():
            listener.got = 0
        answer, answers, control = None, frames.Reader(), self._control.fileno()
        self._control.sendall(frames.client_frame(batches.command(way, numbers.start, count, size).encode()))
        clock, whole = time.monotonic_ns, len(batch)
        if wait:
            answer = self._await_answer(answers)
        while left or answer is None:
            events = self._epoll.poll(STALL)
            if not events:
                raise LoadError(f"{left} members still miss messages after {STALL:.0f} s")
            for descriptor, _event in events:
                if descriptor == control:
                    answer = self._read_answer(answers) or answer
                    continue
                listener = self._listeners[descriptor]
                before = listener.got
                listener.take(listener.recv(_CHUNK), batch, frame)
                now = clock()
                for number in range(before // frame, listener.got // frame):
                    arrivals[number].append(now)
                left -= before != whole and listener.got == whole
        times = answer["times"]
        latencies = [now - sent for sent, each in zip(times, arrivals, strict=True) for now in each]
        last = max((each[-1] for each in arrivals), default=0)
        return Heard(answer, latencies, (last - times[0]) / 1e9 if times else 0.0)

    def _await_answer(self, reader: frames.Reader) -> dict[str, Any]:
        """Wait for the answer without a look at the members."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while poll.poll(STALL * 1000):
            if (answer := self._read_answer(reader)) is not None:
                return answer
        raise LoadError(f"the server has published nothing for {STALL:.0f} s")

    def _read_answer(self, reader: frames.Reader) -> dict[str, Any] | None:
        if not (data := self._control.recv(_CHUNK)):
            raise LoadError("the server hung up while it published")
        for first, payload in reader.feed(data):
            if first == frames.FIN | frames.PING:
                self._control.sendall(frames.client_frame(payload, frames.PONG))
            elif first == frames.FIN | frames.TEXT:
                answer: dict[str, Any] = json.loads(payload)
                return answer
            else:
                raise LoadError(f"the server stopped publishing: {first:#x} {payload[:80]!r}")
        return None

    def leave(self) -> None:
        """Close the connection that orders the messages. Those of the members stay."""
        self._epoll.close()
        self._control.close()
