"""permessage-deflate: limits, compression, memory, and both sides together."""

from __future__ import annotations

import itertools
import random
import threading
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from django_websocket.exceptions import (
    MessageTooBig,
    PolicyViolation,
)
from django_websocket.protocols.base import Compression, State
from django_websocket.protocols.rfc6455 import RFC6455, deflate
from django_websocket.protocols.rfc6455.deflate import MAX_IDLE, MAX_STREAMS, TAIL, Deflate, Parameters

from ..inputs import feed
from .deflating import (
    BROAD,
    COMPRESSIONS,
    EAGER,
    MESSAGES,
    OFFER,
    RSV1,
    WORDS,
    deflated,
    make_pair,
    open_server,
)
from .peers import (
    BINARY,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    assert_failed,
    make_frame,
    make_request,
    measure,
    outcome,
    split_frames,
)
from .streams import (
    SURROGATES,
)

# Limits


@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
@pytest.mark.parametrize("limit", [0, 1, 2, 257, 258, 259, 5000, 65536])
def test_the_limit_is_for_the_inflated_message(limit, flush, opcode, dribbled):
    for size in (limit, limit + 1, limit + 2, 2 * limit + 5000):
        server = open_server(max_message_size=limit)
        payload = deflated(b"a" * size, flush=flush) or b"\0"
        whole = make_frame(opcode, payload, rsv=RSV1)
        first = make_frame(opcode, payload[:2], rsv=RSV1, fin=False)
        for stream in (whole, first + make_frame(CONTINUATION, fin=False) + make_frame(CONTINUATION, payload[2:])):
            messages = feed(server, stream, *range(len(stream)) if dribbled else ())
            if size > limit:
                assert messages == []
                assert_failed(server, 1009, MessageTooBig)
                break
            assert messages == ["a" * size if opcode == TEXT else b"a" * size]


def test_an_incompressible_message_may_be_longer_on_the_wire():
    payload = random.Random(1).randbytes(1000)
    data = deflated(payload)
    assert len(data) > 1000
    server = open_server(max_message_size=1000)
    assert server.receive(make_frame(BINARY, data, rsv=RSV1)) == [payload]
    # An uncompressed message is refused by its header.
    server.receive(make_frame(BINARY, length=1001)[:4])
    assert_failed(server, 1009, MessageTooBig)


def test_the_limit_begins_anew_with_each_message():
    server, client = make_pair(BROAD, BROAD, max_message_size=2000)
    for _ in range(3):
        client.send("a" * 2000)
        assert server.receive(client.data_to_send()) == ["a" * 2000]
    client.send("a" * 2001)
    server.receive(client.data_to_send())
    assert_failed(server, 1009, MessageTooBig)


def test_fragments_are_counted():
    server = open_server(max_fragments=2)
    frames = [make_frame(TEXT, rsv=RSV1, fin=False), make_frame(CONTINUATION, fin=False), make_frame(CONTINUATION)]
    assert server.receive(b"".join(frames[:2])) == []
    server.receive(frames[2])
    assert_failed(server, 1008, PolicyViolation)


MEBI = 1 << 20
BOMB = deflated(bytes(10 * MEBI), level=9)
#: A stream that ends just over the limit, ahead of the bomb.
FUSE = deflated(bytes(100_001), flush=zlib.Z_FINISH)


@pytest.mark.parametrize("offer", [OFFER, f"{OFFER}; client_no_context_takeover"])
@pytest.mark.parametrize("piece", [1, 100, 4096, 65536])
@pytest.mark.parametrize("bomb", [BOMB, FUSE + BOMB])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_bomb_is_refused_before_it_takes_memory(offer, piece, bomb, opcode):
    assert len(bomb) < 11_000
    frame = make_frame(opcode, bomb, rsv=RSV1)

    def explode(memory):
        server = open_server(offer, max_message_size=100_000)
        used = 0
        while server.state is State.OPEN:
            server.receive(frame[used : used + piece])
            used += piece
        return server, used, memory()[1]

    server, used, peak = measure(explode)
    assert_failed(server, 1009, MessageTooBig)
    # A byte can inflate to a thousand.
    assert used < 200 + piece
    assert peak < 700_000


def test_an_uncompressed_message_after_a_bomb_within_the_limit():
    server = open_server(max_message_size=10 * MEBI)
    assert server.receive(make_frame(BINARY, BOMB, rsv=RSV1) + make_frame(BINARY, b"a")) == [bytes(10 * MEBI), b"a"]


def test_without_a_limit_everything_is_inflated():
    server = open_server(max_message_size=None)
    data = make_frame(BINARY, BOMB, rsv=RSV1)
    assert feed(server, data, *range(0, len(data), 1000)) == [bytes(10 * MEBI)]
    twice = deflated(bytes(5000), flush=zlib.Z_FINISH) * 2
    assert server.receive(make_frame(BINARY, twice, rsv=RSV1)) == [bytes(10_000)]


@pytest.mark.parametrize("fragmented", [False, True])
def test_final_blocks_are_counted(fragmented):
    final = bytes.fromhex("03 00")
    server = open_server(max_fragments=None)

    def make_message(count):
        if not fragmented:
            return make_frame(TEXT, final * count + b"\0", rsv=RSV1)
        frames = [make_frame(CONTINUATION, final, fin=False) for _ in range(count)]
        return make_frame(TEXT, rsv=RSV1, fin=False) + b"".join(frames) + make_frame(CONTINUATION, b"\0")

    # They are counted in each message.
    assert server.receive(make_message(MAX_STREAMS) * 2) == ["", ""]
    assert server.receive(make_message(MAX_STREAMS + 1)) == []
    assert_failed(server, 1008, PolicyViolation)


# Sent messages


def test_short_messages_are_sent_uncompressed():
    server, client = make_pair(Compression(threshold=100))
    for message in ("a" * 99, b"a" * 99, "", "ä" * 49 + "a"):
        server.send(message)
        ((first, payload),) = split_frames(server.data_to_send())
        assert not first & 0x40
        assert payload == (message.encode() if isinstance(message, str) else message)
    for message in ("a" * 100, b"a" * 100, "ä" * 50):
        server.send(message)
        data = server.data_to_send()
        ((first, payload),) = split_frames(data)
        assert first & 0x40
        assert len(payload) < 20
        assert client.receive(data) == [message]


def test_the_caller_may_decide_about_compression():
    server, client = make_pair(Compression())
    for message, compress, first in [
        ("a" * 5000, False, 0x81),
        ("a" * 5000, None, 0xC1),
        ("a" * 5000, True, 0xC1),
        ("a" * 500, True, 0xC1),
        ("a" * 500, None, 0x81),
        (b"a" * 500, True, 0xC2),
    ]:
        server.send(message, compress=compress)
        data = server.data_to_send()
        assert data[0] == first
        assert client.receive(data) == [message]


@pytest.mark.parametrize("compression", [EAGER, BROAD])
def test_an_empty_message_needs_no_compression(compression):
    server, client = make_pair(compression)
    for _ in range(3):
        server.send("", compress=True)
        server.send(b"", compress=True)
    data = server.data_to_send()
    assert data == b"\x81\0\x82\0" * 3
    assert client.receive(data) == ["", b""] * 3


def test_an_incompressible_message_is_sent_uncompressed():
    payload = random.Random(1).randbytes(2000)
    server, client = make_pair()
    server.send(payload)
    assert server.data_to_send() == make_frame(BINARY, payload, mask=None)
    # With context takeover it is compressed, and later messages refer to it.
    server, client = make_pair(BROAD, BROAD)
    for size in (2005, 30):
        server.send(payload)
        data = server.data_to_send()
        assert data[0] == 0xC2
        assert len(data) <= size + 10
        assert client.receive(data) == [payload]


def test_the_level_and_the_memory_are_passed_to_zlib():
    rng = random.Random(1)
    payload = b" ".join(rng.choice([b"lorem", b"ipsum", b"dolor", b"sit", b"amet"]) for _ in range(5000))
    sizes = []
    for options in [{"level": 1}, {"level": 9}, {"memory_level": 1}, {"window_bits": 9}]:
        server, client = make_pair(Compression(**{"level": 9, "memory_level": 9, "window_bits": 15} | options), BROAD)
        server.send(payload)
        data = server.data_to_send()
        sizes.append(len(data))
        assert client.receive(data) == [payload]
    fast, best, little_memory, short = sizes
    assert best < min(fast, little_memory, short)


def test_a_message_that_cannot_be_sent_does_not_disturb_the_next():
    server, client = make_pair(BROAD, BROAD)
    with pytest.raises(UnicodeEncodeError):
        server.send("a" * 5000 + "\ud800")
    with pytest.raises(TypeError):
        server.send(5000)
    assert not server.outgoing
    server.send("a" * 5000)
    assert client.receive(server.data_to_send()) == ["a" * 5000]


class Interrupted:
    """A compressor that is interrupted after it took the message."""

    def compress(self, data):
        raise KeyboardInterrupt


@pytest.mark.parametrize("compression", [EAGER, BROAD])
def test_an_interrupted_compressor_is_not_used_again(monkeypatch, compression):
    monkeypatch.setattr(deflate, "_idle", {})
    server, client = make_pair(compression, compression)
    server.send("a" * 5000)
    client.receive(server.data_to_send())
    server._deflate._compressors[:] = [Interrupted()]
    with pytest.raises(KeyboardInterrupt):
        server.send("b" * 5000)
    assert not server.outgoing
    assert not server._deflate._compressors
    server.send("a" * 5000)
    assert client.receive(server.data_to_send()) == ["a" * 5000]


def test_connections_share_compressors_but_no_content(monkeypatch):
    monkeypatch.setattr(deflate, "_idle", {})
    servers = [open_server(compression=EAGER) for _ in range(3)]
    secret = random.Random(1).randbytes(3000).hex()
    for server in servers * 2:
        server.send(secret)
        ((_, payload),) = split_frames(server.data_to_send())
        # A new decompressor fails at a reference to an earlier message.
        assert zlib.decompressobj(-15).decompress(payload + TAIL) == secret.encode()
        # And the later messages are no shorter.
        assert len(payload) > 2900
    ((idle),) = deflate._idle.values()
    assert len(idle) == 1


def test_compressors_are_kept_by_their_parameters(monkeypatch):
    monkeypatch.setattr(deflate, "_idle", {})
    for offer, compression in [(OFFER, EAGER), (f"{OFFER}; server_max_window_bits=9", EAGER), (OFFER, Compression(9))]:
        server = open_server(offer, compression)
        server.send(bytes(5000))
    assert deflate._idle.keys() == {(6, 12, 5), (6, 9, 5), (9, 12, 5)}


def test_threads_may_compress_at_once(monkeypatch):
    monkeypatch.setattr(deflate, "_idle", {})
    count = 2 * MAX_IDLE
    start = threading.Barrier(count)
    arrived = []

    def talk(seed):
        rng = random.Random(seed)
        server, client = make_pair()
        start.wait()
        for _ in range(50):
            message = bytes(rng.choices(b"abcd", k=rng.randrange(5000)))
            server.send(message)
            arrived.append(client.receive(server.data_to_send()) == [message])

    threads = [threading.Thread(target=talk, args=(seed,)) for seed in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert arrived == [True] * 50 * count
    (idle,) = deflate._idle.values()
    assert 1 <= len(idle) <= MAX_IDLE


def test_few_idle_compressors_are_kept(monkeypatch):
    monkeypatch.setattr(deflate, "_idle", {})
    server = open_server(compression=EAGER)
    (idle,) = deflate._idle.values()
    idle += [zlib.compressobj(6, zlib.DEFLATED, -12, 5) for _ in range(MAX_IDLE + 1)]
    server.send(bytes(5000))
    assert len(idle) == MAX_IDLE


def test_nothing_is_kept_after_the_end():
    server, client = make_pair(BROAD, BROAD)
    server.send("a" * 5000)
    client.receive(server.data_to_send())
    assert client._deflate._decompressor is not None
    client.close()
    server.receive(client.data_to_send())
    client.receive(server.data_to_send())
    assert server._deflate is client._deflate is None


# Memory


def test_an_idle_connection_costs_nothing():
    message = random.Random(1).randbytes(2000).hex()

    def connect(memory, compression):
        servers = []
        base = 0
        for _ in range(21):
            server = RFC6455(make_request({"sec-websocket-extensions": OFFER}), compression=compression)
            server.accept()
            payload = deflated(message.encode()) if compression else message.encode()
            rsv = RSV1 if compression else 0
            server.receive(make_frame(TEXT, payload[:50], rsv=rsv, fin=False) + make_frame(CONTINUATION, payload[50:]))
            server.send(message)
            server.data_to_send()
            servers.append(server)
            # The first connection allocates what all of them share.
            base = base or memory()[0]
        return (memory()[0] - base) / 20

    plain, default, takeover = [measure(connect, compression) for compression in (None, Compression(), BROAD)]
    # Other tests' threads may allocate meanwhile; a compressor takes more than ten times as much.
    assert default < plain + 5000
    assert takeover > plain + 50_000


# Both sides, and any pieces


@given(
    COMPRESSIONS,
    COMPRESSIONS,
    st.lists(st.tuples(MESSAGES, st.sampled_from([None, True, False])), max_size=5),
    st.lists(st.integers(0, 3000), max_size=20),
)
def test_both_sides_understand_each_other(compression, offer, messages, cuts):
    server, client = make_pair(compression, offer)
    expected = [message for message, _ in messages]
    for sender, receiver in ((server, client), (client, server)):
        for message, compress in messages:
            sender.send(message, compress=compress)
        assert feed(receiver, sender.data_to_send(), *cuts) == expected
        assert receiver.state is State.OPEN


@given(
    st.builds(
        Parameters,
        st.booleans(),
        st.booleans(),
        st.one_of(st.none(), st.integers(8, 15)),
        st.one_of(st.none(), st.integers(8, 15)),
    ),
    COMPRESSIONS,
    st.lists(MESSAGES, max_size=4),
)
def test_every_agreement_works(offer, compression, messages):
    agreed = deflate.choose_offer(str(offer), compression)
    assert (agreed is None) is (offer.server_max_window_bits == 8)
    assume(agreed)
    client_bits = offer.client_max_window_bits
    assert deflate.check_answer(str(agreed), offer) == agreed
    server, client = (Deflate(agreed, compression, client=client) for client in (False, True))
    for sender, receiver, bits in ((server, client, offer.server_max_window_bits), (client, server, client_bits)):
        for message in messages:
            payload = message.encode() if isinstance(message, str) else message
            data = sender.compress(payload, True)
            assert data is None or bits != 8
            assert data is None or receiver.inflate(data, None, final=True) == payload


@st.composite
def compressed_messages(draw):
    """Return a message of a peer without context takeover, in one frame or many, good or bad."""
    payload = draw(st.one_of(WORDS.map(str.encode), st.binary(max_size=20), st.sampled_from(SURROGATES)))
    kind = draw(st.sampled_from(["whole", "final", "blocks", "bad", "long"]))
    if kind == "long":
        payload += bytes(draw(st.sampled_from([90, 300, 100_000])))
    data = deflated(payload, level=draw(st.sampled_from([0, 6])))
    if kind == "final":
        data = deflated(payload, flush=zlib.Z_FINISH) * 2 + draw(st.sampled_from([b"", b"\0"]))
    elif kind == "blocks":
        data += TAIL + data
    elif kind == "bad":
        data = data[: draw(st.integers(0, len(data)))] + draw(st.binary(max_size=5))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    opcode, rsv = draw(st.sampled_from([TEXT, BINARY])), RSV1
    frames = b""
    for index, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(data)], strict=True)):
        frames += make_frame(opcode, data[start:stop], fin=index == len(cuts), rsv=rsv)
        opcode, rsv = CONTINUATION, 0
        frames += draw(st.sampled_from([b"", make_frame(PING, b"1"), make_frame(PONG)]))
    return frames


@given(
    st.lists(compressed_messages(), max_size=4).map(b"".join),
    st.lists(st.integers(0, 1000)),
    st.sampled_from([None, 3, 100]),
    st.booleans(),
)
def test_results_do_not_depend_on_how_bytes_arrive(data, cuts, limit, takeover):
    offer = OFFER if takeover else f"{OFFER}; client_no_context_takeover"
    servers = [open_server(offer, max_message_size=limit, max_fragments=3) for _ in range(3)]
    received = [
        feed(server, data, *pieces) for server, pieces in zip(servers, [(), cuts, range(len(data))], strict=True)
    ]
    assert received[0] == received[1] == received[2]
    outcomes = [list(outcome(server)) for server in servers]
    if servers[0].close_code == 1007:
        # The order of an error in the text and one in the compression shows only if the bytes arrive slowly.
        for values in outcomes:
            del values[2:4]
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_any_cut_of_a_conversation():
    _, client = make_pair(BROAD, BROAD)
    messages = ["Hello" * 300, b"\0" * 5000, "", "Hello" * 300]
    for message in messages:
        client.send(message)
    stream = client.data_to_send()
    for first, second in itertools.combinations(range(0, len(stream), 5), 2):
        receiver = open_server()
        assert feed(receiver, stream, first, second) == messages


def test_the_mask_is_not_compressed():
    """Each frame of a client has another masking key (RFC 6455 section 5.3)."""
    _, client = make_pair()
    client.send("a" * 5000)
    client.send("a" * 5000)
    data = client.data_to_send()
    assert data[1] & 0x80
    (first, second) = split_frames(data)
    assert first == second
    assert data[: len(data) // 2] != data[len(data) // 2 :]
    assert MASK not in data
