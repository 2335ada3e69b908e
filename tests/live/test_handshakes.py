"""Opening handshakes, byte by byte: what comes with them, in pieces or too early, and what is refused."""

from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from lab.kinds import KINDS, TLS_KINDS

from ..requests import KEY3 as EXAMPLE_KEY3
from ..requests import OLD_ANSWERS, OLD_CLIENTS
from .clients import Raw, close_frame, frame, get, handshake
from .parameters import on, param

pytestmark = pytest.mark.live

both = on(middleware=(True, False))
everywhere = on(middleware=(True, False), tls=True)

#: The example of the draft.
KEYS = {"Sec-WebSocket-Key1": "4 @1  46546xW%0l 1 5", "Sec-WebSocket-Key2": "12998 5 Y3 1  .P00"}
KEY3, RESPONSE = b"^n:ds[4U", b"8jKS'y:G*Co,Wxa-"
OLD = {"Sec-WebSocket-Key": None, "Sec-WebSocket-Version": None, "Upgrade": "WebSocket"}


# Early frames


@everywhere
@pytest.mark.parametrize("number", [1, 3])
def test_early_frames(server, number):
    """Guards the bytes that a server has read together with the handshake: none of them is lost."""
    texts = [f"early {turn}" for turn in range(number)]
    with Raw(server) as client:
        client.open("/echo/", early=b"".join(map(frame, texts)))
        assert [client.message() for _ in texts] == texts
        client.end()


@everywhere
@pytest.mark.parametrize("cut", [1, 5, 60])
def test_half_an_early_frame(server, cut):
    """Guards a frame that is cut where the handshake's segment ends."""
    text = "early and late " * 10
    data = frame("whole") + frame(text)
    with Raw(server) as client:
        client.open("/echo/", early=data[: len(frame("whole")) + cut])
        assert client.message() == "whole"
        client.send(data[len(frame("whole")) + cut :])
        assert client.message() == text
        client.end()


@on(tls=True)
def test_early_frames_and_close(server):
    """Guards a client that has said all before it is answered: its messages are delivered, its Close is answered."""
    path = "/collect/all-early/"
    with Raw(server) as client:
        client.open(path, early=frame("one") + frame(b"two") + close_frame(1001, "bye"))
        assert client.closing() == (1001, "")
        client.over()
    end = server.ended(path)
    assert (end["code"], end["reason"], end["messages"]) == (1001, "bye", ["one", "b'two'"])


@on()
def test_handshake_in_pieces(server):
    """Guards a handshake that comes byte by byte, with the first frame behind it."""
    with Raw(server) as client:
        data = handshake(server, "/echo/") + frame("slow")
        for position in range(len(data)):
            client.send(data[position : position + 1])
        client.accepted()
        assert client.message() == "slow"
        client.end()


@on(lambda kind: kind.concurrent and kind.keeps)
def test_second_request_of_a_connection(server):
    """Guards a handshake that follows an ordinary request on a connection that was kept."""
    with Raw(server) as client:
        client.send(get(server, "/ready/"))
        assert client.response()[::2] == (200, b"ready")
        client.open("/echo/", early=frame("second"))
        assert client.message() == "second"
        client.end()


# hixie-76 and hixie-75


def hixie76_head(server, path="/echo/"):
    return (
        "HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
        "Upgrade: WebSocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Location: {server.url(path)}\r\n"
        f"Sec-WebSocket-Origin: {server.origin}\r\n"
        "\r\n"
    ).encode()


def talk76(client):
    """Exchange a message, and close: each frame byte by byte, as the draft has it."""
    client.send(b"\x00hello\xff")
    assert client.exactly(7) == b"\x00hello\xff"
    client.send(b"\xff\x00")
    assert client.exactly(2) == b"\xff\x00"
    client.over()


@both
@pytest.mark.parametrize("length", [None, "8"], ids=["bare", "announced"])
@pytest.mark.parametrize("when", ["same segment", "later", "byte by byte"])
def test_hixie76_key(server, when, length):
    """Guards hixie-76's eight bytes behind the head, however they come; some clients announce them."""
    if server.kind.reads_body and length:
        # The server waits for all of it before anybody is asked.
        when = "same segment"
    head = handshake(server, "/echo/", {**OLD, **KEYS, "Content-Length": length})
    with Raw(server) as client:
        if when == "same segment":
            client.send(head + KEY3)
            assert client.until(b"\r\n\r\n") == hixie76_head(server)
        else:
            client.send(head)
            # Proxies hold the eight bytes back until they see this.
            assert client.until(b"\r\n\r\n") == hixie76_head(server)
            for piece in [KEY3] if when == "later" else [KEY3[i : i + 1] for i in range(8)]:
                client.send(piece)
        assert client.exactly(16) == RESPONSE
        talk76(client)


@everywhere
@pytest.mark.parametrize("name", OLD_CLIENTS)
def test_clients_of_their_time(server, name):
    """Guards what clients of 2010 to 2015 without a browser really send: the Host as the Origin, and short keys."""
    places = {"host": server.host, "origin": server.origin, "url": server.url("/echo/")}
    old = name.endswith("76")
    with Raw(server) as client:
        client.send((OLD_CLIENTS[name] % places).encode() + (EXAMPLE_KEY3 if old else b""))
        answer = (OLD_ANSWERS[name] % places).encode()
        assert client.exactly(len(answer)) == answer
        if old:
            talk76(client)
        else:
            client.send_frame("hello")
            assert client.message() == "hello"
            client.end()


@both
def test_hixie76_early_frame(server):
    """Guards a frame right behind the eight bytes."""
    with Raw(server) as client:
        client.send(handshake(server, "/echo/", {**OLD, **KEYS}) + KEY3 + b"\x00early\xff")
        assert client.until(b"\r\n\r\n") == hixie76_head(server)
        assert client.exactly(16) == RESPONSE
        assert client.exactly(7) == b"\x00early\xff"
        talk76(client)


@on(lambda kind: kind.lead, WEBSOCKET_HANDSHAKE_TIMEOUT=0.3)
@pytest.mark.parametrize("key", [b"", KEY3[:5]], ids=["none", "five"])
def test_hixie76_key_never_comes(server, key):
    """Guards against waiting for the eight bytes for ever: the view sees a closed connection (1006)."""
    path = f"/echo/no-key-{len(key)}/"
    with Raw(server) as client:
        client.send(handshake(server, path, {**OLD, **KEYS}) + key)
        assert client.until(b"\r\n\r\n") == hixie76_head(server, path)
        assert client.rest() == b""
    assert server.ended(path)["code"] == 1006
    records = server.records("django_websocket.connection")
    # The first and the last line tell of the opening and of the end.
    (record,) = (
        record for record in records if " accepted: " not in record["message"] and " closed: " not in record["message"]
    )
    assert (record["level"], "did not come in time" in record["message"]) == ("WARNING", True)


@both
def test_hixie75(server):
    """Guards hixie-75, byte by byte: its browsers compare the head, and half-close to say goodbye."""
    with Raw(server) as client:
        client.send(handshake(server, "/echo/", OLD) + b"\x00early\xff")
        assert (
            client.until(b"\r\n\r\n")
            == (
                "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
                "Upgrade: WebSocket\r\n"
                "Connection: Upgrade\r\n"
                f"WebSocket-Location: {server.url('/echo/')}\r\n"
                f"WebSocket-Origin: {server.origin}\r\n"
                "\r\n"
            ).encode()
        )
        assert client.exactly(7) == b"\x00early\xff"
        client.send(b"\x00hello\xff")
        assert client.exactly(7) == b"\x00hello\xff"
        client.sock.shutdown(1)
        client.over()


# Refusals


@dataclass(frozen=True)
class Refusal:
    path: str
    headers: dict = field(default_factory=dict)
    status: int = 400
    #: Whether something refuses it before a decorator of ours could, so that it takes the middleware.
    early: bool = False
    #: What Django logs, as it does for any other request.
    error: str = ""
    #: Whether the view, or Django, has refused it; else we have.
    elsewhere: bool = False


REFUSALS = {
    "forbidden": Refusal("/forbid/{}/", {}, 403, elsewhere=True),
    "forbidden at length": Refusal("/forbid_at_length/{}/", {}, 403, elsewhere=True),
    "redirected": Refusal("/redirect/{}/", {}, 302, elsewhere=True),
    "failed": Refusal("/fail_early/{}/", {}, 500, error="RuntimeError('before the handshake')", elsewhere=True),
    "no such address": Refusal("/nowhere/{}/", {}, 404, early=True, elsewhere=True),
    "no WebSockets here": Refusal("/plain/{}/", early=True),
    "malformed key": Refusal("/echo/{}/", {"Sec-WebSocket-Key": "short"}),
    "no key": Refusal("/echo/{}/", {"Sec-WebSocket-Key": None}),
    "unknown version": Refusal("/echo/{}/", {"Sec-WebSocket-Version": "9"}),
    "no Connection": Refusal("/echo/{}/", {"Connection": "keep-alive"}),
    "another origin": Refusal("/echo/{}/", {"Origin": "http://evil.example"}, 403),
    "opaque origin": Refusal("/echo/{}/", {"Origin": "null"}, 403),
    "another host": Refusal("/echo/{}/", {"Host": "evil.example"}, early=True, error="DisallowedHost"),
    "no host": Refusal("/echo/{}/", {"Host": None}),
    "body": Refusal("/echo/{}/", {"Content-Length": "5"}),
    "body that does not come": Refusal("/echo/{}/", {"Content-Length": "5000000"}),
    "no number": Refusal("/echo/{}/", {**OLD, **KEYS, "Sec-WebSocket-Key2": "none"}),
}


@pytest.mark.parametrize(
    ("server", "name"),
    [
        param(kind, middleware, name)
        for kind in (*KINDS, *TLS_KINDS)
        for middleware in (True, False)
        for name, refusal in REFUSALS.items()
        if middleware or (kind.lead and not refusal.early)
    ],
    indirect=["server"],
)
@pytest.mark.parametrize("when", ["pipelined", "later"])
def test_refusal(server, name, when):
    """Guards the end of a refused connection: the answer is whole, the connection is closed at once, and a second

    request, sent with the handshake or behind the answer, is neither executed nor answered.
    """
    refusal = REFUSALS[name]
    if server.kind.reads_body and name == "body that does not come":
        pytest.skip("the server waits for the body before anybody is asked")
    key = f"{list(REFUSALS).index(name)}-{when}-{server.middleware}"
    second = f"/plain/second-{key}/"
    if refusal.error:
        server.expect(refusal.error)
    if name == "no host":
        # CommonMiddleware asks before us where the view is behind it, and some servers put one of their own.
        server.tolerate("DisallowedHost")
    with Raw(server) as client:
        data = handshake(server, refusal.path.format(key), refusal.headers)
        if name == "body":
            data += b"x" * int(refusal.headers["Content-Length"])
        client.send(data + get(server, second) if when == "pipelined" else data)
        status, headers, body = client.response()
        assert status == refusal.status
        assert body or status == 302
        if name == "unknown version":
            assert headers["sec-websocket-version"] == "13, 8, 7"
        if name == "forbidden at length":
            assert len(body) == 1 << 20
        if when == "pipelined":
            client.over()
        else:
            # What comes behind the end is answered by the system, with RST.
            with suppress(ConnectionError):
                client.send(get(server, second))
                assert client.rest_promptly() == b""
    server.idle()
    reasons = server.records("django_websocket.handshake")
    assert len(reasons) == (status == 302 or not refusal.elsewhere), reasons
    assert server.tally(second)["started"] == 0
