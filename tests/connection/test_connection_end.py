"""A close that is requested from outside, the end of the view, and the end of the process."""

from __future__ import annotations

import signal
import socket
import struct
import threading
import time

import pytest

from django_websocket.connection import connection as module
from django_websocket.connection.receiving import (
    LEAVE_TIMEOUT,
)
from django_websocket.exceptions import ConnectionClosed
from django_websocket.process import closer as closer_module
from django_websocket.process.closer import Closer
from django_websocket.process.registry import registry
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import TimedOut

from ..promptness import within
from ..running import Running
from .line import (
    CLOSE_TIMEOUT,
    PATIENCE,
    PING_INTERVAL,
    START,
    Line,
    connect,
    connection_of,
    protocol_of,
    reading_lock,
    until,
    writing_lock,
)

# request_close(), for signal handlers


def test_request_close_of_an_idle_connection():
    ws, line = connect()
    connection_of(ws).request_close(1012)
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.closed
    assert ws.wait() is None
    assert ws.close_code == 1012


def test_request_close_is_for_open_connections():
    ws, line = connect()
    ws.close()
    connection_of(ws).request_close(1012)
    assert len(line.frames) == 1


def test_request_close_of_a_silent_peer():
    ws, line = connect()
    line.answering = False
    connection_of(ws).request_close(1012)
    assert ws.wait() is None
    assert line.now == START + CLOSE_TIMEOUT


def test_request_close_while_a_thread_sends():
    ws, line = connect()

    def on_send(data):
        line.on_send = None
        connection_of(ws).request_close(1012)
        assert line.frames == []

    line.on_send = on_send
    ws.send("whole")
    assert line.frames == [(Opcode.TEXT, b"whole"), (Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.closed


def test_request_close_while_the_protocol_is_called():
    """As a signal handler does that interrupts the thread in there: nothing may wait for the mutex."""
    ws, line = connect()
    protocol = protocol_of(ws)
    receive = protocol.receive

    def interrupted(data):
        protocol.receive = receive
        connection_of(ws).request_close(1012)
        return receive(data)

    protocol.receive = interrupted
    line.say("x")
    assert ws.wait() == "x"
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]


def test_request_close_while_a_ping_is_made():
    ws, line = connect()
    protocol = protocol_of(ws)
    ping = protocol.ping

    def interrupted(data):
        connection_of(ws).request_close(1012)
        ping(data)

    protocol.ping = interrupted
    ws.ping(b"p")
    assert line.frames == [(Opcode.PING, b"p"), (Opcode.CLOSE, struct.pack("!H", 1012))]


def test_the_keepalive_does_not_ping_a_connection_that_is_closed_meanwhile():
    ws, line = connect()
    connection = connection_of(ws)

    def idle():
        line.now += PING_INTERVAL
        # Between the clock and the mutex another thread closes.
        mutex = connection._mutex

        class Mutex:
            def __enter__(self):
                connection._mutex = mutex
                Running(ws.close).result()
                mutex.acquire()

            def __exit__(self, *_):
                mutex.release()

            def _is_owned(self):
                return mutex._is_owned()

        connection._mutex = Mutex()
        raise TimedOut

    line.feed(idle)
    assert ws.wait() is None
    assert [opcode for opcode, _ in line.frames] == [Opcode.CLOSE]
    assert ws.close_code == 1000


def test_a_signal_while_waiting(live):
    """A real one, in the thread that waits."""
    ws, browser = live()
    previous = signal.signal(signal.SIGALRM, lambda *_: connection_of(ws).request_close(1012))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        answering = Running(browser.read_to_end)
        assert ws.wait() is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert ws.close_code == 1012
    ws.end()
    assert answering.result() == 1012


# What the reaper does


def test_the_reaper_sees_to_closings_that_nobody_waits_for(followed):
    ws, line = connect()
    ws.close()
    assert followed == [], "the view's own thread waits"
    ws, line = connect()
    line.answering = False
    Running(ws.close).result()
    assert followed == [connection_of(ws)]
    other, _ = connect()
    connection_of(other).request_close(1012)
    assert followed == [connection_of(ws), connection_of(other)]


def test_a_closing_is_hurried_until_its_time_is_over():
    ws, line = connect()
    line.answering = False
    connection_of(ws).request_close(1012)
    assert not connection_of(ws).finish_if_due()
    line.now += CLOSE_TIMEOUT - 1
    assert not connection_of(ws).finish_if_due()
    assert line.shut == []
    line.now += 1
    assert connection_of(ws).finish_if_due()
    assert line.shut == [socket.SHUT_RDWR]
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]


def test_nothing_is_left_to_finish_of_what_is_closed():
    ws, line = connect()
    line.answering = True
    connection_of(ws).request_close(1012)
    assert ws.wait() is None
    assert connection_of(ws).finish_if_due()
    assert line.shut == []


def test_a_close_that_could_not_leave_is_sent_by_the_reaper():
    """A thread is sending, for as long as the client reads slowly; the Close has its time from when it leaves."""
    ws, line = connect()
    line.answering = False
    with writing_lock(ws):
        connection_of(ws).request_close(1012)
        line.now += 2 * CLOSE_TIMEOUT
        assert not connection_of(ws).finish_if_due()
        assert line.frames == []
    assert not connection_of(ws).finish_if_due()
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    line.now += CLOSE_TIMEOUT
    assert connection_of(ws).finish_if_due()


def test_a_wait_without_an_end_is_woken(live, monkeypatch):
    """A view sleeps in a read, and its peer answers nothing."""
    monkeypatch.setattr(module, "closer", Closer())
    ws, _ = live(close_timeout=0.2, ping_interval=None)
    waiting = Running(ws.wait)
    until(reading_lock(ws).locked)
    connection_of(ws).request_close(1012)
    assert waiting.result() is None
    assert ws.close_code == 1006


@pytest.mark.parametrize("wait", [True, False])
def test_the_closer_forgets_a_connection_that_has_ended(monkeypatch, wait):
    """If no thread could be started, nobody else would remove the connection."""
    closer = Closer()
    monkeypatch.setattr(closer_module, "start_thread", lambda *_: False)
    monkeypatch.setattr(module, "closer", closer)
    ws, _ = connect()
    connection_of(ws).request_close(1012)
    assert closer._closings
    connection_of(ws).end(1000, wait=wait)
    assert not closer._closings


def test_request_close_that_cannot_be_sent_at_once():
    ws, line = connect()
    line.sends_now = False
    connection_of(ws).request_close(1012)
    assert line.frames == []
    line.say("x")
    assert ws.wait() == "x"
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.wait() is None
    assert ws.close_code == 1012


def test_request_close_that_cannot_be_sent_at_once_reaches_an_idle_peer():
    """Over TLS it never can be, and the peer is to learn why it is cut."""
    ws, line = connect()
    line.sends_now = False
    connection_of(ws).request_close(1012)
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.close_code == 1012


# The end


@pytest.mark.parametrize("code", [1000, 1011])
def test_end(code):
    ws, line = connect()
    assert len(registry) == 1
    ws.end(code)
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", code))]
    assert line.shut[-1] == socket.SHUT_RDWR
    assert len(registry) == 0
    ws.end()
    assert len(line.frames) == 1


def test_end_without_waiting():
    ws, line = connect()
    line.answering = False
    ws.end(1011, wait=False)
    assert line.now == START
    assert line.waits == []
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1011))]
    assert line.shut == [socket.SHUT_RDWR]
    assert ws.close_code == 1006
    assert len(registry) == 0
    assert ws.wait() is None


def test_end_without_waiting_of_a_closed_connection():
    ws, line = connect()
    ws.close()
    ws.end(1011, wait=False)
    assert len(line.frames) == 1
    assert line.shut == [socket.SHUT_RDWR]


def test_end_without_waiting_while_a_thread_sends():
    ws, line = connect()
    go_on = threading.Event()
    line.on_send = lambda _: go_on.wait(PATIENCE)
    sending = Running(ws.send, "x")
    until(line.writing.locked)
    line.shutdown = lambda how=socket.SHUT_RDWR: (line.shut.append(how), go_on.set())
    ws.end(wait=False)
    assert not line.writing.locked(), "the thread that sent is out of the socket"
    with pytest.raises(ConnectionClosed):
        sending.result()


def test_end_lets_go_of_the_socket_when_it_is_interrupted():
    ws, line = connect()
    line.answering = False
    line.feed(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        ws.end()
    assert line.shut == [socket.SHUT_RDWR]
    assert len(registry) == 0
    assert ws.closed


def test_end_while_another_thread_sends(live):
    """To a client that does not read. When end() is over no thread is in the socket any more."""
    ws, _ = live(close_timeout=0.1, send_timeout=PATIENCE)
    sending = Running(ws.send, b"x" * 20_000_000)
    until(writing_lock(ws).locked)
    began = time.monotonic()
    ws.end()
    assert within(time.monotonic() - began, LEAVE_TIMEOUT + PATIENCE / 2, PATIENCE / 2)
    assert not writing_lock(ws).locked()
    with pytest.raises(ConnectionClosed) as caught:
        sending.result()
    assert caught.value.code == 1006


def test_end_while_another_thread_waits(live):
    ws, browser = live(close_timeout=0.1)
    waiting = Running(ws.wait)
    until(reading_lock(ws).locked)
    ws.end()
    assert waiting.result() is None
    assert browser.read_to_end() == 1000


def test_end_gives_up_on_a_thread_that_does_not_wake(monkeypatch):
    monkeypatch.setattr("django_websocket.connection.connection.LEAVE_TIMEOUT", 0.01)
    ws, line = connect()
    ws.close()
    with writing_lock(ws):
        ws.end(wait=False)
    assert line.shut == [socket.SHUT_RDWR]


def test_nothing_touches_the_socket_after_the_end():
    """The system may have given its number to another connection."""
    ws, line = connect()
    ws.end()

    def touched(*_):
        raise AssertionError("touched")

    line.receive = line.try_receive = line.send = line.try_send = line.shutdown = touched
    line.now += 1000
    assert ws.wait() is None
    assert ws.read() is None
    assert ws.count_messages() == 0
    assert not ws.has_messages()
    for call in (ws.send, ws.send_json):
        with pytest.raises(ConnectionClosed):
            call("x")
    with pytest.raises(ConnectionClosed):
        ws.ping()
    connection_of(ws).request_close(1012)
    ws.close()


# A process that ends


def test_a_connection_that_opens_while_the_process_ends():
    registry.draining = True
    ws, line = connect()
    assert line.sent.startswith(b"HTTP/1.1 101 ")
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.wait() is None
    assert ws.close_code == 1012


def test_a_connection_that_opens_slowly_while_the_process_ends():
    line = Line()

    def rest():
        registry.close_all()
        return b"12345678"

    line.feed(rest)
    ws, _ = connect(Hixie76, line=line, received=b"")
    assert ws.closed
    assert line.sent.endswith(b"\xff\x00")


def test_close_all():
    both = [connect(), connect(Hixie76)]
    registry.close_all()
    for ws, line in both:
        assert ws.closed
        assert line.peer.state is State.CLOSED


def test_the_end_waits_for_a_thread_that_still_reads():
    ws, line = connect()
    line.reading.acquire()
    ending = Running(ws.end, wait=False)
    assert ending.is_alive()
    line.reading.release()
    ending.join(PATIENCE)
    assert not ending.is_alive()
    assert ending.error is None


def test_the_oldest_version_is_told_of_a_restart():
    """It has no frame for that: the end of our stream says it."""
    ws, line = connect(Hixie75)
    connection_of(ws).request_close(1012)
    assert line.shut == [socket.SHUT_WR]
