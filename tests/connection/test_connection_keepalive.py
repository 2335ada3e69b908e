"""Pings, and peers that fall silent."""

from __future__ import annotations

import contextlib
import logging
import socket

import pytest

from django_websocket.connection.receiving import (
    READ_TIMEOUT,
)
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import SendProgress

from .line import PING_INTERVAL, PING_TIMEOUT, START, connect, records

# Keepalive


def test_a_ping_after_the_interval():
    ws, line = connect()
    line.say("late", at=START + 2.5 * PING_INTERVAL)
    assert ws.wait() == "late"
    pings = [payload for opcode, payload in line.frames if opcode == Opcode.PING]
    assert len(set(pings)) == 2
    assert line.now == START + 2.5 * PING_INTERVAL


def test_a_silent_peer_is_dropped(caplog):
    caplog.set_level(logging.INFO)
    ws, line = connect()
    line.answering = False
    assert ws.wait() is None
    assert line.now == START + PING_INTERVAL + PING_TIMEOUT
    assert ws.close_code == 1006
    assert line.shut == [socket.SHUT_RDWR]
    assert records(caplog) == [(logging.INFO, "WebSocket /echo/ lost: no sign of life after a ping")]


def test_any_byte_is_a_sign_of_life():
    ws, line = connect()
    line.answering = False
    line.peer.send("x" * 20)
    data = line.peer.data_to_send()
    for number, byte in enumerate(data, 1):
        line.feed(bytes([byte]), at=START + number * (PING_INTERVAL + PING_TIMEOUT - 1))
    assert ws.wait() == "x" * 20
    assert sum(opcode == Opcode.PING for opcode, _ in line.frames) == len(data)


def test_waits_with_timeouts_of_their_own_keep_the_connection_alive_too():
    ws, line = connect()
    line.answering = False
    while not ws.closed:
        with contextlib.suppress(TimeoutError):
            assert ws.wait(0.75) is None
    assert line.now == START + PING_INTERVAL + PING_TIMEOUT


def test_a_pong_that_came_while_the_view_was_busy_counts():
    ws, line = connect()
    with pytest.raises(TimeoutError):
        ws.wait(PING_INTERVAL + 1)
    line.now += 1000
    line.say("x")
    assert ws.wait() == "x"


def test_no_ping_timeout():
    ws, line = connect(ping_timeout=None)
    line.answering = False
    line.say("x", at=START + 1000)
    assert ws.wait() == "x"
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING]


def test_no_pings():
    ws, line = connect(ping_interval=None)
    line.say("x", at=START + 1000)
    assert ws.wait() == "x"
    assert line.frames == []
    with pytest.raises(TimeoutError):
        ws.wait(1000)
    assert line.now == START + 2000


def test_most_waits_need_no_timeout_of_their_own():
    ws, line = connect()
    for number in range(10):
        line.say("x", at=START + number)
        ws.wait()
    assert line.default_timeout == READ_TIMEOUT
    assert set(line.waits) == {READ_TIMEOUT}


def test_after_a_silence_a_wait_is_as_long_as_it_may():
    ws, line = connect()
    line.say("x")
    line.say("y", at=START + READ_TIMEOUT + 1)
    assert (ws.wait(), ws.wait()) == ("x", "y")
    assert line.waits[-2:] == [READ_TIMEOUT, PING_INTERVAL - READ_TIMEOUT]


def test_who_waits_idly_is_woken_by_nothing_but_pings():
    """Each wakes a thread, which wants the interpreter: with thousands of them too many would queue for it."""
    ws, line = connect()
    line.say("x", at=START + 10 * PING_INTERVAL - 1)
    assert ws.wait() == "x"
    pings = [opcode for opcode, _ in line.frames].count(Opcode.PING)
    assert pings == 9
    # The first silence, then a ping and its pong for each interval.
    assert len(line.waits) <= 2 + 2 * pings


def test_a_short_ping_interval_is_shorter_than_a_silence():
    ws, line = connect(ping_interval=0.25)
    line.say("x")
    line.say("y", at=START + 0.3)
    assert (ws.wait(), ws.wait()) == ("x", "y")
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING]


def test_latency():
    ws, line = connect()
    line.answering = False
    ws.ping(b"mine")
    assert ws.latency is None
    line.feed(line.peer.data_to_send(), at=START + 0.25)
    line.say("x", at=START + 0.25)
    ws.wait()
    assert ws.latency == 0.25
    # A pong that nobody asked for.
    line.feed(pong(b"other"), at=START + 2)
    line.say("x", at=START + 2)
    ws.wait()
    assert ws.latency == 0.25


def pong(payload):
    return bytes([0x80 | Opcode.PONG, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def test_latency_of_the_keepalive():
    ws, line = connect()
    line.on_send = lambda _: setattr(line, "now", line.now + 0.5)
    with pytest.raises(TimeoutError):
        ws.wait(PING_INTERVAL + 5)
    assert ws.latency == 0.5


@pytest.mark.parametrize(
    ("data", "error"), [("x", TypeError), (None, TypeError), (5, TypeError), (b"x" * 126, ValueError)]
)
def test_bad_pings(data, error):
    ws, line = connect()
    with pytest.raises(error):
        ws.ping(data)
    ws.ping(bytearray(b"y"))
    assert line.frames == [(Opcode.PING, b"y")]


def test_pings_are_answered():
    ws, line = connect()
    line.peer.ping(b"hello")
    line.feed(line.peer.data_to_send())
    line.say("x")
    ws.wait()
    assert line.peer.pong == b"hello"
    line.peer.ping(b"again")
    line.feed(line.peer.data_to_send())
    ws.read()
    assert line.peer.pong == b"again"


def test_a_view_that_polls_is_kept_alive():
    ws, line = connect()
    line.answering = False
    line.now += PING_INTERVAL
    assert ws.read() is None
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING]
    line.now += PING_TIMEOUT
    assert not ws.has_messages()
    assert (ws.closed, ws.close_code) == (True, 1006)


@pytest.mark.parametrize("use", ["wait", "read"])
def test_a_slow_reader_is_alive(use):
    """The ping stands behind megabytes, which the peer takes steadily; when it takes no more, it is dropped."""
    ws, line = connect()
    line.answering = False
    last = START + 10 * (PING_INTERVAL + PING_TIMEOUT)
    line.send_progress = lambda: SendProgress(int(1000 * min(line.now, last)), pending=True)
    while not ws.closed:
        if use == "wait":
            assert ws.wait() is None
        else:
            assert ws.read() is None
            line.now += 1
    assert last < line.now <= last + 2 * PING_TIMEOUT + 2
    assert ws.close_code == 1006
    assert [opcode for opcode, _ in line.frames] == [Opcode.PING]


def test_a_peer_whose_system_alone_is_alive_is_dropped():
    """The system takes small messages, and the ping, as long as it has room for them."""
    ws, line = connect()
    line.answering = False
    line.send_progress = lambda: SendProgress(int(1000 * line.now), pending=False)
    assert ws.wait() is None
    assert line.now == START + PING_INTERVAL + PING_TIMEOUT
