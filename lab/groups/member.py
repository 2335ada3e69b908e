"""A client of a group: one connection at a time, and what came on each."""

from __future__ import annotations

import json
import socket
import time
from array import array
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final
from urllib.parse import urlencode

from django_websocket.groups.payload import unwrap
from django_websocket.groups.position import Position

from ..servers import HOST
from .chain import Chain
from .frames import CLOSE, PING, TEXT, answer, make, split
from .messages import parse
from .numbers import Numbers

#: Bytes that are read at once.
CHUNK: Final = 1 << 17


@dataclass
class Stay:
    """One connection of a member, from its handshake to its end."""

    #: The process that serves it; 0: it has not joined yet.
    pid: int = 0
    #: When the view said that it has joined, and when the connection ended; 0.0: not yet.
    joined: float = 0.0
    ended: float = 0.0
    #: The code of the server's Close; ``None``: there was none.
    code: int | None = None
    #: What became of its ``since``: whether it got everything, and the number of messages that it did not get.
    replay: tuple[bool, int | None] = (True, 0)
    #: Whether the member left by itself.
    left: bool = False
    numbers: Numbers = field(default_factory=Numbers)


class Member:
    """A client that joins a group, and notes all that it gets. One thread reads, that of its crowd."""

    def __init__(
        self,
        port: int,
        group: str,
        *,
        history: int = 0,
        since: Position | None = None,
        name: str | None = None,
        target: str | None = None,
        latencies: array[float] | None = None,
        keep: bool = False,
    ) -> None:
        """Describe the client; its crowd connects it.

        With ``since`` it follows the positions of a group with history, and joins behind its last one. ``target`` is
        the path of another view than the one for a group. ``latencies`` collects the seconds that messages were on
        their way; ``keep`` keeps when each was sent and received.
        """
        self.port = port
        self.group = group
        self.chain = None if since is None else Chain(since)
        #: The publishers' numbers over all connections, where positions are followed: a message that was published
        #: twice has two of them.
        self.order = Numbers()
        self.stays: list[Stay] = []
        self.statuses: list[dict[str, Any]] = []
        #: What went wrong, as text: frames that are none, a refused handshake.
        self.faults: list[str] = []
        #: When each message was sent, and when it came.
        self.arrivals: list[tuple[float, float]] = []
        self.sock: socket.socket | None = None
        self._told = Event()
        self._history = history
        self._name = name
        self._target = target
        self._latencies = latencies
        self._keep = keep
        self._head = b""
        self._rest = b""
        self._opened = False

    @property
    def stay(self) -> Stay:
        """The present connection, or the last one."""
        return self.stays[-1]

    @property
    def joined(self) -> bool:
        """Whether it is connected, and a member."""
        return bool(self.stays) and self.stay.joined > 0 and not self.stay.ended

    # Connecting

    def connect(self, buffer: int | None = None) -> socket.socket:
        """Connect, send the request, and return the socket, which does not block; ``buffer`` is its receive buffer."""
        sock = socket.socket()
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(10)
        self.stays.append(Stay())
        self._head = self._rest = b""
        self._opened = False
        self.sock = sock
        sock.connect((HOST, self.port))
        sock.sendall(self._request())
        sock.setblocking(False)
        return sock

    def _request(self) -> bytes:
        query: dict[str, Any] = {"history": self._history}
        if self.chain is not None:
            query["since"] = self.chain.last
        if self._name is not None:
            query["name"] = self._name
        target = self._target or f"/join/{self.group}/?{urlencode(query)}"
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {HOST}:{self.port}",
            f"Origin: http://{HOST}:{self.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    # Reading

    def read(self) -> bool:
        """Read what has come, and return whether the connection goes on."""
        assert self.sock is not None
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            return False
        if not self._opened:
            head, found, data = (self._head + data).partition(b"\r\n\r\n")
            if not found:
                self._head = head
                return True
            if not head.startswith(b"HTTP/1.1 101 "):
                self.faults.append(f"refused: {head[:100]!r}")
                return False
            self._opened = True
        try:
            frames, self._rest = split(self._rest + data if self._rest else data)
        except ValueError as error:
            self.faults.append(str(error))
            return False
        now = time.monotonic()
        for first, payload in frames:
            if first == TEXT:
                self._take(payload, now)
            elif first == PING:
                self._send(answer(payload))
            elif first == CLOSE:
                self.stay.code = int.from_bytes(payload[:2], "big") if payload else 1005
                self._send(make(CLOSE, payload[:2]))
                return False
        return True

    def _take(self, payload: bytes, now: float) -> None:
        if payload[:1] != b"{":
            publisher, number, sent = parse(payload)
            self.stay.numbers.take(publisher, number)
            self._time(sent, now)
        elif payload.startswith(b'{"lab"'):
            self._hear(json.loads(payload), now)
        elif self.chain is None:
            _, number, sent = message = parse(unwrap(payload).data)
            self.stay.numbers.take(message.publisher, number)
            self._time(sent, now)
        else:
            envelope = unwrap(payload)
            if envelope.id is None:
                self.chain.gap(envelope.gap)
                return
            publisher, number, sent = parse(envelope.data)
            self.stay.numbers.count += 1
            self.order.take(publisher, number)
            self.chain.take(envelope.id)
            self._time(sent, now)

    def _time(self, sent: float, now: float) -> None:
        if self._latencies is not None:
            self._latencies.append(now - sent)
        if self._keep:
            self.arrivals.append((sent, now))

    def _hear(self, said: dict[str, Any], now: float) -> None:
        if said["lab"] == "joined":
            self.stay.pid = said["pid"]
            self.stay.joined = now
            self.stay.replay = tuple(said["replay"])
        else:
            self.statuses.append(said)
            self._told.set()

    # Writing

    def _send(self, data: bytes) -> None:
        if self.sock is not None:
            try:
                self.sock.send(data)
            except OSError:
                pass

    def ask(self, timeout: float = 10.0) -> dict[str, Any]:
        """Return what the process that serves it says about itself. Not for the thread that reads.

        :raises TimeoutError: it says nothing.
        """
        self._told.clear()
        self._send(make(TEXT, b"status"))
        if not self._told.wait(timeout):
            raise TimeoutError(f"the process {self.stay.pid} does not answer")
        return self.statuses[-1]

    def end(self, *, left: bool = False) -> None:
        """Close the connection; ``left`` says that it is the member's own wish."""
        if self.sock is not None:
            self.stay.ended = time.monotonic()
            self.stay.left = left
            self.sock.close()
            self.sock = None
