"""Masking (RFC 6455 section 5.3): XOR with a key of four bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

#: Up to here one XOR of two long integers is faster than four strided translations.
_XOR_LIMIT: Final = 512


def apply_mask(data: bytes | bytearray, mask: bytes) -> bytes | bytearray:
    """Mask or unmask ``data`` with the four bytes of ``mask``; the type of the result is either."""
    size = len(data)
    if size <= _XOR_LIMIT:
        key = (mask * (size // 4 + 1))[:size]
        return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    masked = bytearray(data)
    for index in range(4):
        masked[index::4] = masked[index::4].translate(_table(mask[index]))
    return masked


@lru_cache(maxsize=256)
def _table(key: int) -> bytes:
    """Give the translation that XORs a byte with ``key``."""
    return bytes(byte ^ key for byte in range(256))
