"""How a WebSocket ends: by either side's Close, by an exception, or because somebody is gone."""

import socket
import ssl
from contextlib import suppress

import pytest
from websockets.frames import Frame, Opcode

from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455
from lab.kinds import KINDS, TLS_KINDS
from lab.servers import PATIENCE, eventually

from .clients import Old, Raw, close_frame, frame, handshake
from .parameters import on

pytestmark = pytest.mark.live

both = on(middleware=(True, False), tls=True)


# Close


@on(tls=True)
@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "going ☃"), (3000, ""), (4999, "x" * 123), (None, "")], ids=str
)
def test_client_closes(server, code, reason):
    """Guards the client's Close: its code is echoed, and the view is told code and reason."""
    path = f"/echo/client-closes-{code}/"
    with Raw(server) as client:
        client.open(path)
        client.end(code, reason)
    end = server.ended(path)
    assert (end["code"], end["reason"]) == (code or 1005, reason)


@on(tls=True)
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1013, "later ☃"), (4999, "y" * 123)], ids=str)
def test_view_closes(server, code, reason):
    """Guards the view's Close: the client sees code and reason, and the view the client's answer."""
    path = f"/close/{code}/"
    with Raw(server) as client:
        client.open(path)
        client.send_frame(f"{code} {reason}")
        assert client.answer_close() == (code, reason)
    end = server.ended(path)
    assert (end["code"], end["reason"], end["left"]) == (code, "", [])


@on(tls=True)
def test_view_returns(server):
    """Guards the Close of a view that just returns, and that nobody sees the page that it returns."""
    with Raw(server) as client:
        client.open("/return_page/x/")
        client.send_frame("go")
        assert client.answer_close() == (1000, "")


@on(tls=True)
def test_client_does_not_answer_close(server):
    """Guards the time that a client has for its answer: then it is cut."""
    path = "/close_fast/no-answer/"
    with Raw(server) as client:
        client.open(path)
        client.send_frame("1000")
        assert client.closing() == (1000, "")
        client.over()
    assert server.ended(path)["code"] == 1006


@on(tls=True)
def test_messages_before_the_clients_close(server):
    """Guards messages in flight in front of a Close: the view gets them all, and only then learns of the end."""
    path = "/collect/in-flight/"
    texts = [f"message {number}" for number in range(500)]
    with Raw(server) as client:
        client.open(path)
        client.send(b"".join(map(frame, texts)) + close_frame(4000, "enough") + frame("too late"))
        assert client.closing() == (4000, "")
        client.over()
    end = server.ended(path)
    assert (end["code"], end["reason"]) == (4000, "enough")
    assert end["messages"] == texts


@on(tls=True)
@pytest.mark.parametrize(("protocol", "version"), [(RFC6455, 13), (RFC6455, 8), (RFC6455, 7), (Hixie76, 76)])
def test_messages_and_a_close_in_one_segment(server, protocol, version):
    """Guards a client that sends messages and closes at once: the view answers each, and the Close comes last."""
    say_all_and_leave(server, protocol, version, 1000 if version < 75 else 1005)


@on()
def test_messages_and_the_end_of_the_stream(server):
    """Guards the same over hixie-75, whose Close is the end of the client's stream. TLS has no half-closed streams."""
    say_all_and_leave(server, Hixie75, 75, 1005)


def say_all_and_leave(server, protocol, version, code):
    path = f"/echo/leaving-{version}/"
    texts = ["first", "second", "third"]
    with Old(server, path, protocol, version) as client:
        for text in texts:
            client.protocol.send(text)
        client.close()
        assert client.messages == texts
    assert server.ended(path)["code"] == code


@on(tls=True)
def test_messages_behind_the_views_close(server):
    """Guards messages in flight when the view closes: the Close reaches the client, who still sends; no reset."""
    path = "/close/pumping/"
    with Raw(server) as client:
        client.open(path)
        client.send_frame("4001 enough")
        for _ in range(50):
            client.send_frame(b"x" * 65536)
        assert client.answer_close() == (4001, "enough")
    end = server.ended(path)
    assert (end["code"], end["left"]) == (4001, [])


@on()
def test_messages_before_the_views_close(server):
    """Guards what had come before the view closed: it can still be taken."""
    path = "/collect_after_close/x/"
    texts = [f"message {number}" for number in range(20)]
    with Raw(server) as client:
        client.open(path)
        client.send(frame("go") + b"".join(map(frame, texts)))
        assert client.answer_close() == (4001, "")
    end = server.ended(path)
    assert end["messages"][: end["before"]] == texts[: end["before"]]
    assert end["before"] == len(texts)


@on()
def test_late_reader(server):
    """Guards what was sent right before a Close: a client that begins to read late gets all of it, and the Close."""
    with Raw(server) as client:
        client.open("/hold/x/")
        # More than the systems' buffers take is on its way by then, so that the view stands in send().
        eventually(client.unread, lambda size: size > 50_000)
        for number in range(256):
            assert client.message() == b"%c" % number * 65536
        assert client.answer_close() == (1000, "")


@on(tls=True)
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),
        (b"\xc1\x80abcd", 1002),
        (b"\x83\x80abcd", 1002),
        (frame(b"\xff\xfe", Opcode.TEXT), 1007),
        (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + b"abcd", 1009),
        (frame(b"\x03", Opcode.CLOSE), 1002),
    ],
    ids=["unmasked", "reserved bit", "unknown opcode", "not UTF-8", "too big", "half a code"],
)
def test_client_breaks_the_protocol(server, data, code):
    """Guards the answer to each kind of malformed frame: one Close with the code that says so, and no more."""
    path = f"/echo/broken-{data[:3].hex()}/"
    with Raw(server) as client:
        client.open(path)
        client.send_frame("good")
        assert client.message() == "good"
        client.send(data + frame("late"))
        assert client.closing()[0] == code
        client.half_close()
        client.over()
    assert server.ended(path)["code"] == code


@on()
def test_client_breaks_the_protocol_behind_messages(server):
    """Guards the answers to what came in the same segment as a malformed frame: all of them, and the Close last."""
    path = "/echo/broken-behind/"
    texts = [f"message {number}" for number in range(20)]
    with Raw(server) as client:
        client.open(path)
        client.send(b"".join(map(frame, texts)) + b"\x83\x80abcd" + frame("late"))
        assert [client.message() for _ in texts] == texts
        assert client.closing()[0] == 1002
        client.sock.shutdown(socket.SHUT_WR)
        client.over()
    assert server.ended(path)["code"] == 1002


@on(lambda kind: kind.lead)
@pytest.mark.parametrize(("protocol", "version"), [(Hixie76, 76), (Hixie75, 75)])
def test_old_client_breaks_the_protocol_behind_messages(server, protocol, version):
    """Guards the same over the drafts."""
    with Old(server, "/echo/", protocol, version) as client:
        client.sock.sendall(b"\x00a\xff\x00b\xff" + b"\x80" * 12)
        assert [client.next(), client.next()] == ["a", "b"]
        client.ended()


@on(lambda kind: kind.lead)
@pytest.mark.parametrize(
    ("size", "fragments", "code"),
    [(1 << 20, 1, None), ((1 << 20) + 1, 1, 1009), (1024, 1024, None), (1, 1025, 1008)],
    ids=["biggest", "too big", "most fragments", "too many"],
)
def test_default_limits(server, size, fragments, code):
    """Guards the limits that a project has which sets none: 1 MiB, in 1024 fragments."""
    opcodes = [Opcode.BINARY, *[Opcode.CONT] * (fragments - 1)]
    frames = [Frame(opcode, b"x" * size, fin=number == fragments) for number, opcode in enumerate(opcodes, 1)]
    with Raw(server) as client:
        client.open("/echo/")
        client.send(b"".join(piece.serialize(mask=True) for piece in frames))
        if code is None:
            assert client.message() == b"x" * size * fragments
            client.end()
        else:
            assert client.closing()[0] == code
            client.sock.shutdown(socket.SHUT_WR)
            client.over()


@on()
def test_client_breaks_the_protocol_and_sends_on(server):
    """Guards the Close to a client in full flow: closing on what it still sends would reset it, and take that away."""
    path = "/echo/broken-flow/"
    with Raw(server) as client:
        client.open(path)
        client.send(b"\x83\x80abcd")
        for _ in range(64):
            client.send_frame(b"x" * 65536)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.closing()[0] == 1002
        client.over()
    assert server.ended(path)["code"] == 1002


# Exceptions


@both
def test_exception(server):
    """Guards an exception after the handshake: Close 1011, not a byte of HTTP; logged and signalled once."""
    path = f"/fail/exception-{server.middleware}/"
    before = server.tally(path)
    server.expect("RuntimeError('after the handshake')")
    with Raw(server) as client:
        client.open(path)
        client.send_frame("go")
        assert client.answer_close()[0] == 1011
    server.idle()
    (record,) = server.records("django.request")
    assert (record["level"], record["error"]) == ("ERROR", "RuntimeError('after the handshake')")
    after = server.tally(path)
    assert {what: after[what] - before[what] for what in ("started", "finished", "excepted")} == {
        "started": 1,
        "finished": 1,
        "excepted": 1,
    }


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.xdist_group(kind.name)) for kind in (*KINDS, *TLS_KINDS)], ids=str
)
def test_system_exit(launch, kind):
    """Guards a view that ends by something that is no Exception: Close 1011, not a byte of HTTP.

    What becomes of the server, and what it says to that, is its own affair: Django lets it through.
    """
    server = launch(kind)
    with Raw(server) as client:
        client.open("/leave/x/")
        client.send_frame("go")
        assert client.closing() == (1011, "")
        client.over()
    if kind.leaves:
        # Its hub lets it end the process, whoever raises it.
        server.process.wait(PATIENCE)
    else:
        # gunicorn may start another worker.
        eventually(server.is_ready)
        assert server.process.poll() is None


# The client is gone


def vanish(client, how):
    if how == "reset":
        client.reset()
    elif how == "close":
        client.sock.close()
    else:
        client.half_close()
        # OpenSSL has a word of its own for it.
        with suppress(ssl.SSLError):
            assert client.rest() == b""


@both
@pytest.mark.parametrize("how", ["reset", "close", "half-close"])
def test_client_vanishes_while_the_view_waits(server, how):
    """Guards a waiting view whose client is gone without a Close: 1006, and silence in the log."""
    path = f"/echo/gone-{how}-{server.middleware}/"
    with Raw(server) as client:
        client.open(path)
        client.send_frame("here")
        assert client.message() == "here"
        vanish(client, how)
    assert server.ended(path)["code"] == 1006
    assert not server.records("django.request")


@both
@pytest.mark.parametrize("how", ["reset", "close", "half-close"])
def test_client_vanishes_while_the_view_sends(server, how):
    """Guards a sending view whose client is gone: ``ConnectionClosed`` ends it, which is nobody's error."""
    path = f"/flood/gone-{how}-{server.middleware}/"
    with Raw(server) as client:
        client.open(path)
        assert client.message() == b"x" * 65536
        if how == "half-close":
            client.half_close()
            # It is noticed within a second, by a view that only sends.
            with suppress(ssl.SSLError):
                while client.sock.recv(1 << 20):
                    pass
        else:
            vanish(client, how)
    assert server.ended(path)["code"] == 1006
    assert not [record for record in server.records() if record["level"] == "ERROR"]


@on()
def test_client_closes_while_the_view_only_sends(server):
    """Guards a view that never waits: it still notices the client's Close, answers it, and ends."""
    path = "/flood/closed/"
    with Raw(server) as client:
        client.open(path)
        client.send(close_frame(4002, "enough"))
        while (received := client.frame())[0] == Opcode.BINARY:
            pass
        assert received == (Opcode.CLOSE, b"\x0f\xa2")
        client.over()
    end = server.ended(path)
    assert (end["code"], end["reason"]) == (4002, "enough")


@on()
@pytest.mark.parametrize("key", ["", "^n:ds"])
def test_client_vanishes_in_the_handshake(server, key):
    """Guards a hixie-76 client that goes before its eight bytes are there."""
    path = f"/echo/gone-in-handshake-{len(key)}/"
    headers = {
        "Sec-WebSocket-Key": None,
        "Sec-WebSocket-Version": None,
        "Sec-WebSocket-Key1": "4 @1  46546xW%0l 1 5",
        "Sec-WebSocket-Key2": "12998 5 Y3 1  .P00",
    }
    with Raw(server) as client:
        client.send(handshake(server, path, headers) + key.encode())
        client.until(b"\r\n\r\n")
        client.reset()
    assert server.ended(path)["code"] == 1006
