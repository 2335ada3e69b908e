"""The comparison of ``test_protocol_differential.py`` for a client, and for both sides with permessage-deflate.

This package, ``wsproto`` and ``websockets`` read the same bytes: they have to see the same messages, answer the same
pings, and end with the same code. Where one is of another mind it stands in ``DIFFERENCES``, beside those of
``test_protocol_differential.py``, and is left out of what is generated for it.
"""

from __future__ import annotations

import zlib
from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.protocol import CLIENT, SERVER
from websockets.protocol import Protocol as WebsocketsProtocol
from wsproto.connection import Connection, ConnectionType
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from django_websocket.protocols.rfc6455.deflate import TAIL

from . import deflating, peers
from .deflating import BROAD, RSV1, deflated
from .peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROL,
    MASK,
    PING,
    PONG,
    TEXT,
    UNKNOWN,
    make_close,
    make_frame,
    naive_mask,
)
from .streams import (
    INVALID_CODES,
    INVALID_UTF_8,
    VALID_CODES,
)
from .test_protocol_differential import Verdict, complete_header, failure, ours, walk, websockets, wsproto

#: Whether the client is the reader, and whether compression was agreed on: all but the plain server.
SIDES = [(True, False), (False, True), (True, True)]


def open_own(client, deflate):
    if deflate:
        opened = deflating.open_client if client else deflating.open_server
        return opened("permessage-deflate", BROAD, max_message_size=None, max_fragments=None)
    opened = peers.open_client if client else peers.open_server
    return opened(max_message_size=None, max_fragments=None)


def read_ours(data, *cuts, client, deflate, closing=False):
    return ours(data, *cuts, own=open_own(client, deflate), closing=closing)


def read_wsproto(data, *, client, deflate, closing=False):
    extensions = []
    if deflate:
        extension = WsprotoDeflate()
        if client:
            extension.offer()
            extension.finalize("permessage-deflate")
        else:
            extension.accept("permessage-deflate")
        assert extension.enabled()
        extensions.append(extension)
    kind = ConnectionType.CLIENT if client else ConnectionType.SERVER
    return wsproto(data, connection=Connection(kind, extensions), closing=closing)


def read_websockets(data, *, client, deflate):
    protocol = WebsocketsProtocol(CLIENT if client else SERVER, max_size=None)
    if deflate:
        protocol.extensions = [WebsocketsDeflate(False, False, 15, 15)]
    return websockets(data, protocol=protocol)


# The differences


def compressed(payload, **options):
    return make_frame(TEXT, payload, rsv=RSV1, mask=None, **options)


HELLO = deflated(b"Hello")

#: The reason of a difference: bytes for a client with compression, our verdict, and the verdict of another.
DIFFERENCES = {
    "websockets: what is not DEFLATE breaks the protocol; ours: data that is not what it says it is": (
        compressed(b"\x07"),
        failure(1007),
        read_websockets,
        failure(1002),
    ),
    "websockets: reads nothing behind a final block; section 7.2.3.4 has a message of two": (
        compressed(deflated(b"Hello", flush=zlib.Z_FINISH) * 2 + b"\x00"),
        Verdict(["HelloHello"], []),
        read_websockets,
        Verdict(["Hello"], []),
    ),
    "wsproto: the same": (
        compressed(deflated(b"Hello", flush=zlib.Z_FINISH) * 2 + b"\x00"),
        Verdict(["HelloHello"], []),
        read_wsproto,
        Verdict(["Hello"], []),
    ),
    "wsproto: nor looks whether these bytes are DEFLATE": (
        bytes.fromhex("c1 04 03 bc 06 00"),
        failure(1007),
        read_wsproto,
        Verdict([""], []),
    ),
    "wsproto: nor reads the next message with context takeover": (
        compressed(deflated(b"Hello", flush=zlib.Z_FINISH)) + compressed(HELLO),
        Verdict(["Hello", "Hello"], []),
        read_wsproto,
        failure(1007, "Hello"),
    ),
    "wsproto: is disturbed by the tail of a compressed message without a byte": (
        compressed(b"") + compressed(HELLO),
        Verdict(["", "Hello"], []),
        read_wsproto,
        failure(1007, ""),
    ),
    "wsproto: forgets at a control frame between its fragments that a message is compressed": (
        compressed(HELLO[:1], fin=False)
        + make_frame(PING, b"between", mask=None)
        + make_frame(CONTINUATION, HELLO[1:], mask=None),
        Verdict(["Hello"], [b"between"]),
        read_wsproto,
        Verdict([], [b"between"], 1007, failed=True),
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences(name):
    data, our_verdict, other, its_verdict = DIFFERENCES[name]
    assert read_ours(data, client=True, deflate=True) == our_verdict
    assert other(data, client=True, deflate=True) == its_verdict
    assert our_verdict != its_verdict


# Streams

TEXTS = st.one_of(st.text(max_size=10).map(str.encode), st.sampled_from([data for data, _ in INVALID_UTF_8]))
PAYLOADS = st.one_of(TEXTS, st.binary(max_size=10), st.sampled_from([125, 126, 127, 1000]).map(bytes))
#: The level of zlib with which a message is compressed; ``None`` for none.
LEVELS = st.sampled_from([None, 0, 1, 9])


@st.composite
def messages(draw, frame, deflate):
    """Return a message in one frame or many, with control frames between them."""
    payload, opcode, rsv = draw(PAYLOADS), draw(st.sampled_from([TEXT, BINARY])), 0
    level = draw(LEVELS) if deflate else None
    if level is not None:
        payload, rsv = deflated(payload, level=level), RSV1
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    data = b""
    for index, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
        data += frame(opcode, payload[start:stop], fin=index == len(cuts), rsv=rsv)
        data += frame(PING, b"between") if draw(st.booleans()) else b""
        opcode, rsv = CONTINUATION, 0
    return data


def streams(client, deflate):
    """Return a strategy for streams of whole frames. The last may be malformed, and another may follow it."""
    frame = partial(make_frame, mask=None if client else MASK)
    message = messages(frame, deflate)
    control = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
    close = partial(make_close, mask=None if client else MASK)
    reserved = st.sampled_from([2, 3, 4 + 1, 4 + 2] if deflate else range(1, 8))
    last = st.one_of(
        st.just(b""),
        st.builds(close, st.sampled_from([None, *VALID_CODES]), TEXTS),
        st.builds(close, st.sampled_from(INVALID_CODES), st.text(max_size=10).map(str.encode)),
        st.builds(frame, st.just(CLOSE), st.binary(min_size=1, max_size=1)),
        st.builds(frame, st.sampled_from(UNKNOWN), PAYLOADS, fin=st.booleans()),
        st.builds(frame, st.sampled_from([TEXT, BINARY, *CONTROL]), st.just(b"a"), rsv=reserved),
        st.builds(frame, st.sampled_from([CONTINUATION, *CONTROL]), st.just(b"a"), rsv=st.just(RSV1)),
        st.builds(frame, st.just(CONTINUATION), PAYLOADS),
        st.builds(make_frame, st.sampled_from([TEXT, BINARY, *CONTROL]), mask=st.just(MASK if client else None)),
        st.builds(frame, st.sampled_from(CONTROL), fin=st.just(False)),
        st.builds(frame, st.sampled_from(CONTROL), st.just(bytes(126))),
    )
    before = st.lists(st.one_of(message, control), max_size=6).map(b"".join)
    return st.tuples(before, last, st.one_of(st.just(b""), message, control)).map(b"".join)


STREAMS = {side: streams(*side) for side in SIDES}
CUTS = st.lists(st.integers(0, 2000), max_size=10)


@pytest.mark.parametrize(("client", "deflate"), SIDES)
def test_agrees_with_both_on_whole_frames(client, deflate):
    ends = set()

    @given(STREAMS[client, deflate], CUTS)
    def check(data, cuts):
        verdict = read_ours(data, *cuts, client=client, deflate=deflate)
        assert verdict == read_websockets(data, client=client, deflate=deflate)
        if not has_1014(data) and not is_interrupted(data) and not is_lost_on_wsproto(data):
            assert verdict == read_wsproto(data, client=client, deflate=deflate)
        ends.add((verdict.code, verdict.failed))

    check()
    # Both ends have to occur, or the examples were too simple.
    assert {(None, False), (1002, True)} <= ends


def is_interrupted(data):
    """Return whether another frame than a continuation is between the fragments of a compressed message."""
    inside = False
    for position, _, _ in walk(data):
        first = data[position]
        if inside and first & 0x0F:
            return True
        if first & 0x0F and not first & 0x08:
            inside = first & 0xC0 == 0x40
        elif first & 0x80 and not first & 0x08:
            inside = False
    return False


def is_lost_on_wsproto(data):
    """Return whether compressed bytes follow a final block, or a compressed message has no byte.

    wsproto does not read on behind the former, and inflates the tail alone for the latter.
    """
    decompressor = zlib.decompressobj(-15)
    compressed = begun = False
    for position, start, stop in walk(data):
        first = data[position]
        if first & 0x08:
            continue
        if first & 0x0F:
            compressed, begun = bool(first & 0x40), False
            if compressed and decompressor.eof:
                return True
        if not compressed:
            continue
        payload = data[start:stop]
        if data[position + 1] & 0x80:
            payload = naive_mask(payload, data[start - 4 : start])
        if decompressor.eof and payload:
            return True
        begun = begun or bool(payload)
        try:
            decompressor.decompress(payload)
            if first & 0x80 and not begun:
                return True
            if first & 0x80 and not decompressor.eof:
                decompressor.decompress(TAIL)
        except zlib.error:
            # Both fail the connection here, unless another error comes first.
            return False
        if decompressor.unused_data not in {b"", TAIL}:
            return True
    return False


@pytest.mark.parametrize(
    ("data", "lost"),
    [
        ("c1 02 03 00", False),
        ("c1 02 03 00 89 00 81 01 61", False),
        ("c1 04 03 bc 06 00", True),
        ("c1 84 01 02 03 04 02 02 bf 02", True),
        ("c1 05 03 00 00 00 ff", True),
        ("41 02 03 00 80 01 61", True),
        ("c1 02 03 00 c1 02 03 00", True),
        ("c1 02 03 00 c1 00", True),
        ("c1 00", True),
        ("41 00", False),
        ("41 00 80 00", True),
        ("41 00 80 01 00 c1 01 00", False),
        ("c1 01 07", False),
    ],
)
def test_is_lost_on_wsproto(data, lost):
    assert is_lost_on_wsproto(bytes.fromhex(data)) is lost


def has_1014(data):
    """Return whether ``data`` may have the code that wsproto does not know, masked or not."""
    codes = (
        (1014).to_bytes(2, "big"),
        bytes(byte ^ key for byte, key in zip((1014).to_bytes(2, "big"), MASK, strict=False)),
    )
    return any(code in data for code in codes)


@pytest.mark.parametrize(("client", "deflate"), SIDES)
@given(st.data(), st.booleans(), CUTS)
def test_agrees_with_wsproto_on_damaged_frames(client, deflate, data, closing, cuts):
    stream = data.draw(STREAMS[client, deflate])
    position, end, byte = data.draw(st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 255)))
    if stream:
        damaged = bytearray(stream)
        damaged[position % len(stream)] = byte
        stream = bytes(damaged[: end % len(stream) + 1])
    stream = complete_header(stream, b"\x00" if client else b"\x80")
    assume(not has_1014(stream) and not is_interrupted(stream) and not is_lost_on_wsproto(stream))
    assert read_ours(stream, *cuts, client=client, deflate=deflate, closing=closing) == read_wsproto(
        stream, client=client, deflate=deflate, closing=closing
    )


@pytest.mark.parametrize("client", [False, True])
@given(st.lists(st.tuples(st.text(max_size=30), LEVELS), min_size=1, max_size=6), CUTS)
def test_all_inflate_with_context_takeover(client, texts, cuts):
    """One compressor is used for all messages."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    stream = b""
    for text, level in texts:
        payload, rsv = text.encode(), 0
        # websockets reads no message after an empty one.
        if level is not None and payload:
            payload = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
            payload, rsv = payload.removesuffix(b"\x00\x00\xff\xff"), RSV1
        stream += make_frame(TEXT, payload, rsv=rsv, mask=None if client else MASK)
    expected = Verdict([text for text, _ in texts], [])
    assert read_ours(stream, *cuts, client=client, deflate=True) == expected
    assert read_wsproto(stream, client=client, deflate=True) == expected
    assert read_websockets(stream, client=client, deflate=True) == expected
