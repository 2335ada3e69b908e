"""Descriptors that wake: eventfd, and a pair of sockets where there is none."""

import os
import select
import threading

import pytest

from django_websocket.transports.wakers import EventWaker, SocketWaker, make_waker

from .pairs import count_descriptors


@pytest.fixture(params=[EventWaker, SocketWaker])
def waker(request):
    waker = request.param(threading.RLock())
    yield waker
    waker.close()


def is_readable(waker):
    return bool(select.select([waker.fileno()], [], [], 0)[0])


def test_it_is_readable_from_wake_to_clear(waker):
    assert not is_readable(waker)
    for _ in range(3):
        waker.wake()
        assert is_readable(waker)
    waker.clear()
    assert not is_readable(waker)
    waker.clear()
    waker.wake()
    assert is_readable(waker)


def test_nobody_clears_it(waker):
    for _ in range(5000):
        waker.wake()
    assert is_readable(waker)
    waker.clear()
    assert not is_readable(waker)


def test_a_late_wake_does_not_write_to_the_next_file(waker):
    fd = waker.fileno()
    waker.close()
    reader, writer = os.pipe()
    try:
        if fd not in {reader, writer}:
            os.dup2(writer, fd)
            os.close(writer)
            writer = fd
        os.set_blocking(reader, False)
        waker.wake()
        waker.clear()
        waker.close()
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
    finally:
        os.close(reader)
        os.close(writer)


def test_no_descriptor_is_left(waker):
    before = count_descriptors()
    waker.close()
    assert count_descriptors() < before


@pytest.mark.parametrize("kind", [EventWaker, SocketWaker])
def test_the_best_kind_that_the_system_has(kind, monkeypatch):
    if kind is SocketWaker:
        monkeypatch.delattr(os, "eventfd")
    waker = make_waker(threading.RLock())
    assert type(waker) is kind
    waker.close()
