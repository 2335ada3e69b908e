"""The servers under test, as data, and how one is started, looked at and stopped."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[1]
#: Seconds that anything may take before it counts as hanging. Nothing waits that long when all is well.
PATIENCE = 20.0
#: What is written by Python when something went wrong that nobody caught.
ACCIDENTS = ("Traceback", "Exception ignored", "ResourceWarning", "was never awaited", "Fatal Python error")

T = TypeVar("T")


def eventually(give: Callable[[], T], good: Callable[[T], bool] = bool, timeout: float = PATIENCE) -> T:
    """Ask until the answer is good; fail, with the answer, when it does not become so."""
    deadline = time.monotonic() + timeout
    while not good(answer := give()):
        assert time.monotonic() < deadline, f"still {answer!r} after {timeout} s"
        time.sleep(0.01)
    return answer


@dataclass(frozen=True)
class Kind:
    """One way to serve the project. Another server is another entry of :data:`KINDS`."""

    name: str
    #: Arguments of the interpreter; ``{port}`` stands for the port.
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    #: Settings of the project that the kind is made of.
    settings: dict[str, Any] = field(default_factory=dict)
    #: Whether it serves more than one connection at a time.
    concurrent: bool = True
    #: Whose greenlets serve them, if it has any.
    green: str = ""
    #: Whether it stands for its world, where one server of each will do.
    lead: bool = False
    #: Whether it speaks TLS.
    tls: bool = False
    #: Whether a child of the process serves.
    forks: bool = False
    #: How many threads its pool may have, which stay; 0 where threads end with their connections.
    pool: int = 0
    #: What it exits with after SIGTERM: the negative number of the signal where it died of that; ``None`` where it
    #: kills the process that serves.
    after_sigterm: int | None = -signal.SIGTERM
    #: What it exits with after SIGINT.
    after_sigint: int = 0
    #: Whether a view that raises SystemExit takes the process with it.
    leaves: bool = False
    #: Whether it keeps a connection for another request.
    keeps: bool = True
    #: Whether it reads a request's body before it calls anybody.
    reads_body: bool = False

    def __str__(self) -> str:
        return self.name


def _runserver(name: str, *options: str, **more: Any) -> Kind:
    return Kind(name, ("-m", "django", "runserver", "--noreload", *options, f"{HOST}:{{port}}"), **more)


def _serve(name: str, *arguments: str, **more: Any) -> Kind:
    return Kind(name, ("-m", "lab.project.serve", *arguments, "{port}"), **more)


def _gunicorn(name: str, worker: str, *options: str, **more: Any) -> Kind:
    arguments = ("-m", "gunicorn", "--no-control-socket", "--bind", f"{HOST}:{{port}}", "--worker-class", worker)
    return Kind(
        name,
        (*arguments, *options, "lab.project.wsgi:application"),
        **{"forks": True, "after_sigterm": 0, **more},
    )


#: What tells gunicorn of the certificate.
_TLS = ("--certfile", "{certificate}", "--keyfile", "{certificate}")
EVENTLET_WORKER = "django_websocket.gunicorn.EventletWorker"

KINDS = [
    _runserver("stock", settings={"INSTALLED_APPS": []}),
    _runserver("multithreaded", "--multithreaded", lead=True),
    _runserver("nothreading", "--nothreading", concurrent=False),
    _serve("wsgiref", "wsgiref", concurrent=False),
    _serve("eventlet", "eventlet", green="eventlet", lead=True, leaves=True),
    _serve("eventlet_patched", "eventlet_patched", green="eventlet", leaves=True),
    # Interrupted, this hub says "Already running!".
    _serve(
        "eventlet_asyncio",
        "eventlet",
        environment={"EVENTLET_HUB": "asyncio"},
        green="eventlet",
        after_sigint=1,
        leaves=True,
    ),
    _gunicorn("gunicorn_sync", "sync", "--timeout", "0", concurrent=False),
    _gunicorn("gunicorn_gthread", "gthread", "--threads", "128", pool=128, lead=True),
    _gunicorn("gunicorn_gevent", "gevent", "--worker-connections", "4096", green="gevent", lead=True),
    _gunicorn("gunicorn_pywsgi", "gevent_pywsgi", green="gevent"),
    _gunicorn("gunicorn_eventlet", EVENTLET_WORKER, "--worker-connections", "4096", green="eventlet", lead=True),
    _serve("gevent", "gevent", green="gevent", leaves=True, after_sigint=-signal.SIGINT),
    _serve("gevent_patched", "gevent_patched", green="gevent", leaves=True, after_sigint=-signal.SIGINT),
    _serve("werkzeug", "werkzeug", keeps=False),
    Kind(
        "runserver_plus",
        ("-m", "django", "runserver_plus", "--nopin", f"{HOST}:{{port}}"),
        settings={"INSTALLED_APPS": ["django_websocket", "django_extensions"]},
        forks=True,
        keeps=False,
        after_sigterm=None,
    ),
    _serve("cheroot", "cheroot", pool=128, after_sigint=-signal.SIGINT),
    _serve("waitress", "waitress", pool=128, reads_body=True),
]
#: The same over TLS, of the servers that have it.
TLS_KINDS = [
    _serve("eventlet_tls", "eventlet", "{certificate}", green="eventlet", tls=True, leaves=True),
    _gunicorn("gunicorn_gthread_tls", "gthread", "--threads", "128", *_TLS, pool=128, tls=True),
    _gunicorn("gunicorn_gevent_tls", "gevent", *_TLS, green="gevent", tls=True),
    _gunicorn("gunicorn_eventlet_tls", EVENTLET_WORKER, *_TLS, green="eventlet", tls=True),
    _serve("gevent_tls", "gevent", "{certificate}", green="gevent", tls=True, leaves=True),
    _serve("werkzeug_tls", "werkzeug", "{certificate}", tls=True),
    _serve("cheroot_tls", "cheroot", "{certificate}", pool=128, tls=True),
]
#: Those that keep their sockets to themselves.
SOCKETLESS_KINDS = [
    Kind(
        "granian",
        (
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--host",
            HOST,
            "--port",
            "{port}",
            "lab.project.wsgi:application",
        ),
    ),
    _serve("uwsgi", "uwsgi"),
    _serve("bjoern", "bjoern"),
]
ASGI_KIND = Kind("uvicorn", ("-m", "uvicorn", "--ws", "none", "--port", "{port}", "lab.project.asgi:application"))
#: The same, with a library of its own for WebSockets.
SCOPE_KIND = Kind("uvicorn_scope", ("-m", "uvicorn", "--port", "{port}", "lab.project.asgi:application"))
#: What carries no WebSockets.
UWSGI_KIND = _gunicorn("gunicorn_uwsgi", "gthread", "--threads", "2", "--protocol", "uwsgi")
HTTP2_KINDS = [
    _gunicorn(f"gunicorn_{worker}_h2", worker, *options, "--http-protocols", "h2,h1", *_TLS, tls=True)
    for worker, *options in (("gthread", "--threads", "2"), ("gevent",))
]
BY_NAME = {kind.name: kind for kind in [*KINDS, *TLS_KINDS]}


class Server:
    """A running server."""

    def __init__(
        self,
        kind: Kind,
        log: Path,
        *,
        middleware: bool = True,
        settings: dict[str, Any] | None = None,
        arguments: tuple[str, ...] | None = None,
        environment: dict[str, str] | None = None,
        strict: bool = True,
        ready: str = "/ready/",
    ) -> None:
        # A server that is to end leaves sockets open by itself.
        self._options = ("-W", "error::ResourceWarning") if strict else ()
        self.kind = kind
        self.log = log
        self.middleware = middleware
        self._settings = {**kind.settings, **(settings or {})}
        self._arguments = kind.arguments if arguments is None else arguments
        self._environment = {**kind.environment, **(environment or {})}
        #: A page that is answered once the server is.
        self._ready = ready
        #: Where in the log the present test began.
        self._mark = 0
        self._expected: list[str] = []
        self._tolerated: tuple[str, ...] = ()
        self._own = ""
        self._usage: tuple[int, int] | None = None
        self._start()

    # Starting and stopping

    def _start(self) -> None:
        for _ in range(5):
            self.port = free_port()
            self._spawn()
            try:
                eventually(self.is_ready)
            except BaseException:
                self.stop()
                raise
            if self.process.poll() is None:
                return
            # Somebody else took the port in between.
            assert "in use" in self.text, self.text
        raise AssertionError("no port is free")

    def _spawn(self) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "lab.project.settings",
            "LIVE_SETTINGS": json.dumps(self._settings),
            "LIVE_MIDDLEWARE": str(int(self.middleware)),
            "PYTHONUNBUFFERED": "1",
            **self._environment,
        }
        environment.pop("PYTHONWARNINGS", None)
        command = [sys.executable, *self._options, *self._arguments]
        certificate = str(make_certificate()) if self.kind.tls else ""
        # A child inherits that its parent ignores Ctrl-C, as one in a shell's background does.
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    [argument.format(port=self.port, certificate=certificate) for argument in command],
                    cwd=ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        finally:
            signal.signal(signal.SIGINT, previous)

    def is_ready(self) -> bool:
        """Tell whether it answers, or has ended."""
        if self.process.poll() is not None:
            return True
        try:
            return self.get(self._ready)[0] == 200
        except OSError:
            return False

    def signal(self, number: int) -> None:
        """Send a signal, as a terminal or a supervisor would: to the whole process group."""
        os.killpg(self.process.pid, number)

    def settle(self) -> None:
        """Wait until all its threads wait for something: nothing is half done then."""

        def states() -> set[str]:
            try:
                stats = [path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/stat")]
            except OSError:
                return {"a thread has just ended"}
            return {stat.rpartition(")")[2].split()[0] for stat in stats}

        eventually(states, lambda states: states == {"S"})

    def children(self) -> list[int]:
        """Give the processes that the first one has started: what a reloader restarts, or gunicorn's workers."""
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    @property
    def pid(self) -> int:
        """The process that serves."""
        if not self.kind.forks:
            return self.process.pid
        (pid,) = self.children()
        return pid

    def stop(self) -> None:
        for number, timeout in ((signal.SIGTERM, 5), (signal.SIGKILL, PATIENCE)):
            if self.process.poll() is not None:
                break
            self.signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                continue

    # Looking at it

    def connect(self, timeout: float = 10.0, alpn: str = "") -> socket.socket:
        """Give a connected socket, over TLS of the protocol ``alpn`` if there is one."""
        sock = socket.create_connection((HOST, self.port), timeout=timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self.tls is None else insecure(alpn).wrap_socket(sock)

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What a client needs that speaks TLS to it."""
        return insecure() if self.kind.tls else None

    def url(self, path: str) -> str:
        return f"ws{'s' * self.kind.tls}://{HOST}:{self.port}{path}"

    @property
    def origin(self) -> str:
        return f"http{'s' * self.kind.tls}://{HOST}:{self.port}"

    @property
    def host(self) -> str:
        return f"{HOST}:{self.port}"

    def get(self, target: str) -> tuple[int, bytes]:
        """Make a plain HTTP request on a connection of its own."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.sock = self.connect()
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError from error
        finally:
            connection.close()

    def tally(self, path: str) -> dict[str, int]:
        """Give how often a path was called, started, finished and failed."""
        status, body = self.get(f"/tally/?path={path}")
        assert status == 200
        return json.loads(body)

    @property
    def text(self) -> str:
        """What the server has written in the present test."""
        with self.log.open("rb") as log:
            log.seek(self._mark)
            return log.read().decode(errors="replace")

    def records(self, logger: str = "") -> list[dict[str, Any]]:
        """Give the log records of the present test."""
        lines = [
            line[4:] for line in self.text.splitlines(keepends=True) if line.startswith("LOG ") and line[-1] == "\n"
        ]
        return [record for record in map(json.loads, lines) if record["logger"].startswith(logger)]

    def ended(self, path: str) -> dict[str, Any]:
        """Wait for the end of the view at a path, and give what it has to say."""

        def look() -> list[dict[str, Any]]:
            ends = [json.loads(record["message"].partition(" ")[2]) for record in self.records("live")]
            return [end for end in ends if end["path"] == path]

        (end,) = eventually(look)
        return end

    def usage(self) -> tuple[int, int]:
        """Give how many descriptors are open, and how many threads run."""
        proc = Path(f"/proc/{self.pid}")
        return len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))

    def idle(self) -> None:
        """Wait until all connections are closed and all threads that served them are gone."""
        assert self._usage is not None
        descriptors, threads = self._usage
        # The server's own pool, and a few.
        threads = max(threads, self.kind.pool + 6 if self.kind.pool else 0)
        eventually(self.usage, lambda usage: usage[0] <= descriptors and usage[1] <= threads)

    def memory(self) -> int:
        """Give the resident memory in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    # Around a test

    def begin(self) -> None:
        """Note how things are before a test."""
        self._mark = self.log.stat().st_size
        self._expected, self._tolerated, self._own = [], (), ""
        usage = self.usage()
        self._usage = usage if self._usage is None else (min(usage[0], self._usage[0]), min(usage[1], self._usage[1]))

    def expect(self, error: str, times: int = 1) -> None:
        """Say that an error, as its ``repr()`` begins, is going to be logged."""
        self._expected += [error] * times

    def tolerate(self, *errors: str) -> None:
        """Say that errors, as their ``repr()`` begins, may be logged, as often as they like."""
        self._tolerated = errors

    def tolerate_tracebacks(self, module: str) -> None:
        """Say that a module of the server may log its own, of which Django sees nothing."""
        self._own = module

    def check(self) -> None:
        """See that a test has left nothing open, and that nothing went wrong unnoticed."""
        assert self.process.poll() is None, f"the server is gone: {self.text}"
        self.idle()
        self.check_log()

    def check_log(self) -> None:
        text = self.text
        if self._own:
            tracebacks = re.findall(r"^Traceback.*\n(?: +.*\n)*", text, re.MULTILINE)
            for traceback in tracebacks:
                if self._own in traceback and "/django" not in traceback:
                    text = text.replace(traceback, "")
        for accident in ACCIDENTS:
            assert accident not in text, text
        errors = [record["error"] for record in self.records() if record["error"]]
        for expected in self._expected:
            found = next((error for error in errors if error.startswith(expected)), None)
            assert found is not None, f"{expected} was not logged: {text}"
            errors.remove(found)
        assert all(error.startswith(self._tolerated) for error in errors), text


@cache
def make_certificate() -> Path:
    """Make a self-signed certificate, and return the path of a file that holds it and its key.

    The file is deleted when this process exits.

    :raises RuntimeError: openssl is not installed.
    """
    openssl = find_program("openssl")
    if openssl is None:
        raise RuntimeError("there is no openssl to make a certificate with")
    directory = Path(tempfile.mkdtemp(prefix="certificate"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path, certificate = directory / "server.pem", directory / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
    command += ["-addext", f"subjectAltName=DNS:localhost,IP:{HOST}", "-keyout", str(path), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + certificate.read_text())
    return path


@cache
def insecure(alpn: str = "") -> ssl.SSLContext:
    """Give a client's context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


def find_program(name: str) -> str | None:
    """Return the path of a program, or ``None`` if it is not installed."""
    # Debian installs daemons into a directory that only root has on its PATH.
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
