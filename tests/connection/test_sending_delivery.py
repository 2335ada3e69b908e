"""Frames that a group delivers: to the socket at once, or behind others, but never with a wait."""

from __future__ import annotations

import logging
import random
import socket
import struct
import threading

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS, Delivery, QueueLimits
from django_websocket.connection.sending import FLUSH_SIZE
from django_websocket.exceptions import ConnectionClosed
from django_websocket.process.flusher import flusher
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.websocket import WebSocket

from ..options import make_options
from ..running import Running
from .line import Browser, connect, connection_of, pair, protocol_of, records, until

TEXT = Opcode.TEXT


def deliver(ws, text, limits=DEFAULT_LIMITS):
    return connection_of(ws).deliver(protocol_of(ws).encode_shared(text), limits)


def pump(ws):
    """Do what the flusher does when the socket has room."""
    return connection_of(ws)._flush_nowait()


def test_a_frame_for_which_there_is_room():
    ws, line = connect()
    assert deliver(ws, "x") is Delivery.SENT
    assert line.frames == [(TEXT, b"x")]
    assert not pump(ws)


@pytest.mark.parametrize("room", [0, 1, 2])
def test_frames_for_which_there_is_no_room(room):
    """A part of a frame is followed by its rest, and frames by what was delivered later."""
    ws, line = connect()
    line.sends_now = room
    assert deliver(ws, "one") is Delivery.QUEUED
    assert deliver(ws, "two") is Delivery.QUEUED
    line.sends_now = True
    assert pump(ws)
    assert line.frames == [(TEXT, b"one"), (TEXT, b"two")]
    assert deliver(ws, "three") is Delivery.SENT
    assert line.frames[-1] == (TEXT, b"three")


def test_a_view_sends_behind_what_was_delivered_before():
    ws, line = connect()
    line.sends_now = 1
    deliver(ws, "delivered")
    deliver(ws, "later")
    ws.send("sent")
    assert line.frames == [(TEXT, b"delivered"), (TEXT, b"later"), (TEXT, b"sent")]
    assert not pump(ws)


def test_pongs_and_pings_have_their_place_behind_whole_frames():
    ws, line = connect()
    line.sends_now = 1
    deliver(ws, "one")
    line.peer.ping(b"?")
    line.feed(line.peer.data_to_send())
    assert not ws.has_messages()
    deliver(ws, "two")
    line.sends_now = True
    pump(ws)
    assert line.frames == [(TEXT, b"one"), (Opcode.PONG, b"?"), (TEXT, b"two")]
    line.sends_now = 0
    deliver(ws, "three")
    ws.ping(b"!")
    assert line.frames[-2:] == [(TEXT, b"three"), (Opcode.PING, b"!")]


def test_a_thread_that_waits_for_messages_does_not_wait_for_a_backlog():
    ws, line = connect()
    line.sends_now = 0
    deliver(ws, "x")
    line.on_send = lambda _: pytest.fail("waited for room")
    line.say("hello", at=line.now + 1)
    assert ws.wait() == "hello"


def test_a_frame_that_is_delivered_while_another_is_sent():
    """The thread that sends sends it afterwards."""
    ws, line = connect()
    results = []

    def on_send(_):
        line.on_send = None
        results.append(Running(deliver, ws, "delivered").result())

    line.on_send = on_send
    ws.send("sent")
    assert results == [Delivery.QUEUED]
    assert line.frames == [(TEXT, b"sent"), (TEXT, b"delivered")]
    assert not pump(ws)


@pytest.mark.parametrize("room", [0, 1])
def test_a_frame_that_is_delivered_while_a_part_of_another_is_sent(room):
    ws, line = connect()
    sent = line.try_send

    def try_send(data):
        line.try_send, line.sends_now = sent, room
        assert Running(deliver, ws, "two").result() is Delivery.QUEUED
        return sent(data)

    line.try_send = try_send
    assert deliver(ws, "one") is Delivery.QUEUED
    line.sends_now = True
    pump(ws)
    assert line.frames == [(TEXT, b"one"), (TEXT, b"two")]


def test_a_frame_that_is_delivered_while_answers_are_sent():
    ws, line = connect()

    def on_send(_):
        line.on_send = None
        assert Running(deliver, ws, "delivered").result() is Delivery.QUEUED

    line.on_send = on_send
    line.peer.ping(b"?")
    line.say("hello")
    assert ws.wait() == "hello"
    assert line.frames == [(Opcode.PONG, b"?"), (TEXT, b"delivered")]
    assert not pump(ws)


def test_a_frame_that_is_delivered_while_a_view_sends_a_backlog():
    ws, line = connect()
    line.sends_now = 1
    deliver(ws, "one")

    def on_send(_):
        line.on_send = None
        Running(deliver, ws, "three").result()

    line.on_send = on_send
    line.sends_now = True
    ws.send("two")
    assert line.frames == [(TEXT, b"one"), (TEXT, b"two"), (TEXT, b"three")]


def test_a_delivery_in_the_midst_of_a_delivery():
    """A signal handler, or a finalizer, interrupts the thread."""
    ws, line = connect()
    sent = line.try_send

    def try_send(data):
        line.try_send = sent
        assert deliver(ws, "inner") is Delivery.QUEUED
        return sent(data)

    line.try_send = try_send
    assert deliver(ws, "outer") is Delivery.SENT
    assert line.frames == [(TEXT, b"outer"), (TEXT, b"inner")]


def test_a_call_that_would_wait_for_the_delivery_that_it_interrupts():
    ws, line = connect()
    sent = line.try_send

    def try_send(data):
        line.try_send = sent
        with pytest.raises(RuntimeError, match="interrupts another call"):
            ws.send("inner")
        return sent(data)

    line.try_send = try_send
    assert deliver(ws, "outer") is Delivery.SENT


@pytest.mark.parametrize("limits", [QueueLimits(size=12, messages=9), QueueLimits(size=999, messages=2)])
def test_a_client_that_does_not_keep_up(limits, caplog):
    """Whole frames are dropped, the rest of one of which a part was sent is not; then comes the Close."""
    ws, line = connect()
    line.sends_now = 1
    deliver(ws, "begun", limits)
    line.sends_now = 0
    results = [deliver(ws, text, limits) for text in ("one", "two", "three", "four")]
    assert results == [Delivery.QUEUED, Delivery.QUEUED, Delivery.OVERFLOW, Delivery.GONE]
    assert not records(caplog), "the caller may hold a lock"
    line.sends_now = True
    pump(ws)
    assert line.frames == [(TEXT, b"begun"), (Opcode.CLOSE, struct.pack("!H", 1013) + b"too slow")]
    assert protocol_of(ws).state is State.CLOSING
    assert ws.wait() is None
    assert records(caplog) == [
        (
            logging.WARNING,
            "WebSocket /echo/ closed with 1013: the client does not keep up with the messages of its groups",
        )
    ]


def test_a_view_that_ends_without_another_wait_logs_the_overflow(caplog):
    ws, line = connect()
    line.sends_now = 0
    while deliver(ws, "x", QueueLimits(size=99, messages=2)) is Delivery.QUEUED:
        pass
    ws.end(wait=False)
    assert [text for _, text in records(caplog)] == [
        "WebSocket /echo/ closed with 1013: the client does not keep up with the messages of its groups"
    ]


def test_a_client_that_reads_but_does_not_keep_up():
    """However often there is a little room: what waits stays within the limits."""
    ws, line = connect()
    line.sends_now = 100
    limits = QueueLimits(size=10 * FLUSH_SIZE, messages=1000)
    text = "x" * 50_000
    results = []
    while not results or results[-1] is Delivery.QUEUED:
        results.append(deliver(ws, text, limits))
        pump(ws)
        assert len(results) < 100
    assert results[-1] is Delivery.OVERFLOW
    assert len(connection_of(ws)._unsent) < FLUSH_SIZE + 50_010
    line.sends_now = True
    pump(ws)
    assert 1 <= line.frames.count((TEXT, text.encode())) <= 3
    assert line.frames[-1] == (Opcode.CLOSE, struct.pack("!H", 1013) + b"too slow")


def test_a_large_backlog_is_sent_as_soon_as_there_is_room():
    """Behind it come pongs and the end, and nothing ahead of its last frame."""
    ws, line = connect()
    line.sends_now = 0
    for number in range(10):
        deliver(ws, f"{number}" * 30_000)
    line.peer.close(4000)
    line.feed(line.peer.data_to_send())
    line.sends_now = True
    assert ws.wait() is None
    assert line.frames == [
        *((TEXT, f"{number}".encode() * 30_000) for number in range(10)),
        (Opcode.CLOSE, struct.pack("!H", 4000)),
    ]
    assert connection_of(ws)._queued is None


def test_a_closed_connection():
    ws, line = connect()
    ws.close()
    assert deliver(ws, "x") is Delivery.GONE
    assert [opcode for opcode, _ in line.frames] == [Opcode.CLOSE]


def test_a_connection_whose_close_waits_for_a_thread_that_sends():
    ws, line = connect()
    results = []

    def on_send(_):
        line.on_send = None
        connection_of(ws).request_close(4000)
        results.append(Running(deliver, ws, "late").result())

    line.on_send = on_send
    ws.send("sent")
    assert results == [Delivery.GONE]
    assert line.frames == [(TEXT, b"sent"), (Opcode.CLOSE, struct.pack("!H", 4000))]


@pytest.mark.parametrize("sent", [0, 1, None], ids=["nothing", "a part", "all"])
@pytest.mark.parametrize("waits", [False, True])
def test_nothing_is_sent_behind_an_interrupted_send(sent, waits):
    """The exception of a signal handler may come just before or just after the system call: who knows what was sent?"""
    ws, line = connect()
    if waits:
        line.sends_now = 1
        deliver(ws, "one")
    line.sends_now = True
    send = line.try_send

    def try_send(data):
        send(data[:sent])
        raise KeyboardInterrupt

    line.try_send = try_send
    with pytest.raises(KeyboardInterrupt):
        pump(ws) if waits else deliver(ws, "one")
    line.try_send = send
    before = bytes(line.sent)
    assert ws.closed
    assert ws.close_code == 1006
    assert deliver(ws, "two") == Delivery.GONE
    assert not pump(ws)
    ws.end()
    assert line.sent == before


def test_a_peer_that_is_gone():
    ws, line = connect()
    line.try_send = lambda _: None
    assert deliver(ws, "x") is Delivery.GONE


def test_a_peer_that_goes_while_frames_wait():
    ws, line = connect()
    line.sends_now = 1
    deliver(ws, "x")
    line.try_send = lambda _: None
    assert not pump(ws)
    # Nothing waits any more, and nobody tries again.
    assert not pump(ws)
    assert deliver(ws, "y") is Delivery.GONE


def test_the_end_of_a_view_sends_what_there_is_room_for():
    ws, line = connect()
    line.sends_now = 1
    deliver(ws, "one")
    line.sends_now = True
    ws.end()
    assert line.frames == [(TEXT, b"one"), (Opcode.CLOSE, struct.pack("!H", 1000))]
    assert protocol_of(ws).state is State.CLOSED


def test_the_end_of_a_view_whose_client_does_not_read():
    """It takes the close timeout, and no longer."""
    ws, line = connect()
    line.sends_now = 1
    deliver(ws, "one")
    line.sends_now = 0
    begun = line.now
    ws.end()
    assert line.now - begun == 5
    assert protocol_of(ws).state is State.CLOSED
    assert deliver(ws, "two") is Delivery.GONE
    assert not pump(ws)


def test_the_close_timeout_begins_anew_while_a_backlog_is_sent():
    ws, line = connect()
    connection = connection_of(ws)
    line.sends_now = 1
    deliver(ws, "one")
    connection.request_close(4000)
    line.now += 4
    assert pump(ws)
    line.now += 4
    assert not connection.finish_if_due()
    line.sends_now = 0
    line.now += 5
    assert connection.finish_if_due()


def test_hixie():
    ws, line = connect(Hixie75)
    assert deliver(ws, "x") is Delivery.SENT
    assert bytes(line.sent).endswith(b"\x00x\xff")


@pytest.mark.parametrize("seed", range(5))
def test_order_and_wholeness_over_a_socket(seed):
    """Two threads deliver, the view sends, and the client reads slowly; the flusher sends what waits."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client, server, _ = pair()
    ws = WebSocket(server, lambda: (near, b""), make_options(), name="/echo/")
    browser = Browser(far, client)
    ws.accept()
    while client.state is State.CONNECTING:
        browser.read()
    count, limits = 200, QueueLimits(1 << 24, 1 << 20)

    def publish(name, seed):
        choose = random.Random(seed)
        for number in range(count):
            text = f"{name} {number} " + "x" * choose.choice([0, 10, 3000])
            assert connection_of(ws).deliver(server.encode_shared(text), limits) > 0

    def send():
        choose = random.Random(seed + 2)
        for number in range(count):
            ws.send(f"view {number} " + "x" * choose.choice([0, 10, 3000]))

    running = [Running(publish, "a", seed), Running(publish, "b", seed + 1), Running(send)]
    received = {"a": [], "b": [], "view": []}
    for _ in range(3 * count):
        name, number, _ = browser.wait().split(" ", 2)
        received[name].append(int(number))
    for one in running:
        one.result()
    assert all(numbers == list(range(count)) for numbers in received.values())
    reading = Running(browser.read_to_end)
    ws.end()
    near.close()
    assert reading.result() == 1000
    far.close()
    assert near.fileno() not in flusher._pumps


def test_the_flusher_sends_without_the_view():
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client, server, _ = pair()
    ws = WebSocket(server, lambda: (near, b""), make_options(close_timeout=0.2), name="/echo/")
    browser = Browser(far, client)
    ws.accept()
    text = "x" * 100_000
    limits = QueueLimits(1 << 24, 1 << 20)
    assert connection_of(ws).deliver(server.encode_shared(text), limits) is Delivery.QUEUED
    assert connection_of(ws).deliver(server.encode_shared("last"), limits) is Delivery.QUEUED
    assert browser.wait() == text
    assert browser.wait() == "last"
    until(lambda: connection_of(ws)._queued is None)
    ws.end()
    with pytest.raises(ConnectionClosed):
        ws.send("x")
    near.close()
    far.close()


def test_nothing_is_delivered_by_many_threads_to_a_connection_that_ends():
    """No frame leaves behind the end, and no descriptor of another connection gets it."""
    for _ in range(20):
        near, far = socket.socketpair()
        _, server, _ = pair()
        ws = WebSocket(server, lambda near=near: (near, b""), make_options(close_timeout=0.01), name="/echo/")
        ws.accept()
        frame, stop = server.encode_shared("x" * 5000), threading.Event()

        def publish(connection, frame, stop):
            while not stop.is_set() and connection.deliver(frame, DEFAULT_LIMITS) > 0:
                pass

        running = [Running(publish, connection_of(ws), frame, stop) for _ in range(3)]
        ws.end(wait=False)
        near.close()
        other, peer = socket.socketpair()
        stop.set()
        for one in running:
            one.result()
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        for sock in (other, peer, far):
            sock.close()
