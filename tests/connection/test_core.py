"""Whole messages at the descriptor of a real socket, and all that is not whole among them.

The tests run with whichever core is in use, the compiled one or its twin in Python.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from django_websocket import speedups
from django_websocket.connection import opening
from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.connection.connection import Connection
from django_websocket.connection.core import Core, PythonCore
from django_websocket.connection.hooks import NO_HOOKS, Hooks
from django_websocket.connection.sending import MAX_CORKED, POLL_INTERVAL, Sender
from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.base import DEFAULT_MAX_MESSAGE_SIZE, State
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.protocols.rfc6455.masking import apply_mask_in_python
from django_websocket.speedups import load
from django_websocket.websocket import WebSocket

from ..options import make_options
from ..protocols.rfc6455.peers import make_frame
from ..running import Running
from .line import PATIENCE, Browser, connection_of, pair, protocol_of

MASK = b"\x37\xfa\x21\x3d"
TEXT, BINARY, CLOSE, PING, PONG = Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE, Opcode.PING, Opcode.PONG


def frame(payload, opcode=BINARY, *, fin=True):
    """Return the frame of a client."""
    if isinstance(payload, str):
        payload, opcode = payload.encode(), TEXT
    head = make_frame(opcode, fin=fin, mask=MASK, length=len(payload))
    return head + apply_mask_in_python(payload, MASK)


@contextlib.contextmanager
def running(call, *args):
    """Run a call in a thread of its own during the block, and see that it ends without an error."""
    thread = Running(call, *args)
    yield thread
    thread.result()


@contextlib.contextmanager
def served(hooks=NO_HOOKS, **options):
    """Give a WebSocket over a socket pair, in this thread, and the browser at its other end."""
    ours, theirs = socket.socketpair()
    client, server, _ = pair()
    ws = WebSocket(server, lambda: (ours, b""), make_options(**{"close_timeout": 1, **options}), hooks, "/core/")
    browser = Browser(theirs, client)
    try:
        ws.accept()
        browser.read()
        # The protocol takes the first bytes itself: only then it knows that whole messages may be taken.
        browser.send("first")
        assert ws.wait() == "first"
        yield ws, browser
    finally:
        theirs.close()
        ws.end()
        ours.close()


def test_the_core_in_use():
    compiled = load("core")
    assert issubclass(Connection, Core)
    assert Core is (PythonCore if compiled is None else compiled.Core)


def follows(ws):
    """Return whether the core knows what the protocol allows."""
    connection, protocol = connection_of(ws), protocol_of(ws)
    return (connection._is_open, connection._whole_limit) == (protocol.state is State.OPEN, protocol.whole_limit)


MESSAGES = [
    "",
    "a",
    "x" * 125,
    "x" * 126,
    "y" * 3990,
    "z" * 4100,
    "ä" * 70,
    "€" * 5000,
    b"",
    b"\0\xff" * 3,
    b"b" * 65536,
]
MESSAGES += ["t" * 200_000, bytes(range(256)) * 1000, "tail ü" * 20_000, "last"]


@pytest.mark.parametrize("seed", range(4))
def test_messages_arrive_as_they_were_sent_however_they_are_split(seed):
    chance = random.Random(seed)
    messages = [chance.choice(MESSAGES) for _ in range(60)]
    data = b"".join(frame(message) for message in messages)

    def send(browser):
        position = 0
        while position < len(data):
            size = chance.choice([1, 2, 6, 7, 131, 3999, 4000, 4001, 65550, 300_000])
            browser.sock.sendall(data[position : position + size])
            position += size
        browser.close()

    with served() as (ws, browser), running(send, browser):
        assert list(ws) == messages
        assert ws.close_code == 1000
        assert follows(ws)


@pytest.mark.parametrize("message", ["ascii" * 40_000, "non-äscii" * 40_000, b"\x80" * 200_000, "short", ""])
@pytest.mark.parametrize("ways", ["wait", "iterate", "in time", "read"])
def test_every_way_to_receive(message, ways):
    with served() as (ws, browser), running(browser.send, message):
        if ways == "wait":
            assert ws.wait() == message
        elif ways == "iterate":
            assert next(iter(ws)) == message
        elif ways == "in time":
            assert ws.wait(PATIENCE) == message
        else:
            while (received := ws.read()) is None:
                time.sleep(0.001)
            assert received == message


@pytest.mark.parametrize("message", ["", "x" * 125, "x" * 4096, "x" * 4097, "ä" * 3000, b"y" * 70_000, "w" * 1_000_000])
def test_what_is_sent_arrives(message):
    """The longest ones do not fit into the socket's buffer."""
    with served() as (ws, browser), running(lambda: [browser.wait() for _ in range(3)]) as received:
        for number in ("before", message, "after"):
            ws.send(number)
        assert received.result() == ["before", message, "after"]


def test_the_messages_ahead_of_a_close_are_answered_before_it():
    with served() as (ws, browser):
        browser.sock.sendall(frame("one") + frame("two") + frame(struct.pack("!H", 1000), CLOSE))
        for message in ws:
            ws.send(message.upper())
        assert [browser.wait(), browser.wait()] == ["ONE", "TWO"]
        assert browser.wait() is None
        assert browser.protocol.close_code == 1000
        assert follows(ws)
        with pytest.raises(ConnectionClosed):
            ws.send("late")


def test_a_ping_among_messages():
    with served() as (ws, browser):
        browser.sock.sendall(frame("one") + frame(b"?", PING) + frame("two"))
        assert [ws.wait(), ws.wait()] == ["one", "two"]
        browser.read()
        assert browser.protocol.pong == b"?"


def test_fragments_among_messages():
    with served() as (ws, browser):
        browser.sock.sendall(frame("one") + frame("tw", fin=False) + frame(b"o", Opcode.CONTINUATION) + frame("three"))
        assert [ws.wait(), ws.wait(), ws.wait()] == ["one", "two", "three"]


@pytest.mark.parametrize("good", [0, 5, 5000, 150_000])
def test_a_text_that_is_not_utf_8_fails_as_soon_as_it_is_seen(good):
    """The rest of its frame never comes."""
    whole = frame(b"a" * good + b"\xff" + b"a" * 300_000, TEXT)
    with served() as (ws, browser), running(browser.sock.sendall, whole[: 14 + good + 10]):
        assert ws.wait() is None
        assert ws.close_code == 1007
        assert follows(ws)
        assert browser.read_to_end() == 1007


def test_a_character_that_is_split_between_reads():
    text = "a" * 9000 + "€" + "b" * 9000
    whole = frame(text)
    with served() as (ws, browser):
        browser.sock.sendall(whole[: 8 + 9001])
        with running(ws.wait) as received:
            time.sleep(0.02)
            browser.sock.sendall(whole[8 + 9001 :])
            assert received.result() == text


@pytest.mark.parametrize("arrived", [3, 14, 15, 5000, 100_000])
def test_the_stream_ends_in_the_midst_of_a_large_frame(arrived):
    whole = frame(b"x" * 200_000)
    with served() as (ws, browser), running(browser.sock.sendall, whole[:arrived]) as sent:
        sent.result()
        browser.sock.shutdown(socket.SHUT_WR)
        assert ws.wait() is None
        assert ws.close_code == 1006


def test_a_message_over_the_limit_is_refused_by_its_header():
    with served() as (ws, browser):
        browser.sock.sendall(frame(b"x" * (DEFAULT_MAX_MESSAGE_SIZE + 1))[:14])
        assert ws.wait() is None
        assert ws.close_code == 1009


def test_a_frame_that_pauses_for_longer_than_a_read(monkeypatch):
    monkeypatch.setattr(opening, "READ_TIMEOUT", 0.02)
    whole = frame("x" * 100_000)
    with served() as (ws, browser), running(ws.wait) as received:
        for start in range(0, len(whole), 40_000):
            browser.sock.sendall(whole[start : start + 40_000])
            time.sleep(0.05)
        assert received.result() == "x" * 100_000


def test_another_thread_sends_while_the_view_waits():
    with served() as (ws, browser), running(lambda: [ws.send(str(number)) for number in range(200)]):
        with running(lambda: [browser.wait() for _ in range(200)]) as received:
            assert received.result() == [str(number) for number in range(200)]
        browser.send("done")
        assert ws.wait() == "done"


def test_several_threads_send_whole_frames():
    """They meet at a socket that is full again and again."""
    payloads = [letter * 20_000 for letter in "abcd"]
    with served() as (ws, browser), contextlib.ExitStack() as stack:
        for payload in payloads:
            stack.enter_context(running(lambda payload=payload: [ws.send(payload) for _ in range(30)]))
        received = [browser.wait() for _ in range(120)]
    assert sorted(received) == sorted(payloads * 30)


def test_after_the_end_nobody_touches_the_descriptor():
    """Its number may belong to another file then."""
    with served() as (ws, _):
        number = connection_of(ws)._transport.fileno()
        ws.end()
        connection_of(ws)._transport._plain.close()
        other, peer = socket.socketpair()
        with other, peer:
            if other.fileno() != number:
                os.dup2(other.fileno(), number)
            with pytest.raises(ConnectionClosed):
                ws.send("into another file")
            assert ws.wait() is None
            peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                peer.recv(1)
            if other.fileno() != number:
                os.close(number)


def test_a_socket_that_the_server_has_closed():
    """A server may do so while the view runs. The number of the descriptor then belongs to another file."""
    with served() as (ws, _):
        ours = connection_of(ws)._transport._plain
        number = ours.fileno()
        ours.close()
        with contextlib.ExitStack() as stack:
            pairs = [stack.enter_context(sock) for _ in range(3) for sock in socket.socketpair()]
            (mine,) = [sock for sock in pairs if sock.fileno() == number]
            peer = pairs[pairs.index(mine) ^ 1]
            peer.sendall(frame("not for this view"))
            with pytest.raises(ConnectionClosed):
                ws.send("not for that file")
            assert ws.wait() is None
            peer.setblocking(False)
            with pytest.raises(BlockingIOError):
                peer.recv(1)
            assert mine.recv(100) == frame("not for this view")


def test_a_large_frame_that_drips_puts_nothing_off():
    """Whoever has been logged out is closed, although his message is not complete."""
    asked = threading.Event()

    class LoggedOut(Hooks):
        revalidate_interval = 0.1

        def revalidate(self):
            asked.set()
            return "logged out"

    whole = frame(b"x" * 100_000)

    def drip(browser):
        for position in range(100):
            browser.sock.sendall(whole[position * 100 : position * 100 + 100])
            if asked.wait(0.05):
                break
        assert browser.wait() is None

    with served(LoggedOut()) as (ws, browser), running(drip, browser):
        assert ws.wait() is None
        assert asked.is_set()
        assert browser.protocol.close_code == 4401


def test_an_iterator_that_has_ended_stays_so():
    with served() as (ws, browser):
        browser.close()
        messages = iter(ws)
        assert [next(messages, None) for _ in range(300)] == [None] * 300


@pytest.mark.parametrize("number", [2**63, 10**30])
def test_a_limit_beyond_all_sizes(number):
    with served() as (ws, browser):
        protocol_of(ws).max_message_size = number
        browser.sock.sendall(frame("one") + frame("two"))
        assert [ws.wait(), ws.wait()] == ["one", "two"]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_bytes_of_another_kind(kind):
    with served() as (ws, _):
        assert protocol_of(ws).receive(bytes(kind(frame("one")))) == ["one"]
        assert protocol_of(ws).receive(kind(frame("two"))) == ["two"]


@pytest.mark.parametrize("call", ["close", "finish_deferred", "receive", "connection_lost"])
def test_nothing_is_sent_by_a_state_that_was_left(call, monkeypatch):
    """The exception of a signal handler comes just behind the change of the state."""
    with served() as (ws, browser):
        change = getattr(protocol_of(ws), call)

        def interrupted(*args):
            change(*args)
            raise KeyboardInterrupt

        setattr(protocol_of(ws), call, interrupted)
        browser.sock.sendall(frame(struct.pack("!H", 1000), CLOSE))
        with pytest.raises(KeyboardInterrupt):
            ws.wait() if call in {"finish_deferred", "receive"} else (
                ws.close() if call == "close" else connection_of(ws)._drop()
            )
        delattr(protocol_of(ws), call)
        assert not connection_of(ws)._is_open
        assert connection_of(ws)._whole_limit == -1


@pytest.mark.parametrize("kind", ["returns", "raises", "sends", "closes"])
def test_a_signal_while_the_view_waits(kind):
    """The view's thread is the main one, which handles signals."""

    def handle(number, frame):
        if kind == "raises":
            raise KeyboardInterrupt
        if kind == "sends":
            ws.send("from the handler")
        elif kind == "closes":
            connection_of(ws).request_close(1012)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with served() as (ws, browser):

            def interrupt():
                time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGUSR1)
                time.sleep(0.05)
                if kind == "closes":
                    assert browser.wait() is None
                    assert browser.protocol.close_code == 1012
                else:
                    browser.send("message")

            with running(interrupt):
                if kind == "raises":
                    with pytest.raises(KeyboardInterrupt):
                        ws.wait()
                assert ws.wait() == (None if kind == "closes" else "message")
            if kind == "sends":
                assert browser.wait() == "from the handler"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_second_reader_is_refused():
    with served() as (ws, browser):
        failed = threading.Event()

        def read_too():
            time.sleep(0.05)
            with pytest.raises(RuntimeError, match="another thread is waiting"):
                ws.wait()
            failed.set()
            browser.send("done")

        with running(read_too):
            assert ws.wait() == "done"
        assert failed.is_set()


# What groups deliver


@pytest.mark.parametrize("number", [1, 31, 32, 33, 70])
def test_a_frame_for_many(number):
    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(served()) for _ in range(number)]
        connections = [connection_of(ws) for ws, _ in members]
        shared = protocol_of(members[0][0]).encode_shared("to all")
        assert Connection.deliver_to_all(connections, shared, DEFAULT_LIMITS) == []
        assert [browser.wait() for _, browser in members] == ["to all"] * number


def test_a_frame_for_some_that_are_gone_closing_full_or_busy():
    with contextlib.ExitStack() as stack:
        members = {
            name: stack.enter_context(served()) for name in ("open", "gone", "closing", "full", "busy", "corked")
        }
        connections = {name: connection_of(ws) for name, (ws, _) in members.items()}
        members["gone"][1].sock.close()
        connections["closing"].request_close(1001)
        connections["busy"]._writing.acquire()
        stack.enter_context(members["corked"][0].corked())
        members["corked"][0].send("collected")
        full, reader = members["full"]
        shared = protocol_of(full).encode_shared("x" * 1000)
        while connections["full"].deliver(shared, DEFAULT_LIMITS).name == "SENT":
            pass
        failed = Connection.deliver_to_all(connections.values(), shared, DEFAULT_LIMITS)
        assert {connection for connection, _ in failed} >= {connections["closing"]}
        assert {connection for connection, _ in failed} <= {connections["closing"], connections["gone"]}
        connections["busy"]._writing.release()
        connections["busy"]._flush_nowait()
        for name in ("open", "busy"):
            assert members[name][1].wait() == "x" * 1000
        assert [members["corked"][1].wait() for _ in range(2)] == ["collected", "x" * 1000]
        assert all(reader.wait() == "x" * 1000 for _ in range(50)), (
            "a frame that was sent in part is followed by its rest"
        )


def test_a_signal_handler_sends_while_the_rest_of_a_frame_is_cared_for(monkeypatch):
    """It does so to another connection to which the same frame goes."""
    sent, leave = [], Sender._leave_to_flusher

    def interrupted(connection):
        if not sent:
            sent.append(True)
            members[1][0].send("from the handler")
        leave(connection)

    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(served(send_timeout=2)) for _ in range(2)]
        shared = protocol_of(members[0][0]).encode_shared(b"x" * 1_000_000)
        busy = members[1][1]
        reading = stack.enter_context(running(lambda: [busy.wait(), busy.wait()]))
        monkeypatch.setattr(Sender, "_leave_to_flusher", interrupted)
        assert Connection.deliver_to_all([connection_of(ws) for ws, _ in members], shared, DEFAULT_LIMITS) == []
        monkeypatch.undo()
        assert members[0][1].wait() == b"x" * 1_000_000
        assert set(reading.result()) == {b"x" * 1_000_000, "from the handler"}


# Corked


def nothing_comes(browser):
    browser.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        browser.sock.recv(1)
    browser.sock.settimeout(PATIENCE)
    return True


def test_what_is_corked_leaves_at_the_end_of_the_block():
    with served() as (ws, browser):
        with ws.corked():
            for message in ("one", b"two", "drei ä"):
                ws.send(message)
            with ws.corked():
                ws.send("inside")
            assert nothing_comes(browser)
        assert [browser.wait() for _ in range(4)] == ["one", b"two", "drei ä", "inside"]
        ws.send("at once")
        assert browser.wait() == "at once"


def test_what_is_corked_leaves_before_the_view_waits():
    with served() as (ws, browser), ws.corked():
        browser.sock.sendall(frame("one") + frame("two"))
        for expected in ("one", "two"):
            assert ws.wait() == expected
            ws.send(expected)
        assert nothing_comes(browser)
        with running(ws.wait) as received:
            assert [browser.wait(), browser.wait()] == ["one", "two"]
            browser.send("three")
            assert received.result() == "three"


def test_corking_is_bounded():
    with served() as (ws, browser), ws.corked():
        for _ in range(MAX_CORKED // 1000 + 1):
            ws.send("x" * 1000)
        assert browser.wait() == "x" * 1000
        assert len(connection_of(ws)._unsent) < MAX_CORKED


def test_pongs_and_closes_come_behind_what_is_corked():
    with served() as (ws, browser):
        with ws.corked():
            ws.send("one")
            browser.protocol.ping(b"?")
            browser.flush()
            while not browser.protocol.pong:
                ws.has_messages()
                browser.sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    browser.read()
                browser.sock.settimeout(PATIENCE)
            assert browser.messages.popleft() == "one"
            ws.send("two")
            connection_of(ws).request_close(1001)
        assert browser.wait() == "two"
        assert browser.wait() is None
        assert browser.protocol.close_code == 1001


def test_an_exception_in_a_corked_block_keeps_nothing_back():
    with served() as (ws, browser):
        with pytest.raises(ZeroDivisionError), ws.corked():
            ws.send(str(1 / (ws.send("sent") or 0)))
        assert browser.wait() == "sent"


def test_a_client_that_is_gone_is_noticed_behind_the_block():
    with served() as (ws, browser):
        browser.sock.close()

        def send():
            for _ in range(100):
                with ws.corked():
                    ws.send("x" * 1000)

        with pytest.raises(ConnectionClosed):
            send()


def test_what_another_thread_sends_while_the_view_waits_leaves_at_once():
    with served() as (ws, browser), ws.corked():

        def talk():
            time.sleep(0.05)
            ws.send("from another thread")
            assert browser.wait() == "from another thread"
            browser.send("done")

        with running(talk):
            assert ws.wait() == "done"


def test_a_block_that_ends_while_another_thread_collects(monkeypatch):
    collect = Sender._collect

    with served() as (ws, browser):

        def late(connection, data):
            # compress= is left to the code in Python.
            ended.wait(PATIENCE)
            collect(connection, data)

        ended = threading.Event()
        monkeypatch.setattr(Sender, "_collect", late)
        with ws.corked():
            thread = Running(ws.send, "late", False)
            time.sleep(0.05)
        ended.set()
        thread.result()
        assert browser.wait() == "late"


def test_a_block_that_ends_at_a_socket_without_room_waits_for_it():
    with served() as (ws, browser), running(lambda: [browser.wait() for _ in range(2)]) as received:
        with ws.corked():
            ws.send(b"x" * 60_000)
            for _ in range(2):
                connection_of(ws)._unsent += b""
            ws.send("end")
        assert connection_of(ws)._unsent == b""
        assert received.result() == [b"x" * 60_000, "end"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_view_that_is_stopped_in_a_block_waits_for_nobody(error):
    """The client does not read, and would be waited for until the send timeout."""
    with served(send_timeout=PATIENCE) as (ws, browser):
        while connection_of(ws)._transport.try_send(bytes(10_000)):
            pass
        began = time.monotonic()
        with contextlib.suppress(error), ws.corked():
            ws.send("never")
            raise error
        assert time.monotonic() - began < PATIENCE
        browser.sock.close()


#: The source of the compiled core, which an installed wheel has not.
COMPILED_CORE = Path(speedups.__file__).parent / "_core.pyx"


@pytest.mark.skipif(not COMPILED_CORE.exists(), reason="an installed wheel has no sources of what is compiled")
@pytest.mark.parametrize(("name", "value"), [("MAX_CORKED", MAX_CORKED), ("POLL_INTERVAL", POLL_INTERVAL)])
def test_both_cores_have_the_same_limits(name, value):
    """The compiled core cannot import them, and nobody can import its own."""
    source = COMPILED_CORE.read_text(encoding="utf-8")
    assert [float(found) for found in re.findall(rf"\b{name} = ([\d.]+)$", source, re.MULTILINE)] == [value]
