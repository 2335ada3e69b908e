"""The load client sends correct frames, and detects wrong answers."""

import itertools
import socket
import threading

import pytest

from django_websocket.protocols import Request
from django_websocket.protocols.rfc6455 import RFC6455
from lab.benchmarks import frames
from lab.benchmarks.connections import LoadError, Target
from lab.benchmarks.loops import Exchange, Meter, Window, exchange

SIZES = [0, 1, 125, 126, 65535, 65536]


def opened():
    """Return the server's side of an open connection."""
    head = frames.handshake("127.0.0.1", 8000, "/echo").decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    server = RFC6455(Request(headers=headers, target="/echo", host="127.0.0.1:8000", http_version=(1, 1)))
    server.accept()
    return server


@pytest.mark.parametrize("size", SIZES)
def test_the_frames_are_those_of_the_protocol(size):
    server = opened()
    server.data_to_send()
    payload = frames.text(size)
    assert len(payload) == size
    assert server.receive(frames.client_frame(payload)) == [payload.decode()]
    server.send(payload.decode())
    assert server.data_to_send() == frames.server_frame(payload)


def test_the_close_frame_is_one():
    server = opened()
    server.receive(frames.CLOSE_FRAME)
    assert (server.close_code, server.error) == (1000, None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("build", [frames.client_frame, frames.server_frame])
def test_the_size_of_a_frame_is_read_from_its_header(build, size):
    frame = build(bytes(size))
    start = next(n for n in range(len(frame) + 1) if frames.frame_size(frame[:n]) is not None)
    assert frames.frame_size(frame[:start]) == frames.frame_size(frame + b"more") == len(frame)
    assert start <= 10


def test_the_handshake_is_accepted():
    answer = opened().data_to_send()
    assert frames.after_handshake(answer[:-1]) is None
    assert frames.after_handshake(answer + b"rest") == b"rest"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
def test_a_refused_handshake_is_reported(answer):
    with pytest.raises(ValueError, match="refused"):
        frames.after_handshake(answer)


def test_a_reader_gives_frames_that_are_whole():
    data = frames.server_frame(b"one") + frames.server_frame(bytes(126), frames.PING) + frames.server_frame(b"three")
    reader = frames.Reader()
    assert reader.feed(data[:-1]) == [(0x81, b"one"), (0x89, bytes(126))]
    assert reader.feed(data[-1:]) == [(0x81, b"three")]
    assert reader.data == b""


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def exchanging(ours, count=2):
    payload = b"hello"
    return Exchange(ours, frames.server_frame(payload) * count, count)


def test_an_answer_may_come_in_pieces(pair):
    each = exchanging(pair[0])
    for _ in range(2):
        assert not each.take(each.reply[:3])
        assert not each.take(each.reply[3:8])
        assert each.take(each.reply[8:])


def test_a_ping_among_the_answers_is_answered(pair):
    ours, theirs = pair
    each = exchanging(ours)
    ping = frames.server_frame(b"there?", frames.PING)
    assert not each.take(each.reply[:7] + ping[:1])
    assert each.take(ping[1:] + each.reply[7:])
    assert theirs.recv(100) == frames.client_frame(b"there?", frames.PONG)
    assert (each.reader, each.got, each.seen) == (None, 0, 0)
    assert each.take(each.reply)


def test_a_big_answer_is_collected(pair):
    ours, theirs = pair
    payload = frames.text(70_000)
    each = Exchange(ours, frames.server_frame(payload), 1)
    ping = frames.server_frame(b"there?", frames.PING)

    def pieces(*data):
        found = []
        for piece in data:
            theirs.sendall(piece)
            found.append(each.fill())
        return found

    assert pieces(each.reply[:50_000], each.reply[50_000:]) == [False, True]
    # The ping has taken some of the room, so the end of the answer comes later.
    assert pieces(ping + each.reply[:50_000], each.reply[50_000:]) == [False, False]
    assert each.fill()
    assert theirs.recv(100) == frames.client_frame(b"there?", frames.PONG)
    assert pieces(each.reply[:50_000], each.reply[50_000:]) == [False, True]
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(LoadError, match="hung up"):
        each.fill()


def test_a_ping_before_an_echo_is_answered(pair):
    ours, theirs = pair
    ping = frames.server_frame(b"there?", frames.PING)
    # The second ping comes in two pieces.
    pieces = iter([ping + ping[:4], ping[4:] + frames.server_frame(b"hello")[:3], frames.server_frame(b"hello")[3:]])

    class Slowly:
        settimeout, sendall = ours.settimeout, ours.sendall

        def recv(self, size):
            return next(pieces)

    Target(0, "/echo").echo(Slowly(), b"hello")
    pong = frames.client_frame(b"there?", frames.PONG)
    assert theirs.recv(100) == frames.client_frame(b"hello") + pong + pong


@pytest.mark.parametrize("data", [b"", frames.server_frame(b"other"), frames.server_frame(b"", frames.CLOSE)])
def test_a_wrong_answer_is_an_error(pair, data):
    with pytest.raises(LoadError):
        exchanging(pair[0]).take(data)


def test_bytes_that_the_socket_has_no_room_for_are_kept(pair):
    ours, theirs = pair
    each = exchanging(ours)
    data = bytes(1 << 22)
    each.flush(data)
    assert 0 < len(each.rest) < len(data)
    each.flush(each.rest)
    assert each.rest
    while each.rest:
        theirs.recv(1 << 20)
        each.flush(each.rest)
    assert each.rest == b""


def test_only_answers_within_the_window_count(monkeypatch):
    times = iter([5, 9, 10, 19, 20, 21, int(1e10)])
    monkeypatch.setattr("time.monotonic_ns", lambda: next(times))
    meter = Meter(Window(10, 20))
    looks = [meter.look(1) for _ in range(5)]
    assert [within for _, within, _ in looks] == [False, True, True, False, False]
    assert [over for _, _, over in looks] == [False, False, False, True, True]
    with pytest.raises(LoadError, match="nothing came"):
        meter.look(0)


@pytest.mark.parametrize(("burst", "size"), [(1, 5), (3, 5), (1, 300_000)])
def test_messages_go_back_and_forth(pair, burst, size, monkeypatch):
    ours, theirs = pair
    # Each look at this clock moves it.
    monkeypatch.setattr("time.monotonic_ns", itertools.count().__next__)

    def echo():
        while data := theirs.recv(1 << 16):
            theirs.sendall(data)

    thread = threading.Thread(target=echo)
    thread.start()
    try:
        sample = exchange([ours], frames.text(size), Target(0), burst, Window(0, 5000))
    finally:
        ours.shutdown(socket.SHUT_WR)
        thread.join(10)
    assert sample.count >= burst
    assert sample.count % burst == 0
    assert 0 < len(sample.latencies) <= sample.count // burst
