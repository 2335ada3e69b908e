"""A view gets the same messages, and its client the same answers, over compiled code as over the code in Python.

Both run over real sockets, from which they read as much at once as they do in a server; the stream comes in any pieces.
"""

from __future__ import annotations

import random

from ...conversations import MAX_STREAM, View, converse, silence
from ..frames import BUILT_SEEDS, LIMITS, build, frame
from ..streams import cut, split_frames
from ..twin import Twin

#: The number of bytes before the stream, which choose the view, when it closes, and the cuts.
OPTIONS = 3

# The first byte
_ITERATES = 0x01
_ECHOES = 0x02
_CORKED = 0x04
_BUILT = 0x08
_LIMIT = 0x30
_FEW_FRAGMENTS = 0x40
# The second byte
_CLOSES = 0x07
_DRIBBLES = 0x08

#: The greatest size of a stream that is sent byte by byte.
MAX_DRIBBLED = 40
#: The most pongs that are compared: of a flood of pings in one read only some are answered.
MAX_PONGS = 200
CLOSE, PONG = 0x88, 0x8A

#: Messages of up to 48 KiB, which no small read holds: bytes, ASCII, other text, and text that is not UTF-8.
LARGE_SEEDS = (
    b"\x82\x0c\x50" + bytes(range(80)) + b"\x81\x00\x02ok",
    b"\x81\x00\x02ok\x81\x0c\x40" + b"a" * 64 + b"\x89\x00\x01?",
    b"\x81\x0c\x28" + "\u00fc".encode() * 20 + b"\x88\x00\x02\x03\xe8",
    b"\x81\x00\x02ok\x81\x0c\x0aaaaaaaaa\xff" + b"\x81\x00\x02no",
    b"\x82\x04\xff" + bytes(255),
)
_VIEWS = (0x00, _ECHOES, _ECHOES | _ITERATES, _ECHOES | _CORKED, _ECHOES | 0x20, _ECHOES | _FEW_FRAGMENTS)
SEEDS = [
    bytes([view | _BUILT, closing, 7]) + built
    for view, closing in (*((view, 0) for view in _VIEWS), (_ECHOES, 2), (_ECHOES, _DRIBBLES))
    for built in (*BUILT_SEEDS, *LARGE_SEEDS)
]
# Large texts whose last bytes alone are not ASCII, or not UTF-8.
SEEDS += [
    bytes([_ECHOES, 0, seed]) + frame(0x81, b"a" * 20_000 + end, masked=True, how=0)
    for end in ("\u00fc".encode(), b"\xff")
    for seed in (1, 2)
]

twin = Twin("compiled_core")


def run(data: bytes) -> str:
    """Compare the outcomes here and in a process where nothing is compiled."""
    return twin.compare(outcome, data)


def outcome(data: bytes) -> str:
    """Return what both sides have seen, however the stream comes; the first line is the kind of the outcome."""
    if len(data) < OPTIONS:
        return "nothing"
    options, more, seed = data[:OPTIONS]
    stream = data[OPTIONS:]
    if options & _BUILT:
        stream = build(stream, masked=True)
    stream = stream[:MAX_STREAM]
    view = View(
        iterates=bool(options & _ITERATES),
        echoes=bool(options & _ECHOES),
        corked=bool(options & _CORKED),
        closes_after=more & _CLOSES or None,
        limit=LIMITS[(options & _LIMIT) >> 4],
        fragments=3 if options & _FEW_FRAGMENTS else None,
    )
    chance = random.Random(seed)
    pieces = [stream]
    if more & _DRIBBLES and len(stream) <= MAX_DRIBBLED:
        pieces = [stream[index : index + 1] for index in range(len(stream))]
    elif stream:
        pieces = cut(stream, sorted(chance.choices(range(len(stream) + 1), k=chance.randint(1, 6))))
    whole, cut_up = (essence(some, view) for some in ([stream] if stream else [], pieces))
    assert whole == cut_up, f"in pieces: {cut_up}\nwhole: {whole}"
    return whole


def essence(pieces: list[bytes], view: View) -> str:
    """Return what does not depend on the reads of a conversation.

    A pong may overtake an echo or not. What comes behind the message after which the view closes is read before that,
    or not at all.
    """
    with silence():
        found = converse(pieces, view)
    frames = split_frames(found.sent, masked=False)
    echoes = [one for one in frames if not one[0] & 0x08]
    closing = view.closes_after is not None and len(found.messages) >= view.closes_after
    if closing:
        return f"closed by the view after {view.closes_after}\n{found.messages} {echoes}"
    pongs = [one for one in frames if one[0] == PONG]
    if len(pongs) > MAX_PONGS:
        pongs = []
    end = [one for one in frames if one[0] == CLOSE]
    stats = found.stats._replace(duration=0)
    kind = f"{min(len(found.messages), 3)} {found.code} {found.errors[1]} {min(len(pongs), 3)}"
    return f"{kind}\n{found.messages} {found.reason!r} {echoes} {pongs} {end} {stats}"
