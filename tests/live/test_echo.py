"""Many connections, every size of frame, and clients that nobody here wrote."""

import asyncio
import os

import pytest
import websocket as websocket_client
import wsproto
import wsproto.events
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect as connect_sync

from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455

from ..promptness import promptly
from .clients import Old, Raw
from .parameters import on

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

#: On both sides of each change of a frame's form, and the greatest that is taken by default.
SIZES = [0, 125, 126, 65_535, 65_536, 1_048_576]

VERSIONS = [(RFC6455, 13), (RFC6455, 8), (RFC6455, 7), (Hixie76, 76), (Hixie75, 75)]


def message(number):
    """Return one of the messages: each size, as text and as binary, no two alike."""
    number, binary = divmod(number, 2)
    size = SIZES[number % len(SIZES)]
    stem = f"{number}é☃𝄞 "
    if binary:
        return (stem.encode() * size)[:size]
    data = (stem.encode() * (size // len(stem) + 1))[:size].decode(errors="ignore")
    return data + "x" * (size - len(data.encode()))


def test_messages_have_the_sizes():
    """Guards the tests below against asking less than they say."""
    data = [message(number) for number in range(2 * len(SIZES))]
    assert [len(text.encode()) for text in data[::2]] == [len(binary) for binary in data[1::2]] == SIZES
    assert {type(text) for text in data[::2]} == {str}


# The clients


def by_bytes(server, data):
    with Raw(server) as client:
        client.open("/echo/")
        client.send_frame(data)
        assert client.message() == data
        client.end()


def by_websockets(server, data):
    if server.kind.tls:
        asyncio.run(by_websockets_without_threads(server, data))
        return
    with connect_sync(server.url("/echo/"), proxy=None, max_size=None, origin=server.origin) as client:
        client.send(data)
        assert client.recv(timeout=10) == data
        with promptly():
            client.close()
        assert (client.close_code, client.close_reason) == (1000, "")


async def by_websockets_without_threads(server, data):
    """Do the same over TLS.

    The other client's two threads use one TLS socket at a time, for which it is not made in older Pythons: now and then
    a request is not sent.
    """
    async with connect_async(server.url("/echo/"), proxy=None, max_size=None, ssl=server.tls) as client:
        await client.send(data)
        assert await asyncio.wait_for(client.recv(), 10) == data
        with promptly():
            await client.close()
        assert (client.close_code, client.close_reason) == (1000, "")


def by_websocket_client(server, data):
    client = websocket_client.create_connection(
        server.url("/echo/"), timeout=10, sslopt={"context": server.tls} if server.tls else {}
    )
    try:
        if isinstance(data, str):
            client.send(data)
        else:
            client.send_binary(data)
        assert client.recv() == data
        client.send_close()
        opcode, payload = client.recv_data(control_frame=True)
        assert (opcode, payload) == (websocket_client.ABNF.OPCODE_CLOSE, b"\x03\xe8")
        client.sock.settimeout(10)
        with promptly():
            assert client.sock.recv(1) == b""
    finally:
        client.shutdown()


def by_wsproto(server, data):
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    received = []

    def next_event():
        while True:
            for event in client.events():
                return event
            client.receive_data(sock.recv(65536) or None)

    with server.connect() as sock:
        sock.sendall(client.send(wsproto.events.Request(host=server.host, target="/echo/")))
        assert isinstance(next_event(), wsproto.events.AcceptConnection)
        sock.sendall(client.send(wsproto.events.Message(data)))
        while True:
            event = next_event()
            received.append(event.data)
            if event.message_finished:
                break
        assert type(data)().join(received) == data
        sock.sendall(client.send(wsproto.events.CloseConnection(1000)))
        assert next_event() == wsproto.events.CloseConnection(1000, "")
        sock.settimeout(10)
        with promptly():
            assert sock.recv(1) == b""


CLIENTS = [by_bytes, by_websockets, by_websocket_client, by_wsproto]


@on(middleware=(True, False), tls=True)
def test_one_after_the_other(server):
    """Guards every frame form with every client, the end of each connection, and what is left behind after 200."""
    number = 200 if server.middleware else 50
    for count in range(number):
        CLIENTS[count % len(CLIENTS)](server, message(count // len(CLIENTS)))


@on()
def test_compressed(server):
    """Guards frames that are smaller than their messages, or greater, in both directions."""
    with connect_sync(server.url("/compress/"), proxy=None, max_size=None, origin=server.origin) as client:
        (extension,) = client.protocol.extensions
        assert extension.remote_no_context_takeover
        for number in range(2 * len(SIZES)):
            for data in (message(number), os.urandom(SIZES[number % len(SIZES)])):
                client.send(data)
                assert client.recv(timeout=10) == data
                assert client.recv(timeout=10) == data
    assert client.close_code == 1000


@on(lambda kind: kind.concurrent, tls=True)
def test_at_once(server):
    """Guards against connections that mix or starve each other: 100 are open together, and each has its echo."""
    together = 100

    async def client(number, all_open, opened):
        async with connect_async(
            server.url("/echo/"), proxy=None, max_size=None, open_timeout=60, ssl=server.tls
        ) as connection:
            opened.append(number)
            if len(opened) == together:
                all_open.set()
            await asyncio.wait_for(all_open.wait(), 60)
            for data in (message(number), f"I am {number}"):
                await connection.send(data)
                assert await asyncio.wait_for(connection.recv(), 60) == data
        assert connection.close_code == 1000

    async def run():
        all_open, opened = asyncio.Event(), []
        await asyncio.gather(*(client(number, all_open, opened) for number in range(together)))

    asyncio.run(run())


@on()
@pytest.mark.parametrize(("protocol", "version"), VERSIONS, ids=lambda value: getattr(value, "__name__", value))
def test_views_of_the_documentation(server, protocol, version):
    """Guards the three views of the documentation, over every version of the protocol."""
    with Old(server, "/echo_once/", protocol, version) as client:
        assert client.ask("once ☃") == "once ☃"
        client.ended()
        if version != 75:
            assert client.protocol.close_code == (1005 if version == 76 else 1000)
    with Old(server, "/lower_case/", protocol, version) as client:
        assert [client.ask(text) for text in ("ABC", "É", "")] == ["abc", "é", ""]
        client.close()
    with Old(server, "/add_one/", protocol, version) as client:
        assert [client.ask(text) for text in ("1", "-1", "41")] == ["2", "0", "42"]
        client.close()


@on(middleware=(True, False))
def test_views_of_the_documentation_over_http(server):
    """Guards that the same views still answer plain requests, and ``require_websocket`` refuses them."""
    assert server.get("/lower_case/?message=ABC") == (200, b"abc")
    assert server.get("/add_one/?value=41") == (200, b"42")
    assert server.get("/echo_once/")[0] == 400


@on()
@pytest.mark.parametrize(("protocol", "version"), VERSIONS, ids=lambda value: getattr(value, "__name__", value))
def test_version(server, protocol, version):
    """Guards that a view is told the version, and that a message is waited for after one was sent."""
    with Old(server, "/version/", protocol, version) as client:
        assert client.next() == str(version)
        client.protocol.send("done")
        client.flush()
        assert server.ended("/version/")["message"] == "done"
        client.ended()


@on()
def test_subprotocol(server):
    """Guards the negotiation: the first of the view's list that the client offers."""
    for offered, chosen in (("chat.v1, chat.v2", "chat.v2"), ("chat.v1", "chat.v1"), ("other", None)):
        with Raw(server) as client:
            headers = client.open("/negotiate/", {"Sec-WebSocket-Protocol": offered})
            assert headers.get("Sec-WebSocket-Protocol") == chosen
            assert client.message() == str(chosen)
            assert client.answer_close() == (1000, "")


@on(middleware=(True, False), tls=True)
def test_request_finished(server):
    """Guards ``request_finished``, which gives databases back: once for each WebSocket, however it ends."""
    path = f"/echo/finished-{server.middleware}/"
    before = server.tally(path)
    for _ in range(5):
        with Raw(server) as client:
            client.open(path)
            client.end()
    with Raw(server) as client:
        client.open(path)
        client.reset()
    server.idle()
    after = server.tally(path)
    assert {what: after[what] - before[what] for what in after} == {
        "called": 0,
        "started": 6,
        "finished": 6,
        "excepted": 0,
    }
