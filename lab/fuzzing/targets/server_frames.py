"""A client's stream gives the same messages, answers and end however it is cut, in bounded memory, without an error.

The frames are those of RFC 6455, with permessage-deflate and without.
"""

from __future__ import annotations

from ..frames import check, seeds

SEEDS = seeds(masked=True)


def run(data: bytes) -> str:
    """Check a server with the stream."""
    return check(data, client=False)
