"""Masking: every way to do it fast does what the RFC's loop does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.protocols.masking import _XOR_LIMIT, apply_mask

from .test_rfc6455 import naive_mask, unhurried

MASKS = [b"\x37\xfa\x21\x3d", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0", b"\x01\x02\x03\x04"]
#: No two neighbours alike, and no period that is one of the mask's.
PATTERN = bytes(index * 7 % 251 for index in range(5000))


@pytest.mark.parametrize("mask", MASKS)
def test_is_the_loop_of_the_rfc_at_every_size(mask):
    assert _XOR_LIMIT < 2000
    for size in range(2001):
        data = PATTERN[:size]
        assert apply_mask(data, mask) == naive_mask(data, mask)


@pytest.mark.parametrize("size", [0, 1, 5, _XOR_LIMIT, _XOR_LIMIT + 1, 2000])
def test_takes_a_bytearray_and_leaves_it_alone(size):
    data = bytearray(PATTERN[:size])
    assert apply_mask(data, MASKS[0]) == naive_mask(PATTERN[:size], MASKS[0])
    assert data == PATTERN[:size]


@unhurried
@given(st.integers(0, 4096), st.binary(min_size=4, max_size=4))
def test_is_its_own_inverse(size, mask):
    data = PATTERN[:size]
    masked = apply_mask(data, mask)
    assert masked == naive_mask(data, mask)
    assert apply_mask(masked, mask) == data


@unhurried
@given(st.binary(max_size=2 * _XOR_LIMIT), st.binary(min_size=4, max_size=4))
def test_keeps_the_size(data, mask):
    assert len(apply_mask(data, mask)) == len(data)
    assert apply_mask(data, b"\0\0\0\0") == data
