"""The frames of RFC 6455, read by this package and by two others: they have to see the same.

``wsproto`` reads like this package: a frame is judged as its bytes come in. ``websockets`` judges whole frames and
leaves text to its caller. Where either is of another mind than this package it stands in ``DIFFERENCES``, with the
reason, and is left out of what the other tests generate.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import SERVER
from websockets.protocol import Protocol as WebsocketsProtocol
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from django_websocket.protocols.base import State
from django_websocket.protocols.rfc6455.protocol import MAX_PONGS

from ..inputs import feed
from .peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROL,
    PING,
    PONG,
    TEXT,
    UNKNOWN,
    make_close,
    make_frame,
    naive_mask,
    open_server,
    split_frames,
)
from .streams import (
    INVALID_CODES,
    INVALID_UTF_8,
    MASKS,
    STREAMS,
    SURROGATES,
    VALID_CODES,
)


@dataclass
class Verdict:
    """The result of reading the bytes of a peer."""

    messages: list
    #: The payloads of the pongs in the answer.
    pongs: list
    #: The close code of the peer, or the one with which the connection was failed; ``None`` while it is open.
    code: int | None = None
    reason: str = ""
    failed: bool = False


def ours(data, *cuts, limit=None, closing=False, own=None):
    """Return the verdict of a server on ``data``, or of ``own``, which is open."""
    own = own or open_server(max_message_size=limit, max_fragments=None)
    if closing:
        own.close()
        own.data_to_send()
    messages = feed(own, data, *cuts)
    pongs = [payload for first, payload in split_frames(own.data_to_send()) if first == 0x80 | PONG]
    if own.state is not State.CLOSED:
        return Verdict(messages, pongs)
    failed = own.error is not None
    return Verdict(messages, pongs, own.close_code, "" if failed else own.close_reason, failed)


def wsproto(data, *, closing=False, connection=None):
    connection = connection or Connection(ConnectionType.SERVER)
    if closing:
        connection.send(CloseConnection(code=1000))
    connection.receive_data(data)
    verdict = Verdict([], [])
    message = None
    for event in connection.events():
        if isinstance(event, (TextMessage, BytesMessage)):
            message = event.data if message is None else message + event.data
            if event.message_finished:
                verdict.messages.append(message)
                message = None
        elif isinstance(event, Ping):
            if not closing:
                verdict.pongs.append(bytes(event.payload))
        elif not isinstance(event, Pong):
            assert isinstance(event, CloseConnection)
            verdict.code = int(event.code)
            # A peer's Close changes the state; a failure does not.
            verdict.failed = connection.state.name in ("OPEN", "LOCAL_CLOSING")
            verdict.reason = "" if verdict.failed else event.reason
            break
    return verdict


def websockets(data, *, limit=None, protocol=None):
    protocol = protocol or WebsocketsProtocol(SERVER, max_size=limit)
    protocol.receive_data(data)
    verdict = Verdict([], [])
    opcode = None
    for frame in protocol.events_received():
        if frame.opcode is Opcode.PING:
            verdict.pongs.append(bytes(frame.data))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if opcode is None:
                opcode, message = frame.opcode, "" if frame.opcode is Opcode.TEXT else b""
                decoder = codecs.getincrementaldecoder("utf-8")()
            try:
                message += decoder.decode(frame.data, frame.fin) if opcode is Opcode.TEXT else frame.data
            except UnicodeDecodeError:
                verdict.code, verdict.failed = 1007, True
                return verdict
            if frame.fin:
                verdict.messages.append(message)
                opcode = None
    if protocol.close_rcvd is not None:
        verdict.code, verdict.reason = int(protocol.close_rcvd.code), protocol.close_rcvd.reason
    elif protocol.close_sent is not None:
        verdict.code, verdict.failed = int(protocol.close_sent.code), True
    return verdict


# The differences


def failure(code, *messages):
    return Verdict(list(messages), [], code, failed=True)


OPEN = Verdict([], [])
BAD_TEXT = make_frame(TEXT, b"a\xff", length=100)

#: The reason of a difference: bytes, our verdict, another implementation, and its verdict.
DIFFERENCES = {
    "wsproto: does not know 1014, which IANA registered in 2016": (
        make_close(1014, b"bye"),
        Verdict([], [], 1014, "bye"),
        wsproto,
        failure(1002),
    ),
    "wsproto: waits for an extended length before it looks at reserved bits; ours needs no more of the header": (
        make_frame(TEXT, rsv=4, length=1000)[:2],
        failure(1002),
        wsproto,
        OPEN,
    ),
    "wsproto: the same with the mask": (
        make_frame(TEXT, length=1000, mask=None)[:2],
        failure(1002),
        wsproto,
        OPEN,
    ),
    "wsproto: notices a continuation out of place by its payload, not its header": (
        make_frame(CONTINUATION, b"a")[:6],
        failure(1002),
        wsproto,
        OPEN,
    ),
    "wsproto: leaves text to Python's decoder, which waits for the third byte of a surrogate": (
        make_frame(TEXT, b"\xed\xa0", length=3),
        failure(1007),
        wsproto,
        OPEN,
    ),
    "wsproto: answers every ping of a flood; ours the latest, so that what waits to be sent is bounded": (
        b"".join(make_frame(PING, b"%d" % index) for index in range(2 * MAX_PONGS)),
        Verdict([], [b"%d" % index for index in [*range(MAX_PONGS - 1), 2 * MAX_PONGS - 1]]),
        wsproto,
        Verdict([], [b"%d" % index for index in range(2 * MAX_PONGS)]),
    ),
    "websockets: the same": (
        b"".join(make_frame(PING, b"%d" % index) for index in range(2 * MAX_PONGS)),
        Verdict([], [b"%d" % index for index in [*range(MAX_PONGS - 1), 2 * MAX_PONGS - 1]]),
        websockets,
        Verdict([], [b"%d" % index for index in range(2 * MAX_PONGS)]),
    ),
    "websockets: takes lengths that are not in their shortest form, of two bytes": (
        make_frame(TEXT, b"a", width=2),
        failure(1002),
        websockets,
        Verdict(["a"], []),
    ),
    "websockets: and of eight": (
        make_frame(TEXT, b"a", width=8),
        failure(1002),
        websockets,
        Verdict(["a"], []),
    ),
    "websockets: and does not look at their most significant bit": (
        make_frame(BINARY, length=1 << 63),
        failure(1002),
        websockets,
        OPEN,
    ),
    "websockets: reads a control frame of any length to its end before it refuses it": (
        make_frame(PING, bytes(126))[:-1],
        failure(1002),
        websockets,
        OPEN,
    ),
    "websockets: judges reserved bits when the frame is whole": (
        make_frame(TEXT, b"a", rsv=4)[:-1],
        failure(1002),
        websockets,
        OPEN,
    ),
    "websockets: and whether a continuation is one": (
        make_frame(CONTINUATION, b"a")[:-1],
        failure(1002),
        websockets,
        OPEN,
    ),
    "websockets: text is its caller's, and whole frames": (
        BAD_TEXT,
        failure(1007),
        websockets,
        OPEN,
    ),
    "websockets: reads the reason of a Close before its code": (
        make_close(999, b"\xff"),
        failure(1002),
        websockets,
        failure(1007),
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences(name):
    data, our_verdict, other, its_verdict = DIFFERENCES[name]
    assert ours(data) == our_verdict
    assert other(data) == its_verdict
    assert our_verdict != its_verdict


def test_a_close_inside_a_message_is_also_an_error_to_websockets():
    data = make_frame(TEXT, fin=False) + make_close(1001)
    assert ours(data) == wsproto(data) == websockets(data) == Verdict([], [], 1001)
    server = open_server()
    server.receive(data)
    assert server.data_to_send() == make_close(1001, mask=None)
    other = WebsocketsProtocol(SERVER)
    other.receive_data(data)
    assert split_frames(other.data_to_send()[0])[0][1][:2] == (1002).to_bytes(2, "big")


WRONG_AND_BIG = [
    make_frame(PING, bytes(126)),
    make_frame(TEXT, bytes(126), rsv=4),
    make_frame(TEXT, bytes(126), mask=None),
    make_frame(CONTINUATION, bytes(126)),
    make_frame(BINARY, length=1 << 63),
]


@pytest.mark.parametrize("data", WRONG_AND_BIG)
def test_a_malformed_frame_over_the_limit_is_malformed_to_us(data):
    assert ours(data, limit=100) == failure(1002)
    # websockets checks the mask first.
    assert websockets(data, limit=100) == failure(1009 if data[1] & 0x80 else 1002)


def test_the_limit_is_not_for_control_frames_here():
    assert ours(make_frame(PING, b"abc"), limit=2) == Verdict([], [b"abc"])
    assert websockets(make_frame(PING, b"abc"), limit=2) == failure(1009)


# wsproto, with any bytes


def walk(data):
    """Return where the frames of ``data`` begin, good or bad, and where their payloads begin and end."""
    position = 0
    while position < len(data):
        second = data[position + 1] if position + 1 < len(data) else 0x80
        width = {126: 2, 127: 8}.get(second & 0x7F, 0)
        start = position + 2 + width + (4 if second & 0x80 else 0)
        extended = (data[position + 2 : start] + b"\x01" * 8)[:width]
        stop = start + (int.from_bytes(extended, "big") if width else second & 0x7F)
        yield position, start, stop
        position = stop


def complete_header(data, second=b"\x80"):
    """Return ``data`` with its last header complete and a byte of its payload, because wsproto waits for these.

    ``second`` is the byte that follows the first of a header, if that is all there is of it.
    """
    for position, start, stop in walk(data):
        if start >= len(data):
            head = data[position:] if position + 1 < len(data) else data[position:] + second
            return data[:position] + head.ljust(start - position + (stop > start), b"\x01")
    return data


@pytest.mark.parametrize(
    ("data", "completed"),
    [
        (b"", b""),
        (b"\x81", b"\x81\x80\x01\x01\x01\x01"),
        (b"\x81\x80", b"\x81\x80\x01\x01\x01\x01"),
        (b"\x81\x82\x00", b"\x81\x82\x00\x01\x01\x01\x01"),
        (b"\x81\x02", b"\x81\x02\x01"),
        (b"\x81\x02a", b"\x81\x02a"),
        (b"\x81\x02ab\x89", b"\x81\x02ab\x89\x80\x01\x01\x01\x01"),
        (b"\x81\x7e\x00", b"\x81\x7e\x00\x01\x01"),
        (b"\x81\x7e\x00\x00", b"\x81\x7e\x00\x00"),
        (b"\x81\xff\x00", b"\x81\xff\x00" + b"\x01" * 12),
    ],
)
def test_complete_header(data, completed):
    assert complete_header(data) == completed


def has_1014(data):
    """Return whether a frame is a Close with the code that wsproto does not know."""
    return any(
        data[position] & 0x0F == CLOSE
        and data[position + 1] & 0x80
        and naive_mask(data[start : start + 2], data[start - 4 : start]) == (1014).to_bytes(2, "big")
        for position, start, _ in walk(data)
    )


@given(STREAMS, st.lists(st.integers(0, 1000)), st.booleans())
def test_agrees_with_wsproto(data, cuts, closing):
    data = complete_header(data)
    assume(not has_1014(data))
    assert ours(data, *cuts, closing=closing) == wsproto(data, closing=closing)


@given(STREAMS, st.integers(0, 1000), st.integers(0, 255), st.integers(0, 1000), st.booleans())
def test_agrees_with_wsproto_on_damaged_frames(data, position, byte, end, closing):
    if data:
        damaged = bytearray(data)
        damaged[position % len(data)] = byte
        data = bytes(damaged[: end % len(data) + 1])
    data = complete_header(data)
    assume(not has_1014(data))
    assert ours(data, closing=closing) == wsproto(data, closing=closing)


# websockets, with whole frames

TEXTS = st.one_of(st.text(max_size=10).map(str.encode), st.sampled_from([data for data, _ in INVALID_UTF_8]))
PAYLOADS = st.one_of(TEXTS, st.binary(max_size=10), st.sampled_from([125, 126, 127, 65536]).map(bytes))
DATA_FRAMES = st.builds(
    make_frame, st.sampled_from([CONTINUATION, TEXT, BINARY]), PAYLOADS, fin=st.booleans(), mask=MASKS
)
CONTROL_FRAMES = st.builds(make_frame, st.sampled_from([PING, PONG]), st.binary(max_size=125), mask=MASKS)
#: A text in pieces, cut anywhere.
FRAGMENTED_TEXTS = st.builds(
    lambda text, cut, between, mask: (
        make_frame(TEXT, text[: cut % (len(text) + 1)], fin=False, mask=mask)
        + between
        + make_frame(CONTINUATION, text[cut % (len(text) + 1) :], mask=mask)
    ),
    TEXTS,
    st.integers(0, 100),
    st.one_of(st.just(b""), CONTROL_FRAMES),
    MASKS,
)
LAST_FRAMES = st.one_of(
    st.just(b""),
    st.builds(make_close, st.sampled_from([None, *VALID_CODES]), TEXTS, mask=MASKS),
    st.builds(make_close, st.sampled_from(INVALID_CODES), st.text(max_size=10).map(str.encode), mask=MASKS),
    st.builds(make_frame, st.just(CLOSE), st.binary(min_size=1, max_size=1), mask=MASKS),
    st.builds(make_frame, st.sampled_from(UNKNOWN), PAYLOADS, fin=st.booleans(), mask=MASKS),
    st.builds(make_frame, st.sampled_from([TEXT, BINARY, *CONTROL]), rsv=st.integers(1, 7), mask=MASKS),
    st.builds(make_frame, st.sampled_from([TEXT, BINARY, *CONTROL]), PAYLOADS, mask=st.none()),
    st.builds(make_frame, st.sampled_from(CONTROL), fin=st.just(False), mask=MASKS),
    st.builds(make_frame, st.sampled_from(CONTROL), st.just(bytes(126)), mask=MASKS),
)
WHOLE_FRAMES = st.tuples(
    st.lists(st.one_of(DATA_FRAMES, FRAGMENTED_TEXTS, CONTROL_FRAMES), max_size=8).map(b"".join),
    LAST_FRAMES,
    st.one_of(st.just(b""), DATA_FRAMES, CONTROL_FRAMES),
).map(b"".join)


@given(WHOLE_FRAMES, st.lists(st.integers(0, 1000)))
def test_agrees_with_websockets(data, cuts):
    assert ours(data, *cuts) == websockets(data)


#: Frames in which nothing but the size can be wrong.
SIZED_FRAMES = st.one_of(
    st.builds(make_frame, st.just(BINARY), PAYLOADS, mask=MASKS),
    st.builds(
        lambda pieces, mask: (
            make_frame(BINARY, fin=False)
            + b"".join(make_frame(CONTINUATION, piece, fin=False, mask=mask) for piece in pieces)
            + make_frame(CONTINUATION)
        ),
        st.lists(PAYLOADS, max_size=5),
        MASKS,
    ),
)


@given(
    st.lists(SIZED_FRAMES, max_size=5).map(b"".join),
    st.sampled_from([0, 1, 5, 10, 15, 125, 126, 252, 65535, 65536]),
    st.lists(st.integers(0, 1000)),
)
def test_agrees_with_websockets_on_limits(data, limit, cuts):
    assert ours(data, *cuts, limit=limit) == websockets(data, limit=limit)


# All three


@pytest.mark.parametrize("data", [*(data for data, _ in INVALID_UTF_8), *SURROGATES, b"\xe2\x98", b"\xed\xa0"])
def test_all_agree_on_invalid_utf_8(data):
    for stream in (
        make_frame(TEXT, b"a") + make_frame(TEXT, data),
        make_frame(TEXT, b"a") + make_frame(TEXT, data, fin=False) + make_frame(CONTINUATION),
        make_frame(TEXT, b"a") + make_close(1000, data),
    ):
        assert ours(stream) == wsproto(stream) == websockets(stream) == failure(1007, "a")


@pytest.mark.parametrize("code", [*VALID_CODES, *INVALID_CODES])
def test_all_agree_on_close_codes(code):
    stream = make_close(code, b"bye")
    assert ours(stream) == websockets(stream)
    if code != 1014:
        assert ours(stream) == wsproto(stream)
