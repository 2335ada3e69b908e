"""Masking (RFC 6455 section 5.3): XOR with a key of four bytes."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Final

from ...speedups import load

#: Bytes up to which one XOR of two long integers is faster than four strided translations.
_XOR_LIMIT: Final = 512


def apply_mask_in_python(
    data: bytes | bytearray | memoryview,
    mask: bytes | bytearray | memoryview | None,
    start: int = 0,
    stop: int = sys.maxsize,
    /,
) -> bytes:
    """Return ``data[start:stop]`` masked or unmasked with ``mask``; ``None`` is the four bytes before ``start``.

    :raises ValueError: ``mask`` does not have four bytes, or ``start`` or ``stop`` is negative.
    """
    if start < 0 or stop < 0:
        raise ValueError("an index is negative")
    if isinstance(data, memoryview):
        data = data.cast("B")
    if mask is None:
        mask = data[max(0, start - 4) : start]
    if len(mask) != 4:
        raise ValueError("a mask has 4 bytes")
    part = data[start:stop]
    size = len(part)
    if size <= _XOR_LIMIT:
        key = (bytes(mask) * (size // 4 + 1))[:size]
        return (int.from_bytes(part, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    masked = bytearray(part)
    for index in range(4):
        masked[index::4] = masked[index::4].translate(_table(mask[index]))
    return bytes(masked)


@lru_cache(maxsize=256)
def _table(key: int) -> bytes:
    """Return the table for :meth:`bytes.translate` that XORs each byte with ``key``."""
    return bytes(byte ^ key for byte in range(256))


_compiled: Final = load("frames")
apply_mask = apply_mask_in_python if _compiled is None else _compiled.apply_mask
