"""Messages of RFC 6455 in several frames or several reads: fragments, limits, memory and text."""

from __future__ import annotations

import codecs
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.exceptions import (
    InvalidData,
    MessageTooBig,
    PolicyViolation,
)
from django_websocket.protocols.base import State
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455 import messages as messages_module

from ..inputs import feed
from .peers import (
    BINARY,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    assert_failed,
    make_close,
    make_frame,
    make_request,
    measure,
    naive_mask,
    open_server,
    split_frames,
)
from .streams import (
    INVALID_UTF_8,
    SURROGATES,
)

# Fragments (section 5.4)


@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize(
    ("opcode", "pieces", "message"),
    [
        (TEXT, [b"", b""], ""),
        (TEXT, [b"a", b"", b"b", b""], "ab"),
        (TEXT, [b"\xe2", b"", b"\x98", b"\x83"], "\u2603"),
        (TEXT, [b"a\xf0\x9f", b"\x98\x83b"], "a\U0001f603b"),
        (BINARY, [b"", b""], b""),
        (BINARY, [b"\xe2", b"\x98"], b"\xe2\x98"),
        (BINARY, [b"a" * 1000, b"b" * 70000, b"c"], b"a" * 1000 + b"b" * 70000 + b"c"),
    ],
)
def test_fragments_make_a_message(opcode, pieces, message, dribbled):
    server = open_server()
    data = b""
    for index, piece in enumerate(pieces):
        # Each fragment has another mask, and is followed by control frames.
        mask = bytes([index, 1, 2, 3])
        data += make_frame(0 if index else opcode, piece, fin=index == len(pieces) - 1, mask=mask)
        data += make_frame(PING, b"%d" % index)
        data += make_frame(PONG, b"%d" % index)
    messages = feed(server, data + data, *range(len(data)) if dribbled else ())
    assert messages == [message, message]
    assert type(messages[0]) is type(message)
    pings = [(0x80 | PONG, b"%d" % index) for index in range(len(pieces))]
    assert split_frames(server.data_to_send()) == pings + pings
    assert server.pong == b"%d" % (len(pieces) - 1)


# Limits (section 10.4)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("limit", [0, 4, 125, 126, 65535, 65536])
@pytest.mark.parametrize("beyond", [1, 2, 100_000])
def test_a_frame_over_the_limit_is_refused_by_its_header(opcode, fin, limit, beyond):
    server = open_server(max_message_size=limit)
    assert server.receive(make_frame(opcode, b"a" * limit))
    # Not even the mask is received yet.
    header = make_frame(opcode, fin=fin, length=limit + beyond)[:-4]
    server.receive(header[:-1])
    assert server.state is State.OPEN
    server.receive(header[-1:])
    assert_failed(server, 1009, MessageTooBig)


@pytest.mark.parametrize("dribbled", [False, True])
def test_the_limit_is_for_all_fragments_together(dribbled):
    cuts = range(100) if dribbled else ()
    server = open_server(max_message_size=4)
    data = make_frame(TEXT, b"ab", fin=False) + make_frame(0, b"", fin=False) + make_frame(0, b"cd")
    assert feed(server, data, *cuts) == ["abcd"]
    # The size of the next message begins at zero.
    assert feed(server, data, *cuts) == ["abcd"]
    data = make_frame(TEXT, b"ab", fin=False) + make_frame(0, b"c", fin=False) + make_frame(0, length=2)[:2]
    assert feed(server, data[:-1], *cuts) == []
    assert server.state is State.OPEN
    server.receive(data[-1:])
    assert_failed(server, 1009, MessageTooBig)


def test_the_limit_counts_bytes_of_utf_8():
    server = open_server(max_message_size=4)
    assert server.receive(make_frame(TEXT, "éé".encode()) + make_frame(TEXT, "\U0001f603".encode())) == [
        "éé",
        "\U0001f603",
    ]
    server.receive(make_frame(TEXT, "ééa".encode()))
    assert_failed(server, 1009, MessageTooBig)


def test_the_limit_is_not_for_control_frames():
    server = open_server(max_message_size=0, max_fragments=1)
    payload = bytes(range(125))
    server.receive(make_frame(TEXT, fin=False) + make_frame(PING, payload) * 3 + make_frame(PONG, payload))
    assert (server.state, server.pong) == (State.OPEN, payload)
    assert split_frames(server.data_to_send()) == [(0x80 | PONG, payload)] * 3


def test_the_limits_may_be_changed_until_the_connection_is_open():
    server = RFC6455(make_request())
    assert (server.max_message_size, server.max_fragments) == (2**20, 1024)
    server.max_message_size, server.max_fragments = 2, 1
    server.accept()
    server.data_to_send()
    assert server.receive(make_frame(TEXT, b"ab")) == ["ab"]
    server.receive(make_frame(TEXT, b"abc"))
    assert_failed(server, 1009, MessageTooBig)


@pytest.mark.parametrize("payload", [b"a", b""])
@pytest.mark.parametrize("limit", [1, 2, 3, 1024])
def test_the_fragments_of_a_message_are_counted(payload, limit):
    server = open_server(max_fragments=limit)
    beginning = make_frame(TEXT, payload, fin=False) + make_frame(0, payload, fin=False) * (limit - 2)
    if limit > 1:
        for _ in range(2):
            assert server.receive(beginning + make_frame(PING) + make_frame(0, payload)) == [
                (payload * limit).decode(),
            ]
        beginning += make_frame(0, payload, fin=False)
    assert server.receive(make_frame(TEXT, payload) + beginning + make_frame(PONG)) == [payload.decode()]
    assert server.state is State.OPEN
    # A frame too many is refused by its header, even if it is the last of its message.
    server.receive(make_frame(0, payload)[:2])
    assert_failed(server, 1008, PolicyViolation)


def test_a_frame_in_many_pieces_is_one_fragment():
    server = open_server(max_fragments=2)
    data = make_frame(BINARY, b"a" * 1000, fin=False) + make_frame(0, b"b" * 1000)
    assert feed(server, data, *range(len(data))) == [b"a" * 1000 + b"b" * 1000]


def test_without_limits_everything_is_taken():
    server = open_server(max_message_size=None, max_fragments=None)
    size = 3 * 2**20
    assert server.receive(make_frame(BINARY, length=size) + bytes(size)) == [naive_mask(bytes(4), MASK) * (size // 4)]
    fragments = make_frame(TEXT, fin=False) + make_frame(0, b"a", fin=False) * 5000
    assert server.receive(fragments + make_frame(0)) == ["a" * 5000]


# Memory


@pytest.mark.parametrize("length", [2**20, 2**32, 2**62, 2**63 - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_nothing_is_allocated_for_a_length_that_is_only_declared(opcode, length):
    def scenario(memory):
        server = open_server(max_message_size=None)
        server.receive(make_frame(opcode, length=length, mask=bytes(4)))
        for _ in range(100):
            server.receive(b"a" * 50)
        assert server.state is State.OPEN
        return memory()

    _, peak = measure(scenario)
    assert 5000 < peak < 64 * 1024


@pytest.mark.parametrize("fin", [True, False])
def test_a_payload_over_the_limit_is_not_kept(fin):
    def scenario(memory, data):
        server = open_server(max_message_size=1000)
        server.receive(data)
        assert server.close_code == 1009
        return memory()

    held, peak = measure(scenario, make_frame(BINARY, length=2**20, fin=fin) + bytes(2**20))
    assert held < 16 * 1024
    assert peak < 64 * 1024


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize(
    ("limit", "piece", "fragments"),
    [(2**13, 1, 1), (2**15, 7, 1), (2**20, 509, 1), (2**20, 4096, 1), (2**20, 509, 1024)],
)
def test_an_unfinished_message_takes_little_more_memory_than_its_limit(opcode, limit, piece, fragments):
    size = limit // fragments
    # All but the last byte of a frame.
    pieces = [b"a" * min(piece, size - 1 - start) for start in range(0, size - 1, piece)]

    def scenario(memory):
        server = open_server(max_message_size=limit)
        for index in range(fragments):
            if index:
                server.receive(b"a")
            server.receive(make_frame(CONTINUATION if index else opcode, length=size, fin=False, mask=bytes(4)))
            for data in pieces:
                server.receive(data)
        assert server.state is State.OPEN
        return memory()

    held, peak = measure(scenario)
    assert limit - 1 <= held <= peak <= 1.3 * limit + 64 * 1024


@pytest.mark.parametrize("end", ["close", "eof", "lose", "failure"])
def test_the_end_frees_an_unfinished_message(end):
    def scenario(memory, beginning):
        server = open_server()
        server.receive(beginning)
        before, _ = memory()
        if end == "lose":
            server.connection_lost()
        else:
            server.receive({"close": make_close(1000), "eof": b"", "failure": make_frame(TEXT)}[end])
        assert server.state is State.CLOSED
        return before, memory()[0]

    before, after = measure(scenario, make_frame(BINARY, length=2**19, fin=False, mask=bytes(4)) + b"a" * 2**19)
    assert before > 2**19
    assert after < 16 * 1024


@pytest.mark.parametrize("holds", [False, True])
@pytest.mark.parametrize("bad", [make_frame(3), make_frame(TEXT, b"\xff"), make_close(1000, b"\xff")])
def test_a_failure_frees_the_messages_before_it(bad, holds):
    def scenario(memory):
        server = open_server()
        server.defers_end = holds
        assert server.receive(make_frame(BINARY, bytes(2**16)) + bad) == [bytes(2**16)]
        assert server.state is (State.OPEN if holds else State.CLOSED)
        return memory()

    held, peak = measure(scenario)
    assert peak > 2**16
    assert held < 16 * 1024


class CountingDecoder(codecs.getincrementaldecoder("utf-8")):
    """A decoder that counts the bytes that it decodes."""

    total = 0

    def decode(self, data, final=False):
        type(self).total += len(data)
        return super().decode(data, final)


def test_received_text_is_validated_once(monkeypatch):
    monkeypatch.setattr(CountingDecoder, "total", 0)
    monkeypatch.setattr(
        messages_module, "codecs", SimpleNamespace(getincrementaldecoder={"utf-8": CountingDecoder}.__getitem__)
    )
    server = open_server()
    text = "\u00e9" * 10_000
    data = make_frame(TEXT, text.encode())
    assert feed(server, data, *range(len(data))) == [text]
    assert CountingDecoder.total == len(text.encode())


# Text (section 8.1)


BEFORE_INVALID = ["", "a", "\u03ba\u1f79\u03c3\u03bc\u03b5", "\ud7ff\ue000\U0010ffff"]


@pytest.mark.parametrize(("data", "certain"), INVALID_UTF_8)
@pytest.mark.parametrize("before", BEFORE_INVALID)
@pytest.mark.parametrize("fragmented", [False, True])
def test_text_fails_at_the_byte_that_makes_it_certain(data, certain, before, fragmented):
    assert_fails_at(data, certain, before, fragmented=fragmented)


@pytest.mark.parametrize("data", SURROGATES)
@pytest.mark.parametrize("fragmented", [False, True])
def test_text_fails_at_the_second_byte_of_a_surrogate(data, fragmented):
    assert_fails_at(data, 2, "a", fragmented=fragmented)


def assert_fails_at(data, certain, before, *, fragmented):
    server = open_server()
    payload = before.encode() + data
    certain += len(before.encode())
    if fragmented:
        chunks = [
            make_frame(CONTINUATION if index else TEXT, payload[index : index + 1], fin=False)
            for index in range(len(payload))
        ]
    else:
        masked = naive_mask(payload, MASK)
        chunks = [masked[index : index + 1] for index in range(len(masked))]
        assert server.receive(make_frame(TEXT, length=1000)) == []
    for chunk in chunks[: certain - 1]:
        assert server.receive(chunk) == []
    assert server.state is State.OPEN
    server.receive(chunks[certain - 1])
    assert_failed(server, 1007, InvalidData)


@pytest.mark.parametrize("data", [*(data for data, _ in INVALID_UTF_8), *SURROGATES])
@pytest.mark.parametrize("after", ["", "a", "\u2603"])
@pytest.mark.parametrize("dribbled", [False, True])
def test_text_is_utf_8(data, after, dribbled):
    server = open_server()
    frame = make_frame(TEXT, b"ok") + make_frame(TEXT, b"a" + data + after.encode()) + make_frame(TEXT, b"late")
    assert feed(server, frame, *range(len(frame)) if dribbled else ()) == ["ok"]
    assert_failed(server, 1007, InvalidData)
    assert open_server().receive(make_frame(BINARY, data)) == [data]


@pytest.mark.parametrize("data", [b"\xc3", b"\xe2", b"\xe2\x98", b"\xed\xa0", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98"])
@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize("fragmented", [False, True])
def test_text_does_not_end_within_a_character(data, fragmented, dribbled):
    server = open_server()
    frame = make_frame(TEXT, b"a" + data, fin=not fragmented)
    if fragmented:
        frame += make_frame(CONTINUATION)
    assert feed(server, frame, *range(len(frame)) if dribbled else ()) == []
    assert_failed(server, 1007, InvalidData)


def test_the_next_text_begins_anew():
    server = open_server()
    text = make_frame(TEXT, b"a\xe2\x98", fin=False) + make_frame(CONTINUATION, b"\x83")
    assert server.receive(text + text + make_frame(BINARY, b"\xe2", fin=False)) == ["a\u2603", "a\u2603"]
    assert server.receive(make_frame(CONTINUATION, b"\xff") + make_frame(TEXT, b"b")) == [b"\xe2\xff", "b"]


@given(st.text(), st.text(), st.integers(0, 1000), st.integers(0, 1000))
def test_a_character_may_be_split_over_fragments(first, second, cut, chunk):
    payload = first.encode() + second.encode()
    cut = min(cut, len(payload))
    data = make_frame(TEXT, payload[:cut], fin=False) + make_frame(CONTINUATION, payload[cut:])
    assert feed(open_server(), data, chunk) == [first + second]


@pytest.mark.parametrize(
    "character", ["\0", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufeff", "\ufffe"]
)
def test_text_may_have_every_character(character):
    assert open_server().receive(make_frame(TEXT, character.encode())) == [character]
    data = make_frame(TEXT, f"{character}\U00010000{character}\U0010ffff".encode())
    assert feed(open_server(), data, *range(100)) == [f"{character}\U00010000{character}\U0010ffff"]
