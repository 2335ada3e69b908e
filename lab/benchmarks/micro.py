"""Micro-benchmarks of the protocols, without sockets: microseconds for each message, measured by pyperf.

``python -m lab.benchmarks micro [options of pyperf]``
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from django_websocket.protocols import Protocol, Request
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.masking import apply_mask

from . import frames

SIZES: Final = (16, 125, 1024, 65536)
#: Messages of one call of a benchmark.
MESSAGES: Final = 64
#: The most bytes that a socket returns at once, and so the most that a protocol receives.
CHUNK: Final = 65536
PROTOCOLS: Final[dict[str, type[Protocol]]] = {"rfc6455": RFC6455, "hixie76": Hixie76, "hixie75": Hixie75}


def opened(protocol: type[Protocol]) -> Protocol:
    """Return the server's side of an open connection."""
    client = protocol(Request(host="localhost", http_version=(1, 1)), client=True)
    client.connect()
    body = client.data_to_send().partition(b"\r\n\r\n")[2]
    server = protocol(client.request)
    server.accept()
    if body:
        # In hixie-76 the end of the challenge follows the request.
        server.receive(body)
    server.data_to_send()
    return server


def stream(protocol: type[Protocol], size: int) -> list[bytes]:
    """Return the bytes that a client sends for all messages of a size, as a socket cuts them."""
    payload = frames.text(size)
    frame = frames.client_frame(payload) if protocol is RFC6455 else b"\x00%b\xff" % payload
    data = frame * MESSAGES
    return [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]


def parsing(protocol: type[Protocol], size: int) -> Callable[[], int]:
    """Return a function that parses all messages of a size, and returns their number."""
    server, chunks = opened(protocol), stream(protocol, size)

    def parse() -> int:
        return sum([len(server.receive(chunk)) for chunk in chunks])

    return parse


def building(protocol: type[Protocol], size: int) -> Callable[[], int]:
    """Return a function that builds the answers to all messages of a size, and returns the number of their bytes."""
    server, message = opened(protocol), frames.text(size).decode()

    def build() -> int:
        total = 0
        for _ in range(MESSAGES):
            server.send(message)
            total += len(server.data_to_send())
        return total

    return build


def masking(size: int) -> Callable[[], object]:
    """Return a function that unmasks one message of a size."""
    data = frames.text(size)
    return lambda: apply_mask(data, frames.MASK)


def benchmarks() -> Iterator[tuple[str, Callable[[], object], int]]:
    """Return the name of each benchmark, the function it runs, and the number of messages in a call of that."""
    for size in SIZES:
        for name, protocol in PROTOCOLS.items():
            yield f"{name} parse {size}", parsing(protocol, size), MESSAGES
            yield f"{name} build {size}", building(protocol, size), MESSAGES
        yield f"masking {size}", masking(size), 1


def main(arguments: Sequence[str]) -> int:
    """Run all of them; pyperf starts this module again in processes of its own."""
    try:
        import pyperf
    except ImportError:
        print("pyperf is not installed: pip install pyperf")
        return 1
    sys.argv[1:] = arguments
    runner: Any = pyperf.Runner(program_args=("-m", "lab.benchmarks", "micro"))
    runner.metadata["description"] = "django-websocket: one message"
    for name, call, messages in benchmarks():
        runner.bench_func(name, call, inner_loops=messages)
    return 0
