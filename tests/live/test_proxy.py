"""Production: the files of the deployment page as they are, nginx in front."""

import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from websockets.frames import Opcode
from websockets.sync.client import connect

from django_websocket.handshake import remedies
from django_websocket.protocols.hixie76 import Hixie76
from lab.kinds import Kind
from lab.servers import EVENTLET_WORKER, HOST, PATIENCE, ROOT, eventually, insecure

from ..promptness import within
from .clients import Old, Raw, close_frame, frame, get, handshake
from .parameters import param
from .proxy import DEPLOY, Nginx
from .test_handshakes import KEY3, KEYS, OLD, RESPONSE

pytestmark = [pytest.mark.live, pytest.mark.timeout(180), pytest.mark.usefixtures("nginx")]

PROJECT = ROOT / "example_project"
#: As production.py has it.
BEHIND_TLS = {"SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"]}
#: The tests' own project is served in the place of the example's, by the example's files.
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


def gunicorn(name, *options, **more):
    """Return gunicorn with the settings file, and with the options that a test needs besides."""
    arguments = ("-m", "gunicorn", "-c", str(DEPLOY / "gunicorn.conf.py"), "--chdir", str(PROJECT))
    return Kind(
        name,
        (*arguments, "--bind", f"{HOST}:{{port}}", "--workers", "1", *options),
        environment=ENVIRONMENT,
        settings=BEHIND_TLS,
        forks=True,
        after_sigterm=0,
        **more,
    )


GTHREAD = gunicorn("deployed_gthread", pool=64)
WORKER = gunicorn("deployed_eventlet_worker", "--worker-class", EVENTLET_WORKER, green="eventlet")
GEVENT = gunicorn("deployed_gevent", "--worker-class", "gevent", green="gevent")
SCRIPT = Kind(
    "deployed_eventlet",
    (str(DEPLOY / "serve_eventlet.py"), "{port}"),
    environment=ENVIRONMENT,
    settings=BEHIND_TLS,
    green="eventlet",
    leaves=True,
)


def on(*kinds, **settings):
    return pytest.mark.parametrize("server", [param(kind, True, **settings) for kind in kinds], indirect=True)


everywhere = on(GTHREAD, WORKER, GEVENT, SCRIPT)
with_and_without_tls = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@pytest.fixture
def proxies(tmp_path):
    """Start nginx for one test."""
    running = []

    def start(server, **options):
        backend = options.pop("backend", None) or f"http://{HOST}:{server.port}"
        running.append(Nginx(tmp_path / f"nginx{len(running)}", backend, **options))
        return running[-1]

    yield start
    try:
        for nginx in running:
            nginx.check()
    finally:
        for nginx in running:
            nginx.stop()


# Messages


@everywhere
@with_and_without_tls
def test_messages(server, proxies, tls):
    """Guards the upgrade through the proxy, and messages both ways: text, binary, of no bytes and of 1 MiB."""
    nginx = proxies(server, tls=tls)
    with connect(
        nginx.url("/echo/"), proxy=None, max_size=None, compression=None, origin=nginx.origin, ssl=nginx.tls
    ) as client:
        for message in ("hello ☃", b"\x00\xff", "", b"", "é" * (1 << 19), os.urandom(1 << 20)):
            client.send(message)
            assert client.recv(timeout=10) == message
    assert client.close_code == 1000


@everywhere
def test_early_frames(server, proxies):
    """Guards frames in the handshake's own segment, which the proxy holds back until it sees the answer."""
    with Raw(proxies(server)) as client:
        client.open("/echo/", early=frame("one") + frame(b"two"))
        assert [client.message(), client.message()] == ["one", b"two"]
        client.end()


@everywhere
@with_and_without_tls
def test_hixie76(server, proxies, tls):
    """Guards hixie-76: the proxy holds its last eight bytes back until the answer's head has come, which we send first.

    It writes a head of its own, with all that the draft has a client look at.
    """
    nginx = proxies(server, tls=tls)
    with Raw(nginx) as client:
        client.send(handshake(nginx, "/echo/", {**OLD, **KEYS}) + KEY3 + b"\x00early\xff")
        first, *lines = client.until(b"\r\n\r\n").decode()[:-4].split("\r\n")
        assert first == "HTTP/1.1 101 WebSocket Protocol Handshake"
        headers = {name.lower(): value for name, value in (line.split(": ") for line in lines)}
        assert headers["upgrade"] == "WebSocket"
        assert headers["connection"].lower() == "upgrade"
        assert headers["sec-websocket-origin"] == nginx.origin
        assert headers["sec-websocket-location"] == nginx.url("/echo/")
        assert client.exactly(16) == RESPONSE
        assert client.exactly(7) == b"\x00early\xff"
        client.send(b"\xff\x00")
        assert client.exactly(2) == b"\xff\x00"
        client.over()
    with Old(nginx, "/echo/", Hixie76, 76) as client:
        assert client.ask("later ☃") == "later ☃"
        client.close()


@on(GTHREAD)
def test_hixie75(server, proxies):
    """Guards what the documentation says of hixie-75: its browsers compare the head's first lines, byte by byte, and

    the proxy writes others.
    """
    nginx = proxies(server)
    with Raw(nginx) as client:
        client.send(handshake(nginx, "/echo/", OLD))
        head = client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Web Socket Protocol Handshake\r\nServer: nginx")


# Who may connect


@on(GTHREAD, SCRIPT)
def test_origin(server, proxies):
    """Guards the origin check behind a proxy that ends TLS: scheme, host and port are those that the browser sees."""
    nginx = proxies(server)
    with Raw(nginx) as client:
        client.open("/echo/", {"Origin": nginx.origin})
        client.end()
    for origin in (f"http://{nginx.host}", f"https://{HOST}", server.origin, "https://evil.example"):
        with Raw(nginx) as client:
            # The proxy lets nobody say how they came.
            client.send(handshake(nginx, "/echo/", {"Origin": origin, "X-Forwarded-Proto": "http"}))
            assert client.response()[0] == 403


@on(GTHREAD)
def test_origin_without_port(server, proxies):
    """Guards the site's ``$http_host``: with ``$host``, which has no port, our own pages are refused."""
    nginx = proxies(server, changes={"$http_host": "$host"})
    with Raw(nginx) as client:
        client.send(handshake(nginx, "/echo/"))
        assert client.response()[0] == 403


def test_origin_without_the_setting(launch, proxies):
    """Guards ``SECURE_PROXY_SSL_HEADER``: without it our own pages are refused."""
    server = launch(SCRIPT, settings={"SECURE_PROXY_SSL_HEADER": None})
    nginx = proxies(server)
    with Raw(nginx) as client:
        client.send(handshake(nginx, "/echo/"))
        assert client.response()[0] == 403
    server.check()


#: What nginx needs for WebSockets, and what each mistake of its owner leaves of it.
PASSED_ON = """\
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
"""


@pytest.mark.parametrize(
    ("changes", "status", "line"),
    [
        ({PASSED_ON: ""}, 400, f"at /echo/: this address takes WebSockets only; {remedies.LOST_UPGRADE}"),
        ({"proxy_http_version 1.1;": ""}, 400, "nginx speaks 1.1 with 'proxy_http_version 1.1;'"),
        ({"Connection $connection_upgrade": 'Connection ""'}, 400, "'proxy_set_header Connection \"upgrade\";'"),
        ({"Host $http_host": "Host $host"}, 403, f"); {remedies.LOST_PORT}"),
        ({"proxy_set_header Host $http_host;": ""}, 403, f"); {remedies.REPLACED_HOST}; {remedies.NOT_TRUSTED}"),
        ({"X-Forwarded-Proto $scheme": 'X-Forwarded-Proto ""'}, 403, f"); {remedies.NO_TLS_HEADER}"),
    ],
    ids=["Upgrade", "HTTP/1.0", "Connection", "port", "Host", "TLS"],
)
@on(GTHREAD)
def test_mistakes_in_the_site(server, proxies, changes, status, line):
    """Guards what the log says of each line that the site may lack: how nginx passes a handshake on without it."""
    # Without a line for the Host, nginx makes it of this address: another name than that of the page.
    nginx = proxies(server, changes=changes, backend=f"http://localhost:{server.port}")
    with Raw(nginx) as client:
        client.send(handshake(nginx, "/echo/"))
        assert client.response()[0] == status
    (record,) = server.records("django_websocket.handshake")
    assert record["message"].endswith(line)


@on(GTHREAD)
def test_a_page_in_the_place_of_a_websocket(server, proxies):
    """Guards the view that takes both, which answers the rest of a handshake with its page."""
    nginx = proxies(server, changes={PASSED_ON: ""})
    for _ in range(2):
        with Raw(nginx) as client:
            client.send(handshake(nginx, "/lower_case/?message=HTTP"))
            assert client.response()[::2] == (200, b"http")
    (record,) = server.records("django_websocket.handshake")
    assert record["message"] == (
        f"A WebSocket handshake was answered like plain HTTP at /lower_case/: {remedies.LOST_UPGRADE}"
    )


# Refusals


@everywhere
def test_smuggling(server, proxies):
    """Guards what the proxy forbids: no way to it leads through a WebSocket, refused, open or closed."""
    rule = "location /plain/ { return 410; }\n    location / {"
    nginx = proxies(server, changes={"location / {": rule})
    path = f"/plain/smuggled-{server.kind.name}/"
    refusals = {
        400: {"Sec-WebSocket-Version": "9"},
        403: {"Origin": "https://evil.example"},
        404: {},
    }
    for status, headers in refusals.items():
        with Raw(nginx) as client:
            client.send(handshake(nginx, "/nowhere/" if status == 404 else "/echo/", headers) + get(nginx, path))
            assert client.response()[0] == status
            # It is a request like any other to the proxy.
            assert client.response()[0] == 410
    with Raw(nginx) as client:
        client.open("/echo/")
        client.send(close_frame() + get(nginx, path))
        assert client.closing() == (1000, "")
        client.over()
    with Raw(nginx) as client:
        client.open("/echo/")
        client.send(get(nginx, path))
        assert client.closing()[0] == 1002
        client.half_close()
        client.over()
    server.idle()
    assert server.tally(path)["started"] == 0


def test_only_websockets_are_upgraded(proxies):
    """Guards the ``map`` of the site: for another protocol, such as h2c, the server is not asked to change to it."""
    with socket.create_server((HOST, 0)) as listener:
        nginx = proxies(None, backend=f"http://{HOST}:{listener.getsockname()[1]}", tls=False)
        for protocol, expected in (("websocket", b"upgrade"), ("WebSocket", b"upgrade"), ("h2c", b"close")):
            with Raw(nginx) as client:
                client.send(handshake(nginx, "/echo/", {"Upgrade": protocol}))
                backend, _ = listener.accept()
                with backend:
                    head = backend.recv(65536)
                    assert head.endswith(b"\r\n\r\n")
                    assert re.findall(rb"^Connection: (.*)\r$", head, re.MULTILINE) == [expected]


@on(GTHREAD, WEBSOCKET_MAX_CONNECTIONS=1)
def test_no_room(server, proxies):
    """Guards the answer of a server that is full: it passes the proxy as it is, with the time to come again."""
    nginx = proxies(server)
    with Raw(nginx) as first, Raw(nginx) as second:
        first.open("/echo/")
        second.send(handshake(nginx, "/echo/"))
        status, headers, body = second.response()
        assert (status, headers["retry-after"]) == (503, "5")
        assert body == b"the server has no room for more WebSockets\n"
        first.end()


# Silence, and the end


@on(GTHREAD, SCRIPT)
def test_pings_keep_it_open(server, proxies):
    """Guards silent connections: the pings keep the proxy from cutting them."""
    nginx = proxies(server, changes={"proxy_read_timeout 60s": "proxy_read_timeout 1s"})
    with Raw(nginx) as client:
        client.open("/keepalive/proxied/")
        start = time.monotonic()
        while time.monotonic() - start < 2.2:
            opcode, payload = client.frame()
            assert opcode == Opcode.PING
            client.send(frame(payload, Opcode.PONG))
        client.end()
    assert server.ended("/keepalive/proxied/")["code"] == 1000


@on(GTHREAD)
def test_silence_without_pings(server, proxies):
    """Guards the test above: where pings are rarer than the proxy's timeout, it cuts the connection."""
    nginx = proxies(server, changes={"proxy_read_timeout 60s": "proxy_read_timeout 1s"})
    with Raw(nginx) as client:
        start = time.monotonic()
        client.open("/echo/unproxied/")
        assert client.rest() == b""
        took = time.monotonic() - start
        assert took > 0.9
        assert within(took, 5)
    assert server.ended("/echo/unproxied/")["code"] == 1006


@everywhere
@with_and_without_tls
def test_close(server, proxies, tls):
    """Guards the closing handshake from either side: codes and reasons pass the proxy, and so does the end."""
    nginx = proxies(server, tls=tls)
    path = f"/echo/close-{tls}/"
    with Raw(nginx) as client:
        client.open(path)
        client.end(4001, "going ☃")
    end = server.ended(path)
    assert (end["code"], end["reason"]) == (4001, "going ☃")
    path = f"/close/close-{tls}/"
    with Raw(nginx) as client:
        client.open(path)
        client.send_frame("1013 later ☃")
        assert client.answer_close() == (1013, "later ☃")
    assert server.ended(path)["code"] == 1013


@everywhere
@with_and_without_tls
@pytest.mark.parametrize("how", ["reset", "close", "half-close"])
@pytest.mark.parametrize("view", ["echo", "flood"])
def test_client_vanishes(server, proxies, tls, how, view):
    """Guards a view whose client has gone, behind the proxy: it ends, waiting or sending."""
    nginx = proxies(server, tls=tls)
    path = f"/{view}/gone-{how}-{tls}/"
    with Raw(nginx) as client:
        client.open(path)
        if view == "echo":
            client.send_frame("here")
            assert client.message() == "here"
        else:
            assert client.message() == b"x" * 65536
        if how == "reset":
            client.reset()
        elif how == "half-close":
            client.half_close()
            with suppress(ssl.SSLError, ConnectionError):
                while client.sock.recv(1 << 20):
                    pass
    assert server.ended(path)["code"] == 1006


def test_script_at_sigterm(launch, proxies):
    """Guards the clients of the script, told to end: Close 1012, then the end."""
    server = launch(SCRIPT, strict=False)
    with Raw(proxies(server)) as client:
        client.open("/echo/")
        server.signal(signal.SIGTERM)
        assert client.answer_close()[0] == 1012
        assert server.process.wait(PATIENCE) == -signal.SIGTERM
    server.check_log()


@pytest.mark.parametrize("kind", [GTHREAD, WORKER], ids=str)
def test_reload_and_restart(launch, proxies, kind, tmp_path):
    """Guards what systemd does to gunicorn: it waits for a word, sends HUP or SIGTERM to the first process only, and

    each time the WebSockets are closed with 1012; after a reload, clients find a new worker.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.settimeout(PATIENCE)
        notifications.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        server = launch(kind, strict=False, environment=environment)
        assert notifications.recv(4096).startswith(b"READY=1\n")
    nginx = proxies(server)
    worker = server.pid
    with Raw(nginx) as client:
        client.open("/echo/")
        os.kill(server.process.pid, signal.SIGHUP)
        assert client.answer_close()[0] == 1012
    eventually(server.children, lambda children: len(children) == 1 and children != [worker])
    with Raw(nginx) as client:
        client.open("/echo/")
        os.kill(server.process.pid, signal.SIGTERM)
        assert client.answer_close()[0] == 1012
    assert server.process.wait(PATIENCE) == 0
    server.check_log()


# The whole of it


def test_unix_socket(launch, proxies, tmp_path):
    """Guards a server behind a socket of the file system, which knows no options of TCP."""
    path = tmp_path / "socket"
    server = launch(GTHREAD, arguments=(*GTHREAD.arguments, "--bind", f"unix:{path}"))
    nginx = proxies(server, backend=f"http://unix:{path}")
    with Raw(nginx) as client:
        client.open("/echo/")
        client.send_frame(b"x" * (1 << 20))
        assert client.message() == b"x" * (1 << 20)
        client.end()
    server.check()


def read(sock, path):
    """Make a request and give all that comes."""
    sock.sendall(f"GET {path} HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
    return b"".join(iter(lambda: sock.recv(65536), b""))


def unit(name):
    """Return a value of the unit, of the clone in which the tests run."""
    (value,) = re.findall(rf"^{name}=(.*)$", (DEPLOY / "example.service").read_text(), re.MULTILINE)
    for program, command in (("gunicorn", f"{sys.executable} -m gunicorn"), ("python", sys.executable)):
        value = value.replace(f"/srv/example/.venv/bin/{program}", command)
    return value.replace("/srv/example", str(ROOT))


def test_example_project(launch, proxies, tmp_path):
    """Guards the deployment page as a whole: unit, settings, gunicorn, nginx, static files, HTTP/2 for the pages."""
    name, _, module = unit("Environment").partition("=")
    environment = {
        **ENVIRONMENT,
        name: module,
        "SECRET_KEY": "k" * 50,
        "ALLOWED_HOSTS": HOST,
        "STATIC_ROOT": str(tmp_path / "static"),
        "DATABASE": str(tmp_path / "db.sqlite3"),
        "GUNICORN_CMD_ARGS": "--workers 1",
    }
    for command in ([sys.executable, "manage.py", "collectstatic", "--noinput"], shlex.split(unit("ExecStartPre"))):
        subprocess.run(
            command,
            cwd=unit("WorkingDirectory"),
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            timeout=60,
        )
    executable, *arguments = shlex.split(unit("ExecStart"))
    assert executable == sys.executable
    assert arguments[-2:] == ["-c", "deploy/gunicorn.conf.py"]
    arguments[-1] = str(DEPLOY / "gunicorn.conf.py")
    options = ("--chdir", unit("WorkingDirectory"), "--bind", f"{HOST}:{{port}}")
    kind = Kind("example", (*arguments, *options), forks=True)
    server = launch(kind, warm=False, ready="/echo/", environment=environment)
    nginx = proxies(server, changes={"/srv/example/static/": f"{tmp_path}/static/"})

    with nginx.connect() as sock:
        assert b"Location: /chat/login/" in read(sock, "/chat/")
    with nginx.connect() as sock:
        page = read(sock, "/echo/")
        assert page.startswith(b"HTTP/1.1 200 ")
    (script,) = re.findall(rb'"(/static/[^"]*\.js)"', page)
    with nginx.connect() as sock:
        assert read(sock, script.decode()).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection((HOST, nginx.plain_port), timeout=10) as sock:
        assert f"Location: https://{HOST}/chat/".encode() in read(sock, "/chat/")

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(socket.create_connection((HOST, nginx.port), timeout=10)) as sock:
        assert sock.selected_alpn_protocol() == "h2"
    with connect(
        nginx.url("/ws/about/"), proxy=None, origin=nginx.origin, ssl=insecure(), subprotocols=["about.v2"]
    ) as client:
        assert client.subprotocol == "about.v2"
    with connect(nginx.url("/ws/echo/"), proxy=None, origin=nginx.origin, ssl=insecure()) as client:
        client.send("Hello")
        assert client.recv(timeout=10) == "Hello"
    assert "WebSockets take all" not in server.text
