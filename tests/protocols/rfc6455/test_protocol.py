"""A connection of RFC 6455: whole messages, closing, pings, the end of the stream, and both sides together."""

from __future__ import annotations

import itertools
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.exceptions import (
    InvalidData,
)
from django_websocket.protocols.base import State
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.protocol import MAX_PONGS

from ..inputs import feed
from .peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROL,
    MASK,
    PING,
    PONG,
    TEXT,
    assert_failed,
    make_answer,
    make_client,
    make_close,
    make_frame,
    open_client,
    open_server,
    outcome,
    split_frames,
)
from .streams import (
    INVALID_CODES,
    INVALID_UTF_8,
    MASKS,
    MESSAGES,
    STREAMS,
    SURROGATE_STREAMS,
    SURROGATES,
    VALID_CODES,
)

# Whole messages


def receiving_server():
    """Return a server that has received a message: only from then on it takes whole ones."""
    server = open_server(max_message_size=70_000)
    assert server.receive(make_frame(TEXT, b"first")) == ["first"]
    return server


WHOLE = [(TEXT, b""), (TEXT, "é".encode() * 60), (BINARY, b"\0" * 126), (TEXT, b"x" * 65535), (BINARY, b"x" * 70_000)]


def test_takes_whole_messages_and_leaves_the_rest():
    server, messages = receiving_server(), deque(["earlier"])
    frames = [make_frame(opcode, payload) for opcode, payload in WHOLE]
    data = b"".join([b"before", *frames, make_frame(PING, b"1"), make_frame(TEXT, b"behind it")])
    assert server.take_whole_messages(data, messages, 6) == 6 + sum(map(len, frames))
    assert list(messages) == ["earlier", "", "é" * 60, b"\0" * 126, "x" * 65535, b"x" * 70_000]
    assert server.take_whole_messages(frames[1], messages) == len(frames[1])


@pytest.mark.parametrize(
    "frame",
    [
        make_frame(TEXT, b"no more", fin=False),
        make_frame(TEXT, b"compressed", rsv=4),
        make_frame(TEXT, b"not masked", mask=None),
        make_frame(TEXT, b"\xff"),
        make_frame(BINARY, b"x" * 70_001),
        make_frame(BINARY, b"x" * 125, width=2),
        make_frame(BINARY, b"x" * 65535, width=8),
        make_frame(BINARY, b"", length=1 << 63, width=8),
        *(make_frame(opcode) for opcode in CONTROL),
        make_frame(CONTINUATION, b"?"),
        *(make_frame(TEXT, b"x" * 70_000)[:size] for size in (0, 1, 5, 6, 9, 13, 14, 70_013)),
        *(make_frame(TEXT, b"x" * 126)[:size] for size in (2, 3, 4, 7, 8, 133)),
        make_frame(TEXT, b"x")[:6],
    ],
)
def test_leaves_everything_but_whole_messages(frame):
    server, messages = receiving_server(), []
    data = make_frame(TEXT, b"whole")
    assert server.take_whole_messages(data + frame, messages) == len(data)
    assert messages == ["whole"]
    # The frame that was left has not changed its state.
    assert server.take_whole_messages(data, messages) == len(data)


def closed_server():
    server = receiving_server()
    server.connection_lost()
    return server


def failing_server():
    server = receiving_server()
    server.defers_end = True
    server.receive(make_frame(0x3))
    assert server.deferred_end is not None
    return server


def server_after(data):
    server = receiving_server()
    server.receive(data)
    return server


@pytest.mark.parametrize(
    "make",
    [
        closed_server,
        failing_server,
        open_client,
        lambda: server_after(make_frame(TEXT, b"a part", fin=False)),
        lambda: server_after(make_frame(TEXT, b"a part")[:9]),
        lambda: server_after(make_frame(TEXT, b"nothing")[:6]),
        lambda: server_after(make_frame(TEXT, b"nothing")[:1]),
    ],
)
def test_takes_no_whole_message_while_none_may_be_taken(make):
    protocol, messages = make(), []
    assert (
        protocol.take_whole_messages(make_frame(TEXT, b"whole", mask=None if protocol.client else MASK), messages) == 0
    )
    assert messages == []


# Close (sections 5.5.1 and 7)


@pytest.mark.parametrize("closing", [False, True])
@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize("code", VALID_CODES)
@pytest.mark.parametrize("reason", ["", "bye \u2603", "a" * 123])
def test_the_code_of_a_close_is_echoed(code, reason, dribbled, closing):
    server = open_server()
    if closing:
        server.close(3001)
        server.data_to_send()
    data = make_close(code, reason.encode())
    assert feed(server, data, *range(len(data)) if dribbled else ()) == []
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, code, reason)
    assert server.error is None
    assert not server.eof_to_send
    assert server.data_to_send() == (b"" if closing else make_close(code, mask=None))


@pytest.mark.parametrize("closing", [False, True])
def test_a_close_without_a_code(closing):
    server = open_server()
    if closing:
        server.close()
        server.data_to_send()
    server.receive(make_close())
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 1005, "")
    assert server.data_to_send() == (b"" if closing else make_close(mask=None))


def test_every_code_is_valid_or_not():
    defined = {*range(1000, 1016)} - {1004, 1005, 1006, 1015}
    for code in [*range(5100), *range(5100, 2**16, 499)]:
        server = open_server()
        server.receive(make_close(code))
        valid = code in defined or 3000 <= code < 5000
        assert (server.close_code, server.error is None) == (code if valid else 1002, valid)


@pytest.mark.parametrize("code", INVALID_CODES)
@pytest.mark.parametrize("reason", [b"", b"bye", b"\xff"])
def test_refuses_a_close_with_another_code(code, reason):
    server = open_server()
    server.receive(make_close(code, reason))
    assert_failed(server, 1002)


@pytest.mark.parametrize("payload", [b"\0", b"\x03", b"\xff"])
def test_refuses_a_close_with_half_a_code(payload):
    server = open_server()
    server.receive(make_frame(CLOSE, payload))
    assert_failed(server, 1002)


@pytest.mark.parametrize("data", [*(data for data, _ in INVALID_UTF_8), *SURROGATES, b"\xe2\x98"])
def test_refuses_a_close_with_a_reason_that_is_not_utf_8(data):
    server = open_server()
    server.receive(make_close(1000, b"a" + data))
    assert_failed(server, 1007, InvalidData)


@pytest.mark.parametrize(
    "late", [make_frame(TEXT, b"late"), make_frame(PING), make_close(1001), make_frame(3), b"\xff" * 1000]
)
@pytest.mark.parametrize("apart", [False, True])
def test_data_after_a_close_is_ignored(late, apart):
    server = open_server()
    data = make_frame(TEXT, b"a") + make_frame(PING, b"1") + make_close(3000, b"bye")
    assert feed(server, data + late, *[len(data)] if apart else ()) == ["a"]
    assert server.receive(late) == []
    assert server.receive(b"") == []
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 3000, "bye")
    assert server.error is None
    assert server.data_to_send() == make_frame(PONG, b"1", mask=None) + make_close(3000, mask=None)


def test_our_close():
    server = open_server()
    server.close()
    assert (server.state, server.close_code) == (State.CLOSING, None)
    assert server.data_to_send() == make_close(1000, mask=None)
    # Messages still arrive, but pings are not answered any more.
    assert server.receive(make_frame(TEXT, b"a") + make_frame(PING, b"1") + make_frame(PONG, b"2")) == ["a"]
    assert server.pong == b"2"
    server.close(1001, "again")
    assert not server.outgoing
    server.receive(make_close(4000, b"bye"))
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 4000, "bye")
    server.close()
    assert server.state is State.CLOSED
    assert not server.outgoing
    assert not server.eof_to_send


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye \u2603"), (4999, "a" * 123), (1014, "\0")])
def test_our_close_has_a_code_and_a_reason(code, reason):
    server = open_server()
    server.close(code, reason)
    assert server.data_to_send() == make_close(code, reason.encode(), mask=None)


@pytest.mark.parametrize(
    ("data", "code"),
    [(make_frame(3), 1002), (make_frame(TEXT, b"\xff"), 1007), (make_close(1005), 1002), (make_frame(0), 1002)],
)
def test_a_failure_while_closing_sends_no_second_close(data, code):
    server = open_server()
    server.close(1001)
    assert server.data_to_send() == make_close(1001, mask=None)
    assert server.receive(make_frame(TEXT, b"a") + data + make_close(1001)) == ["a"]
    assert (server.state, server.close_code) == (State.CLOSED, code)
    assert server.error is not None
    assert server.eof_to_send
    assert not server.outgoing


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((999,), ValueError),
        ((1004,), ValueError),
        ((1005,), ValueError),
        ((1006,), ValueError),
        ((1010,), ValueError),
        ((1015,), ValueError),
        ((5000,), ValueError),
        ((1000, "a" * 124), ValueError),
        ((1000, "\u2603" * 42), ValueError),
        ((1000, "\ud800"), ValueError),
        (("1000",), TypeError),
        ((1000.0,), TypeError),
        ((True,), TypeError),
        ((None,), TypeError),
        ((1000, b"bye"), TypeError),
        ((1000, None), TypeError),
    ],
)
@pytest.mark.parametrize("state", [State.OPEN, State.CLOSING, State.CLOSED])
def test_close_checks_its_arguments(arguments, error, state):
    server = open_server()
    if state is State.CLOSING:
        server.close()
    elif state is State.CLOSED:
        server.receive(b"")
    server.data_to_send()
    with pytest.raises(error):
        server.close(*arguments)
    assert server.state is state
    assert not server.outgoing


def test_close_gives_up_an_incomplete_handshake():
    client = make_client()
    answer = make_answer(client)
    client.close()
    assert (client.state, client.close_code, client.error) == (State.CLOSED, 1006, None)
    assert client.receive(answer) == []
    assert client.state is State.CLOSED


def test_a_close_ends_an_unfinished_message():
    server = open_server()
    assert server.receive(make_frame(TEXT, b"never", fin=False) + make_close(1001)) == []
    assert (server.state, server.close_code, server.error) == (State.CLOSED, 1001, None)


# Pings and pongs (sections 5.5.2 and 5.5.3)


@pytest.mark.parametrize("payload", [b"", b"a", b"\xff\0", bytes(range(125))])
@pytest.mark.parametrize("dribbled", [False, True])
@pytest.mark.parametrize("make_receiver", [open_server, open_client])
def test_a_ping_is_answered_with_its_payload(make_receiver, payload, dribbled):
    receiver = make_receiver()
    data = make_frame(PING, payload, mask=None if receiver.client else MASK)
    assert feed(receiver, data, *range(len(data)) if dribbled else ()) == []
    sent = receiver.data_to_send()
    assert split_frames(sent) == [(0x80 | PONG, payload)]
    assert bool(sent[1] & 0x80) is receiver.client
    assert receiver.pong is None


def test_pongs_leave_in_the_order_of_their_pings():
    server = open_server()
    server.receive(b"".join(make_frame(PING, b"%d" % index) for index in range(MAX_PONGS)))
    assert split_frames(server.data_to_send()) == [(0x80 | PONG, b"%d" % index) for index in range(MAX_PONGS)]


@pytest.mark.parametrize("make_receiver", [open_server, open_client])
def test_of_a_flood_of_pings_the_latest_is_answered(make_receiver):
    receiver = make_receiver()
    mask = None if receiver.client else MASK
    pings = [b"%d" % index for index in range(10 * MAX_PONGS)]
    flood = b"".join(make_frame(PING, ping, mask=mask) for ping in pings)
    assert receiver.receive(flood + make_frame(TEXT, b"a", mask=mask)) == ["a"]
    assert len(receiver.outgoing) == MAX_PONGS
    answered = [payload for _, payload in split_frames(receiver.data_to_send())]
    assert answered == [*pings[: MAX_PONGS - 1], pings[-1]]
    # Once the pongs are sent, the next pings are answered again.
    receiver.receive(make_frame(PING, b"next", mask=mask))
    assert split_frames(receiver.data_to_send()) == [(0x80 | PONG, b"next")]


def test_a_flood_of_pings_replaces_nothing_but_pongs():
    server = open_server()
    for index in range(2 * MAX_PONGS):
        server.send(f"{index}")
    server.receive(b"".join(make_frame(PING, b"%d" % index) for index in range(2 * MAX_PONGS)))
    server.send("last")
    server.receive(make_frame(PING, b"a") + make_frame(PING, b"b"))
    texts = [(0x80 | TEXT, b"%d" % index) for index in range(2 * MAX_PONGS)]
    latest = (0x80 | PONG, b"%d" % (2 * MAX_PONGS - 1))
    assert split_frames(server.data_to_send()) == [*texts, latest, (0x80 | TEXT, b"last"), (0x80 | PONG, b"b")]


@pytest.mark.parametrize("payload", [b"", b"unasked", bytes(125)])
def test_a_pong_is_not_answered(payload):
    server = open_server()
    assert server.pong is None
    server.receive(make_frame(PONG, b"first") + make_frame(PONG, payload))
    assert server.pong == payload
    assert type(server.pong) is bytes
    assert server.state is State.OPEN
    assert not server.outgoing


# The end of the stream (section 7.1.5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        make_frame(TEXT)[:1],
        make_frame(TEXT, length=1000)[:3],
        make_frame(TEXT)[:-1],
        make_frame(TEXT, b"abc")[:-1],
        make_frame(TEXT, b"abc", fin=False),
        make_frame(PING, b"abc")[:-1],
        make_close(1000, b"abc")[:-1],
        make_frame(TEXT, b"abc", fin=False) + make_frame(PONG),
    ],
)
@pytest.mark.parametrize("closing", [False, True])
def test_the_end_of_the_stream_without_a_close(data, closing):
    server = open_server()
    if closing:
        server.close()
        server.data_to_send()
    if data:
        assert server.receive(data) == []
    assert server.receive(b"") == []
    assert (server.state, server.close_code, server.close_reason, server.error) == (State.CLOSED, 1006, "", None)
    assert not server.outgoing
    assert not server.eof_to_send
    assert server.receive(b"") == server.receive(make_frame(TEXT, b"late")) == []


def test_the_end_of_the_stream_behind_a_close():
    server = open_server()
    server.receive(make_close(1001, b"bye"))
    server.receive(b"")
    assert (server.close_code, server.close_reason) == (1001, "bye")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (make_frame(TEXT, b"b", mask=None), 1002),
        (make_frame(TEXT, b"b", rsv=4), 1002),
        (make_frame(7, b"b"), 1002),
        (make_frame(TEXT, b"b", width=2), 1002),
        (make_frame(TEXT, b"b\xff"), 1007),
        (make_frame(BINARY, b"b" * 101), 1009),
        (make_frame(BINARY, b"b", fin=False) + make_frame(0, b"b", fin=False) * 4, 1008),
    ],
)
@pytest.mark.parametrize("dribbled", [False, True])
def test_messages_before_a_failure_are_returned(bad, code, dribbled):
    server = open_server(max_message_size=100, max_fragments=4)
    data = make_frame(TEXT, b"a") + make_frame(PING, b"1") + make_frame(BINARY, b"b") + bad + make_frame(TEXT, b"late")
    assert feed(server, data, *range(len(data)) if dribbled else ()) == ["a", b"b"]
    pong, close = split_frames(b"".join(server.outgoing))
    assert pong == (0x80 | PONG, b"1")
    assert close[0] == 0x80 | CLOSE
    assert_failed(server, code, type(server.error))


# Whole, and in pieces


@given(
    st.one_of(STREAMS, SURROGATE_STREAMS),
    st.lists(st.integers(0, 1000)),
    st.sampled_from([None, 3, 100]),
    st.booleans(),
)
def test_results_do_not_depend_on_how_bytes_arrive(data, cuts, limit, closing):
    servers = [open_server(max_message_size=limit, max_fragments=limit) for _ in range(3)]
    if closing:
        for server in servers:
            server.close()
    received = [
        feed(server, data, *pieces) for server, pieces in zip(servers, [(), cuts, range(len(data))], strict=True)
    ]
    assert received[0] == received[1] == received[2]
    assert outcome(servers[0]) == outcome(servers[1]) == outcome(servers[2])
    sent = [server.data_to_send() for server in servers]
    assert sent[0] == sent[1] == sent[2]
    # At most one Close is sent, and nothing behind it.
    assert [first for first, _ in split_frames(sent[0])].count(0x80 | CLOSE) <= 1
    if servers[0].state is not State.OPEN:
        assert split_frames(sent[0])[-1][0] == 0x80 | CLOSE
    for server in servers:
        server.receive(b"")
        assert server.state is State.CLOSED
        assert not server.outgoing
    assert outcome(servers[0]) == outcome(servers[1]) == outcome(servers[2])


@given(st.lists(MESSAGES, max_size=5), st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=5), st.data())
def test_fragmented_messages_arrive_whole(messages, all_cuts, data):
    stream = b""
    for message, wanted in itertools.zip_longest(messages, all_cuts[: len(messages)], fillvalue=()):
        payload = message.encode() if isinstance(message, str) else message
        cuts = sorted(min(cut, len(payload)) for cut in wanted)
        opcode = TEXT if isinstance(message, str) else BINARY
        for start, stop in zip([0, *cuts], [*cuts, None], strict=True):
            stream += make_frame(opcode, payload[start:stop], fin=stop is None, mask=data.draw(MASKS))
            opcode = CONTINUATION
    server = open_server()
    assert feed(server, stream, *data.draw(st.lists(st.integers(0, len(stream))))) == messages
    assert server.state is State.OPEN
    assert not server.outgoing


# Both sides


@given(st.lists(MESSAGES), st.lists(MESSAGES), st.sampled_from([13, 8, 7]), st.lists(st.integers(0, 1000)))
def test_both_sides_understand_each_other(to_server, to_client, version, cuts):
    client = make_client({"cookie": "a=b", "origin": "http://example.com"}, version=version, subprotocols=["a", "chat"])
    head = client.data_to_send().decode().split("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
    assert headers == client.request.headers
    server = RFC6455(Request(headers, http_version=(1, 1)))
    assert (server.version, server.origin) == (version, "http://example.com")
    server.accept("chat", [("Set-Cookie", "c=d")])
    for message in to_client:
        server.send(message)
    server.ping(b"to client")
    assert feed(client, server.data_to_send(), *cuts) == to_client
    assert client.subprotocol == server.subprotocol == "chat"
    for message in to_server:
        client.send(message)
    client.ping(b"to server")
    assert feed(server, client.data_to_send(), *cuts) == to_server
    assert server.pong == b"to client"
    client.receive(server.data_to_send())
    assert client.pong == b"to server"
    client.close(3000, "bye")
    server.receive(client.data_to_send())
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 3000, "bye")
    client.receive(server.data_to_send())
    assert (client.state, client.close_code, client.close_reason) == (State.CLOSED, 3000, "")
    assert client.error is server.error is None


def test_both_sides_may_close_at_once():
    server, client = open_server(), open_client()
    server.close(1001, "server")
    client.close(1000, "client")
    to_client, to_server = server.data_to_send(), client.data_to_send()
    server.receive(to_server)
    client.receive(to_client)
    assert (server.state, server.close_code, server.close_reason) == (State.CLOSED, 1000, "client")
    assert (client.state, client.close_code, client.close_reason) == (State.CLOSED, 1001, "server")
    assert not server.outgoing
    assert not client.outgoing


@pytest.mark.parametrize("data", [make_frame(3, mask=None), make_frame(TEXT, b"\xff", mask=None), make_frame(TEXT)])
def test_a_client_fails_a_connection_like_a_server(data):
    client = open_client()
    client.receive(data)
    code = client.close_code
    (sent,) = client.outgoing
    assert sent[1] & 0x80
    server = open_server()
    server.receive(sent)
    assert (server.close_code, server.close_reason) == (code, client.close_reason)
    assert_failed(client, code, type(client.error))
