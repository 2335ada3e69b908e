"""Masking: the fast implementations have the results of the loop in the RFC."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.protocols.rfc6455 import masking
from django_websocket.protocols.rfc6455.masking import _XOR_LIMIT, apply_mask_in_python

from .peers import naive_mask

MASKS = [b"\x37\xfa\x21\x3d", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0", b"\x01\x02\x03\x04"]
#: No two neighbours are equal, and the period is not that of a mask.
PATTERN = bytes(index * 7 % 251 for index in range(5000))

#: Runs a test for both implementations. The compiled one is skipped if it was not built.
both_implementations = pytest.mark.parametrize(
    "apply_mask",
    [
        pytest.param(apply_mask_in_python, id="python"),
        pytest.param(
            masking.apply_mask,
            id="compiled",
            marks=pytest.mark.skipif(masking.apply_mask is apply_mask_in_python, reason="nothing is compiled"),
        ),
    ],
)


@both_implementations
@pytest.mark.parametrize("mask", MASKS)
def test_masks_like_the_loop_of_the_rfc_at_every_size(apply_mask, mask):
    assert _XOR_LIMIT < 2000
    for size in range(2001):
        data = PATTERN[:size]
        assert apply_mask(data, mask) == naive_mask(data, mask)


@both_implementations
@pytest.mark.parametrize("kind", [bytes, bytearray, lambda data: memoryview(bytearray(data)), memoryview])
@pytest.mark.parametrize("size", [0, 1, 5, _XOR_LIMIT, _XOR_LIMIT + 1, 2000])
def test_takes_bytes_like_objects_and_does_not_change_them(apply_mask, kind, size):
    data = kind(PATTERN[:size])
    masked = apply_mask(data, bytearray(MASKS[0]))
    assert type(masked) is bytes
    assert masked == naive_mask(PATTERN[:size], MASKS[0])
    assert data == PATTERN[:size]


@both_implementations
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize(("start", "stop"), [(4, 4), (4, 9), (6, 600), (8, 4097), (14, 5000), (5000, 5000)])
def test_masks_a_part_with_the_bytes_ahead_of_it(apply_mask, kind, start, stop):
    data = kind(PATTERN)
    expected = naive_mask(PATTERN[start:stop], PATTERN[start - 4 : start])
    assert apply_mask(data, None, start, stop) == apply_mask(data, PATTERN[start - 4 : start], start, stop) == expected


@both_implementations
@pytest.mark.parametrize(
    ("where", "expected"), [((7, 5), b""), ((10, 20), b""), ((4,), b"\0\0\0\0"), ((2, 4), b"\2\6"), ((0, 99), bytes(8))]
)
def test_a_part_ends_with_the_data(apply_mask, where, expected):
    assert apply_mask(b"12341234", b"1234", *where) == expected


@both_implementations
def test_an_index_is_not_negative(apply_mask):
    for where in [(-1, 5), (0, -1), (-9, -4)]:
        with pytest.raises(ValueError, match="an index is negative"):
            apply_mask(PATTERN, MASKS[0], *where)


@both_implementations
@pytest.mark.parametrize("start", [0, 3])
def test_there_are_no_mask_bytes_ahead_of_the_first_ones(apply_mask, start):
    with pytest.raises(ValueError, match="a mask has 4 bytes"):
        apply_mask(PATTERN, None, start)


@both_implementations
def test_masks_the_bytes_of_a_view_of_something_wider(apply_mask):
    numbers = array("I", range(1000))
    assert apply_mask(memoryview(numbers), MASKS[0]) == naive_mask(numbers.tobytes(), MASKS[0])


@both_implementations
@pytest.mark.parametrize("mask", [b"", b"123", b"12345", b"12345678"])
def test_a_mask_has_four_bytes(apply_mask, mask):
    for data in (b"", PATTERN):
        with pytest.raises(ValueError, match="a mask has 4 bytes"):
            apply_mask(data, mask)


@both_implementations
@pytest.mark.parametrize("arguments", [(), (b"data",), ("text", MASKS[0]), (None, MASKS[0]), (b"data", "mask")])
def test_anything_else_is_a_type_error(apply_mask, arguments):
    with pytest.raises(TypeError):
        apply_mask(*arguments)


@both_implementations
def test_masks_data_so_large_that_the_gil_is_released(apply_mask):
    data = bytes((1 << 24) + 7)
    assert apply_mask(data, MASKS[0]) == (MASKS[0] * (len(data) // 4 + 1))[: len(data)]


@both_implementations
@given(st.integers(0, 4096), st.binary(min_size=4, max_size=4))
def test_is_its_own_inverse(apply_mask, size, mask):
    data = PATTERN[:size]
    masked = apply_mask(data, mask)
    assert masked == naive_mask(data, mask)
    assert apply_mask(masked, mask) == data


@both_implementations
@given(st.binary(max_size=2 * _XOR_LIMIT), st.binary(min_size=4, max_size=4))
def test_keeps_the_size(apply_mask, data, mask):
    assert len(apply_mask(data, mask)) == len(data)
    assert apply_mask(data, b"\0\0\0\0") == data


@both_implementations
@given(
    st.sampled_from([bytes, bytearray]),
    st.binary(max_size=2 * _XOR_LIMIT),
    st.tuples(st.integers(0, 2 * _XOR_LIMIT), st.integers(0, 2 * _XOR_LIMIT)),
    st.binary(min_size=4, max_size=4),
)
def test_is_the_same_at_any_address(apply_mask, kind, data, where, mask):
    start, stop = where
    expected = naive_mask(data[start:stop], mask)
    assert apply_mask(memoryview(kind(data))[start:stop], mask) == apply_mask(kind(data), mask, start, stop) == expected
