"""The page on proxies is true: its configurations work as they are printed, and each of their lines is needed."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack

import pytest
import yaml
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.sync.client import connect

from lab.kinds import BY_NAME
from lab.servers import HOST, insecure

from ..test_docs import ROOT, code_blocks, run
from . import needs
from .clients import Raw, handshake
from .deployments import APACHE_THREADS, find_proxy
from .documented_proxies import APACHE, CADDY, CONFIGURATIONS, HAPROXY, DocumentedProxy
from .test_doctor import check_of, see
from .typed import blocks

pytestmark = [pytest.mark.live, pytest.mark.timeout(90), pytest.mark.urls("lab.project.urls")]

GTHREAD = BY_NAME["gunicorn_gthread"]
#: Seconds of silence in the tests. Apache has half of it for the rest of a slow request.
IDLE = 2


@pytest.fixture(scope="module")
def settings_of_the_page():
    text = (ROOT / "docs" / "proxies.rst").read_text(encoding="utf-8")
    (block,) = code_blocks("docs/proxies.rst", text)
    return {name: value for name, value in run(block).items() if name.isupper()}


@pytest.fixture
def caption(request):
    """Return the caption of a configuration; skip the test if a program is missing."""
    find_proxy(CONFIGURATIONS[request.param].program)
    needs.program("openssl", "openssl")
    return request.param


@pytest.fixture
def proxies(tmp_path):
    """Start proxies for one test."""
    running = []

    def start(caption, server, changes=None):
        directory = tmp_path / f"proxy{len(running)}"
        running.append(DocumentedProxy(caption, directory, f"{HOST}:{server.port}", changes))
        return running[-1]

    yield start
    for proxy in running:
        proxy.stop()


@pytest.fixture
def server(servers, settings_of_the_page):
    return servers(GTHREAD, True, settings_of_the_page)


every_proxy = pytest.mark.parametrize("caption", [CADDY, APACHE, HAPROXY], indirect=True)


def talk(proxy, path, **options):
    return connect(proxy.url(path), proxy=None, ssl=insecure(), origin=proxy.origin, max_size=None, **options)


@every_proxy
def test_messages(caption, proxies, server):
    proxy = proxies(caption, server)
    with talk(proxy, "/echo/") as client:
        for message in ("hello ☃", b"\x00\xff", "", b"", "é" * (1 << 19), os.urandom(1 << 20)):
            client.send(message)
            assert client.recv(timeout=10) == message
    assert client.close_code == 1000


@every_proxy
def test_code_and_reason(caption, proxies, server):
    proxy = proxies(caption, server)
    with talk(proxy, f"/close/{CONFIGURATIONS[caption].program}/") as client:
        client.send("4000 enough")
        with pytest.raises(ConnectionClosedError):
            client.recv(timeout=10)
    assert (client.close_code, client.close_reason) == (4000, "enough")


@every_proxy
def test_doctor(caption, proxies, server):
    report = see("ok", proxies(caption, server).url("/echo/"), "--insecure", "--send", "hello", idle=IDLE, timeout=3)
    assert check_of(report, "ping")["status"] == check_of(report, "echo")["status"] == "ok"
    assert {13, 8, 7} | ({76} if caption == APACHE else set()) <= set(check_of(report, "versions")["data"]["open"])


@every_proxy
def test_origin(caption, proxies, server):
    """Guards that the proxy lets nobody say how they came, and that only pages of the site may connect."""
    proxy = proxies(caption, server)
    for origin, status in ((proxy.origin, 101), (proxy.origin.replace("https", "http"), 403), (server.origin, 403)):
        with Raw(proxy) as client:
            client.send(handshake(proxy, "/echo/", {"Origin": origin, "X-Forwarded-Proto": "http"}))
            assert client.until(b"\r\n\r\n").startswith(f"HTTP/1.1 {status} ".encode())


@every_proxy
def test_restart(caption, proxies, launch, settings_of_the_page):
    server = launch(GTHREAD, settings=settings_of_the_page)
    with talk(proxies(caption, server), "/echo/") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"
        os.kill(server.process.pid, signal.SIGTERM)
        with pytest.raises(ConnectionClosedError):
            client.recv(timeout=10)
    assert client.close_code == 1012


@pytest.mark.parametrize("caption", [CADDY], indirect=True)
def test_reload_of_caddy(caption, proxies, server):
    proxy = proxies(caption, server)
    with talk(proxy, "/echo/") as client:
        configuration = proxy.directory / "configuration"
        configuration.write_text(configuration.read_text().replace("reverse_proxy", "encode gzip\n    reverse_proxy"))
        command = [find_proxy("caddy"), "reload", "--adapter", "caddyfile", "--config", str(configuration)]
        command += ["--address", f"unix/{proxy.directory}/admin"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        with pytest.raises(ConnectionClosedOK):
            client.recv(timeout=10)
    assert client.close_code == 1001


@pytest.mark.parametrize("caption", [APACHE], indirect=True)
def test_threads_of_apache(caption, proxies, server):
    """Guards that a WebSocket keeps a thread of Apache, of which the test has few."""
    proxy = proxies(caption, server)
    with ExitStack() as stack:
        clients = [stack.enter_context(talk(proxy, "/echo/")) for _ in range(APACHE_THREADS)]
        with pytest.raises(TimeoutError):
            talk(proxy, "/echo/", open_timeout=1).close()
        clients.pop().close()
        stack.enter_context(talk(proxy, "/echo/"))


def test_traefik(server):
    """Guards what the page says of the scheme that Traefik announces, and that its labels are YAML."""
    with Raw(server) as client:
        origin = server.origin.replace("http", "https")
        client.open("/echo/", {"Origin": origin, "X-Forwarded-Proto": "wss"})
        client.end()
    (block,) = [block for block in blocks("proxies") if block.language == "yaml"]
    labels = dict(label.split("=", 1) for label in yaml.safe_load(block.text)["labels"])
    assert labels["traefik.http.services.example.loadbalancer.server.port"] == "8000"


@pytest.mark.parametrize(
    ("caption", "change", "verdict"),
    [
        (APACHE, (" upgrade=websocket", ""), "upgrade-dropped"),
        (APACHE, ("    ProxyPreserveHost on\n", ""), "host-replaced"),
        (APACHE, ("    RequestHeader set X-Forwarded-Proto https\n", ""), "scheme-lost"),
        (APACHE, ("SSLEngine on", "SSLEngine on\nTimeout 1"), "cut-when-idle"),
        (APACHE, ("SSLEngine on", "SSLEngine on\nTimeout 1\nProxyTimeout 60"), "ok"),
        (HAPROXY, ("    http-request set-header X-Forwarded-Proto https\n", ""), "scheme-lost"),
        (HAPROXY, ("timeout tunnel 60s", "timeout tunnel 1s"), "cut-when-idle"),
        # The times for requests are not those of WebSockets.
        (HAPROXY, ("timeout server 60s", "timeout server 1s"), "ok"),
        (HAPROXY, ("timeout client 60s", "timeout client 1s"), "ok"),
    ],
    indirect=["caption"],
)
def test_lines(caption, proxies, server, change, verdict):
    """Guards that nothing of it can be left out, and what limits the silence."""
    proxy = proxies(caption, server, dict([change]))
    see(verdict, proxy.url("/echo/"), "--insecure", idle=10 if verdict == "cut-when-idle" else IDLE)
