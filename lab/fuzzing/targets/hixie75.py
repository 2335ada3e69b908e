"""A stream of hixie-75 gives the same messages and end however it is cut, in bounded memory, without an error."""

from __future__ import annotations

from ..hixie import check, seeds

SEEDS = seeds()


def run(data: bytes) -> str:
    """Check a server or a client with the stream."""
    return check(data, 75)
