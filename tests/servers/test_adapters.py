"""Where servers keep their sockets, and what each of them has read already."""

from __future__ import annotations

import _socket
import io
import socket
import ssl
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from django.core.servers.basehttp import WSGIRequestHandler as DjangoHandler
from django.core.servers.basehttp import WSGIServer as DjangoServer

from django_websocket.exceptions import SocketNotFound
from django_websocket.servers import adapters, find

from .reading import PATIENCE, arrived, receive

# The development servers


def serve(server_class, handler_class, request):
    """Make a server like that of the standard library serve ``request`` to an application that finds the socket."""
    seen = []

    def application(environ, start_response):
        seen.append(find(environ).take_over())
        sock = seen[0][0]
        received = seen[0][1]
        seen.append(received + receive(sock, 12 - len(received)))
        sock.sendall(b"raw")
        sock.shutdown(socket.SHUT_RDWR)
        start_response("204 No Content", [])
        return []

    handler = type("Quiet", (handler_class,), {"log_message": lambda *_: None})
    server = server_class(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None
    server.set_app(application)
    try:
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        with socket.create_connection(server.server_address, timeout=PATIENCE) as client:
            client.sendall(request)
            # These bytes arrive before or after the application takes over.
            client.sendall(b"late")
            answer = client.recv(100)
        serving.join(PATIENCE)
        assert not serving.is_alive()
    finally:
        server.server_close()
    return seen, answer


@pytest.mark.parametrize(
    ("server_class", "handler_class"),
    [(WSGIServer, WSGIRequestHandler), (DjangoServer, DjangoHandler)],
    ids=["wsgiref", "django"],
)
@pytest.mark.parametrize("headers", [b"", b"Content-Length: 8\r\n"])
def test_the_development_servers(server_class, handler_class, headers):
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n12345678"
    seen, answer = serve(server_class, handler_class, request)
    (sock, received), everything = seen
    assert isinstance(sock, socket.socket)
    # How many bytes the server has read depends on how they arrived.
    assert len(received) <= 12
    assert everything == b"12345678late"
    assert answer == b"raw"


EVENTLET = """
import warnings
warnings.simplefilter("ignore")
import eventlet
{patch}
from eventlet import wsgi
from eventlet.green import socket
from django_websocket.servers import find

def application(environ, start_response):
    connection = find(environ)
    if environ["PATH_INFO"] == "/refused":
        start_response("400 Bad Request", [("Content-Length", "2")])
        return [b"no"]
    sock, received = connection.take_over()
    assert environ["eventlet.input"].rfile.closed
    while len(received) < 12:
        received += sock.recv(12 - len(received))
    sock.sendall(b"raw " + received)
    sock.shutdown(socket.SHUT_RDWR)
    connection.mark_answered()
    return []

listener = eventlet.listen(("127.0.0.1", 0))
server = eventlet.spawn(wsgi.server, listener, application, log_output=False)

def ask(request, *more):
    client = eventlet.connect(listener.getsockname())
    client.settimeout(10)
    client.sendall(request)
    for data in more:
        eventlet.sleep(0)
        client.sendall(data)
    answer = b""
    while data := client.recv(1000):
        answer += data
    client.close()
    return answer

HEAD = b"GET /%b HTTP/1.1\\r\\nHost: localhost\\r\\n%b\\r\\n"
for headers in (b"", b"Content-Length: 8\\r\\n"):
    for parts in ((b"12345678late",), (b"12345678", b"late")):
        answer = ask(HEAD % (b"", headers) + parts[0], *parts[1:])
        assert answer == b"raw 12345678late", answer
answer = ask(2 * (HEAD % (b"refused", b"")))
assert answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b"\\r\\n\\r\\nno"), answer
assert answer.count(b"HTTP/1.1") == 1, answer
print("good")
"""


@pytest.mark.parametrize("patch", ["", "eventlet.monkey_patch()"], ids=["unpatched", "patched"])
def test_eventlet(patch):
    result = subprocess.run(
        [sys.executable, "-c", EVENTLET.format(patch=patch)],
        check=False,
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
        cwd=Path(__file__).parents[2],
    )
    assert result.stdout == "good\n", result.stderr


def test_eventlet_is_told_that_it_was_answered(monkeypatch):
    local = SimpleNamespace(already_handled=False)
    monkeypatch.setitem(sys.modules, "eventlet", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "eventlet.wsgi", SimpleNamespace(WSGI_LOCAL=local))
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as reader:
        connection = find({"eventlet.input": SimpleNamespace(get_socket=lambda: ours, rfile=reader)})
        assert connection.sock is ours
        assert connection.received == b""
        assert not local.already_handled
        connection.mark_answered()
        assert local.already_handled


# gunicorn


def gunicorn_environ(sock, **settings):
    """Return the environ that gunicorn makes of the request at ``sock``."""
    return gunicorn_request(sock, **settings)[1]


def gunicorn_request(sock, **settings):
    """Return the response that gunicorn begins for the request at ``sock``, and the environ."""
    http = pytest.importorskip("gunicorn.http")
    from gunicorn.config import Config
    from gunicorn.http import wsgi

    cfg = Config()
    for name, value in settings.items():
        cfg.set(name, value)
    address = ("127.0.0.1", 1234)
    request = next(http.get_parser(cfg, sock, address))
    return wsgi.create(request, sock, address, ("127.0.0.1", 8000), cfg)


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n%b\r\n"


@pytest.mark.parametrize("headers", [b"", b"Content-Length: 8\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_gunicorn(pair, headers):
    ours, theirs = pair
    theirs.sendall(HEAD % headers + b"behind it")
    connection = find(gunicorn_environ(ours))
    sock, received = connection.take_over()
    assert sock is ours
    received += receive(ours, 9 - len(received))
    assert received == b"behind it"
    theirs.sendall(b"later")
    arrived(ours)
    assert receive(ours, 5) == b"later"


def test_gunicorn_writes_no_response(pair):
    """To write one would fail, because the socket is shut down, and cost as much as the rest of an end."""
    ours, theirs = pair
    theirs.sendall(HEAD % b"")

    def handle_request():
        # gunicorn's method has a variable of this name.
        resp, environ = gunicorn_request(ours)
        resp.start_response("101 Switching Protocols", [])
        find(environ).mark_answered()
        resp.close()
        return resp

    assert handle_request().should_close()
    ours.shutdown(socket.SHUT_WR)
    assert theirs.recv(1) == b""


def test_an_answer_of_gunicorn_that_has_begun_is_left_alone(pair):
    ours, theirs = pair
    theirs.sendall(HEAD % b"")
    resp, environ = gunicorn_request(ours)
    resp.headers_sent = True
    find(environ).mark_answered()
    assert not resp.must_close


def test_gunicorn_reads_nothing_more(pair):
    """The parser finds the end of the stream. gunicorn closes the connection before, as the body could not be read."""
    pytest.importorskip("gunicorn")
    from gunicorn.config import Config
    from gunicorn.http import get_parser, wsgi

    ours, theirs = pair
    theirs.sendall(HEAD % b"" + HEAD % b"")
    parser = get_parser(Config(), ours, ("127.0.0.1", 1234))
    environ = wsgi.create(next(parser), ours, ("127.0.0.1", 1234), ("127.0.0.1", 8000), parser.cfg)[1]
    find(environ)
    theirs.sendall(HEAD % b"")
    arrived(ours)
    assert not parser.finish_body()
    assert parser.unreader.read() == b""
    with pytest.raises(StopIteration):
        next(parser)


@pytest.mark.parametrize("environ", [{"SERVER_PROTOCOL": "HTTP/2.0"}, {"gunicorn.http2.send_trailers": print}])
def test_gunicorn_and_http2(environ):
    with pytest.raises(SocketNotFound, match=r"^an HTTP/2 connection"):
        find({"gunicorn.socket": object(), **environ})


@pytest.mark.parametrize("protocol", ["uwsgi", "http"])
def test_gunicorn_and_the_uwsgi_protocol(monkeypatch, protocol):
    monkeypatch.setattr(adapters, "find_worker", lambda: SimpleNamespace(cfg=SimpleNamespace(protocol=protocol)))
    unreader = SimpleNamespace(buf=io.BytesIO(b"read"))
    body = SimpleNamespace(reader=SimpleNamespace(unreader=unreader))
    environ = {"gunicorn.socket": object(), "wsgi.input": body}
    if protocol == "http":
        assert find(environ).take_over() == (environ["gunicorn.socket"], b"read")
    else:
        with pytest.raises(SocketNotFound, match="the uwsgi protocol"):
            find(environ)


# Others


def buffered_environ(server, reader, sock):
    """Return the environ of a server that reads requests through ``reader``."""
    return {
        "werkzeug": {"werkzeug.socket": sock, "wsgi.input": reader},
        "werkzeug chunked": {"werkzeug.socket": sock, "wsgi.input": SimpleNamespace(_rfile=reader)},
        "gevent": {"SERVER_SOFTWARE": "gevent/20.0 Python/3.12", "wsgi.input": reader},
        "gevent wrapped": {"SERVER_SOFTWARE": "gevent/20.0", "wsgi.input": SimpleNamespace(rfile=reader)},
        "gunicorn pywsgi": {"SERVER_SOFTWARE": "gevent/1 gunicorn/2", "gunicorn.sock": sock, "wsgi.input": reader},
        "cheroot": {
            "SERVER_SOFTWARE": "Cheroot/11.1.2 Server",
            "wsgi.input": SimpleNamespace(rfile=SimpleNamespace(rfile=reader), remaining=5),
        },
    }[server]


@pytest.mark.parametrize(
    "server", ["werkzeug", "werkzeug chunked", "gevent", "gevent wrapped", "gunicorn pywsgi", "cheroot"]
)
def test_servers_with_a_buffered_reader(pair, server):
    ours, theirs = pair
    theirs.sendall(b"head\r\nbehind it")
    with ours.makefile("rb") as reader:
        assert reader.readline() == b"head\r\n"
        environ = buffered_environ(server, reader, ours)
        connection = find(environ)
        sock, received = connection.take_over()
        assert (sock, received) == (ours, b"behind it")
        theirs.sendall(b"later")
        assert receive(ours, 5) == b"later"
        assert find(environ) is connection


def test_cheroot_keeps_no_bytes_that_it_could_not_write(pair):
    """Otherwise it would try again when the connection has been closed, and log an error."""
    ours, theirs = pair
    with ours.makefile("rb") as reader:
        connection = find({"SERVER_SOFTWARE": "Cheroot/11.1.2 Server", "wsgi.input": SimpleNamespace(rfile=reader)})
        _socket.socket.shutdown(ours, socket.SHUT_RDWR)
        connection.finish()
        assert ours.send(b"HTTP/1.1 101 ") == 13
        assert receive_to_end(theirs) == b""
        assert isinstance(ours, socket.socket)


def receive_to_end(sock):
    try:
        return sock.recv(100)
    except ssl.SSLError:
        return b""  # without the end of TLS


class Parser:
    """The parts of a request that waitress has parsed, or is parsing."""

    def __init__(self, header_plus=b""):
        self.header_plus = header_plus
        self.headers = {"CONNECTION": "Upgrade"}


class Channel:
    """The parts of a waitress channel that are used. Its main loop runs for :meth:`pull_trigger` only."""

    def __init__(self, sock, header_plus=b"", requests=1, lookahead=0):
        self.socket = sock
        self.adj = SimpleNamespace(channel_request_lookahead=lookahead)
        self.server = SimpleNamespace(trigger=self)
        self.requests_lock = threading.Lock()
        self.requests = [Parser() for _ in range(requests)]
        self.request = Parser(header_plus) if header_plus else None
        self.close_when_flushed = False
        #: The bytes that the main loop is about to pass on.
        self.stolen = b""

    def readable(self):
        return True

    def handle_read(self):
        pytest.fail("it would read the bytes of the WebSocket")

    def pull_trigger(self, thunk):
        self.request = Parser(self.stolen)
        thunk()

    def write_soon(self, data):
        raise AssertionError(f"{data!r} would be sent")

    def check_client_disconnected(self):
        return False

    def environ(self, **more):
        return {"waitress.client_disconnected": self.check_client_disconnected, "wsgi.input": io.BytesIO(), **more}


@pytest.mark.parametrize("body", [b"", b"12345678"])
@pytest.mark.parametrize("behind", [b"", b"behind it"])
def test_waitress(pair, body, behind):
    ours, theirs = pair
    channel = Channel(ours, behind)
    environ = channel.environ(**{"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    connection = find(environ)
    sock, received = connection.take_over()
    assert (sock, received) == (ours, body + behind)
    assert not channel.readable()
    channel.handle_read()
    theirs.sendall(b"later")
    assert receive(ours, 5) == b"later"
    assert not channel.close_when_flushed
    connection.finish()
    assert channel.write_soon(b"12345") == 5
    assert channel.close_when_flushed


def test_waitress_closes_the_connection_behind_its_response(pair):
    """Another thread sends the response from a buffer, and the requests behind this one are parsed already."""
    ours, theirs = pair
    channel = Channel(ours, b"GET ", requests=3)
    find(channel.environ())
    (request,) = channel.requests
    assert request.headers["CONNECTION"] == "close"
    assert channel.request is None
    assert not channel.close_when_flushed, "there is no response yet"
    assert not channel.readable()
    ours.sendall(b"no")
    assert receive(theirs, 2) == b"no"


def test_waitress_that_looks_ahead(pair):
    """Its main loop may have read something already when it is told to read no more."""
    ours, _ = pair
    channel = Channel(ours, lookahead=1)
    channel.stolen = b"just read"
    assert find(channel.environ()).take_over() == (ours, b"just read")


def test_waitress_that_looks_ahead_and_whose_main_loop_hangs(pair, monkeypatch):
    ours, _ = pair
    monkeypatch.setattr(adapters, "_MAIN_LOOP_TIMEOUT", 0)
    channel = Channel(ours, b"behind it", lookahead=1)
    channel.pull_trigger = lambda _: None
    assert find(channel.environ()).take_over() == (ours, b"behind it")


# Streams that a middleware has replaced


class Opaque:
    """A stream around another one, of which nothing else is to be seen."""

    __slots__ = ("read",)

    def __init__(self, stream):
        self.read = partial(stream.read)


def buffered(stream):
    return io.BytesIO(stream.read(8))


def find_below_webob(environ):
    """Find the connection below a middleware that has a request of its own."""

    class Request:
        @property
        def body(self):
            pytest.fail("this reads the body")

    req = Request()
    return req and find(environ)


@pytest.mark.parametrize("replace", [Opaque, buffered])
@pytest.mark.parametrize("server", ["gunicorn", "werkzeug", "gevent", "cheroot", "wsgiref"])
def test_a_replaced_stream(pair, server, replace):
    """The server's own is found in the functions that have called the application; nothing that was read is lost."""
    ours, theirs = pair
    theirs.sendall(HEAD % b"Content-Length: 8\r\n" + b"12345678behind")
    if server == "gunicorn":
        environ = gunicorn_environ(ours)
        req = SimpleNamespace(body=environ["wsgi.input"], unreader=None)
        environ["wsgi.input"] = replace(environ["wsgi.input"])
        connection = find_below_webob(environ)
        assert req.body.failed
    else:
        with ours.makefile("rb") as reader:
            while reader.readline() != b"\r\n":
                pass
            connection = Handler(SimpleNamespace(rfile=reader)).call(server, ours, replace(reader))
            assert reader.readline() == b""
    sock, received = connection.take_over()
    assert received + receive(sock, 14 - len(received)) == b"12345678behind"


def test_a_body_that_cannot_be_read(pair):
    """gevent's stream raises an error where the body ends too early; the rest comes from the socket."""

    def fail(_):
        raise OSError("unexpected end of file while reading request at position 0")

    ours, theirs = pair
    theirs.sendall(b"head\r\n1234")
    with ours.makefile("rb") as reader:
        assert reader.readline() == b"head\r\n"
        stream = SimpleNamespace(rfile=reader, read=fail)
        connection = find({**SOFTWARE["gevent"], "wsgi.input": stream, "CONTENT_LENGTH": "8"})
        assert connection.take_over() == (ours, b"1234")


def test_streams_without_end():
    """A stream of somebody else may refer to itself, and is searched for a limited time."""
    stream = SimpleNamespace()
    stream.rfile = stream
    with pytest.raises(SocketNotFound):
        find({**SOFTWARE["cheroot"], "wsgi.input": stream})


class Handler:
    """An object of a server whose method calls the application."""

    def __init__(self, rfile):
        self.rfile = rfile

    def call(self, server, sock, stream):
        environ = {"wsgi.input": stream, "CONTENT_LENGTH": "8", **SOFTWARE[server]}
        if server == "werkzeug":
            environ["werkzeug.socket"] = sock
        return find(environ)


SOFTWARE = {
    "werkzeug": {},
    "gevent": {"SERVER_SOFTWARE": "gevent/20.0"},
    "cheroot": {"SERVER_SOFTWARE": "Cheroot/11.1.2 Server"},
    "wsgiref": {"SERVER_SOFTWARE": "WSGIServer/0.2"},
}


@pytest.mark.parametrize(
    ("server", "environ"),
    [
        ("gunicorn", {"gunicorn.socket": object()}),
        ("Werkzeug", {"werkzeug.socket": object()}),
        ("gevent.pywsgi", SOFTWARE["gevent"]),
        ("cheroot", SOFTWARE["cheroot"]),
        ("wsgiref", SOFTWARE["wsgiref"]),
    ],
)
@pytest.mark.parametrize("stream", [None, io.BytesIO(), io.BufferedReader(io.BytesIO())])
def test_a_server_whose_stream_is_out_of_reach(server, environ, stream):
    """The error names the reason, and does not say that the server gives no access to its sockets."""
    with pytest.raises(SocketNotFound, match=rf"^{server} cannot show its connection.* a WSGI middleware"):
        find({"wsgi.version": (1, 0), "wsgi.input": stream, **environ})


@pytest.mark.parametrize(
    "environ",
    [
        {"waitress.client_disconnected": None},
        {"waitress.client_disconnected": SimpleNamespace(__self__=SimpleNamespace())},
    ],
)
def test_servers_that_have_changed(environ):
    with pytest.raises(SocketNotFound):
        find({"wsgi.version": (1, 0), **environ})
