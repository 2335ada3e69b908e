"""The doctor's verdict on deployments that are set up for real, each with the one mistake that it is to find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from typing import Any, Final, NamedTuple

import pytest
from django.core.management import call_command

from lab.kinds import ASGI_KIND, BY_NAME, SCOPE_KIND, SOCKETLESS_KINDS, Kind
from lab.project.server import Server
from lab.servers import HOST, ROOT, free_port, gunicorn

from . import needs
from .clients import Raw
from .deployments import UPGRADE, Proxy, find_proxy, to_app, without

#: The project of the servers is the one that the doctor runs in.
pytestmark = [pytest.mark.live, pytest.mark.timeout(90), pytest.mark.urls("lab.project.urls")]

#: The name by which nginx knows the server is a host of the project, as it is where nobody passes the Host on.
SETTINGS: Final = {"ALLOWED_HOSTS": [HOST, "localhost", "app"]}
GTHREAD: Final = BY_NAME["gunicorn_gthread"]
GRANIAN: Final = next(kind for kind in SOCKETLESS_KINDS if kind.name == "granian")
#: One thread for everything, and a worker that is killed if a request takes longer than two seconds. It does not have
#: to load the project in that time.
ONE_THREAD: Final = Kind(
    "one_thread", gunicorn("gthread", "--threads", "1", "lab.project.wsgi:application"), forks=True
)
SYNC: Final = Kind("sync", gunicorn("sync", "--timeout", "2", "--preload", "lab.project.wsgi:application"), forks=True)
#: Seconds for the whole command, which waits for less.
PATIENCE: Final = 60


class Behind(NamedTuple):
    """A proxy in front of the server of the session."""

    program: str
    body: str
    verdict: str
    path: str = "/echo/"
    tls: bool = False
    idle: float = 0.3


SPA: Final = (
    "root {directory}; location / { try_files $uri /index.html; } "
    "location = /index.html { default_type text/html; return 200 '<!doctype html>'; }"
)
DEPLOYMENTS: Final = {
    "nginx without Upgrade": Behind(
        "nginx", to_app("proxy_http_version 1.1;", "proxy_set_header Host $http_host;"), "upgrade-dropped"
    ),
    "nginx without Upgrade, for a view that is a page as well": Behind(
        "nginx",
        to_app("proxy_http_version 1.1;", "proxy_set_header Host $http_host;"),
        "upgrade-dropped",
        "/lower_case/?message=HTTP",
    ),
    "nginx without Host": Behind("nginx", to_app(*without("proxy_set_header Host $http_host;")), "host-replaced"),
    "nginx without the port": Behind(
        "nginx", to_app(*without("proxy_set_header Host $http_host;"), "proxy_set_header Host $host;"), "port-lost"
    ),
    "nginx without X-Forwarded-Proto": Behind("nginx", to_app(*UPGRADE), "scheme-lost", tls=True),
    "nginx with HTTP/1.0": Behind(
        "nginx", to_app(*without("proxy_http_version 1.1;"), "proxy_http_version 1.0;"), "http-1.0"
    ),
    "nginx without Connection": Behind(
        "nginx",
        to_app(*without('proxy_set_header Connection "upgrade";'), 'proxy_set_header Connection "";'),
        "connection-dropped",
    ),
    "nginx with a short timeout": Behind("nginx", to_app(*UPGRADE, "proxy_read_timeout 1s;"), "cut-when-idle", idle=10),
    "HAProxy with a short timeout": Behind(
        "haproxy", "timeout client 1s\n    timeout server 1s", "cut-when-idle", idle=10
    ),
    "Apache without upgrade=websocket": Behind(
        "apache2", "ProxyPass / http://{backend}/\nProxyPreserveHost on", "upgrade-dropped"
    ),
    "Caddy with another Host": Behind(
        "caddy", "reverse_proxy {backend} {\n        header_up Host {upstream_hostport}\n    }", "host-replaced"
    ),
    "nginx that serves a page for all addresses": Behind("nginx", SPA, "upgrade-dropped-or-page"),
    # What works, so that the doctor does not cry for nothing.
    "nginx": Behind("nginx", to_app(*UPGRADE), "ok"),
    "HAProxy": Behind("haproxy", "timeout client 9s\n    timeout server 9s", "ok"),
    "Apache": Behind("apache2", "ProxyPass / http://{backend}/ upgrade=websocket\nProxyPreserveHost on", "ok"),
    "Caddy": Behind("caddy", "reverse_proxy {backend}", "ok"),
}
#: Servers without a proxy, on which no view can have a WebSocket.
SOCKETLESS: Final = [(SCOPE_KIND, "asgi"), (ASGI_KIND, "asgi"), (GRANIAN, "server-without-socket")]


def run(url: str, *options: str, idle: float = 0.3, timeout: float = 5) -> tuple[int, dict[str, Any]]:
    """Run the command in this process; return its exit status, and what it says."""
    out, status = StringIO(), 0
    try:
        call_command("websocket_doctor", *arguments(url, *options, idle=idle, timeout=timeout), stdout=out)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, json.loads(out.getvalue())


def run_as_a_user(url: str, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command in a process of its own; return its exit status, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "django", "websocket_doctor", *arguments(url, *options)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "lab.project.settings"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def arguments(url: str, *options: str, idle: float = 0.3, timeout: float = 5) -> list[str]:
    return [url, "--json", "--idle", str(idle), "--timeout", str(timeout), *options]


def see(verdict: str, url: str, *options: str, **times: float) -> dict[str, Any]:
    """See that the doctor's verdict is the right one, and that its exit status fits; return what it says."""
    status, report = run(url, *options, **times)
    assert report["verdict"] == verdict, report
    assert status == (verdict != "ok")
    assert any(check["status"] == "fail" for check in report["checks"]) == bool(status)
    return report


def check_of(report: dict[str, Any], check_id: str) -> dict[str, Any]:
    (check,) = [check for check in report["checks"] if check["id"] == check_id]
    return check


@pytest.fixture
def proxies(tmp_path):
    """Start proxies for one test."""
    running = []

    def start(program, body, backend, **options):
        running.append(Proxy(program, tmp_path / f"proxy{len(running)}", backend, body, **options))
        return running[-1]

    yield start
    for proxy in running:
        proxy.stop()


@pytest.fixture
def serve(tmp_path):
    """Start a server for one test, without a WebSocket to warm it up."""
    running = []

    def start(kind):
        running.append(Server(kind, tmp_path / "server", strict=False))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def deployment(request):
    """Return a deployment; skip the test if its program is missing."""
    found = DEPLOYMENTS[request.param]
    find_proxy(found.program)
    if found.tls:
        needs.program("openssl", "openssl")
    return found


@pytest.mark.parametrize("deployment", DEPLOYMENTS, indirect=True)
def test_behind_a_proxy(servers, proxies, deployment):
    """Guards the verdict on each configuration, which is made of a working one by one change."""
    program, body, verdict, path, tls, idle = deployment
    server = servers(GTHREAD, True, SETTINGS)
    proxy = proxies(program, body, f"{HOST}:{server.port}", tls=tls)
    report = see(verdict, proxy.url(path), "--insecure", idle=idle, timeout=3)
    if verdict == "cut-when-idle":
        assert 0.9 < check_of(report, "idle")["data"]["seconds"] < 5
    if verdict == "ok":
        assert check_of(report, "ping")["status"] == "ok"
        assert {13, 8, 7} <= set(check_of(report, "versions")["data"]["open"])


@pytest.mark.usefixtures("nginx")
def test_backend_down(proxies):
    proxy = proxies("nginx", to_app(*UPGRADE), f"{HOST}:{free_port()}")
    see("backend-down", proxy.url("/echo/"))


def test_nothing_there():
    """Guards the command as it is typed, in a project whose server does not run."""
    status, report = run_as_a_user(f"ws://{HOST}:{free_port()}/echo/")
    assert (status, report["verdict"]) == (1, "unreachable")
    assert check_of(report, "tcp")["status"] == "fail"


def test_no_thread_left(serve):
    server = serve(ONE_THREAD)
    with Raw(server) as client:
        client.open("/echo/")
        see("no-answer", server.url("/echo/"), timeout=1)


def test_worker_that_is_killed(serve):
    report = see("killed", serve(SYNC).url("/echo/"), idle=15)
    assert check_of(report, "idle")["data"]["close_code"] == 1011


@pytest.fixture
def socketless(request):
    """Return a kind of server and the verdict on it; skip the test if its module is missing."""
    kind, verdict = request.param
    if kind is GRANIAN:
        needs.module("granian", "granian")
    return kind, verdict


@pytest.mark.parametrize("socketless", SOCKETLESS, indirect=True, ids=lambda param: str(param[0]))
def test_server_without_sockets(serve, socketless):
    kind, verdict = socketless
    see(verdict, serve(kind).url("/echo/"))


# What needs no proxy


def test_all_is_well(servers):
    """Guards each check on a server that answers all of them: every version, our ping and Close, an echo, the server's

    own ping.
    """
    server = servers(GTHREAD, True, SETTINGS)
    report = see("ok", server.url("/keepalive/doctor/"), "--send", "héllo", idle=1)
    assert [(check["id"], check["status"]) for check in report["checks"]] == [
        ("dns", "ok"),
        ("tcp", "ok"),
        ("tls", "skip"),
        ("handshake", "ok"),
        ("accept-key", "ok"),
        ("versions", "ok"),
        ("ping", "ok"),
        ("idle", "ok"),
        ("echo", "ok"),
        ("close", "ok"),
    ]
    assert check_of(report, "versions")["data"] == {"open": [13, 8, 7, 76, 75], "refused": []}
    assert check_of(report, "idle")["data"]["pings"] > 0


@pytest.mark.parametrize("version", [8, 7, 76, 75])
def test_each_version_in_full(servers, version):
    server = servers(GTHREAD, True, SETTINGS)
    see("ok", server.url("/echo/"), "--versions", str(version), "--send", "hello")


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        ("/plain/", "not-a-websocket-view"),
        ("/echo", "redirect"),
        ("/nowhere/", "no-such-address"),
        ("/forbid/doctor/", "login"),
        ("/return_page/doctor/", "ok"),
        ("/log_in_first/doctor/", "error"),
    ],
)
def test_address(servers, path, verdict):
    server = servers(GTHREAD, True, SETTINGS)
    see(verdict, server.url(path))


@pytest.fixture
def openssl():
    """Skip the test if the program is missing that makes the certificate."""
    needs.program("openssl", "openssl")


@pytest.mark.usefixtures("openssl")
def test_certificate(serve):
    server = serve(BY_NAME["gunicorn_gthread_tls"])
    report = see("tls", server.url("/echo/"))
    assert "certificate" in check_of(report, "tls")["message"]
    see("ok", server.url("/echo/"), "--insecure")
    see("tls", server.url("/echo/").replace("wss:", "ws:"))
