"""Clients, good and bad: coroutines that open a connection, and return when it has ended."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from django_websocket.protocols import Protocol, Request, State
from django_websocket.protocols.base import Compression
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455

from ..servers import HOST
from ..vanishing import vanish

#: Seconds, as in the settings of the server under test.
PING = 5
SEND = 3
CLOSE = 1
HANDSHAKE = 1
#: Seconds that the end of a connection may be late, because hundreds of others use the same processors.
LATE = 20

#: Versions of the protocol, each as a class and a number: all drafts; those in which a server can detect a dead
#: connection; and those whose parsers get garbage.
DRAFTS: Final[list[tuple[type[Protocol], int]]] = [(Hixie75, 75), (Hixie76, 76), (RFC6455, 8), (RFC6455, 7)]
DETECTING: Final[list[tuple[type[Protocol], int]]] = [(Hixie76, 76), (RFC6455, 13)]
PARSED: Final[list[tuple[type[Protocol], int]]] = [(Hixie75, 75), (Hixie76, 76), (RFC6455, 13), (RFC6455, 8)]


class Deviation(Exception):
    """The server did not behave as it must."""


class Client:
    """A connection, by the client side of the package's own protocols."""

    def __init__(self, port: int, path: str, protocol: type[Protocol] = RFC6455, version: int = 13, **options: Any):
        self.loop = asyncio.get_running_loop()
        self.port = port
        self.sock = socket.socket()
        self.sock.setblocking(False)
        request = Request({"origin": f"http://{HOST}:{port}"}, target=path, host=f"{HOST}:{port}")
        self.protocol = protocol(request, client=True, version=version, **options)
        self.messages: list[Any] = []

    async def __aenter__(self) -> Client:
        await self.loop.sock_connect(self.sock, (HOST, self.port))
        return self

    async def __aexit__(self, *error: object) -> None:
        self.sock.close()

    async def open(self) -> None:
        """Do the opening handshake.

        :raises Deviation: it fails.
        """
        self.protocol.connect()
        await self.flush()
        while self.protocol.state is State.CONNECTING:
            await self.receive()
        if self.protocol.state is not State.OPEN:
            raise Deviation(f"the handshake failed: {self.protocol.error}")

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self.loop.sock_sendall(self.sock, data)

    async def flush(self) -> None:
        """Send the bytes that the protocol wants to send."""
        if data := self.protocol.data_to_send():
            await self.send(data)

    async def receive(self) -> None:
        """Read once, and answer pings and Close."""
        self.messages += self.protocol.receive(await self.loop.sock_recv(self.sock, 65536))
        await self.flush()

    async def ask(self, message: str) -> None:
        """Send a message, and check that it comes back.

        :raises Deviation: it does not come back.
        """
        self.protocol.send(message)
        await self.flush()
        while not self.messages and self.protocol.state is not State.CLOSED:
            await self.receive()
        if self.messages != [message]:
            raise Deviation(f"{self.messages!r:.200} came back for {message!r:.100}")
        self.messages.clear()

    async def close(self) -> None:
        """Close, and check that the server closes too.

        :raises Deviation: it does not, or with another code.
        """
        self.protocol.close()
        await self.flush()
        if self.protocol.version == 75:
            self.sock.shutdown(socket.SHUT_WR)
        while self.protocol.state is not State.CLOSED:
            await self.receive()
        if self.protocol.version not in {75, 76} and self.protocol.close_code != 1000:
            raise Deviation(f"closed with {self.protocol.close_code}")
        await self.end(0)

    async def end(self, seconds: float) -> None:
        """Read and discard, until the server ends the connection.

        :raises Deviation: it has not ended after ``seconds``, and :data:`LATE` seconds more.
        """
        try:
            await asyncio.wait_for(self._rest(), seconds + LATE)
        except (TimeoutError, asyncio.TimeoutError):
            raise Deviation(f"not ended after {seconds} s and {LATE} more") from None

    async def _rest(self) -> None:
        try:
            while await self.loop.sock_recv(self.sock, 65536):
                # sock_recv() does not let other tasks run while there are bytes to read.
                await asyncio.sleep(0)
        except ConnectionError:
            pass

    def reset(self) -> None:
        """End the connection with RST, as the system of a crashed program does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


# Clients that behave well


async def _talk(client: Client) -> None:
    async with client:
        await client.open()
        for _ in range(random.randint(1, 10)):
            await client.ask("é" * random.choice([0, 1, 60, 2000, 40000]))
            await asyncio.sleep(random.uniform(0, 0.3))
        await client.close()


async def talk(port: int) -> None:
    """Exchange some messages and close, with compression or without."""
    await _talk(Client(port, "/echo/", compression=random.choice([None, Compression()])))


async def talk_old(port: int) -> None:
    """Exchange some messages in an older version of the protocol, and close."""
    protocol, version = random.choice(DRAFTS)
    await _talk(Client(port, "/echo/", protocol, version))


# Clients that leave


async def hang_up(port: int) -> None:
    """Leave without Close."""
    async with Client(port, "/echo/") as client:
        await client.open()
        await client.ask("here")


async def reset(port: int) -> None:
    """Leave with RST, in the midst of a message or while the server sends."""
    async with Client(port, random.choice(["/echo/", "/flood/"])) as client:
        await client.open()
        client.protocol.send("x" * 100_000)
        await client.send(client.protocol.data_to_send()[: random.choice([3, 50_000])])
        client.reset()


async def disappear(port: int) -> None:
    """Vanish without a packet, and keep the socket until the server has noticed."""
    protocol, version = random.choice(DETECTING)
    async with Client(port, random.choice(["/echo/", "/flood/"]), protocol, version) as client:
        await client.open()
        vanish(client.sock)
        await asyncio.sleep(2 * PING + SEND + 1)


async def half_close(port: int) -> None:
    """Shut down the sending side, and wait for the end."""
    async with Client(port, "/echo/") as client:
        await client.open()
        await client.ask("here")
        client.sock.shutdown(socket.SHUT_WR)
        await client.end(CLOSE)


# Clients that are silent


async def mute(port: int) -> None:
    """Do not answer pings."""
    async with Client(port, "/echo/") as client:
        await client.open()
        await client.end(2 * PING + CLOSE)


async def deaf(port: int) -> None:
    """Do not read."""
    client = Client(port, "/flood/")
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with client:
        await client.open()
        await asyncio.sleep(SEND + 1)
        await client.end(2 * PING)


async def keyless(port: int) -> None:
    """Do not send the last bytes of a hixie-76 handshake."""
    async with Client(port, "/echo/", Hixie76, 76) as client:
        client.protocol.connect()
        await client.send(client.protocol.data_to_send()[:-3])
        await client.end(HANDSHAKE)


# Clients that send garbage, or too much


async def babble(port: int) -> None:
    """Send random bytes as frames."""
    protocol, version = random.choice(PARSED)
    async with Client(port, "/echo/", protocol, version) as client:
        await client.open()
        await client.send(random.randbytes(random.choice([1, 20, 3000])))
        client.sock.shutdown(socket.SHUT_WR)
        await client.end(CLOSE)


async def babble_early(port: int) -> None:
    """Send random bytes as a request."""
    async with Client(port, "/echo/") as client:
        start = random.choice([b"", b"GET /echo/ HTTP/1.1\r\nUpgrade: websocket\r\n"])
        await client.send(start + random.randbytes(random.choice([1, 20, 3000])) + b"\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        await client.end(0)


async def go_on(port: int) -> None:
    """Break the protocol, and go on sending data until the server ends the connection."""
    async with Client(port, "/echo/") as client:
        await client.open()
        await client.send(b"\x83\x80abcd")

        async def pump() -> None:
            while True:
                await client.send(b"\x82\x84abcdefgh" * 100)
                await asyncio.sleep(0.01)

        pumping = asyncio.create_task(pump())
        try:
            await client.end(CLOSE)
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)


async def ping_flood(port: int) -> None:
    """Send pings without a pause, and do not read the pongs."""
    async with Client(port, "/echo/") as client:
        await client.open()
        try:
            await asyncio.wait_for(client.send(b"\x89\x84abcdefgh" * 5000), SEND + LATE)
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return
        await client.end(CLOSE)


KINDS: dict[Callable[[int], Awaitable[None]], int] = {
    talk: 6,
    talk_old: 3,
    hang_up: 2,
    reset: 2,
    disappear: 1,
    half_close: 1,
    mute: 1,
    deaf: 1,
    keyless: 1,
    babble: 2,
    babble_early: 1,
    go_on: 1,
    ping_flood: 1,
}
#: Clients that the server may cut off in the midst of their work.
BAD = set(KINDS) - {talk, talk_old}


async def cycle(port: int) -> None:
    """Open a connection, use it once, and close it; one in four leaves without Close."""
    async with Client(port, "/echo/") as client:
        await client.open()
        await client.ask("once")
        how = random.randrange(8)
        if how == 0:
            client.reset()
        elif how > 1:
            await client.close()
