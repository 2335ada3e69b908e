"""gunicorn in production: workers that end for each of their reasons, rolling restarts, heartbeats, and room."""

import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from lab.kinds import BY_NAME
from lab.servers import PATIENCE, eventually

from .clients import Raw, get, handshake
from .conftest import IDLE
from .test_processes import on_kinds, open_many, see_restart

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

WORKERS = [BY_NAME[name] for name in ("gunicorn_gthread", "gunicorn_gevent", "gunicorn_eventlet")]
GTHREAD = BY_NAME["gunicorn_gthread"]


def having(kind, *options):
    """Return a kind of gunicorn with more options."""
    *arguments, application = kind.arguments
    return replace(kind, arguments=(*arguments, *options, application))


def echo(server, text):
    with Raw(server) as client:
        client.open("/echo/")
        client.send_frame(text)
        assert client.message() == text
        client.end()


# The end of a WebSocket


@on_kinds(WORKERS)
def test_no_response_is_tried_behind_the_end(launch, kind):
    """Guards the way in which gunicorn is told: it would write a response to a socket that is shut down, and fail."""
    server = launch(having(kind, "--log-level", "debug", "--access-logfile", "-"), strict=False)
    echo(server, "one")
    eventually(lambda: '"GET /echo/ HTTP/1.1" 101' in server.log.read_text())
    log = eventually(server.log.read_text, lambda log: "Closing connection" in log)
    assert "EPIPE" not in log


# The end of a worker


@on_kinds(WORKERS)
def test_sigterm_after_preload(launch, kind):
    """Guards a preloaded application: its worker has set its signals' handlers after the middleware was made."""
    server = launch(having(kind, "--preload"), strict=False)
    with ExitStack() as stack:
        clients = open_many(stack, server, 5)
        server.signal(signal.SIGTERM)
        see_restart(clients)
        assert server.process.wait(PATIENCE) == 0
    server.check_log()


@on_kinds(WORKERS)
def test_max_requests(launch, kind):
    """Guards the end of a worker that has served enough: nobody sends it a signal."""
    server = launch(having(kind, "--max-requests", "8"), warm=False, strict=False)
    first = server.pid
    with ExitStack() as stack:
        clients = open_many(stack, server, 3)
        # /ready/ has been asked for already.
        for _ in range(4):
            server.get("/ready/")
        see_restart(clients)
    # Another one has taken over, and nobody was turned away meanwhile.
    echo(server, "again")
    eventually(lambda: first not in server.children())
    server.check_log()


@on_kinds(WORKERS)
def test_reload(launch, kind, tmp_path):
    """Guards ``--reload``: a changed file closes the WebSockets with 1012, and the server comes back."""
    module = tmp_path / "live_extra.py"
    module.write_text("")
    server = launch(
        having(kind, "--reload", "--reload-engine", "poll"),
        strict=False,
        environment={"LIVE_EXTRA_MODULE": module.stem, "PYTHONPATH": str(tmp_path)},
    )
    with ExitStack() as stack:
        clients = open_many(stack, server, 3)

        def change():
            module.write_text(f"changed = {time.monotonic_ns()}")
            return "Worker reloading" in server.text

        eventually(change)
        see_restart(clients)
    eventually(lambda: server.text.count("Booting worker") > 0)
    echo(server, "again")


@on_kinds([GTHREAD])
def test_handshake_while_the_worker_ends(launch, kind):
    """Guards a worker that is about to go: a handshake that still reaches it gets 503, and may come again."""
    server = launch(kind, strict=False)
    with Raw(server) as kept, Raw(server) as client:
        kept.send(get(server, "/ready/"))
        assert kept.response()[0] == 200
        client.open("/echo/")
        server.signal(signal.SIGTERM)
        assert client.closing()[0] == 1012
        # At first it would be served, and closed a moment later.
        time.sleep(1.5)
        kept.send(handshake(server, "/echo/"))
        status, headers, _ = kept.response()
        assert (status, headers["retry-after"]) == (503, "5")
        kept.over()
    assert server.process.wait(PATIENCE) == 0
    server.check_log()


class Caller(threading.Thread):
    """A client that asks on, and connects again when its server says that it restarts."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.stopped = threading.Event()
        self.echoes = self.restarts = 0
        self.lost = []

    def run(self):
        while not self.stopped.is_set():
            try:
                self.talk()
            except ConnectionClosed as error:
                if error.rcvd is None or error.rcvd.code != 1012:
                    self.lost.append(error)
                self.restarts += 1
            except Exception as error:  # noqa: BLE001 - a refusal, or no answer
                self.lost.append(error)

    def talk(self):
        with connect(self.server.url("/echo/"), proxy=None, open_timeout=PATIENCE) as client:
            while not self.stopped.is_set():
                text = f"{self.echoes}"
                client.send(text)
                answer = client.recv(timeout=PATIENCE)
                if answer != text:
                    self.lost.append((text, answer))
                self.echoes += 1


@on_kinds(WORKERS)
def test_rolling_restart(launch, kind):
    """Guards a deploy: with HUP nobody is refused, and no echo is lost but those that were on their way."""
    server = launch(kind, strict=False)
    callers = [Caller(server) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(3):
            # All are connected, to the workers of now.
            asked = [caller.echoes for caller in callers]
            eventually(lambda: all(caller.echoes > had + 10 for caller, had in zip(callers, asked, strict=True)))  # noqa: B023
            before, restarts = set(server.children()), [caller.restarts for caller in callers]
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: not before & set(server.children()))  # noqa: B023
            eventually(lambda: all(caller.restarts > had for caller, had in zip(callers, restarts, strict=True)))  # noqa: B023
    finally:
        for caller in callers:
            caller.stopped.set()
        for caller in callers:
            caller.join(PATIENCE)
    assert [caller.lost for caller in callers] == [[]] * 4
    server.check_log()


# Life


@on_kinds(WORKERS)
def test_idle_for_longer_than_the_timeout(launch, kind):
    """Guards an idle connection against ``--timeout``, which is about the worker's own signs of life."""
    server = launch(having(kind, "--timeout", "1"))
    with Raw(server) as client:
        client.open("/echo/")
        time.sleep(4)
        client.send_frame("still here")
        assert client.message() == "still here"
        client.end()
    server.check()


# Room


@on_kinds([GTHREAD])
def test_a_thread_is_left_for_plain_requests(launch, kind):
    """Guards ``WEBSOCKET_MAX_CONNECTIONS`` below the number of threads."""
    server = launch(having(kind, "--threads", "2"), settings={"WEBSOCKET_MAX_CONNECTIONS": 1})
    assert "django-websocket:" not in server.log.read_text()
    with Raw(server) as first, Raw(server) as second:
        first.open("/echo/")
        second.send(handshake(server, "/echo/"))
        assert second.response()[0] == 503
        assert server.get("/ready/") == (200, b"ready")
        first.end()
    server.check()


@on_kinds(WORKERS)
def test_warning_of_too_little_room(launch, kind):
    """Guards the start-up warning: by the middleware, or before the application is even asked for by the hook."""
    for options, settings in (
        ((), {}),
        (("--preload", "--config", "python:lab.project.gunicorn_conf"), {"WEBSOCKET_MAX_CONNECTIONS": 9999}),
    ):
        server = launch(having(kind, *options), warm=False, settings=settings)
        warnings = [line for line in server.log.read_text().splitlines() if "django-websocket:" in line]
        assert len(warnings) == 1, warnings
        assert "WebSockets take all" in warnings[0]


@on_kinds([BY_NAME["gunicorn_eventlet"]])
def test_worker_connections(launch, kind):
    """Guards the bound of the worker on eventlet: one more waits until another one ends."""
    server = launch(having(kind, "--worker-connections", "2"))
    with Raw(server) as first, Raw(server) as second, Raw(server, timeout=0.5) as third:
        first.open("/echo/")
        second.open("/echo/")
        third.send(handshake(server, "/echo/"))
        with pytest.raises(TimeoutError):
            third.accepted()
        first.end()
        third.sock.settimeout(10)
        third.accepted()
        third.end()
        second.end()
    server.idle()


@on_kinds([kind for kind in WORKERS if kind.green])
def test_idle_connections(launch, kind, record_property):
    """Guards many connections that do nothing: all are there afterwards. IDLE_CONNECTIONS says how many."""
    # Opening them takes a while, and these clients answer no pings.
    server = launch(having(kind, "--worker-connections", str(IDLE + 100)), settings={"WEBSOCKET_PING_INTERVAL": 300})
    before = server.memory()
    with ExitStack() as stack:
        clients = open_many(stack, server, IDLE)
        size = (server.memory() - before) / IDLE
        print(f"{kind}: {size / 1024:.1f} KiB for each of {IDLE} connections")
        record_property("bytes", size)
        for number, client in enumerate(clients):
            client.send_frame(f"{number}")
        for number, client in enumerate(clients):
            assert client.message() == f"{number}"
        for client in clients:
            client.end()
    server.check()
