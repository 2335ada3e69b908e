"""Servers on which no view can have the client's socket: what a WebSocket gets there, and that all else goes on."""

import signal

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded

from lab.kinds import ASGI_KIND, HTTP2_KINDS, SCOPE_KIND, SOCKETLESS_KINDS, UWSGI_KIND
from lab.project.server import Server
from lab.servers import PATIENCE

from . import needs
from .clients import KEY, Raw, get, handshake

pytestmark = pytest.mark.live

REFUSING = [*SOCKETLESS_KINDS, ASGI_KIND]

#: What names each kind in its refusal.
NAMES = {"granian": "granian", "uwsgi": "uWSGI", "bjoern": "this server", "uvicorn": "an ASGI server"}
#: Those that are no Python: the module, and the package that has it where somebody has compiled it.
COMPILED = {"granian": ("granian", "granian"), "uwsgi": ("pyuwsgi", "pyuwsgi"), "bjoern": ("bjoern", "bjoern-binary")}


class UwsgiServer(Server):
    """A server that is spoken to as nginx's ``uwsgi_pass`` does it."""

    def get(self, target):
        path, _, query = target.partition("?")
        status, _, body = self.ask({"PATH_INFO": path, "QUERY_STRING": query})
        return status, body

    def ask(self, variables):
        """Send a request, and give its response: status, header fields, body."""
        variables = {
            "REQUEST_METHOD": "GET",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": self.host,
            "HTTP_CONNECTION": "close",
            **variables,
        }
        pairs = b"".join(_sized(name) + _sized(value) for name, value in variables.items())
        with Raw(self) as client:
            client.send(b"\0" + len(pairs).to_bytes(2, "little") + b"\0" + pairs)
            try:
                return client.response()
            except EOFError as error:
                raise ConnectionError from error


def _sized(text):
    return len(text).to_bytes(2, "little") + text.encode()


@pytest.fixture
def serve(tmp_path):
    """Start a server for one test, without a WebSocket to warm it up."""
    running = []

    def start(kind, server=Server, **options):
        if kind.name in COMPILED:
            needs.module(*COMPILED[kind.name])
        needs.of_kind(kind)
        running.append(server(kind, tmp_path / "log", strict=False, **options))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def see_plain_http(server):
    """See that views which are no WebSockets work, those that may be one too."""
    assert server.get("/plain/") == (200, b"plain")
    assert server.get("/lower_case/?message=HTTP") == (200, b"http")
    status, body = server.get("/echo/")
    assert (status, body) == (400, b"this address takes WebSockets only\n")


def see_one_error(server, text):
    """See that one refusal was logged at ERROR, and nothing else went wrong."""
    assert [
        (record["level"], record["message"])
        for record in server.records("django_websocket.handshake")
        if "WebSockets only" not in record["message"]
    ] == [("ERROR", f"WebSocket refused with 400 at /echo/: {text}")]
    assert not [record for record in server.records() if record["level"] == "ERROR"][1:]
    server.check_log()


@pytest.mark.parametrize("middleware", [True, False])
@pytest.mark.parametrize("kind", REFUSING, ids=str)
def test_no_socket(serve, kind, middleware):
    """Guards the answer of servers that keep their sockets to themselves: it names them, and those that work."""
    server = serve(kind, middleware=middleware)
    see_plain_http(server)
    with Raw(server) as client:
        client.send(handshake(server, "/echo/"))
        status, headers, body = client.response()
    text = body.decode().removesuffix("\n")
    assert (status, headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert text.startswith(f"{NAMES[kind.name]} gives no access to its sockets; gunicorn (gthread, ")
    assert "\n" not in text
    see_plain_http(server)
    see_one_error(server, text)
    # Handlers of Python's would replace uWSGI's own, and not be called while it waits.
    server.signal(signal.SIGTERM)
    server.process.wait(PATIENCE)


@pytest.mark.parametrize("kind", [kind for kind in REFUSING if kind.name != "bjoern"], ids=str)
def test_end_of_the_connection(serve, kind):
    """Guards what stands behind a refusal, whoever refuses: without the socket, the server is told to close it.

    bjoern keeps its connections whatever it is told.
    """
    server = serve(kind)
    for number, (path, expected) in enumerate([("/echo/", 400), ("/plain/x/", 400), ("/nowhere/", 404)]):
        second = f"/plain/second-{number}/"
        with Raw(server) as client:
            client.send(handshake(server, path) + get(server, second))
            status, _, _ = client.response()
            assert status == expected
            assert client.rest_promptly() == b""
        assert server.tally(second)["started"] == 0
    server.check_log()


# ASGI


def test_scope_of_a_websocket(serve):
    """Guards what the documentation says of ASGI servers that do the handshake themselves: Django fails, before any

    middleware or view, and no WebSocket opens. The log has a sentence of ours ahead of that, once.
    """
    server = serve(SCOPE_KIND)
    with Raw(server) as client:
        client.send(handshake(server, "/echo/"))
        status, _, _ = client.response()
    assert status == 500
    assert "ValueError: Django can only handle ASGI/HTTP connections, not websocket." in server.text
    (record,) = server.records("django_websocket")
    assert record["message"].startswith("This process has imported django.core.asgi. An ASGI server gives no access to")
    assert "'Django can only handle ASGI/HTTP connections, not websocket.'; gunicorn (gthread, " in record["message"]
    see_plain_http(server)


# gunicorn's other protocols


@pytest.mark.parametrize("middleware", [True, False])
def test_uwsgi_protocol(serve, middleware):
    """Guards gunicorn behind ``uwsgi_pass``: there is a socket, but what comes from it is the proxy's."""
    server = serve(UWSGI_KIND, UwsgiServer, middleware=middleware)
    see_plain_http(server)
    status, headers, body = server.ask(
        {
            "PATH_INFO": "/echo/",
            "HTTP_CONNECTION": "Upgrade",
            "HTTP_UPGRADE": "websocket",
            "HTTP_SEC_WEBSOCKET_KEY": KEY,
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            "HTTP_ORIGIN": server.origin,
        }
    )
    text = body.decode().removesuffix("\n")
    assert (status, headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert text == "gunicorn is spoken to by the uwsgi protocol, which carries no WebSockets; HTTP does"
    see_plain_http(server)
    # It takes the end of a connection that it was asked to keep for a request that is cut short.
    server.tolerate_tracebacks("gunicorn/uwsgi/message.py")
    see_one_error(server, text)


class Http2:
    """A connection of HTTP/2 that sends what it is told to, proper or not."""

    def __init__(self, server):
        self.server = server
        self.sock = server.connect(alpn="h2")
        self.protocol = H2Connection(H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False))
        self.protocol.initiate_connection()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sock.close()

    def ask(self, path, *fields, method="GET"):
        """Send a request, and give what comes up to its response's end, or the connection's."""
        stream = self.protocol.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", self.server.host), (":path", path)]
        self.protocol.send_headers(stream, [*pseudo, *fields], end_stream=method == "GET")
        events: list[Event] = []
        while not any(isinstance(event, StreamEnded | ConnectionTerminated) for event in events):
            self.sock.sendall(self.protocol.data_to_send())
            data = self.sock.recv(65536)
            assert data, events
            events += self.protocol.receive_data(data)
        return events


def response(events):
    """Return status and body."""
    (headers,) = (dict(event.headers) for event in events if isinstance(event, ResponseReceived))
    return int(headers[b":status"]), b"".join(event.data for event in events if isinstance(event, DataReceived))


@pytest.mark.parametrize("kind", HTTP2_KINDS, ids=str)
def test_http2(serve, kind):
    """Guards gunicorn's HTTP/2: it ends a connection with the header of an upgrade (RFC 9113 section 8.2.2) before any

    view is called; what RFC 8441 has instead, which it does not announce, is a plain request to us. HTTP/1.1 works.
    """
    server = serve(kind)
    fields = [("sec-websocket-version", "13"), ("sec-websocket-key", KEY), ("origin", server.origin)]
    with Http2(server) as client:
        assert response(client.ask("/plain/")) == (200, b"plain")
        *_, end = client.ask("/echo/upgrade/", ("upgrade", "websocket"), *fields)
        assert isinstance(end, ConnectionTerminated)
        assert end.error_code == ErrorCodes.PROTOCOL_ERROR
    assert server.tally("/echo/upgrade/")["started"] == 0
    with Http2(server) as client:
        status, body = response(client.ask("/echo/connect/", (":protocol", "websocket"), *fields, method="CONNECT"))
        assert (status, body) == (400, b"this address takes WebSockets only\n")
        assert response(client.ask("/plain/")) == (200, b"plain")
    with Raw(server) as client:
        client.open("/echo/")
        client.send_frame("HTTP/1.1")
        assert client.message() == "HTTP/1.1"
        client.end()
    (record,) = server.records("django_websocket.handshake")
    assert record["level"] == "WARNING"
    server.check_log()
