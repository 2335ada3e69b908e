"""Bytes of a peer, good and bad, and Hypothesis strategies that make them."""

from __future__ import annotations

from hypothesis import strategies as st

from .peers import (
    BINARY,
    CONTINUATION,
    CONTROL,
    PING,
    PONG,
    TEXT,
    UNKNOWN,
    make_close,
    make_frame,
)

#: Bytes that are not UTF-8, and the number of bytes after which that is certain.
INVALID_UTF_8 = [
    # Lone continuations
    (b"\x80", 1),
    (b"\xbf", 1),
    # Never in UTF-8
    (b"\xc0\x80", 1),
    (b"\xc1\xbf", 1),
    (b"\xf5\x80\x80\x80", 1),
    (b"\xf8\x88\x80\x80\x80", 1),
    (b"\xfc\x84\x80\x80\x80\x80", 1),
    (b"\xfe", 1),
    (b"\xff", 1),
    # Overlong
    (b"\xe0\x80\x80", 2),
    (b"\xe0\x9f\xbf", 2),
    (b"\xf0\x80\x80\x80", 2),
    (b"\xf0\x8f\xbf\xbf", 2),
    # Beyond U+10FFFF
    (b"\xf4\x90\x80\x80", 2),
    (b"\xf4\xbf\xbf\xbf", 2),
    # Cut short by something else
    (b"\xc3\x28", 2),
    (b"\xc3\xc3", 2),
    (b"\xe2\x28\xa1", 2),
    (b"\xe2\x98\x28", 3),
    (b"\xe2\x98\xe2", 3),
    (b"\xf0\x28\x8c\xbc", 2),
    (b"\xf0\x9f\x28\xbc", 3),
    (b"\xf0\x9f\x98\x28", 4),
    (b"\xf0\x9f\x98\xff", 4),
]
SURROGATES = [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x83"]
VALID_CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
PAYLOADS = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([125, 126, 127, 300]).map(lambda size: b"a" * size),
    st.sampled_from([data for data, _ in INVALID_UTF_8]),
)
MASKS = st.binary(min_size=4, max_size=4)
CONTROL_FRAMES = st.builds(
    make_frame, st.sampled_from([PING, PONG]), st.one_of(st.binary(max_size=20), st.just(b"a" * 125)), mask=MASKS
)
CLOSE_FRAMES = st.builds(
    make_close,
    st.sampled_from([None, *VALID_CODES, *INVALID_CODES]),
    st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=10)),
    mask=MASKS,
).filter(lambda frame: frame[1] & 0x7F <= 125)


@st.composite
def messages_in_frames(draw, payloads=PAYLOADS):
    """Make a message in one frame or many, with control frames between them."""
    payload = draw(payloads)
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=5)))
    data = b""
    for index, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
        fin = index == len(cuts)
        data += make_frame(opcode, payload[start:stop], fin=fin, mask=draw(MASKS))
        opcode = CONTINUATION
        data += b"".join(draw(st.lists(CONTROL_FRAMES, max_size=2)))
    return data


BAD_FRAMES = st.one_of(
    st.builds(make_frame, st.sampled_from(UNKNOWN), PAYLOADS, mask=MASKS),
    st.builds(make_frame, st.sampled_from([TEXT, *CONTROL]), rsv=st.integers(1, 7), mask=MASKS),
    st.builds(make_frame, st.sampled_from([0, TEXT, BINARY, *CONTROL]), mask=st.none()),
    st.builds(make_frame, st.sampled_from([0, TEXT, *CONTROL]), st.binary(max_size=5), width=st.sampled_from([2, 8])),
    st.builds(make_frame, st.sampled_from(CONTROL), fin=st.just(False)),
    st.builds(make_frame, st.sampled_from([TEXT, BINARY]), length=st.integers(0, 2**64 - 1), width=st.just(8)),
    st.builds(make_frame, st.sampled_from([0, TEXT, BINARY]), PAYLOADS, fin=st.booleans()),
)
STREAMS = st.one_of(
    st.lists(st.one_of(messages_in_frames(), CONTROL_FRAMES), max_size=8).map(b"".join),
    st.tuples(
        st.lists(messages_in_frames(), max_size=3).map(b"".join),
        st.one_of(CLOSE_FRAMES, BAD_FRAMES, PAYLOADS),
        st.binary(max_size=20),
    ).map(b"".join),
    st.binary(max_size=100),
)
#: These are kept apart, because other implementations wait for the third byte of a surrogate before they refuse it.
SURROGATE_STREAMS = st.lists(messages_in_frames(st.sampled_from(SURROGATES)), max_size=3).map(b"".join)
MESSAGES = st.one_of(st.text(max_size=100), st.binary(max_size=100), st.sampled_from([126, 65536]).map(bytes))
