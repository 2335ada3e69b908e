"""The memory that a few clients can make a server hold, and the effect of one client on the others."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from django_websocket.protocols.base import Compression
from django_websocket.protocols.rfc6455.deflate import Deflate, make_offer
from django_websocket.protocols.rfc6455.frames import FIN, RSV1, Opcode
from django_websocket.protocols.rfc6455.masking import apply_mask

from ..kinds import Kind
from ..project.server import Server
from .clients import Client, Deviation
from .run import start

#: The default limit of a message, and bytes for all else that a connection holds.
LIMIT: Final = 1 << 20
REST: Final = 64 << 10
#: The memory that an unfinished message may take, as a share of its limit.
SHARE: Final = 1.3
#: Bytes by which a server may grow for a message that inflates to ten times the limit, and for messages that the view
#: does not receive.
BOMB: Final = 4 << 20
QUEUE: Final = 5 << 20
#: Seconds without a change after which memory counts as steady, and seconds after which that is given up.
STEADY: Final = 0.5
PATIENCE: Final = 30

#: The number of clients beside the one that floods the server with pings, and the seconds between their messages.
OTHERS: Final = 20
PACE: Final = 0.01
#: How many times longer the slowest of a hundred answers may take meanwhile.
SLOWER: Final = 2.0

#: The code 1008 as a Close frame has it. No pong contains it, because the payload of a pong is that of its ping.
CLOSED: Final = (1008).to_bytes(2, "big")

MASK: Final = b"\x01\x02\x03\x04"


def head(opcode: int, size: int) -> bytes:
    """Return the header of a client's frame."""
    if size <= 125:
        return bytes([opcode, 0x80 | size]) + MASK
    if size < 1 << 16:
        return bytes([opcode, 0x80 | 126]) + size.to_bytes(2, "big") + MASK
    return bytes([opcode, 0x80 | 127]) + size.to_bytes(8, "big") + MASK


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame."""
    return head(opcode, len(payload)) + bytes(apply_mask(payload, MASK))


# Messages that are not finished


async def in_one_frame(client: Client) -> None:
    """Send all but the last byte at once."""
    await client.send(head(FIN | Opcode.BINARY, LIMIT) + bytes(LIMIT - 1))


async def byte_by_byte(client: Client) -> None:
    """Send the last thousand bytes one by one."""
    await client.send(head(FIN | Opcode.BINARY, LIMIT) + bytes(LIMIT - 1001))
    await in_pieces(client, bytes(1000), 1)


async def in_small_pieces(client: Client) -> None:
    """Send all but the last byte, a little at a time."""
    await in_pieces(client, head(FIN | Opcode.TEXT, LIMIT) + bytes(apply_mask(b"x" * (LIMIT - 1), MASK)), 1000)


async def in_fragments(client: Client) -> None:
    """Send a thousand frames, of which none is the last."""
    piece = LIMIT // 1000
    for number in range(1000):
        await client.send(frame(Opcode.BINARY if number == 0 else Opcode.CONTINUATION, bytes(piece)))


async def compressed(client: Client) -> None:
    """Send a compressed message that inflates to the limit, but for its end."""
    client.protocol.send(random.randbytes(LIMIT // 4) * 3 + bytes(LIMIT // 4 - 1), compress=True)
    data = client.protocol.data_to_send()
    # The last bytes stay here, so that the message is not finished.
    await in_pieces(client, data[:-4], 5000)


async def in_pieces(client: Client, data: bytes, size: int) -> None:
    """Send ``size`` bytes at a time."""
    for start_of in range(0, len(data), size):
        await client.send(data[start_of : start_of + size])
        await asyncio.sleep(0)


WAYS: Final[list[Callable[[Client], Awaitable[None]]]] = [
    in_one_frame,
    byte_by_byte,
    in_small_pieces,
    in_fragments,
    compressed,
]


async def hold(server: Server, connections: int, way: Callable[[Client], Awaitable[None]]) -> int:
    """Send an unfinished message on each of so many connections, and return the most bytes the server has grown by."""
    clients = [Client(server.port, "/hold/", compression=Compression()) for _ in range(connections)]
    for client in clients:
        await client.__aenter__()
        await client.open()
        await client.ask("ready")
    before = most = await steady(server)
    try:
        sending = asyncio.gather(*map(way, clients))
        while not sending.done():
            await asyncio.wait([sending], timeout=0.05)
            most = max(most, server.memory())
        sending.result()
        most = max(most, await steady(server))
    finally:
        for client in clients:
            client.reset()
    return most - before


async def steady(server: Server) -> int:
    """Wait until the memory of a server does not change any more, and return it in bytes."""
    deadline, since, memory = time.monotonic() + PATIENCE, time.monotonic(), server.memory()
    while time.monotonic() < min(deadline, since + STEADY):
        await asyncio.sleep(0.05)
        now = server.memory()
        if now != memory:
            memory, since = now, time.monotonic()
    return memory


# A message that inflates, and messages that the view does not receive


async def bomb(server: Server) -> int:
    """Send 10 KiB that inflate to 10 MiB, and return the bytes by which the server has grown.

    :raises Deviation: the server does not close with 1009.
    """
    data = Deflate(make_offer(Compression()), Compression(threshold=0), client=True).compress(bytes(10 << 20), True)
    assert data is not None
    assert len(data) < 20_000
    async with Client(server.port, "/hold/", compression=Compression()) as client:
        await client.open()
        await client.ask("ready")
        before = await steady(server)
        await client.send(frame(FIN | RSV1 | Opcode.BINARY, data))
        while client.protocol.close_code is None:
            await client.receive()
        if client.protocol.close_code != 1009:
            raise Deviation(f"closed with {client.protocol.close_code}")
        return await steady(server) - before


async def pile_up(server: Server, number: int) -> int:
    """Send up to ``number`` tiny messages to a view that receives none; return the bytes the server has grown by."""
    async with Client(server.port, "/sleep/") as client:
        await client.open()
        before = most = await steady(server)
        sending = asyncio.create_task(client.send(frame(FIN | Opcode.BINARY, b"abc") * number))
        deadline = time.monotonic() + 3
        while not sending.done() and time.monotonic() < deadline:
            await asyncio.wait([sending], timeout=0.05)
            most = max(most, server.memory())
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        most = max(most, await steady(server))
        client.reset()
    return most - before


# Pings


async def flood(server: Server, pings: int, seconds: float) -> dict[str, Any]:
    """Send pings from a client that does not read, and return the latency of the others and the end of this one."""
    others = [Client(server.port, "/echo/") for _ in range(OTHERS)]
    for client in others:
        await client.__aenter__()
        await client.open()
    try:
        quiet = await _round_trips(others, seconds)
        attacker = asyncio.create_task(asyncio.to_thread(_send_pings, server, pings, seconds))
        busy = await _round_trips(others, seconds)
        outcome = await attacker
    finally:
        for client in others:
            client.reset()
    return {"quiet": _slowest(quiet), "busy": _slowest(busy), "outcome": outcome}


async def _round_trips(clients: list[Client], seconds: float) -> list[float]:
    end, took = time.monotonic() + seconds, []

    async def go_on(client: Client) -> None:
        await asyncio.sleep(random.uniform(0, PACE))
        while (began := time.monotonic()) < end:
            await client.ask("quick")
            took.append(time.monotonic() - began)
            await asyncio.sleep(PACE)

    await asyncio.gather(*map(go_on, clients))
    return took


def _slowest(took: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(took)[len(took) * 99 // 100]


def _send_pings(server: Server, pings: int, seconds: float) -> str:
    """Send pings without reading, read afterwards, and return a few words on the end of the connection."""
    with server.connect(seconds) as sock:
        request = (
            f"GET /echo/ HTTP/1.1\r\nHost: {server.host}\r\nOrigin: {server.origin}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        sock.sendall(request.encode())
        sent, batch = 0, frame(FIN | Opcode.PING, b"x" * 100) * 100
        try:
            while sent < pings:
                sock.sendall(batch)
                sent += 100
        except TimeoutError:
            return f"paused before ping {sent}"
        except OSError:
            return f"cut before ping {sent}"
        sock.shutdown(socket.SHUT_WR)
        received, deadline = b"", time.monotonic() + seconds
        try:
            while data := sock.recv(1 << 20):
                received = received[-100:] + data
                if time.monotonic() > deadline:
                    return f"still answered after ping {sent}"
        except OSError:
            return f"cut after ping {sent}"
        return (
            "closed with 1008" if b"\x88" in received[-100:] and CLOSED in received[-100:] else f"answered all {sent}"
        )


# The commands


def check_memory(kind: Kind, connections: int, number: int) -> tuple[list[str], list[str]]:
    """Measure the memory that a server can be made to hold; return the lines to print, and the deviations."""
    lines: list[str] = []
    deviations: list[str] = []

    def measure(name: str, bound: float, grow: Callable[[Server], Any]) -> None:
        server = start(kind, name.replace(" ", "-"), connections, WEBSOCKET_PING_INTERVAL=None)
        try:
            server.begin()
            grown = asyncio.run(grow(server))
            server.check()
        except (AssertionError, Deviation) as error:
            deviations.append(f"{name}: {error!s:.500}")
        else:
            lines.append(f"{name}: grown by {grown / 1e6:.1f} MB; it may be {bound / 1e6:.1f} MB")
            if grown > bound:
                deviations.append(lines[-1])
        finally:
            server.stop()

    for way in WAYS:
        measure(way.__name__, connections * (SHARE * LIMIT + REST), partial(hold, connections=connections, way=way))
    measure("bomb", BOMB, bomb)
    measure("pile up", QUEUE, partial(pile_up, number=number))
    return lines, deviations


def check_flood(kind: Kind, pings: int, seconds: float) -> tuple[list[str], list[str]]:
    """Measure the effect of one client's pings on the others; return the lines to print, and the deviations."""
    server = start(kind, "flood", OTHERS)
    try:
        server.begin()
        result = asyncio.run(flood(server, pings, seconds))
        server.check()
    finally:
        server.stop()
    line = (
        f"{result['outcome']}; 99 of 100 answers to the others took {result['busy'] * 1000:.1f} ms at most meanwhile, "
        f"and {result['quiet'] * 1000:.1f} ms before"
    )
    deviations = [line] if result["busy"] > SLOWER * result["quiet"] else []
    return [line], deviations
