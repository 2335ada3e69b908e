"""What a view does with its WebSocket: messages in and out."""

from __future__ import annotations

import math
import re
import socket
from array import array
from collections import namedtuple
from datetime import date
from uuid import UUID

import pytest

from django_websocket.connection.sending import POLL_INTERVAL
from django_websocket.exceptions import ConnectionClosed, UnsupportedFeature
from django_websocket.process.registry import registry
from django_websocket.protocols.base import Compression
from django_websocket.protocols.close_codes import CloseCode
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.transports import READ_SIZE
from django_websocket.websocket import MAX_CLOSED_WAITS, WebSocket

from .connection.conftest import clean_registry, followed  # noqa: F401 - they are for every test
from .connection.line import Line, connect
from .options import make_options
from .running import Running


def test_version_and_repr():
    ws, _ = connect()
    assert ws.version == 13
    assert repr(ws) == "<WebSocket /echo/ version 13 OPEN>"
    nameless, _ = connect(name="", kind=Hixie75)
    assert re.fullmatch("<WebSocket 0x[0-9a-f]+ version 75 OPEN>", repr(nameless))


def test_echo():
    ws, line = connect()
    for message in ("text", "", "ä€😀", b"bytes", b""):
        line.say(message)
        got = ws.wait()
        assert got == message
        assert type(got) is type(message)
        ws.send(got)
    assert line.heard == ["text", "", "ä€😀", b"bytes", b""]


def test_what_is_neither_text_nor_bytes_is_sent_as_text():
    ws, line = connect()
    for message in (bytearray(b"a"), memoryview(b"bcd")[::2], array("B", b"e"), 5, 1.5, True, UUID(int=7)):
        ws.send(message)
    assert line.heard == [b"a", b"bd", b"e", "5", "1.5", "True", str(UUID(int=7))]


@pytest.mark.parametrize("message", [None, {}, {"a": 1}, [], [1], (1,), namedtuple("Point", "x")(1), {1}, frozenset()])
def test_what_nobody_could_read_is_not_sent(message):
    ws, line = connect(accept=False)
    with pytest.raises(TypeError, match=rf"not {type(message).__name__}; send_json\(\) "):
        ws.send(message)
    assert not ws.handshake_sent
    ws.send("good")
    assert line.heard == ["good"]


@pytest.mark.parametrize(
    ("timeout", "error"),
    [("5", TypeError), (b"5", TypeError), (True, TypeError), ([5], TypeError), (math.nan, ValueError)],
)
def test_bad_timeouts(timeout, error):
    ws, line = connect()
    line.say("x")
    for call in (ws.wait, ws.wait_json):
        with pytest.raises(error, match="takes a timeout in seconds"):
            call(timeout)
    assert ws.wait() == "x"


@pytest.mark.parametrize("timeout", [0, -1, -math.inf, 0.0])
def test_a_timeout_that_is_over_at_once(timeout):
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(timeout)
    line.say("x")
    assert ws.wait(timeout) == "x"


@pytest.mark.parametrize("timeout", [math.inf, 1e300])
def test_a_timeout_without_an_end(timeout):
    ws, line = connect()
    line.say("x", at=line.now + 1e5)
    assert ws.wait(timeout) == "x"


def test_text_that_cannot_be_sent_leaves_the_connection_as_it_is():
    ws, line = connect()
    with pytest.raises(UnicodeEncodeError):
        ws.send("\ud800")
    ws.send("good")
    assert line.heard == ["good"]


def test_json():
    ws, line = connect()
    ws.send_json({"a": [1, None, date(2010, 5, 1)]})
    assert line.heard == ['{"a": [1, null, "2010-05-01"]}']
    with pytest.raises(TypeError):
        ws.send_json(object())
    for text in ('{"b": 2}', b"[3]", "nothing", "[" * 100_000):
        line.say(text)
    assert ws.wait_json() == {"b": 2}
    assert ws.wait_json() == [3]
    with pytest.raises(ValueError, match="Expecting"):
        ws.wait_json()
    with pytest.raises(ValueError, match="nested"):
        ws.wait_json()
    with pytest.raises(TimeoutError):
        ws.wait_json(1)
    line.feed(b"")
    assert ws.wait_json() is None


def test_bytes_over_an_old_version():
    ws, line = connect(Hixie75)
    with pytest.raises(UnsupportedFeature):
        ws.send(b"x")
    with pytest.raises(UnsupportedFeature):
        ws.ping()
    ws.send("x")
    assert line.heard == ["x"]


def test_read():
    ws, line = connect()
    assert ws.read() is None
    assert ws.read("nothing") == "nothing"
    line.say("a")
    line.say("b")
    assert ws.read() == "a"
    assert ws.read() == "b"
    assert ws.read() is None
    assert line.waits == []


def test_read_after_the_end():
    ws, line = connect()
    line.say("last")
    line.peer.close()
    line.feed(line.peer.data_to_send())
    line.feed(b"")
    assert ws.read() == "last"
    assert ws.read() is None
    assert ws.closed
    assert ws.read() is None
    assert line.reads == 2, "a closed connection is not read from"


def test_has_messages_sees_whole_messages_only():
    ws, line = connect()
    line.peer.send("message")
    data = line.peer.data_to_send()
    line.feed(data[:-1])
    assert not ws.has_messages()
    line.feed(data[-1:])
    assert ws.has_messages()
    assert ws.has_messages()
    assert ws.wait() == "message"
    assert line.waits == []


def test_has_messages_reads_nothing_while_one_is_queued():
    ws, line = connect()
    line.say("a")
    line.say("b")
    assert ws.has_messages()
    assert ws.has_messages()
    assert line.reads == 1


def test_count_messages():
    ws, line = connect()
    assert ws.count_messages() == 0
    for message in "abc":
        line.say(message)
    # One read each, as each came by itself.
    assert [ws.count_messages() for _ in range(4)] == [1, 2, 3, 3]
    assert [ws.wait() for _ in range(3)] == ["a", "b", "c"]


def test_no_more_than_one_reads_worth_is_queued():
    ws, line = connect()
    for _ in range(10):
        line.peer.send(b"x" * 1016)
    block = line.peer.data_to_send()
    line.feed(block * 100)
    counts = [ws.count_messages() for _ in range(50)]
    assert counts == sorted(counts)
    assert line.reads == 1
    assert counts[-1] == READ_SIZE // 1024
    # When all of it is taken the next is read, for which wait() need not wait.
    for _ in range(counts[-1]):
        ws.wait()
    assert line.reads == 1
    ws.wait()
    assert line.reads == 2


def test_small_reads_queue_up_to_one_reads_worth():
    ws, line = connect()
    size = 1024
    line.peer.send(b"x" * (size - 8))
    data = line.peer.data_to_send()
    assert len(data) == size
    reads = -(-READ_SIZE // size)
    for _ in range(3 * reads):
        line.feed(data)
    for _ in range(3 * reads):
        ws.count_messages()
    assert ws.count_messages() == reads
    # send() looks as well, and goes no further either.
    line.now += 2 * POLL_INTERVAL
    ws.send("x")
    assert ws.count_messages() == reads


def test_unread_rest_of_a_big_message_is_read_on():
    """The limit is for what is queued: it must not keep has_messages() from ever seeing a message longer than it."""
    ws, line = connect()
    line.say(b"x" * (5 * READ_SIZE))
    looks = 0
    while not ws.has_messages():
        looks += 1
        assert looks < 10
    assert len(ws.read()) == 5 * READ_SIZE


@pytest.mark.parametrize("ask", [WebSocket.count_messages, lambda ws: len(ws.wait()) and ws.count_messages()])
def test_one_read_of_compressed_messages_inflates_to_a_few(ask):
    """Sixty messages of 1 MiB, each within the limit, fit into what one read could take."""
    size = 1024 * 1024
    client = RFC6455(Request(host="example.com"), client=True, compression=Compression())
    client.connect()
    client.data_to_send()
    server = RFC6455(
        Request(client.request.headers, host="example.com", http_version=(1, 1)), compression=Compression()
    )
    line = Line(client)
    ws = WebSocket(server, lambda: (line, b""), make_options())
    ws.accept()
    client.send(b"\0" * size)
    line.feed(client.data_to_send() * 60)
    assert 0 < ask(ws) <= 8
    assert sum(1 for _ in iter(ws.read, None)) >= 59


def test_the_hundredth_none_in_a_row():
    ws, line = connect()
    line.say("last")
    line.peer.close(4000, "why")
    line.feed(line.peer.data_to_send())
    assert ws.wait() == "last"
    for _ in range(MAX_CLOSED_WAITS - 1):
        assert ws.wait() is None
    for _ in range(2):
        with pytest.raises(ConnectionClosed) as caught:
            ws.wait()
        assert (caught.value.code, caught.value.reason) == (4000, "why")
    assert "4000, 'why'" in str(caught.value)


def test_iteration_ends_with_the_connection():
    ws, line = connect()
    for message in ("a", "", b"b"):
        line.say(message)
    line.feed(b"")
    assert list(ws) == ["a", "", b"b"]
    assert ws.close_code == 1006


def test_sends_whatever_has_bytes():
    ws, line = connect()
    ws.send(array("H", [0x4142]))
    assert line.heard == [array("H", [0x4142]).tobytes()]


def test_a_reason_is_escaped_in_the_errors_text():
    assert str(ConnectionClosed(CloseCode.NORMAL_CLOSURE, "a\nb")) == "the WebSocket is closed (1000, 'a\\nb')"


def test_a_view_that_asks_whether_it_is_closed_notices_that_the_client_has_gone():
    ws, line = connect()
    line.peer.close(4001)
    line.feed(line.peer.data_to_send())
    assert not ws.closed, "it looked a moment ago"
    line.now += POLL_INTERVAL + 0.125
    assert ws.closed
    assert ws.close_code == 4001


def test_asking_whether_it_is_closed_looks_once_a_second():
    ws, line = connect()
    line.now += POLL_INTERVAL + 0.125
    assert not ws.closed
    line.feed(AssertionError("looked again"))
    line.now += POLL_INTERVAL
    assert not ws.closed
    ws.send("tick")


def test_asking_whether_it_is_closed_keeps_what_has_come_in():
    ws, line = connect()
    line.say("a")
    line.peer.ping(b"alive?")
    line.feed(line.peer.data_to_send())
    line.peer.close(4001)
    line.feed(line.peer.data_to_send())
    for _ in range(3):
        line.now += POLL_INTERVAL + 0.125
        assert not ws.closed
    assert line.peer.pong == b"alive?"
    assert ws.wait() == "a"
    ws.send("A")
    assert (ws.wait(), ws.closed) == (None, True)


def test_a_silent_client_is_dropped_while_the_view_asks_whether_it_is_closed():
    ws, line = connect()
    line.answering = False
    while not ws.closed:
        line.now += 1
    assert ws.close_code == 1006


def test_before_the_handshake_it_is_not_closed_and_nobody_looks():
    ws, line = connect(accept=False)
    line.feed(AssertionError("looked"))
    line.now += 2 * POLL_INTERVAL
    assert not ws.closed
    assert not ws.handshake_sent


def test_other_threads_see_the_connection_once_the_handshake_is_sent():
    """A frame of another thread must not overtake the answer to the handshake."""
    ws, line = connect(accept=False)
    seen = []

    def on_send(data):
        line.on_send = None
        seen.append((data[:12], ws.handshake_sent))
        with pytest.raises(RuntimeError, match="another thread is sending the handshake"):
            Running(ws.send, "early").result()

    line.on_send = on_send
    ws.accept()
    assert seen == [(b"HTTP/1.1 101", False)]
    assert ws.handshake_sent
    ws.send("now")
    assert line.heard == ["now"]


def test_a_handshake_that_is_interrupted_counts_as_sent():
    """A part of it may be on its way, so that no HTTP response may follow."""

    class Interruption(BaseException):
        pass

    ws, line = connect(accept=False)

    def on_send(_):
        raise Interruption

    line.on_send = on_send
    with pytest.raises(Interruption):
        ws.accept()
    assert ws.handshake_sent
    assert ws.closed
    ws.end()
    assert not len(registry)


def test_a_view_that_ends_while_another_thread_sends_the_handshake():
    ws, line = connect(accept=False)
    line.on_send = lambda _: ws.end()
    Running(ws.accept).result()
    assert socket.SHUT_RDWR in line.shut
    assert ws.closed
    assert not len(registry)


# Groups


def test_opening_sends_the_handshake_once():
    ws, line = connect(accept=False)
    connection = ws.open()
    assert bytes(line.sent).startswith(b"HTTP/1.1 101 ")
    assert ws.open() is connection
    assert bytes(line.sent).count(b"HTTP/1.1") == 1


def test_opening_one_that_has_ended():
    ws, _ = connect(accept=False)
    ws.end()
    with pytest.raises(ConnectionClosed):
        ws.open()


def test_what_is_to_be_called_at_the_end():
    """Each key has one call, which is made once, after the connection is closed."""
    ws, _ = connect()
    calls = []

    def call(number):
        return lambda: calls.append((number, ws.closed))

    ws.at_end("a", call(1))
    ws.at_end("a", call(2))
    ws.at_end("b", call(3))
    ws.at_end("c", call(4))
    ws.take_at_end("c")()
    assert ws.take_at_end("c") is None
    assert calls == [(4, False)]
    ws.end()
    assert sorted(calls[1:]) == [(2, True), (3, True)]
    ws.end()
    assert len(calls) == 3


def test_what_is_to_be_called_at_an_end_that_is_over():
    ws, _ = connect()
    calls = []
    ws.end()
    ws.at_end("a", lambda: calls.append(1))
    assert calls == [1]


def test_nothing_is_to_be_called():
    ws, _ = connect()
    assert ws.take_at_end("a") is None


def test_an_end_that_is_interrupted_makes_its_calls():
    ws, line = connect()
    calls = []
    ws.at_end("a", lambda: calls.append(1))
    line.on_send = interrupt
    with pytest.raises(KeyboardInterrupt):
        ws.end()
    assert calls == [1]


def interrupt(_):
    raise KeyboardInterrupt


def test_the_id_of_a_member():
    one, other = connect()[0], connect()[0]
    assert not one.has_member_id
    assert one.member_id == one.member_id
    assert one.has_member_id
    assert one.member_id != other.member_id
    assert re.fullmatch("[0-9a-f]{12}/[0-9]+", one.member_id)
