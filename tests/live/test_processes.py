"""The process: how it ends, how it starts anew, and how much it takes."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from websockets.frames import Opcode

from lab.kinds import BY_NAME, KINDS
from lab.servers import HOST, PATIENCE, ROOT, eventually

from .clients import Raw, close_frame, handshake

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

TERMINABLE = [kind for kind in KINDS if kind.after_sigterm is not None]
CONCURRENT = [kind for kind in KINDS if kind.concurrent]
LEADING = [kind for kind in KINDS if kind.lead]


def on_kinds(kinds):
    runs = [pytest.param(kind, marks=pytest.mark.xdist_group(kind.name)) for kind in kinds]
    return pytest.mark.parametrize("kind", runs, ids=str)


def open_many(stack, server, number, path="/echo/"):
    """Open connections that stay."""
    clients = []
    for _ in range(number):
        clients.append(stack.enter_context(Raw(server)))
        clients[-1].open(path)
    server.settle()
    return clients


def see_restart(clients):
    """See that each gets Close 1012, answers, and that nothing but the end comes then."""
    for client in clients:
        assert client.closing()[0] == 1012
    for client in clients:
        # A process that is gone answers with RST.
        try:
            client.send(close_frame(1012))
            assert client.rest() == b""
        except ConnectionError:
            pass


# The end


@on_kinds(TERMINABLE)
def test_sigterm(launch, kind):
    """Guards the clients of a server that is told to end: each gets Close 1012, and it ends as it always did."""
    server = launch(kind, strict=False)
    with ExitStack() as stack:
        clients = open_many(stack, server, 20 if kind.concurrent else 1)
        server.signal(signal.SIGTERM)
        see_restart(clients)
        assert server.process.wait(PATIENCE) == kind.after_sigterm
    server.check_log()


@on_kinds(TERMINABLE)
def test_sigterm_while_the_client_does_not_answer(launch, kind):
    """Guards the end of a server against clients that do not answer: it waits for none of them."""
    server = launch(kind, strict=False, settings={"WEBSOCKET_CLOSE_TIMEOUT": 0.5})
    with ExitStack() as stack:
        clients = open_many(stack, server, 3 if kind.concurrent else 1)
        server.signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == kind.after_sigterm
        for client in clients:
            assert client.closing()[0] == 1012
    server.check_log()


@on_kinds(TERMINABLE)
def test_sigterm_while_views_send(launch, kind):
    """Guards clients whose views are busy: the signal may come in the midst of a frame; the Close comes behind it."""
    server = launch(kind, strict=False, settings={"WEBSOCKET_CLOSE_TIMEOUT": 0.5})

    def read(client):
        try:
            while (received := client.frame())[0] == Opcode.BINARY:
                pass
        except (EOFError, ConnectionError) as error:
            return error
        return received

    number = 5 if kind.concurrent else 1
    with ExitStack() as stack, ThreadPoolExecutor(number) as pool:
        clients = [stack.enter_context(Raw(server)) for _ in range(number)]
        for client in clients:
            client.open("/flood/x/")
        readers = [pool.submit(read, client) for client in clients]
        server.signal(signal.SIGTERM)
        assert [reader.result(PATIENCE) for reader in readers] == [(Opcode.CLOSE, b"\x03\xf4")] * number
        assert server.process.wait(PATIENCE) == kind.after_sigterm
    server.check_log()


@on_kinds(CONCURRENT)
def test_ctrl_c(launch, kind):
    """Guards the clients of a server that is interrupted at its terminal."""
    server = launch(kind, strict=False)
    with ExitStack() as stack:
        clients = open_many(stack, server, 5)
        server.signal(signal.SIGINT)
        see_restart(clients)
        assert server.process.wait(PATIENCE) == kind.after_sigint
    # gunicorn's workers on gevent say in many words how they leave.
    if not kind.after_sigint and not (kind.forks and kind.green):
        server.check_log()


@on_kinds([kind for kind in KINDS if not kind.concurrent])
def test_ctrl_c_of_a_server_without_threads(launch, kind):
    """Guards the one client of such a server; wsgiref takes the interruption for the request's, and goes on."""
    server = launch(kind, strict=False)
    with ExitStack() as stack:
        clients = open_many(stack, server, 1)
        server.signal(signal.SIGINT)
        see_restart(clients)


@on_kinds([kind for kind in LEADING if not kind.forks])
def test_project_that_owns_its_signals(launch, kind):
    """Guards ``WEBSOCKET_CLOSE_ON_SIGTERM = False``: the process just dies."""
    server = launch(kind, settings={"WEBSOCKET_CLOSE_ON_SIGTERM": False})
    with ExitStack() as stack:
        (client,) = open_many(stack, server, 1)
        server.signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == -signal.SIGTERM
        assert client.rest() == b""


#: gunicorn's settings by which the first worker is told to end while it patches the standard library.
EARLY = """
import os, signal

def post_fork(server, worker):
    import eventlet

    patch = eventlet.monkey_patch

    def monkey_patch():
        patch()
        if worker.age == 1:
            os.kill(os.getpid(), signal.{name})

    eventlet.monkey_patch = monkey_patch
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_worker_is_told_to_end_before_it_is_ready(launch, tmp_path, name):
    """Guards the end of a worker on eventlet that has just been forked: its parent's handler would swallow the signal,

    and gunicorn would wait for the worker until it kills it.
    """
    settings = tmp_path / "gunicorn.conf.py"
    settings.write_text(EARLY.format(name=name))
    kind = BY_NAME["gunicorn_eventlet"]
    server = launch(kind, arguments=(*kind.arguments[:-1], "-c", str(settings), kind.arguments[-1]))
    assert server.log.read_text().count("Booting worker") == 2
    server.check()


# runserver's reloader


@pytest.fixture
def reloading(launch, tmp_path):
    """Start a server with a reloader, and a module of its project."""
    module = tmp_path / "live_extra.py"
    module.write_text("")

    def start(name="multithreaded"):
        arguments = {"multithreaded": ("-m", "django", "runserver", "--multithreaded", f"{HOST}:{{port}}")}
        server = launch(
            BY_NAME[name],
            strict=False,
            arguments=arguments.get(name),
            environment={"LIVE_EXTRA_MODULE": module.stem, "PYTHONPATH": str(tmp_path)},
        )
        return server, module

    return start


@pytest.mark.parametrize(
    ("name", "word"), [("multithreaded", "changed, reloading"), ("runserver_plus", "Detected change in")]
)
def test_reload(reloading, name, word):
    """Guards the development loop: a changed file closes the WebSockets with 1012, and the server comes back."""
    server, module = reloading(name)
    with ExitStack() as stack:
        clients = open_many(stack, server, 3)
        before = server.children()

        def change():
            # Again and again: a change before the reloader's first look, each second, is none to it.
            module.write_text(f"changed = {time.monotonic_ns()}")
            return word in server.text

        eventually(change)
        see_restart(clients)

    # The old one may answer for a moment yet.
    eventually(lambda: server.children() not in ([], before))
    eventually(server.is_ready)
    with Raw(server) as client:
        client.open("/echo/")
        client.send_frame("again")
        assert client.message() == "again"
        client.end()
    server.check_log()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_end_with_reloader(reloading, number):
    """Guards the end of a server with the reloader, which sets signal handlers of its own after ours."""
    server, _ = reloading()
    with ExitStack() as stack:
        clients = open_many(stack, server, 3)
        if number == signal.SIGINT:
            server.signal(number)
        else:
            # The reloader itself, told to end, kills the server that it has started.
            os.kill(server.children()[0], number)
        see_restart(clients)
        server.process.wait(PATIENCE)
    server.check_log()


# runserver's options


def test_static_files(launch):
    """Guards the ``runserver`` behind ours: static files are still served, WebSockets beside them."""
    server = launch(BY_NAME["multithreaded"], settings={"DEBUG": True})
    status, body = server.get("/static/live.txt")
    assert (status, body) == (200, (ROOT / "lab/project/static/live.txt").read_bytes())


def test_lines_of_websockets(launch):
    """Guards the lines that ``runserver`` prints for WebSockets, those that its own end closes among them."""
    server = launch(BY_NAME["multithreaded"])

    def lines():
        found = [record["message"] for record in server.records("django.server")]
        return [line.partition(" 101 ")[2] for line in found if line.startswith('"GET /echo/ HTTP/1.1" 101 ')]

    with Raw(server) as client, Raw(server) as other:
        client.open("/echo/")
        eventually(lambda: lines() == ["open"])
        client.end()
        eventually(lambda: len(lines()) == 2)
        other.open("/echo/")
        server.signal(signal.SIGINT)
        see_restart([other])
        server.process.wait(PATIENCE)
    first, closed, second, last = lines()
    assert (first, second) == ("open", "open")
    assert re.fullmatch(r"closed 1000 \d\.\d s", closed)
    assert re.fullmatch(r"closed 1012 \d\.\d s", last)


def test_multithreaded_without_threading():
    """Guards against two options that exclude each other."""
    done = subprocess.run(
        [sys.executable, "-m", "django", "runserver", "--multithreaded", "--nothreading", "--noreload", f"{HOST}:0"],
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "lab.project.settings"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "--multithreaded and --nothreading exclude each other" in done.stderr
    assert "Traceback" not in done.stderr


# How much it takes


@on_kinds(LEADING)
def test_max_connections(launch, kind):
    """Guards ``WEBSOCKET_MAX_CONNECTIONS``: one more gets 503, and finds room when another has left."""
    server = launch(kind, settings={"WEBSOCKET_MAX_CONNECTIONS": 2})
    with ExitStack() as stack:
        first, second = open_many(stack, server, 2)
        with Raw(server) as third:
            third.send(handshake(server, "/echo/"))
            status, headers, body = third.response()
            assert (status, headers["retry-after"]) == (503, "5")
            assert body
            third.over()
        assert server.get("/ready/")[0] == 200

        def room():
            with Raw(server) as client:
                client.send(handshake(server, "/echo/"))
                return client.until(b"\r\n").startswith(b"HTTP/1.1 101 ")

        first.end()
        eventually(room)
        second.end()
    server.check()


@on_kinds(LEADING)
def test_refusals_take_no_room(launch, kind):
    """Guards the count of connections: what was refused, or has failed, is not counted for ever."""
    server = launch(kind, settings={"WEBSOCKET_MAX_CONNECTIONS": 1})
    for path, status in (("/forbid/x/", 403), ("/redirect/x/", 302), ("/nowhere/", 404), ("/plain/", 400)):
        for _ in range(3):
            with Raw(server) as client:
                client.send(handshake(server, path))
                assert client.response()[0] == status
    server.idle()
    with Raw(server) as client:
        client.open("/echo/")
        client.end()
    server.check()


@on_kinds([kind for kind in LEADING if not kind.pool])
def test_many_descriptors(launch, kind):
    """Guards against ``select()``, which cannot look at descriptors over 1023: waits of all kinds work above them."""
    # The idle ones may be idle for long on a busy machine.
    server = launch(kind, settings={"WEBSOCKET_PING_INTERVAL": None})
    with ExitStack() as stack:
        idle = open_many(stack, server, 1100)
        assert server.usage()[0] > 1100
        with Raw(server) as client:
            client.open("/patient/x/")
            assert [client.message(), client.message()] == ["nothing yet", "nothing yet"]
            client.send_frame("at last")
            assert client.message() == "at last"
            client.answer_close()
        # A send that waits, in the view's own thread and in another.
        for path in ("/flood/x/", "/two_senders/threads/x/"):
            with Raw(server) as client:
                client.open(path)
                assert server.ended(path)["code"] == 1006
        for client in idle:
            client.send_frame("still here")
        for client in idle:
            assert client.message() == "still here"
    server.check()
