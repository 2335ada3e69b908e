"""Time: senders that meet a client that does not read, keepalive, and waits with a timeout."""

import itertools
import time

import pytest
from websockets.frames import Opcode

from ..promptness import within
from .clients import Raw, frame
from .parameters import on

pytestmark = pytest.mark.live


def two_senders(server, how):
    path = f"/two_senders/{how}/x/"
    with Raw(server) as client:
        client.open(path)
        client.send_frame("I do not read, but I speak")
        # Meanwhile others are served, until the two have been given up.
        start = time.monotonic()
        with Raw(server) as other:
            other.open("/echo/")
            for number in itertools.count():
                asked = time.monotonic()
                other.send_frame(f"{number}")
                assert other.message() == f"{number}"
                assert within(time.monotonic() - asked, 5), "another connection had to wait"
                if number % 20 == 0 and any(path in record["message"] for record in server.records("live")):
                    break
                assert within(time.monotonic() - start, 30), "the senders were not given up"
            other.end()
        assert time.monotonic() - start > 1.4, "the send timeout is 1.5 seconds"
        end = server.ended(path)
        assert (end["code"], end["messages"]) == (1006, ["I do not read, but I speak"])
        # What has arrived is whole frames, each by one sender and all of them in order, and a part of one more.
        seen = {"a": 0, "b": 0}
        data = client.rest()
    while len(data) >= 4:
        assert data[:2] == b"\x81\x7e", data[:20]
        size = int.from_bytes(data[2:4], "big")
        text, data = data[4 : 4 + size], data[4 + size :]
        if len(text) < size:
            break
        number, _, body = text.decode().partition(":")
        letter = number[0]
        seen[letter] += 1
        assert (number, body) == (f"{letter}{seen[letter]}", letter * 40_000)
    assert seen["a"] + seen["b"] > 0


@on(lambda kind: kind.concurrent)
def test_two_threads_send(server):
    """Guards two threads that send to a client that does not read: no deadlock, no mixed frames, and an end.

    On eventlet unpatched these are real threads beside the hub's, on eventlet patched they are greenlets.
    """
    two_senders(server, "threads")


@on(lambda kind: bool(kind.green))
def test_two_greenlets_send(server):
    """Guards two greenlets of one hub in the same place: the one that waits must not stop the one that sends."""
    two_senders(server, server.kind.green)


@on()
def test_client_does_not_read(server):
    """Guards the send timeout of a view that is alone with a client that does not read."""
    path = "/flood/not-read/"
    with Raw(server) as client:
        client.open(path)
        start = time.monotonic()
        end = server.ended(path)
        assert end["code"] == 1006
        took = time.monotonic() - start
        assert took > 0.9
        assert within(took, 10)
    records = server.records("django_websocket.connection")
    # The first and the last line tell of the opening and of the end.
    (record,) = (
        record for record in records if " accepted: " not in record["message"] and " closed: " not in record["message"]
    )
    assert record["message"].endswith("the client does not read")


@on()
@pytest.mark.parametrize("view", ["keepalive", "chatter"])
def test_client_does_not_answer_pings(server, view):
    """Guards the keepalive: a silent client is dropped, also where the view's own waits are shorter."""
    path = f"/{view}/silent/"
    with Raw(server) as client:
        start = time.monotonic()
        client.open(path)
        opcode, payload = client.frame()
        assert (opcode, len(payload)) == (Opcode.PING, 4)
        assert time.monotonic() - start > 0.15
        assert client.rest() == b""
        assert time.monotonic() - start > 0.5
    assert server.ended(path)["code"] == 1006


@on()
@pytest.mark.parametrize("view", ["keepalive", "chatter"])
def test_client_answers_pings(server, view):
    """Guards clients that are alive: pong after pong they stay, past interval and timeout."""
    path = f"/{view}/alive/"
    with Raw(server) as client:
        client.open(path)
        for _ in range(5):
            opcode, payload = client.frame()
            assert opcode == Opcode.PING
            client.send(frame(payload, Opcode.PONG))
        client.end()
    assert server.ended(path)["code"] == 1000


@on(lambda kind: kind.lead and kind.concurrent)
def test_slow_reader_answers_pings_late(server):
    """Guards a client that reads slowly but steadily: its ping stands behind megabytes, far past the ping timeout."""
    path = "/send_and_wait/slow/"
    with Raw(server) as client:
        client.open(path)
        start = time.monotonic()
        head, size = client.exactly(10), 20_000_000
        assert int.from_bytes(head[2:], "big") == size
        while time.monotonic() - start < 3:
            size -= len(client.exactly(100_000))
            time.sleep(0.05)
        client.exactly(size)
        opcode, payload = client.frame()
        assert opcode == Opcode.PING
        client.send(frame(payload, Opcode.PONG) + frame("still here"))
        client.send_frame(b"\x03\xe8", Opcode.CLOSE)
    end = server.ended(path)
    assert (end["code"], end["messages"]) == (1000, ["still here"])


@on()
def test_client_pings(server):
    """Guards the answers to a client's pings, in order and between messages."""
    with Raw(server) as client:
        client.open("/echo/", early=frame(b"early", Opcode.PING))
        client.send(frame(b"1", Opcode.PING) + frame("between") + frame(b"2", Opcode.PING))
        frames = [client.frame() for _ in range(4)]
        assert sorted(frames) == sorted(
            [(Opcode.PONG, b"early"), (Opcode.PONG, b"1"), (Opcode.TEXT, b"between"), (Opcode.PONG, b"2")]
        )
        assert [payload for opcode, payload in frames if opcode == Opcode.PONG] == [b"early", b"1", b"2"]
        client.end()


@on()
def test_wait_with_timeout(server):
    """Guards ``wait(timeout=…)``: it gives up in time, and the connection stays as it was."""
    path = "/patient/x/"
    with Raw(server) as client:
        client.open(path)
        assert [client.message(), client.message()] == ["nothing yet", "nothing yet"]
        client.send_frame("at last")
        assert client.message() == "at last"
        assert client.answer_close() == (1000, "")
    server.ended(path)
