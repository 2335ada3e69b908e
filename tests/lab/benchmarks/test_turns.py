"""Load by number: as many messages as asked for are exchanged, and no more."""

import socket
import threading

import pytest

from lab.benchmarks import frames
from lab.benchmarks.connections import LoadError, Target
from lab.benchmarks.turns import Turns, open_and_close


@pytest.fixture
def serve():
    """Return a function that starts a raw server, and returns its target and a list with the bytes of each connection.

    The server answers with what ``answer`` makes of the bytes that arrive.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def run(answer, counts):
        def echo(sock, number):
            with sock:
                while data := sock.recv(1 << 16):
                    counts[number] += len(data)
                    sock.sendall(answer(data))

        while True:
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            counts.append(0)
            threads.append(threading.Thread(target=echo, args=(sock, len(counts) - 1)))
            threads[-1].start()

    def start(answer=bytes):
        counts = []
        threads.append(threading.Thread(target=run, args=(answer, counts)))
        threads[-1].start()
        return Target(listener.getsockname()[1]), counts

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(("size", "burst"), [(5, 1), (5, 3), (300_000, 1), (300_000, 2)])
def test_every_connection_sends_as_often_as_asked(serve, size, burst):
    target, counts = serve()
    turns = Turns(target, 2, size, burst)
    turns.take(1)
    turns.take(2)
    turns.close()
    # The first message of each connection is a check.
    assert counts == [len(frames.client_frame(bytes(size))) * (1 + 3 * burst)] * 2


def test_a_wrong_answer_is_an_error(serve):
    target, _ = serve(lambda data: data if len(data) == 11 else bytes(len(data)))
    turns = Turns(target, 1, 5, burst=2)
    with pytest.raises(LoadError, match="a wrong answer"):
        turns.take(1)
    turns.close()


def test_an_answer_that_does_not_come_is_missed(serve, monkeypatch):
    monkeypatch.setattr("lab.benchmarks.turns.STALL", 0.05)
    target, _ = serve(lambda data: data if len(data) == 11 else b"")
    turns = Turns(target, 1, 5, burst=2)
    with pytest.raises(LoadError, match="1 answers have not come"):
        turns.take(1)
    turns.close()


def test_connections_are_opened_as_often_as_asked(serve):
    target, counts = serve()
    open_and_close(target, 2, 3)
    assert counts == [0] * 6
