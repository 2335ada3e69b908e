"""A stream of hixie-76 gives the same messages, answers and end however it is cut, in bounded memory, without an error.

For a server it begins with the eight bytes that end the handshake.
"""

from __future__ import annotations

from ..hixie import check, seeds
from ..peers import KEY3

SEEDS = seeds(KEY3)


def run(data: bytes) -> str:
    """Check a server or a client with the stream."""
    return check(data, 76)
