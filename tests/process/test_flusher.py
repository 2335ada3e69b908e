"""What sockets had no room for is sent when they have."""

from __future__ import annotations

import errno
import socket
import threading
import time

import pytest

from django_websocket.process import flusher as module
from django_websocket.process.flusher import Flusher

from ..running import Running

PATIENCE = 20


class Pipe:
    """A socket that is full until :meth:`drain`, and the calls of its pump."""

    def __init__(self, result=True):
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.result = result
        self.pumped = threading.Event()
        self.calls = 0
        self.fill()

    def fill(self):
        try:
            while True:
                self.near.send(b"x" * 65536)
        except BlockingIOError:
            pass

    def drain(self):
        self.far.setblocking(False)
        try:
            while self.far.recv(1 << 20):
                pass
        except BlockingIOError:
            pass

    def pump(self):
        self.calls += 1
        self.pumped.set()
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    def close(self):
        self.near.close()
        self.far.close()


@pytest.fixture(params=["epoll", "without epoll"])
def flusher(request, monkeypatch):
    if request.param == "without epoll":
        monkeypatch.setattr(module, "original", lambda *_: None)
    return Flusher()


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    made.close()


def test_a_pump_is_called_once_when_there_is_room(pipe):
    flusher = Flusher()
    flusher.add(pipe.near.fileno(), pipe.pump)
    assert not pipe.pumped.wait(0.05)
    pipe.drain()
    assert pipe.pumped.wait(PATIENCE)
    assert not flusher._pumps
    # What the pump has left it adds again by itself.
    pipe.fill()
    pipe.pumped.clear()
    flusher.add(pipe.near.fileno(), pipe.pump)
    pipe.drain()
    assert pipe.pumped.wait(PATIENCE)
    assert pipe.calls == 2


def test_sockets_with_room_are_pumped_at_once(flusher, pipe):
    pipe.drain()
    flusher.add(pipe.near.fileno(), pipe.pump)
    assert pipe.pumped.wait(PATIENCE)


@pytest.mark.parametrize("result", [False, RuntimeError()])
def test_a_pump_that_fails_does_not_stop_the_others(flusher, pipe, result):
    pipe.drain()
    pipe.result = result
    flusher.add(pipe.near.fileno(), pipe.pump)
    assert pipe.pumped.wait(PATIENCE)
    other = Pipe()
    other.drain()
    flusher.add(other.near.fileno(), other.pump)
    assert other.pumped.wait(PATIENCE)
    other.close()


def test_a_socket_that_is_forgotten(flusher, pipe):
    flusher.add(pipe.near.fileno(), pipe.pump)
    flusher.discard(pipe.near.fileno(), pipe.pump)
    flusher.discard(pipe.near.fileno(), pipe.pump)
    pipe.drain()
    assert not pipe.pumped.wait(0.1)


def test_the_pump_of_another_connection_is_not_forgotten(pipe):
    """A descriptor was closed, and opened again for another connection."""
    flusher, other = Flusher(), Pipe()
    flusher.add(pipe.near.fileno(), pipe.pump)
    flusher.discard(pipe.near.fileno(), other.pump)
    pipe.drain()
    assert pipe.pumped.wait(PATIENCE)
    other.close()


def test_a_peer_that_is_gone_wakes_the_pump(flusher, pipe):
    flusher.add(pipe.near.fileno(), pipe.pump)
    pipe.far.close()
    assert pipe.pumped.wait(PATIENCE)


@pytest.mark.parametrize("fd", [-1, 1 << 20])
def test_descriptors_that_are_none(fd):
    flusher = Flusher()
    flusher.add(fd, lambda: pytest.fail("called"))
    flusher.discard(fd, lambda: True)


def test_a_thread_that_cannot_be_started(monkeypatch, pipe):
    """The next socket tries again."""
    flusher = Flusher()
    monkeypatch.setattr(module, "start_thread", lambda *_: False)
    flusher.add(pipe.near.fileno(), pipe.pump)
    assert not flusher._running
    monkeypatch.undo()
    pipe.drain()
    other = Pipe()
    other.drain()
    flusher.add(other.near.fileno(), other.pump)
    assert pipe.pumped.wait(PATIENCE)
    assert other.pumped.wait(PATIENCE)
    other.close()


def test_a_process_with_too_many_open_descriptors(monkeypatch, pipe):
    """It goes on without epoll."""

    def make():
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(module, "original", lambda *_: make)
    flusher = Flusher()
    pipe.drain()
    flusher.add(pipe.near.fileno(), pipe.pump)
    assert pipe.pumped.wait(PATIENCE)


def test_the_thread_has_to_be_needed():
    assert not Flusher()._running


def is_over(flusher):
    deadline = time.monotonic() + PATIENCE
    while flusher._running and time.monotonic() < deadline:
        time.sleep(0.01)
    return not flusher._running and not flusher._made


def test_the_thread_ends_when_nothing_waits(flusher, pipe, monkeypatch):
    """It begins anew with the next socket, and leaves no descriptor behind."""
    monkeypatch.setattr(module, "LINGER", 0.05)
    pipe.drain()
    for count in (1, 2):
        pipe.pumped.clear()
        flusher.add(pipe.near.fileno(), pipe.pump)
        assert pipe.pumped.wait(PATIENCE)
        assert is_over(flusher)
        assert pipe.calls == count


def test_a_socket_that_comes_when_the_thread_is_about_to_end(pipe, monkeypatch):
    flusher, late = Flusher(), Pipe()
    late.drain()
    monkeypatch.setattr(module, "LINGER", 0.05)
    close = module._Epoll.close

    def add_and_close(epoll):
        # The threads of other tests may be about to end as well.
        if flusher._running and not flusher._made and not late.pumped.is_set():
            flusher.add(late.near.fileno(), late.pump)
            flusher._running = False
        close(epoll)

    monkeypatch.setattr(module._Epoll, "close", add_and_close)
    pipe.drain()
    flusher.add(pipe.near.fileno(), pipe.pump)
    assert late.pumped.wait(PATIENCE)
    assert is_over(flusher)
    late.close()


def test_sockets_that_come_and_go_all_the_time(monkeypatch):
    """None is forgotten, however often the thread ends and begins."""
    monkeypatch.setattr(module, "LINGER", 0.001)
    flusher = Flusher()
    pipes = [Pipe() for _ in range(4)]

    def add(pipe):
        for _ in range(100):
            pipe.pumped.clear()
            flusher.add(pipe.near.fileno(), pipe.pump)
            assert pipe.pumped.wait(PATIENCE)
            time.sleep(0.001)

    for pipe in pipes:
        pipe.drain()
    for one in [Running(add, pipe) for pipe in pipes]:
        one.result()
    assert is_over(flusher)
    for pipe in pipes:
        pipe.close()
