"""The asyncio server of websockets: ``python -m lab.benchmarks.apps.websockets_asyncio asyncio|uvloop PORT``."""

import asyncio
import sys

from websockets.asyncio.server import broadcast, serve

from lab.benchmarks.batches import JOIN, Batch

from .fanning import bare

members = set()


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def fan(ws):
    async for message in ws:
        if message == JOIN:
            members.add(ws)
        await ws.send(message)
    members.discard(ws)


async def send_to_each(message):
    for ws in list(members):
        await ws.send(message)


async def publish(ws):
    with bare([member.transport.get_extra_info("socket").fileno() for member in members]) as send_bare:
        ways = {"bare": send_bare, "group": lambda message: broadcast(members, message), "each": send_to_each}
        async for command in ws:
            batch = Batch(command)
            for message in batch:
                if (waiting := ways[batch.way](message)) is not None:
                    await waiting
            await ws.send(batch.answer({"ways": list(ways)}))


async def main(port):
    paths = {"/echo": echo, "/fan": fan, "/fan/publish": publish}
    async with serve(lambda ws: paths[ws.request.path](ws), "127.0.0.1", port, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    loop, number = sys.argv[1:]
    if loop == "uvloop":
        import uvloop

        uvloop.run(main(int(number)))
    else:
        asyncio.run(main(int(number)))
