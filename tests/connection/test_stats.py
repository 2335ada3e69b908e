"""What a connection has done, and how it has ended: messages, bytes, the close code, who has closed it, and why."""

import errno
import random
import struct

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS, QueueLimits
from django_websocket.connection.connection import Connection
from django_websocket.connection.hooks import Hooks
from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.base import Compression
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import TimedOut
from django_websocket.websocket import WebSocket

from ..options import make_options
from ..protocols.rfc6455.peers import make_frame
from ..running import Running
from .line import CLOSE_TIMEOUT, PING_INTERVAL, PING_TIMEOUT, START, Line, connect, connection_of, pair, protocol_of
from .test_core import MESSAGES, frame, served


def traffic(ws):
    """Return the messages and bytes, in and out."""
    stats = connection_of(ws).stats()
    return stats.messages_received, stats.bytes_received, stats.messages_sent, stats.bytes_sent


def end(ws):
    """Return the end of a WebSocket, after that of its view."""
    ws.end()
    stats = connection_of(ws).stats()
    assert type(stats.close_code) is int
    assert connection_of(ws).is_faulty is stats.is_faulty, "the cheap look and the report agree"
    return stats.close_code, stats.closed_by, stats.cause


def size(message):
    return len(message.encode() if isinstance(message, str) else message)


# The figures, with whichever core is in use


@pytest.mark.parametrize("seed", range(3))
def test_each_message_that_is_received_counts_once_however_it_comes(seed):
    chance = random.Random(seed)
    messages = chance.sample(MESSAGES, len(MESSAGES))
    with served() as (ws, browser):
        data = b"".join(map(frame, messages))
        browser.sock.settimeout(None)
        count = 1
        while data:
            piece = chance.choice([1, 7, 200, 5000, 70_000])
            browser.sock.sendall(data[:piece])
            data = data[piece:]
            count += ws.count_messages()
            while ws.has_messages():
                assert ws.read() is not None
        while connection_of(ws).messages_received <= len(messages):
            assert ws.wait() is not None
        assert traffic(ws)[:2] == (1 + len(messages), size("first") + sum(map(size, messages)))


@pytest.mark.parametrize("message", MESSAGES, ids=size)
def test_a_message_that_is_waited_for_counts(message):
    with served() as (ws, browser):
        sending = Running(browser.sock.sendall, frame(message) + frame("another"))
        assert ws.wait() == message
        assert ws.wait() == "another"
        sending.result()
        assert traffic(ws)[:2] == (3, size("first") + size(message) + size("another"))


def test_fragments_and_control_frames_make_no_further_messages():
    with served() as (ws, browser):
        browser.sock.sendall(make_fragments("frag", "ments"))
        assert ws.wait() == "fragments"
        assert traffic(ws)[:2] == (2, size("first") + size("fragments"))


def make_fragments(first, second):
    """Return a text in two frames, with a ping between them."""
    return b"".join(
        make_frame(opcode, fin=fin, mask=bytes(4), length=len(payload)) + payload.encode()
        for opcode, fin, payload in (
            (Opcode.TEXT, False, first),
            (Opcode.PING, True, "ping"),
            (Opcode.CONTINUATION, True, second),
        )
    )


@pytest.mark.parametrize(
    "message", ["", "x", "ä" * 100, b"\0" * 70_000, "x" * 5000, bytearray(7), memoryview(bytes(9))]
)
def test_messages_that_are_sent(message):
    with served() as (ws, browser):
        ws.send(message)
        ws.send(12.5)
        with ws.corked():
            ws.send("corked")
        assert browser.wait() is not None
        expected = message.nbytes if isinstance(message, memoryview) else size(message)
        assert traffic(ws)[2:] == (3, expected + size("12.5") + size("corked"))


def test_pings_are_no_messages():
    ws, line = connect()
    ws.ping(b"data")
    line.peer.ping(b"data")
    line.feed(line.peer.data_to_send())
    assert not ws.has_messages()
    assert traffic(ws) == (0, 0, 0, 0)


def test_bytes_count_before_compression():
    client, server, _ = pair(compression=Compression())
    server.compression = Compression()
    line = Line(client)
    ws = WebSocket(server, lambda: (line, b""), make_options(compression=Compression()))
    ws.send("x" * 5000)
    line.say("y" * 7000)
    assert ws.wait() == "y" * 7000
    assert connection_of(ws).deliver(server.encode_shared("z" * 3000), DEFAULT_LIMITS) > 0
    assert traffic(ws) == (1, 7000, 2, 8000)
    assert len(line.sent) < 1000, "it was compressed"


@pytest.mark.parametrize("kind", [Hixie75, Hixie76])
def test_old_versions_count_alike(kind):
    ws, line = connect(kind)
    line.say("grüße")
    assert ws.wait() == "grüße"
    ws.send("grüße")
    assert traffic(ws) == (1, size("grüße"), 1, size("grüße"))


def test_messages_of_groups_count_for_each_member():
    with served() as (one, browser), served() as (other, _):
        shared = protocol_of(one).encode_shared("grüße")
        assert Connection.deliver_to_all([connection_of(one), connection_of(other)], shared, DEFAULT_LIMITS) == []
        assert browser.wait() == "grüße"
        assert traffic(one)[2:] == traffic(other)[2:] == (1, size("grüße"))


def test_messages_of_groups_that_have_to_wait_count():
    ws, line = connect()
    line.sends_now = 3
    connection, shared = connection_of(ws), protocol_of(ws).encode_shared("x" * 100)
    for _ in range(3):
        assert connection.deliver(shared, DEFAULT_LIMITS) > 0
    assert traffic(ws)[2:] == (3, 300)


def test_a_message_that_a_group_cannot_send_does_not_count():
    ws, line = connect()
    line.sends_now = 0
    connection, shared = connection_of(ws), protocol_of(ws).encode_shared("x" * 100)
    sent = 0
    while connection.deliver(shared, QueueLimits(1000, 5)) > 0:
        sent += 1
    assert traffic(ws)[2:] == (sent, sent * 100)


def test_a_message_that_cannot_be_sent_does_not_count():
    ws, line = connect()

    def fail(_):
        raise TimedOut

    line.on_send = fail
    with pytest.raises(ConnectionClosed):
        ws.send("lost")
    assert traffic(ws) == (0, 0, 0, 0)


def test_the_duration():
    ws, line = connect()
    line.feed(line_close(line, 1000), at=START + 3)
    assert ws.wait() is None
    ws.end()
    assert connection_of(ws).stats().duration == 3


# The end


def line_close(line, code=1000):
    """Return the Close of the client."""
    line.peer.close(code)
    return line.peer.data_to_send()


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_the_client_closes(code):
    ws, line = connect()
    line.feed(line_close(line, code))
    assert ws.wait() is None
    assert end(ws) == (code, "client", "normal")


def test_a_close_of_the_client_without_a_code():
    ws, line = connect()
    line.feed(make_frame(Opcode.CLOSE, mask=bytes(4), length=0))
    assert ws.wait() is None
    assert end(ws) == (1005, "client", "normal")


def test_the_client_was_first():
    """Its Close has arrived, and the view has not looked, when the process or the view closes."""
    ws, line = connect()
    line.feed(line_close(line, 1001))
    assert ws.count_messages() == 0
    connection_of(ws).request_close(1012, cause="restart")
    assert end(ws) == (1001, "client", "normal")


def test_a_page_is_left_while_the_view_does_something_else():
    ws, line = connect()
    line.feed(line_close(line, 1001))
    assert end(ws) == (1001, "client", "normal")
    ws, line = connect()
    line.feed(line_close(line, 1001))
    ws.end(1011)
    assert end(ws) == (1011, "server", "error"), "the view has failed all the same"


def test_a_client_that_was_gone_when_the_view_closed():
    """The Close has not left."""

    def fail(_):
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    ws, line = connect()
    line.on_send = fail
    line.feed(b"")
    assert end(ws) == (1006, "network", "normal")


def test_a_close_that_is_found_when_nothing_can_be_sent_any_more():
    """A page has sent a message and its Close, and is gone before the answer."""

    def fail(_):
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    ws, line = connect()
    line.say("hello")
    line.feed(line_close(line, 4001))
    assert ws.wait() == "hello"
    line.on_send = fail
    with pytest.raises(ConnectionClosed):
        ws.send("answer")
    assert end(ws) == (4001, "client", "normal")


@pytest.mark.parametrize(
    ("data", "cause"),
    [(b"\x81\x01x", "error"), (make_frame(Opcode.BINARY, mask=bytes(4), length=101), "limit")],
    ids=["protocol", "size"],
)
def test_a_client_that_breaks_the_protocol_and_is_gone_before_the_answer(data, cause):
    def fail(_):
        raise ConnectionResetError(errno.ECONNRESET, "reset")

    ws, line = connect()
    protocol_of(ws).max_message_size = 100
    line.say("hello")
    line.incoming[-1] = (line.now, line.incoming[-1][1] + data)
    assert ws.wait() == "hello"
    line.on_send = fail
    with pytest.raises(ConnectionClosed):
        ws.send("answer")
    assert end(ws) == (1006, "network", cause)


def test_the_client_leaves_without_a_close():
    ws, line = connect()
    line.feed(b"")
    assert ws.wait() is None
    assert end(ws) == (1006, "network", "normal")


@pytest.mark.parametrize("answering", [True, False])
def test_the_view_closes(answering):
    ws, line = connect()
    line.answering = answering
    ws.close(4000)
    assert end(ws) == (4000, "server", "normal")
    assert line.now == (START if answering else START + CLOSE_TIMEOUT)


def test_the_view_ends():
    assert end(connect()[0]) == (1000, "server", "normal")


@pytest.mark.parametrize("sends_now", [True, False])
def test_the_view_fails(sends_now):
    ws, line = connect()
    ws.end(1011)
    assert end(ws) == (1011, "server", "error")
    ws, line = connect()
    line.sends_now = sends_now
    ws.end(1011, wait=False)
    assert end(ws) == (1011, "server", "error"), "whether its Close could be sent or not"


def test_the_process_is_stopped():
    ws, _ = connect()
    connection_of(ws).request_close(1012, cause="restart")
    assert end(ws) == (1012, "server", "restart")


@pytest.mark.parametrize(
    ("data", "code", "cause"),
    [
        (b"\x81\x01x", 1002, "error"),
        (make_frame(Opcode.TEXT, mask=bytes(4), length=1) + b"\xff", 1007, "error"),
        (make_frame(Opcode.BINARY, mask=bytes(4), length=101), 1009, "limit"),
        (make_frame(Opcode.PONG, mask=bytes(4), length=0) * 500, 1008, "limit"),
    ],
    ids=["protocol", "utf-8", "size", "control frames"],
)
def test_the_client_breaks_the_protocol_or_a_limit(data, code, cause):
    ws, line = connect(max_message_size=100)
    protocol_of(ws).max_message_size = 100
    line.feed(data)
    assert ws.wait() is None
    assert end(ws) == (code, "server", cause)


def test_no_pong():
    ws, line = connect()
    line.answering = False
    assert ws.wait() is None
    assert line.now == START + PING_INTERVAL + PING_TIMEOUT
    assert end(ws) == (1006, "network", "ping_timeout")


def test_a_client_that_does_not_read():
    ws, line = connect()

    def fail(_):
        raise TimedOut

    line.on_send = fail
    with pytest.raises(ConnectionClosed):
        ws.send("x")
    assert end(ws) == (1006, "network", "send_timeout")


@pytest.mark.parametrize(
    ("code", "faulty"), [(1007, True), (1002, True), (1000, False), (1008, False), (1009, False), (4000, False)]
)
@pytest.mark.parametrize("answer", [1000, None])
def test_a_fault_is_that_of_who_closes_first(code, faulty, answer):
    ws, line = connect()
    line.answering = False
    if answer is not None:
        line.feed(make_frame(Opcode.CLOSE, mask=bytes(4), length=2) + struct.pack("!H", answer), at=START + 1)
    ws.close(code)
    assert connection_of(ws).is_faulty is faulty


def test_a_send_that_is_interrupted():
    ws, line = connect()

    def interrupt(_):
        raise KeyboardInterrupt

    line.on_send = interrupt
    with pytest.raises(KeyboardInterrupt):
        ws.send("x")
    assert end(ws) == (1006, "network", "error")


def test_a_member_of_a_group_that_cannot_keep_up():
    ws, _ = connect()
    connection_of(ws).close_overloaded("the client")
    assert end(ws) == (1013, "server", "limit")


def test_a_user_who_is_logged_out():
    class Expired(Hooks):
        revalidate_interval = 5.0

        def revalidate(self):
            return "logged out"

    ws, _ = connect(hooks=Expired())
    assert ws.wait() is None
    assert end(ws) == (4401, "server", "logged_out")


def test_the_rest_of_an_old_handshake_does_not_come():
    ws, _ = connect(Hixie76, received=b"", handshake_timeout=2)
    assert end(ws) == (1006, "network", "error")


def test_the_code_of_the_first_close_counts():
    """The client answers with another one."""
    ws, line = connect()
    line.answering = False
    line.feed(make_frame(Opcode.CLOSE, mask=bytes(4), length=2) + struct.pack("!H", 3999), at=START + 1)
    ws.close(4001)
    assert ws.close_code == 3999
    assert end(ws) == (4001, "server", "normal")
