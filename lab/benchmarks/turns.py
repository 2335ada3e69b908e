"""Load by number instead of time: each connection does the same a given number of times, and then nothing more."""

from __future__ import annotations

import select
import socket
from typing import Final

from . import frames
from .connections import LoadError, Target
from .loops import CHUNK, Exchange

#: Seconds without any progress after which a server counts as stalled. It may run in a simulator that is slow.
STALL: Final = 60.0


class Turns:
    """Connections that exchange messages with a server in turns, as many as the caller asks for."""

    def __init__(self, target: Target, connections: int, size: int, burst: int = 1) -> None:
        """Open connections that send ``burst`` messages of ``size`` bytes at a time.

        :raises LoadError: the server made a mistake.
        """
        payload = frames.text(size)
        self._target = target
        self._wire = frames.client_frame(payload) * burst
        self._socks: list[socket.socket] = []
        for _ in range(connections):
            sock = target.open()
            target.echo(sock, payload)
            self._socks.append(sock)
        reply = target.reply(payload) * burst
        self._exchanges = {sock.fileno(): Exchange(sock, reply, burst) for sock in self._socks}

    def take(self, count: int) -> None:
        """Send once on all connections and wait for all answers, ``count`` times.

        :raises LoadError: an answer is wrong, or does not come.
        """
        with select.epoll(len(self._exchanges)) as epoll:
            for descriptor in self._exchanges:
                epoll.register(descriptor, select.EPOLLIN)
            for _ in range(count):
                self._take_one(epoll)

    def _take_one(self, epoll: select.epoll) -> None:
        left = set(self._exchanges)
        for descriptor, each in self._exchanges.items():
            each.flush(self._wire)
            if each.rest:
                epoll.modify(descriptor, select.EPOLLIN | select.EPOLLOUT)
        while left:
            if not (events := epoll.poll(STALL)):
                raise LoadError(f"{len(left)} answers have not come within {STALL:.0f} s")
            for descriptor, event in events:
                each = self._exchanges[descriptor]
                if event & select.EPOLLOUT:
                    each.flush(each.rest)
                    if not each.rest:
                        epoll.modify(descriptor, select.EPOLLIN)
                if event & ~select.EPOLLOUT and (each.fill() if each.buffer else each.take(each.recv(CHUNK))):
                    left.discard(descriptor)

    def close(self) -> None:
        """Close all connections."""
        self._target.close(self._socks)


def open_and_close(target: Target, connections: int, count: int) -> None:
    """Open connections, one after another, and close them all, ``count`` times.

    :raises LoadError: a connection failed.
    """
    for _ in range(count):
        target.close([target.open() for _ in range(connections)])
