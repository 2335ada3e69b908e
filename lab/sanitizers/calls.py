"""Calls of every compiled function, with good arguments and with bad ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django_websocket.speedups import load

from ..conversations import View, converse

MASK: Final = b"\x37\xfa\x21\x3d"


@dataclass(frozen=True)
class Call:
    """One call, which can be repeated for ever."""

    name: str
    function: Callable[..., Any]
    arguments: Sequence[Any] = ()
    #: What it raises; ``None``: nothing.
    error: type[BaseException] | None = None

    def run(self) -> None:
        """Make the call once.

        :raises AssertionError: it does not raise what it has to.
        """
        try:
            self.function(*self.arguments)
        except BaseException as error:
            if self.error is None or not isinstance(error, self.error):
                raise
        else:
            assert self.error is None, f"{self.name} does not raise {self.error}"


def frame(first: int, payload: bytes, mask: bytes = MASK) -> bytes:
    """Return a masked frame."""
    size = len(payload)
    width, short = (0, size) if size < 126 else (2, 126) if size < 1 << 16 else (8, 127)
    masked = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
    return bytes([first, 0x80 | short]) + (size.to_bytes(width, "big") if width else b"") + mask + masked


TEXT: Final = frame(0x81, b"Hello")
LONG: Final = frame(0x82, bytes(70_000))
STREAM: Final = b"".join(
    (TEXT, frame(0x81, "gr\u00fc\u00df".encode()), frame(0x82, bytes(range(256))), frame(0x81, b""), frame(0x82, b""))
)
BAD_UTF8: Final = frame(0x81, b"\xff" * 20)


def calls() -> Iterator[Call]:
    """Return the calls of all compiled modules that are there."""
    for name, calls_of in MODULES.items():
        if (module := load(name)) is not None:
            yield from calls_of(module)


def _frames(frames: Any) -> Iterator[Call]:
    mask, take = frames.apply_mask, frames.take_whole_messages
    yield Call("mask", mask, (b"some bytes", MASK))
    yield Call("mask many", mask, (bytes(5000), MASK))
    yield Call("mask nothing", mask, (b"", MASK))
    yield Call("mask a part", mask, (memoryview(bytearray(100)), None, 7, 90))
    yield Call("mask without a mask", mask, (b"12345", None, 3), ValueError)
    yield Call("mask with a short mask", mask, (b"some bytes", b"123"), ValueError)
    yield Call("mask with a text", mask, (b"some bytes", "mask"), TypeError)
    yield Call("mask from a negative index", mask, (b"some bytes", MASK, -1), ValueError)
    yield Call("mask up to no index", mask, (b"some bytes", MASK, 0, "end"), TypeError)
    yield Call("mask up to a huge index", mask, (b"some bytes", MASK, 0, 1 << 70), OverflowError)
    yield Call("mask a text", mask, ("some text", MASK), TypeError)
    yield Call("mask with too few arguments", mask, (b"",), TypeError)

    def take_from(data: Any, position: Any = 0, limit: Any = 1 << 20) -> None:
        take(data, [], position, limit)

    yield Call("take messages", take_from, (STREAM,))
    yield Call("take a long message", take_from, (LONG,))
    yield Call("take from a position", take_from, (STREAM, len(TEXT)))
    yield Call("take from behind the end", take_from, (STREAM, len(STREAM) + 9))
    yield Call("take from a negative position", take_from, (STREAM, -1))
    yield Call("take no part of a message", take_from, (STREAM[:-1],))
    yield Call("take what is over the limit", take_from, (STREAM, 0, 3))
    yield Call("take what is not UTF-8", take_from, (TEXT + BAD_UTF8,))
    yield Call("take from a text", take_from, ("text",), TypeError)
    yield Call("take from nothing", take_from, (None,), TypeError)
    yield Call("take up to no limit", take_from, (STREAM, 0, "limit"), TypeError)
    yield Call("take into nothing", take, (STREAM, None, 0, 100), AttributeError)
    yield Call("take into what raises", take, (STREAM, Refusing(), 0, 100), ZeroDivisionError)
    yield Call("take with too few arguments", take, (STREAM,), TypeError)


class Refusing:
    """A list that takes one message."""

    def append(self, message: object) -> None:
        """Refuse every message after the first."""
        if message != "Hello":
            raise ZeroDivisionError


def _lock(module: Any) -> Iterator[Call]:
    lock, held = module.Lock(), module.Lock()
    held.acquire()

    def use() -> None:
        assert lock.acquire()
        assert lock.locked()
        lock.release()
        with lock:
            assert not lock.acquire(False)
        assert not held.acquire(timeout=0)

    def leave() -> None:
        module.Lock().acquire()

    yield Call("use a lock", use)
    yield Call("make a lock", module.Lock)
    yield Call("leave a lock acquired", leave)
    yield Call("release a lock that is free", lock.release, (), RuntimeError)
    yield Call("acquire with a text", lock.acquire, (True, "long"), TypeError)
    yield Call("acquire with too much", lock.acquire, (True, 1.0, None), TypeError)


def _core(module: Any) -> Iterator[Call]:
    closing = frame(0x88, b"\x03\xe8")
    conversations: dict[str, tuple[list[bytes], View]] = {
        "messages": ([STREAM, closing], View()),
        "messages by iteration": ([STREAM, closing], View(iterates=True)),
        "messages, corked": ([STREAM, closing], View(corked=True)),
        "messages in pieces": ([STREAM[:3], STREAM[3:20], STREAM[20:-1], STREAM[-1:], closing], View()),
        "a long message": ([LONG[:9], LONG[9:30_000], LONG[30_000:], closing], View(echoes=False)),
        "half of a long message": ([LONG[:40_000]], View()),
        "the end of the stream": ([STREAM], View()),
        "bad UTF-8": ([TEXT + BAD_UTF8], View()),
        "a long text that is not UTF-8": ([frame(0x81, b"a" * 50_000 + b"\xff" * 9_000)], View()),
        "a message that is too big": ([STREAM], View(limit=100)),
        "an unmasked frame": ([TEXT + b"\x81\x02no"], View()),
        "fragments and pings": (
            [frame(0x01, b"a") + frame(0x89, b"?") + frame(0x80, b"b"), frame(0x8A, b""), closing],
            View(iterates=True),
        ),
        "a view that closes": ([STREAM, STREAM], View(closes_after=2)),
    }
    for name, (pieces, view) in conversations.items():
        yield Call(f"converse: {name}", converse, (pieces, view))

    def refuse() -> None:
        module.Core().engage(None, "no socket", None)

    yield Call("engage without a socket", refuse, (), TypeError)


#: The compiled modules, but for the poller, which needs a hub.
MODULES: Final = {"frames": _frames, "lock": _lock, "core": _core}
