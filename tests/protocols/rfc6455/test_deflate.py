"""permessage-deflate: the agreement in a handshake, the examples of the RFC, frames and malformed data."""

from __future__ import annotations

import random
import zlib

import pytest

from django_websocket.exceptions import (
    HandshakeError,
    InvalidData,
)
from django_websocket.protocols.base import Compression, State
from django_websocket.protocols.http import MAX_LIST_SIZE
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.deflate import TAIL

from ..inputs import feed
from .deflating import (
    BROAD,
    HELLO,
    OFFER,
    RSV1,
    deflated,
    open_client,
    open_server,
)
from .peers import (
    BINARY,
    CONTINUATION,
    CONTROL,
    MASK,
    TEXT,
    assert_failed,
    assert_refused,
    make_answer,
    make_client,
    make_frame,
    make_request,
    split_frames,
)
from .streams import (
    INVALID_UTF_8,
    SURROGATES,
)

# The server's handshake (section 7.1)


NONE = "server_no_context_takeover; client_no_context_takeover"
AGREEMENTS = [
    # The default has no context takeover, and limits the peer's window to ours if the peer can do that.
    ("", Compression(), f"{NONE}; server_max_window_bits=12"),
    ("; client_max_window_bits", Compression(), f"{NONE}; server_max_window_bits=12; client_max_window_bits=12"),
    ("; client_max_window_bits=15", Compression(), f"{NONE}; server_max_window_bits=12; client_max_window_bits=12"),
    ("; client_max_window_bits=10", Compression(), f"{NONE}; server_max_window_bits=12; client_max_window_bits=10"),
    ("; client_max_window_bits=8", Compression(), f"{NONE}; server_max_window_bits=12; client_max_window_bits=8"),
    ("; server_max_window_bits=9", Compression(), f"{NONE}; server_max_window_bits=9"),
    ("; server_max_window_bits=14", Compression(), f"{NONE}; server_max_window_bits=12"),
    ("; server_no_context_takeover", Compression(), f"{NONE}; server_max_window_bits=12"),
    ("; client_no_context_takeover", Compression(), f"{NONE}; server_max_window_bits=12"),
    ("", Compression(window_bits=15), NONE),
    ("; client_max_window_bits", Compression(window_bits=15), NONE),
    # A side has context takeover if both allow it.
    ("", BROAD, ""),
    ("; client_max_window_bits", BROAD, ""),
    ("; client_max_window_bits=11", BROAD, "client_max_window_bits=11"),
    ("; server_max_window_bits=15", BROAD, "server_max_window_bits=15"),
    ("; server_no_context_takeover", BROAD, "server_no_context_takeover"),
    ("; client_no_context_takeover", BROAD, "client_no_context_takeover"),
    ("", Compression(window_bits=9, context_takeover=True), "server_max_window_bits=9"),
    # Spellings.
    (';server_max_window_bits = "10" ;\tclient_no_context_takeover', BROAD, "#; server_max_window_bits=10"),
    (r'; server_max_window_bits="\1\0"', BROAD, "server_max_window_bits=10"),
    (r'; client_max_window_bits="1\0"', BROAD, "client_max_window_bits=10"),
    (
        "; client_max_window_bits; server_max_window_bits=10; client_no_context_takeover; server_no_context_takeover",
        BROAD,
        f"{NONE}; server_max_window_bits=10",
    ),
]
DECLINED = [
    "foo",
    "server_no_context_takeover=1",
    'client_no_context_takeover="true"',
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=010",
    "server_max_window_bits=+10",
    "server_max_window_bits=1",
    "server_max_window_bits=151",
    "server_max_window_bits=ten",
    r'server_max_window_bits="\9\9"',
    r'foo="\b\a\r"',
    # zlib cannot compress with eight bits.
    "server_max_window_bits=8",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=0",
    "client_max_window_bits=08",
    "client_max_window_bits; client_max_window_bits",
    "client_max_window_bits=10; client_max_window_bits=10",
    "server_max_window_bits=10; server_max_window_bits=11",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_no_context_takeover; foo=bar",
    "SERVER_NO_CONTEXT_TAKEOVER",
    "__class__",
]


def answer_of(offers, compression=BROAD, version="13"):
    """Return the Sec-WebSocket-Extensions of a server's answer, ``None`` if it has none."""
    server = RFC6455(
        make_request({"sec-websocket-extensions": offers, "sec-websocket-version": version}), compression=compression
    )
    server.accept()
    assert server.state is State.OPEN
    lines = server.data_to_send().decode().split("\r\n")
    found = [line.partition(": ")[2] for line in lines if line.startswith("Sec-WebSocket-Extensions:")]
    return found[0] if found else None


@pytest.mark.parametrize(("offer", "compression", "answer"), AGREEMENTS)
@pytest.mark.parametrize("version", ["13", "8", "7"])
def test_agrees_on_parameters_that_both_support(offer, compression, answer, version):
    answer = answer.replace("#", "client_no_context_takeover")
    expected = f"permessage-deflate; {answer}" if answer else "permessage-deflate"
    assert answer_of(f"permessage-deflate{offer}", compression, version) == expected


@pytest.mark.parametrize("parameters", DECLINED)
def test_declines_an_offer_that_it_does_not_understand(parameters):
    offer = f"permessage-deflate; {parameters}"
    assert answer_of(offer) is None
    # The next offer is taken, and of several the first good one.
    assert answer_of(f"{offer}, permessage-deflate; server_max_window_bits=10") == (
        "permessage-deflate; server_max_window_bits=10"
    )
    assert answer_of(f"permessage-deflate, {offer}, permessage-deflate; server_max_window_bits=10") == (
        "permessage-deflate"
    )


@pytest.mark.parametrize("offers", ["", ",", "x-webkit-deflate-frame", "Permessage-Deflate", "permessage-deflate2, a"])
def test_other_extensions_are_not_used(offers):
    assert answer_of(offers) is None
    assert answer_of(f"{offers}, permessage-deflate") == "permessage-deflate"


def test_without_compression_nothing_is_agreed_on():
    assert answer_of(OFFER, None) is None


@pytest.mark.parametrize("offers", ["permessage-deflate;", "permessage-deflate; a=", "a" * (MAX_LIST_SIZE + 1)])
def test_a_malformed_header_is_refused(offers):
    with pytest.raises(HandshakeError, match="the Sec-WebSocket-Extensions header is"):
        RFC6455(make_request({"sec-websocket-extensions": offers}), compression=BROAD)


def test_answers_byte_for_byte():
    server = RFC6455(
        make_request({"sec-websocket-extensions": OFFER, "sec-websocket-protocol": "chat"}), compression=Compression()
    )
    server.accept("chat", [("X", "1")])
    assert server.data_to_send() == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        b"server_max_window_bits=12; client_max_window_bits=12\r\n"
        b"X: 1\r\n"
        b"\r\n"
    )


def test_a_bad_handshake_agrees_on_nothing():
    server = RFC6455(make_request({"sec-websocket-extensions": OFFER}), compression=BROAD)
    with pytest.raises(ValueError, match="value"):
        server.accept(headers=[("X", "\n")])
    assert not server.outgoing
    server.compression = None
    server.accept()
    assert b"Extensions" not in server.data_to_send()


# The client's handshake


@pytest.mark.parametrize(
    ("compression", "offer"),
    [
        (Compression(), f"{NONE}; server_max_window_bits=12; client_max_window_bits=12"),
        (Compression(window_bits=15), f"{NONE}; client_max_window_bits"),
        (Compression(window_bits=9, context_takeover=True), "server_max_window_bits=9; client_max_window_bits=9"),
        (BROAD, "client_max_window_bits"),
    ],
)
def test_offers(compression, offer):
    client = make_client(compression=compression)
    assert f"\r\nSec-WebSocket-Extensions: permessage-deflate; {offer}\r\n" in client.data_to_send().decode()
    assert client.request.headers["sec-websocket-extensions"] == f"permessage-deflate; {offer}"


def test_offers_nothing_without_compression():
    assert b"Extensions" not in make_client().data_to_send()


GOOD_ANSWERS = [
    (BROAD, ""),
    (BROAD, "; server_no_context_takeover"),
    (BROAD, "; client_no_context_takeover"),
    (BROAD, "; server_max_window_bits=8"),
    (BROAD, '; server_max_window_bits="15"'),
    (BROAD, r'; server_max_window_bits="\1\5"'),
    (BROAD, "; client_max_window_bits=8"),
    (BROAD, "; client_max_window_bits=15"),
    (Compression(window_bits=12, context_takeover=True), "; server_max_window_bits=12"),
    (Compression(window_bits=12, context_takeover=True), "; server_max_window_bits=8; client_max_window_bits=12"),
    (Compression(window_bits=15), "; server_no_context_takeover"),
]


@pytest.mark.parametrize(("compression", "answer"), GOOD_ANSWERS)
def test_takes_a_good_answer(compression, answer):
    client = open_client(f"permessage-deflate{answer}", compression)
    assert client.receive(make_frame(TEXT, deflated(b"Hello", bits=9), rsv=RSV1, mask=None)) == ["Hello"]


@pytest.mark.parametrize("compression", [None, BROAD])
def test_a_server_may_decline(compression):
    client = make_client(compression=compression)
    client.data_to_send()
    assert client.receive(make_answer(client)) == []
    assert client.state is State.OPEN
    client.send(bytes(5000))
    assert split_frames(client.data_to_send()) == [(0x80 | BINARY, bytes(5000))]
    client.receive(make_frame(TEXT, deflated(b"Hello"), rsv=RSV1, mask=None))
    assert_failed(client, 1002)


@pytest.mark.parametrize(
    ("compression", "answer"),
    [
        *((BROAD, f"permessage-deflate; {parameters}") for parameters in DECLINED if "bits=8" not in parameters),
        (BROAD, "permessage-deflate; client_max_window_bits"),
        (BROAD, ""),
        (BROAD, "permessage-deflate;"),
        (BROAD, "permessage-deflate, permessage-deflate"),
        (BROAD, "permessage-deflate, foo"),
        (BROAD, "foo"),
        (BROAD, "Permessage-deflate"),
        # These do not fit the offer.
        (Compression(), "permessage-deflate"),
        (Compression(), "permessage-deflate; server_no_context_takeover"),
        (Compression(), "permessage-deflate; server_max_window_bits=12"),
        (Compression(), "permessage-deflate; server_no_context_takeover; server_max_window_bits=13"),
        (
            Compression(),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=13",
        ),
    ],
)
def test_refuses_another_answer(compression, answer):
    client = make_client(compression=compression)
    client.data_to_send()
    client.receive(make_answer(client, {"Sec-WebSocket-Extensions": answer}))
    assert "xtension" in str(client.error)
    assert_refused(client)


def test_a_client_keeps_to_its_own_window_bits_if_the_answer_has_none():
    """The offer of a client is a hint about its own window (section 7.1.2.2)."""
    narrow = Compression(window_bits=9, context_takeover=True)
    client = open_client("permessage-deflate; server_max_window_bits=9", narrow)
    noise = random.Random(1).randbytes(1000)
    client.send(noise + noise)
    ((first, payload),) = split_frames(client.data_to_send())
    assert first == 0xC0 | BINARY
    # The window does not reach from the second half to the first.
    assert len(payload) > 1900
    assert zlib.decompressobj(-9).decompress(payload + TAIL) == noise + noise


def test_a_client_does_not_compress_with_eight_window_bits():
    client = open_client("permessage-deflate; client_max_window_bits=8")
    client.send(bytes(5000))
    assert split_frames(client.data_to_send()) == [(0x80 | BINARY, bytes(5000))]
    assert client.receive(make_frame(TEXT, deflated(b"Hello"), rsv=RSV1, mask=None)) == ["Hello"]


# The examples of section 7.2.3


EXAMPLES = {
    "7.2.3.1 a message": (["c1 07 f2 48 cd c9 c9 07 00"], ["Hello"]),
    "7.2.3.1 in two fragments": (["41 03 f2 48 cd", "80 04 c9 c9 07 00"], ["Hello"]),
    "7.2.3.2 two without takeover": (["c1 07 f2 48 cd c9 c9 07 00", "c1 07 f2 48 cd c9 c9 07 00"], ["Hello"] * 2),
    "7.2.3.2 and with": (["c1 07 f2 48 cd c9 c9 07 00", "c1 05 f2 00 11 00 00"], ["Hello"] * 2),
    "7.2.3.3 a block without compression": (["c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00"], ["Hello"]),
    "7.2.3.4 a final block": (["c1 08 f3 48 cd c9 c9 07 00 00"], ["Hello"]),
    "7.2.3.5 two blocks": (["c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00"], ["Hello"]),
    "7.2.3.6 an empty message": (["c1 01 00"], [""]),
    "with a ping between": (["41 03 f2 48 cd", "89 01 61", "80 04 c9 c9 07 00"], ["Hello"]),
    "with empty fragments": (["41 00", "00 03 f2 48 cd", "00 00", "00 04 c9 c9 07 00", "80 00"], ["Hello"]),
    "two final blocks": (["c1 0f f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 00"], ["HelloHello"]),
    "a final block and another": (["c1 0e f3 48 cd c9 c9 07 00 f2 48 cd c9 c9 07 00"], ["HelloHello"]),
    "a final block in each fragment": (["41 07 f3 48 cd c9 c9 07 00", "80 08 f3 48 cd c9 c9 07 00 00"], ["HelloHello"]),
    "a final block that ends the message": (
        ["c1 07 f3 48 cd c9 c9 07 00", "c1 07 f2 48 cd c9 c9 07 00", "c1 05 f2 00 11 00 00"],
        ["Hello"] * 3,
    ),
    "a final block that ends a fragment": (
        ["41 07 f3 48 cd c9 c9 07 00", "80 00", "c1 07 f2 48 cd c9 c9 07 00"],
        ["Hello"] * 2,
    ),
    "nothing at all, and on": (["c1 07 f2 48 cd c9 c9 07 00", "c1 00", "c1 05 f2 00 11 00 00"], ["Hello", "", "Hello"]),
    "nothing at all in fragments": (["c1 07 f2 48 cd c9 c9 07 00", "41 00", "80 00", "c1 01 00"], ["Hello", "", ""]),
    "compressed or not, in turn": (
        ["81 05 48 65 6c 6c 6f", "c1 07 f2 48 cd c9 c9 07 00", "81 00", "82 01 61", "c2 05 f2 00 11 00 00"],
        ["Hello", "Hello", "", b"a", b"Hello"],
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("client", [False, True])
def test_the_examples_of_the_rfc(name, client):
    frames, messages = EXAMPLES[name]
    data = b"".join(
        make_frame(first & 0x0F, payload, fin=first >> 7, rsv=first >> 4 & 7, mask=None if client else MASK)
        for first, payload in split_frames(b"".join(map(bytes.fromhex, frames)))
    )
    for cuts in [(), range(len(data)), range(0, len(data), 3)]:
        receiver = open_client() if client else open_server()
        assert feed(receiver, data, *cuts) == messages
        assert receiver.state is State.OPEN


def test_compresses_as_in_the_examples():
    server = open_server(compression=Compression(threshold=0, window_bits=15, context_takeover=True))
    for _ in range(2):
        server.send("Hello")
    server.send("Hello", compress=False)
    server.send(b"Hello")
    assert server.data_to_send() == bytes.fromhex(
        "c1 07 f2 48 cd c9 c9 07 00  c1 05 f2 00 11 00 00  81 05 48 65 6c 6c 6f  c2 04 02 13 00 00"
    )


# Frames (section 6)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 6, 7])
def test_the_other_bits_are_still_reserved(opcode, rsv):
    server = open_server()
    server.receive(make_frame(opcode, rsv=rsv, length=5)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize("opcode", CONTROL)
def test_control_frames_are_not_compressed(opcode):
    server = open_server()
    server.receive(make_frame(opcode, rsv=RSV1, length=5)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize("rsv", [0, RSV1])
def test_a_continuation_is_not_marked_as_compressed(rsv):
    server = open_server()
    server.receive(make_frame(BINARY, HELLO[:3], fin=False, rsv=rsv))
    assert server.state is State.OPEN
    server.receive(make_frame(CONTINUATION, HELLO[3:], rsv=RSV1)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize("rsv", [0, RSV1])
def test_messages_do_not_interleave(rsv):
    server = open_server()
    server.receive(make_frame(TEXT, b"hi", fin=False))
    server.receive(make_frame(TEXT, HELLO, rsv=rsv)[:2])
    assert_failed(server, 1002)


@pytest.mark.parametrize("offer", ["", "foo", "permessage-deflate; foo"])
def test_nothing_is_compressed_without_an_agreement(offer):
    server = RFC6455(make_request({"sec-websocket-extensions": offer}), compression=BROAD)
    server.accept()
    server.data_to_send()
    server.send("a" * 5000, compress=True)
    assert server.data_to_send() == make_frame(TEXT, b"a" * 5000, mask=None)
    server.receive(make_frame(TEXT, HELLO, rsv=RSV1)[:2])
    assert_failed(server, 1002)


def test_messages_still_come_in_after_our_close():
    server = open_server()
    server.close()
    assert server.receive(make_frame(TEXT, HELLO, rsv=RSV1)) == ["Hello"]


# Malformed data


MALFORMED = [
    b"\x07",  # a block type that does not exist
    b"\xff",
    b"\x01\x05\x00\x00\x00",  # lengths that do not match
    HELLO[:-1] + b"\x07",
    bytes.fromhex("f2 00 11 00 00"),  # a reference to before the first byte
]


@pytest.mark.parametrize("data", MALFORMED)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("dribbled", [False, True])
def test_refuses_malformed_deflate(data, opcode, dribbled):
    server = open_server(f"{OFFER}; client_no_context_takeover")
    stream = make_frame(opcode, HELLO, rsv=RSV1) + make_frame(opcode, data, rsv=RSV1)
    assert feed(server, stream, *range(len(stream)) if dribbled else ()) == ["Hello" if opcode == TEXT else b"Hello"]
    assert_failed(server, 1007, InvalidData)


def test_refuses_malformed_deflate_as_soon_as_it_shows():
    server = open_server()
    server.receive(make_frame(BINARY, b"\x07", rsv=RSV1, length=1000))
    assert_failed(server, 1007, InvalidData)


@pytest.mark.parametrize("data", [*(data for data, _ in INVALID_UTF_8), *SURROGATES])
@pytest.mark.parametrize("dribbled", [False, True])
def test_text_is_utf_8_when_it_is_inflated(data, dribbled):
    for payload in (data, b"a" * 5000 + data, data + b"a" * 5000):
        server = open_server()
        stream = make_frame(TEXT, deflated(payload), rsv=RSV1)
        assert feed(server, stream, *range(len(stream)) if dribbled else ()) == []
        assert_failed(server, 1007, InvalidData)
        assert server.close_reason == "a text message is not UTF-8"


def test_refuses_text_as_soon_as_it_is_not_utf_8():
    server = open_server()
    payload = deflated(b"a\xff" + random.Random(1).randbytes(1000))
    server.receive(make_frame(TEXT, payload, rsv=RSV1)[:200])
    assert_failed(server, 1007, InvalidData)


def test_a_truncated_message_is_taken_as_it_is():
    """Section 7.2.2 does not mention this case, and other implementations do the same."""
    server = open_server(f"{OFFER}; client_no_context_takeover")
    assert server.receive(make_frame(TEXT, HELLO[:5], rsv=RSV1) + make_frame(TEXT, HELLO, rsv=RSV1))[1] == "Hello"
