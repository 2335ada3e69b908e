"""Streams of bytes, passed to a protocol in pieces, and the checks that hold for all of them."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Final, NamedTuple

from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.base import Message, Protocol, State

#: The most chunks that may wait to be sent if only the peer causes them: pongs, a Close, an answer.
MAX_OUTGOING: Final = 260
#: Bytes that a protocol may keep in addition to an unfinished message: a control frame, a header, a decoder, itself.
SLACK: Final = 4096
#: The greatest size of a stream that is passed byte by byte.
MAX_DRIBBLED: Final = 300
#: Memory is measured after one in so many pieces and at the end, because that takes longer than all else.
EVERY: Final = 32


class Outcome(NamedTuple):
    """The state of a protocol after a stream, and all that it has returned and sent."""

    messages: list[Message]
    sent: list[tuple[int, bytes]] | bytes
    state: State
    code: int | None
    reason: str
    error: str
    pong: bytes | None
    eof_to_send: bool

    @property
    def kind(self) -> str:
        """A text that is the same for similar outcomes, by which a fuzzer recognizes new ones."""
        counts = f"{min(len(self.messages), 3)} {min(len(self.sent), 3)}"
        return f"{self.state.name} {self.code} {self.error} {counts}"


def check_splits(
    make: Callable[[], Protocol],
    data: bytes,
    seed: int,
    *,
    limit: int | None,
    essence: Callable[[Outcome], Outcome] | None = None,
) -> str:
    """Pass ``data`` to a new protocol whole, in pieces and byte by byte, and return the kind of the one outcome.

    ``limit`` is the greatest size of a message in bytes; ``None``: there is no limit. ``essence`` returns the part of
    an outcome that has to be the same; ``None``: all of it.

    :raises AssertionError: the outcomes differ, or an invariant does not hold.
    """
    cuts = random.Random(seed)
    pieces = [[data] if data else [], cut(data, sorted(cuts.choices(range(len(data) + 1), k=cuts.randint(1, 8))))]
    if len(data) <= MAX_DRIBBLED:
        pieces.append([data[index : index + 1] for index in range(len(data))])
    compared = essence or (lambda outcome: outcome)
    whole, *others = [compared(deliver(make(), chunks, limit)) for chunks in pieces]
    for other in others:
        assert other == whole, f"in pieces: {other}; whole: {whole}"
    held = make()
    held.defers_end = True
    assert compared(deliver(held, pieces[1], limit)) == whole, "an end that is deferred changes the outcome"
    return whole.kind


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Return the pieces of ``data`` between ``places``, which rise; empty pieces are left out."""
    pieces = [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


def deliver(protocol: Protocol, pieces: Iterable[bytes], limit: int | None) -> Outcome:
    """Pass ``pieces`` and then the end of the stream to a protocol, check it after each, and return the outcome."""
    messages: list[Message] = []
    before, fresh = protocol.state, kept(protocol)
    for index, piece in enumerate(pieces):
        # A connection does it in the same way, but for its optimizations.
        whole = protocol.take_whole_messages(piece, messages) if protocol.defers_end else 0
        if whole < len(piece):
            messages += protocol.receive(piece[whole:])
        assert protocol.state >= before, f"the state went from {before!r} to {protocol.state!r}"
        before = protocol.state
        if index % EVERY == 0:
            check_memory(protocol, limit, fresh)
    check_memory(protocol, limit, fresh)
    if protocol.deferred_end is not None:
        assert (protocol.defers_end, protocol.state) == (True, State.OPEN)
        assert not protocol.receive(b"more")
        protocol.finish_deferred()
        assert protocol.state is State.CLOSED
    assert all(isinstance(message, (str, bytes)) for message in messages)
    if limit is not None:
        assert all(len(message) <= limit for message in messages), "a message is over the limit"
    check_sending(protocol)
    outcome = look(protocol, messages)
    check_end(protocol)
    return outcome


def look(protocol: Protocol, messages: list[Message]) -> Outcome:
    """Return the outcome of a protocol, and take the bytes that it wants to send."""
    sent = protocol.data_to_send()
    return Outcome(
        messages,
        split_frames(sent, masked=protocol.client) if protocol.can_ping else sent,
        protocol.state,
        protocol.close_code,
        protocol.close_reason,
        repr(protocol.error),
        protocol.pong,
        protocol.eof_to_send,
    )


def check_memory(protocol: Protocol, limit: int | None, fresh: int) -> None:
    """Check that a protocol keeps no more than an unfinished message and :data:`SLACK`."""
    assert len(protocol.outgoing) <= MAX_OUTGOING, f"{len(protocol.outgoing)} chunks wait to be sent"
    if limit is not None:
        waiting = sys.getsizeof(protocol.outgoing) + sum(map(sys.getsizeof, protocol.outgoing))
        size = kept(protocol) - fresh - waiting
        # A bytearray allocates an eighth more than it needs.
        assert size <= limit * 1.3 + SLACK, f"{size} bytes are kept, with a limit of {limit}"


def check_sending(protocol: Protocol) -> None:
    """Check that send() works if and only if the protocol is open."""
    try:
        protocol.send("sent")
    except ConnectionClosed:
        assert protocol.state is not State.OPEN
    else:
        assert protocol.state is State.OPEN


def check_end(protocol: Protocol) -> None:
    """Check that the end of the stream closes the protocol, and that it ignores all that follows."""
    assert not protocol.receive(b"")
    # The end of the stream is the Close of hixie-75, which is deferred as every Close.
    protocol.finish_deferred()
    assert protocol.state is State.CLOSED
    assert protocol.close_code is not None
    end = protocol.close_code, protocol.close_reason, repr(protocol.error)
    for late in (b"late", b"\x81\x00", b"\x00late\xff", b""):
        assert not protocol.receive(late)
    assert not protocol.outgoing, "something is sent to a stream that has ended"
    assert (protocol.close_code, protocol.close_reason, repr(protocol.error)) == end


def kept(protocol: Protocol) -> int:
    """Return the bytes of all objects that a protocol refers to, directly or not, without classes and functions."""
    shared = (type, ModuleType, FunctionType, BuiltinFunctionType)
    waiting, seen, size = [protocol], {id(None)}, 0
    while waiting:
        thing = waiting.pop()
        if id(thing) not in seen and not isinstance(thing, shared):
            seen.add(id(thing))
            size += sys.getsizeof(thing)
            waiting += gc.get_referents(thing)
    return size


def split_frames(data: bytes, *, masked: bool) -> list[tuple[int, bytes]]:
    """Return the first byte and the payload of each frame of RFC 6455, and check that all of them are valid."""
    frames = []
    while data:
        first, second = data[0], data[1]
        size, start = second & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
            assert size >= (126 if start == 4 else 1 << 16), "a length is not in its shortest form"
        assert second >> 7 == masked, "a frame is masked wrongly"
        mask = data[start : start + 4] if masked else b""
        start += len(mask)
        payload, data = data[start : start + size], data[start + size :]
        assert len(payload) == size, "a frame is not whole"
        if mask:
            payload = bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))
        assert first & 0xB0 == 0x80, "a frame is no last one, or has reserved bits"
        assert first & 0x08 == 0 or (size <= 125 and not first & 0x40), "a control frame is malformed"
        assert first & 0x0F != 8 or not data, "something is sent behind Close"
        frames.append((first, payload))
    return frames
