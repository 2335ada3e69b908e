"""The closing handshake, begun by either side."""

from __future__ import annotations

import itertools
import logging
import socket
import struct

import pytest

from django_websocket.connection import connection as module
from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.close_codes import MAX_CLOSE_REASON
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import TimedOut

from ..running import Running
from .line import (
    CLOSE_TIMEOUT,
    PING_INTERVAL,
    START,
    connect,
    connection_of,
    reading_lock,
    records,
    until,
    writing_lock,
)

# Closing, by us


def test_close():
    ws, line = connect()
    ws.close(4000, "enough")
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 4000) + b"enough")]
    assert ws.closed
    assert (ws.close_code, ws.close_reason) == (4000, "")
    assert line.now == START
    ws.close()
    ws.close(1001)
    assert len(line.frames) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((1005,), ValueError),
        ((1006,), ValueError),
        ((1015,), ValueError),
        ((1010,), ValueError),
        ((999,), ValueError),
        ((5000,), ValueError),
        ((1000, "ä" * 62), ValueError),
        ((1000, "\ud800"), ValueError),
        (("1000",), TypeError),
        ((True,), TypeError),
        ((1000, b"x"), TypeError),
    ],
)
@pytest.mark.parametrize("kind", [RFC6455, Hixie75])
def test_bad_closes(kind, arguments, error):
    ws, line = connect(kind)
    with pytest.raises(error):
        ws.close(*arguments)
    assert not ws.closed
    ws.send("x")
    assert line.heard == ["x"]


def test_the_longest_reason():
    ws, line = connect()
    reason = "ä" * (MAX_CLOSE_REASON // 2) + "x"
    ws.close(3000, reason)
    assert line.peer.close_reason == reason


def test_close_waits_no_longer_than_its_timeout(caplog):
    caplog.set_level(logging.INFO)
    ws, line = connect()
    line.answering = False
    ws.close()
    assert line.now == START + CLOSE_TIMEOUT
    assert ws.close_code == 1006
    assert line.shut == [socket.SHUT_RDWR]
    assert records(caplog) == [(logging.INFO, "WebSocket /echo/ lost: the peer did not answer Close")]


def test_a_peer_that_floods_instead_of_answering_is_cut():
    ws, line = connect()
    line.answering = False
    line.peer.send("x" * 1000)
    block = line.peer.data_to_send()
    step = 0.25

    def more():
        line.feed(more, at=line.now + step)
        return block

    line.feed(more)
    ws.close()
    assert START + CLOSE_TIMEOUT <= line.now <= START + CLOSE_TIMEOUT + step
    assert ws.close_code == 1006
    assert not ws.has_messages()


def test_a_peer_that_floods_while_the_view_reads_on_is_cut():
    """Another thread closed; the view gets what comes, but not longer than the close timeout."""
    ws, line = connect()
    line.answering = False
    line.peer.send("x")
    block = line.peer.data_to_send()
    step = 0.25

    def more():
        line.feed(more, at=line.now + step)
        return block

    line.feed(more)
    Running(ws.close).result()
    messages = list(itertools.islice(ws, 1000))
    assert set(messages) == {"x"}
    assert START + CLOSE_TIMEOUT <= line.now <= START + CLOSE_TIMEOUT + step


def test_messages_before_the_close_can_still_be_read_and_those_after_it_are_dropped():
    ws, line = connect()
    for message in ("a", "b"):
        line.say(message)
    assert [ws.count_messages() for _ in range(2)] == [1, 2]
    line.say("after", at=START + 1)
    line.answering = False
    line.peer.close()
    line.feed(line.peer.data_to_send(), at=START + 2)
    ws.close()
    assert ws.closed
    assert list(ws) == ["a", "b"]
    assert ws.close_code == 1000


def test_close_from_another_thread_only_sends():
    ws, line = connect()
    line.answering = False
    Running(ws.close, 4000).result()
    assert line.now == START
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 4000))]
    assert ws.closed
    assert ws.close_code is None
    line.feed(line.peer.data_to_send(), at=START + 1)
    assert ws.wait() is None
    assert ws.close_code == 4000
    assert line.now == START + 1


def test_close_from_another_thread_that_the_peer_does_not_answer():
    ws, line = connect()
    line.answering = False
    Running(ws.close).result()
    assert ws.wait() is None
    assert line.now == START + CLOSE_TIMEOUT
    assert ws.close_code == 1006


@pytest.mark.parametrize(
    ("kind", "options"),
    [(RFC6455, {}), (RFC6455, {"ping_interval": None}), (Hixie76, {})],
    ids=["pings", "none", "old"],
)
def test_close_from_another_thread_ends_a_wait_that_has_begun(kind, options):
    """However patient that wait was: the peer, which is there but does not answer, has its close timeout."""
    ws, line = connect(kind, **options)
    line.answering = False

    def idle():
        Running(ws.close).result()
        # What a transport does when its patience is over; it must have had some.
        patience = line.waits[-1]
        assert patience is not None, "waits for ever"
        line.now += patience
        raise TimedOut

    line.feed(idle)
    assert ws.wait() is None
    assert ws.close_code == 1006
    assert line.now <= START + max(PING_INTERVAL, CLOSE_TIMEOUT) + CLOSE_TIMEOUT


def test_close_while_another_thread_reads(live):
    ws, browser = live()
    reading = Running(lambda: list(ws))
    until(reading_lock(ws).locked)
    browser.send("x")
    answering = Running(browser.read_to_end)
    ws.close(4005)  # by the thread of the handshake
    assert reading.result() == ["x"]
    assert ws.close_code == 4005
    ws.end()
    assert answering.result() == 4005


def test_close_does_not_wait_for_ever_for_a_thread_that_reads():
    ws, line = connect(close_timeout=0.05)
    line.answering = False
    with reading_lock(ws):
        ws.close()
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1000))]


def test_close_while_another_thread_sends_to_a_client_that_does_not_read(caplog):
    caplog.set_level(logging.INFO)
    ws, line = connect(close_timeout=0.05)
    with writing_lock(ws):
        ws.close()
    assert ws.close_code == 1006
    assert socket.SHUT_RDWR in line.shut
    assert "does not read" in caplog.text


def test_close_to_a_client_that_is_gone():
    ws, line = connect()
    line.shut.append(socket.SHUT_RDWR)
    ws.close()
    assert ws.close_code == 1006


def test_close_of_hixie_76():
    ws, line = connect(Hixie76)
    ws.close(4000, "unsaid")
    assert line.sent.endswith(b"\xff\x00")
    assert ws.close_code == 1005
    assert line.now == START


def test_close_of_hixie_75_is_the_end_of_the_stream():
    ws, line = connect(Hixie75)
    line.feed(lambda: b"" if socket.SHUT_WR in line.shut else TimedOut(), at=START + 1)
    ws.send("x")
    ws.close()
    assert line.shut == [socket.SHUT_WR]
    assert ws.close_code == 1005
    assert line.now == START + 1


# Closing, by the peer


def test_the_peers_close_is_answered():
    ws, line = connect()
    line.peer.close(4004, "over")
    line.feed(line.peer.data_to_send())
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 4004))]
    assert (ws.close_code, ws.close_reason) == (4004, "over")
    with pytest.raises(ConnectionClosed) as caught:
        ws.send("x")
    assert caught.value.code == 4004
    ws.end()
    assert len(line.frames) == 1
    assert line.peer.close_code == 4004


def test_a_close_without_a_code():
    ws, line = connect()
    line.feed(b"\x88\x80\0\0\0\0")
    assert ws.wait() is None
    assert ws.close_code == 1005
    assert line.frames == [(Opcode.CLOSE, b"")]


def test_what_comes_behind_the_peers_close_is_dropped():
    ws, line = connect()
    line.peer.send("before")
    before = line.peer.data_to_send()
    line.peer.send("behind")
    behind = line.peer.data_to_send()
    line.peer.close()
    line.feed(before + line.peer.data_to_send() + behind)
    assert list(ws) == ["before"]


def test_what_could_not_be_sent_of_a_close_follows():
    ws, line = connect()
    line.sends_now = 3
    connection_of(ws).request_close(1012)
    assert bytes(line.sent).partition(b"\r\n\r\n")[2] == b"\x88\x02\x03"
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert ws.close_code == 1012


def test_a_close_that_leaves_late_has_its_time():
    """The answer's time begins when the Close has gone out, not when it was asked for."""
    ws, line = connect()
    line.sends_now = False
    line.answering = False
    connection_of(ws).request_close(1012)
    asked = line.now
    line.now += 2 * CLOSE_TIMEOUT
    assert ws.wait() is None
    assert line.frames == [(Opcode.CLOSE, struct.pack("!H", 1012))]
    assert line.now >= asked + 3 * CLOSE_TIMEOUT
    assert ws.close_code == 1006


def test_a_close_that_comes_while_another_thread_sends_is_answered_behind_that():
    ws, line = connect()
    line.answering = False
    line.peer.close(1000)
    line.feed(line.peer.data_to_send())
    seen = []

    def on_send(data):
        if not seen:
            seen.append(Running(ws.wait).result())

    line.on_send = on_send
    ws.send("ahead")
    assert seen == [None]
    assert [opcode for opcode, _ in line.frames] == [Opcode.TEXT, Opcode.CLOSE]
    with pytest.raises(ConnectionClosed):
        ws.send("behind")


def test_the_view_closes_while_another_thread_waits(live, followed):
    """The peer does not answer, and the thread's read began before the Close."""
    ws, browser = live(close_timeout=0.1)

    def finish():
        until(lambda: followed)
        until(followed[0].finish_if_due)

    waiting = Running(ws.wait)
    until(reading_lock(ws).locked)
    finishing = Running(finish)
    ws.close(4000)
    assert waiting.result() is None
    finishing.result()
    assert ws.close_code == 1006
    assert browser.protocol.receive(browser.sock.recv(100)) == []
    assert browser.protocol.close_code == 4000


def test_the_view_closes_while_another_thread_reads_for_ever(live, monkeypatch):
    """The thread was stopped within its read: the close does not wait for it longer than it has to."""
    monkeypatch.setattr(module, "LEAVE_TIMEOUT", 0.01)
    ws, _ = live(close_timeout=0.01)
    reading_lock(ws).acquire()
    ws.close(4000)
    reading_lock(ws).release()
