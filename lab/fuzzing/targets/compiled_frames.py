"""The compiled functions for frames return what their twins in Python return, for any bytes, positions and limits.

So do protocols with either of them, whether a stream comes whole, in pieces or byte by byte.
"""

from __future__ import annotations

import random
import sys

from django_websocket.protocols.base import Message
from django_websocket.protocols.rfc6455.masking import apply_mask

from ..frames import LIMITS, OPTIONS, build
from ..frames import seeds as streams
from ..peers import rfc6455_server
from ..streams import MAX_DRIBBLED, cut, deliver
from ..twin import Twin

SEEDS = streams(masked=True)

_BUILT = 0x08
_LIMIT = 0x30
_FEW_FRAGMENTS = 0x40

twin = Twin("compiled_frames")


def run(data: bytes) -> str:
    """Compare the outcomes here and in a process where nothing is compiled."""
    return twin.compare(outcome, data)


def outcome(data: bytes) -> str:
    """Return all results for an input; its first line is the kind of the outcome."""
    if len(data) < OPTIONS:
        return "nothing"
    options, seed = data[0], data[1]
    chance = random.Random(seed)
    limit = LIMITS[(options & _LIMIT) >> 4]
    stream = data[OPTIONS:]
    if options & _BUILT:
        stream = build(stream, masked=True)
    results: list[object] = []
    # Masks, of parts as those of frames and of any others.
    for start, stop in ((0, len(stream)), *(sorted(chance.choices(range(len(stream) + 9), k=2)) for _ in range(3))):
        results.append(apply_mask(stream, stream[:4].ljust(4, b"?"), start, stop))
        if 4 <= start <= len(stream):
            results.append(apply_mask(memoryview(stream), None, start, stop))
    # Whole messages, from the beginning and from anywhere, up to any size.
    places = [0, *chance.choices(range(len(stream) + 2), k=4)]
    for place, size in zip(places, (limit or sys.maxsize, sys.maxsize, 125, 0, -1), strict=True):
        server = rfc6455_server(None, None, None)
        server.whole_limit = size
        messages: list[Message] = []
        results.append((server.take_whole_messages(stream, messages, place), messages))
    # The protocol around them.
    pieces = [[stream] if stream else [], cut(stream, sorted(chance.choices(range(len(stream) + 1), k=4)))]
    if len(stream) <= MAX_DRIBBLED:
        pieces.append([stream[index : index + 1] for index in range(len(stream))])
    outcomes = [
        deliver(rfc6455_server(None, limit, 3 if options & _FEW_FRAGMENTS else None), some, None) for some in pieces
    ]
    assert all(other == outcomes[0] for other in outcomes), f"pieces make a difference: {outcomes}"
    return f"{outcomes[0].kind}\n{outcomes[0]}\n{results}"
