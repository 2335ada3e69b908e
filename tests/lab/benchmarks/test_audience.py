"""The load client finds out whether every member of a group has got every message, in order."""

import json
import socket
import threading

import pytest

from lab.benchmarks import batches, frames
from lab.benchmarks.audience import Audience, Listener
from lab.benchmarks.batches import Batch
from lab.benchmarks.connections import LoadError, Target

SIZE = 20
FRAME = len(frames.server_frame(bytes(SIZE)))


def wire(*numbers, size=SIZE):
    return b"".join(frames.server_frame(batches.numbered(number, size)) for number in numbers)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_messages_are_numbered_and_have_their_size():
    assert batches.numbered(7, 30) == b"00000007" + frames.text(30)[8:]
    assert len(batches.numbered(7, batches.LEAST)) == batches.LEAST


def test_a_batch_is_published_and_timed(monkeypatch):
    clock = iter([1.0, 1.5, 2.0, 2.25])
    monkeypatch.setattr("time.thread_time", lambda: next(clock))
    batch = Batch(batches.command("group", 3, 2, 10))
    assert batch.way == "group"
    assert list(batch) == ["00000003" + frames.text(10)[8:].decode(), "00000004" + frames.text(10)[8:].decode()]
    answer = json.loads(batch.answer({"ways": ["group"]}))
    assert answer["cpu_s"] == 0.75
    assert len(answer["times"]) == 2
    assert answer["ways"] == ["group"]
    assert answer["process_s"] > 0


def test_messages_may_come_in_pieces(pair):
    listener, batch = Listener(pair[0]), wire(1, 2)
    got = []
    for piece in (batch[:5], batch[5 : FRAME + 1], batch[FRAME + 1 :]):
        listener.take(piece, batch, FRAME)
        got.append(listener.got)
    assert got == [5, FRAME + 1, 2 * FRAME]


def test_a_ping_between_messages_is_answered(pair):
    ours, theirs = pair
    listener, batch = Listener(ours), wire(1, 2)
    ping = frames.server_frame(b"there?", frames.PING)
    listener.take(batch[:FRAME] + ping[:3], batch, FRAME)
    assert listener.got == FRAME
    listener.take(ping[3:] + batch[FRAME : FRAME + 4], batch, FRAME)
    assert theirs.recv(100) == frames.client_frame(b"there?", frames.PONG)
    listener.take(batch[FRAME + 4 :], batch, FRAME)
    assert listener.got == 2 * FRAME


@pytest.mark.parametrize(
    "data",
    [b"", wire(2), wire(1, 3), wire(1, 2, 2), frames.server_frame(b"", frames.CLOSE)],
    ids=["end", "a hole", "a later hole", "a double", "Close"],
)
def test_a_wrong_message_is_an_error(pair, data):
    with pytest.raises(LoadError):
        Listener(pair[0]).take(data, wire(1, 2), FRAME)


@pytest.fixture
def serve():
    """Return a function that starts a server for the connection that orders messages, and returns its target.

    The server calls ``publish`` with each batch.
    """
    threads = []

    def start(publish):
        listener = socket.create_server(("127.0.0.1", 0))

        def run():
            with listener, listener.accept()[0] as sock:
                assert sock.recv(4096).startswith(b"GET /fan/publish ")
                sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: %b\r\n\r\n" % frames.ACCEPT)
                while data := sock.recv(4096):
                    size = data[1] & 0x7F
                    batch = Batch(frames.apply_mask(data[6 : 6 + size]).decode())
                    publish(batch)
                    ping = frames.server_frame(b"there?", frames.PING)
                    sock.sendall(ping + frames.server_frame(batch.answer({"ways": ["group"]}).encode()))
                    pong = frames.client_frame(b"there?", frames.PONG)
                    assert sock.recv(len(pong), socket.MSG_WAITALL) == pong

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return Target(listener.getsockname()[1], "/fan")

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("wait", [False, True])
def test_all_members_have_to_get_all_messages(pair, serve, wait):
    ours, theirs = pair

    def publish(batch):
        for message in batch:
            theirs.sendall(frames.server_frame(message.encode()))

    audience = Audience(serve(publish), [ours])
    try:
        assert audience.ask()["ways"] == ["group"]
        for _ in range(2):
            heard = audience.publish("group", 3, SIZE, wait=wait)
            assert len(heard.latencies) == 3
            assert all(latency > 0 for latency in heard.latencies)
            assert 0 < heard.seconds < 10
    finally:
        audience.leave()


@pytest.mark.parametrize("wait", [False, True])
def test_a_message_that_does_not_come_is_missed(pair, serve, monkeypatch, wait):
    monkeypatch.setattr("lab.benchmarks.audience.STALL", 0.05)
    audience = Audience(serve(list), [pair[0]])
    try:
        with pytest.raises(LoadError, match="1 members still miss messages"):
            audience.publish("group", 3, SIZE, wait=wait)
    finally:
        audience.leave()
