"""Metrics on a real gunicorn: of one process, and of several, which write files for each other."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.kinds import BY_NAME
from lab.servers import eventually

from .clients import Raw, close_frame, handshake
from .metered import ROUTE, Metered

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

GTHREAD, GEVENT, EVENTLET = (BY_NAME[f"gunicorn_{name}"] for name in ("gthread", "gevent", "eventlet"))
#: The view of the page, and that of django-prometheus.
VIEW, OTHER_VIEW = "/metrics/", "/django_prometheus/metrics"


@pytest.fixture
def start(tmp_path):
    """Start a server for one test."""
    running = []

    def start(kind, *options, several=True):
        running.append(Metered(tmp_path, kind, *options, several=several))
        return running[0]

    yield start
    for server in running:
        server.stop()


class Talker(Raw):
    """A client whose messages are answered."""

    sent = 0
    pid = 0

    def begin(self, number):
        """Open the WebSocket, and send a first message."""
        self.open(f"/talk/{number}/")
        self.pid = self.say()

    def say(self):
        """Send a message of four bytes; return the process that answers."""
        self.send_frame("word")
        self.sent += 1
        pid, word = self.message().split()
        assert word == "word"
        return int(pid)


def begin(server, stack, number):
    """Return a client whose WebSocket is open."""
    talker = stack.enter_context(Talker(server))
    talker.begin(number)
    return talker


def refused(server, path):
    with Raw(server) as client:
        client.send(handshake(server, path))
        return client.response()[0]


def talk(server, stack, each, gone=None):
    """Open ``each`` WebSockets to each of the two workers, once the worker ``gone`` has been replaced.

    A worker is stopped while the other one gets its connections: the system prefers one of them for long.
    """
    workers = eventually(server.children, lambda children: len(children) == 2 and gone not in children)
    talkers = []
    for other in workers:
        os.kill(other, signal.SIGSTOP)
        try:
            talkers += [begin(server, stack, number) for number in range(each)]
        finally:
            os.kill(other, signal.SIGCONT)
    assert {talker.pid for talker in talkers} == set(workers)
    return talkers


@pytest.mark.xdist_group("gunicorn_gthread")
@pytest.mark.parametrize("view", [VIEW, OTHER_VIEW])
def test_one_process(start, view):
    server = start(GTHREAD, "--threads", "32", several=False)
    with ExitStack() as stack:
        talkers = [begin(server, stack, number) for number in range(3)]
        for _ in range(4):
            talkers[0].say()
        # A message is counted when it was sent, which the client may see a moment before.
        wait_for(server, "messages_total", "sent", ROUTE, value=7)
        assert server.metrics(view) == {
            ("django_websocket_connections", ROUTE): 3,
            ("django_websocket_handshakes_total", ROUTE, "101"): 3,
            ("django_websocket_messages_total", "received", ROUTE): 7,
            ("django_websocket_messages_total", "sent", ROUTE): 7,
            ("django_websocket_message_bytes_total", "received", ROUTE): 28,
            ("django_websocket_message_bytes_total", "sent", ROUTE): 7 * len(f"{talkers[0].pid} word"),
            ("django_websocket_group_backend_healthy", "default"): 1,
            ("django_websocket_groups", "default"): 1,
            ("django_websocket_group_members", "default"): 3,
        }
        talkers[0].say()
        talkers[0].end()
        talkers[1].send(close_frame(4321))
        assert talkers[1].closing() == (4321, "")
        talkers[2].reset()
        eventually(lambda: server.value("connections", ROUTE), lambda value: value == 0)
    assert refused(server, "/forbid/") == 403
    assert refused(server, "/ready/") == 400
    with Raw(server) as client:
        client.open("/reject/")
        assert client.answer_close() == (4401, "")
    found = server.metrics(view)
    assert found["django_websocket_messages_total", "received", ROUTE] == 8
    assert {key[1:]: value for key, value in found.items() if key[0] == "django_websocket_closes_total"} == {
        ("normal", "client", "1000", ROUTE): 1,
        ("normal", "client", "4xxx", ROUTE): 1,
        ("normal", "network", "1006", ROUTE): 1,
    }
    assert found["django_websocket_connection_duration_seconds_count", ROUTE] == 3
    refusals = {key[1:]: value for key, value in found.items() if key[0] == "django_websocket_handshakes_total"}
    assert refusals == {
        (ROUTE, "101"): 3,
        ("forbid/", "403"): 1,
        ("ready/", "400"): 1,
        ("reject/", "4401"): 1,
    }


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param(GTHREAD, (), id="gthread", marks=pytest.mark.xdist_group("gunicorn_gthread")),
        pytest.param(GTHREAD, ("--preload",), id="preload", marks=pytest.mark.xdist_group("gunicorn_gthread")),
        pytest.param(GEVENT, (), id="gevent", marks=pytest.mark.xdist_group("gunicorn_gevent")),
        pytest.param(EVENTLET, (), id="eventlet", marks=pytest.mark.xdist_group("gunicorn_eventlet")),
    ],
)
def test_two_processes(start, kind, options):
    """Guards the figures of a site: any worker answers for all."""
    server = start(kind, *options)
    # Nothing writes before there is a WebSocket.
    assert [path.name for path in server.files.iterdir()] == []
    with ExitStack() as stack:
        talkers = talk(server, stack, 3)
        # While they are open, their messages are counted, those of groups too.
        for talker in talkers:
            talker.say()
        sent = sum(talker.sent for talker in talkers)
        wait_for(server, "messages_total", "received", ROUTE, value=sent)
        wait_for(server, "group_members", "default", value=6)
        found = server.metrics()
        assert found["django_websocket_connections", ROUTE] == 6
        assert found["django_websocket_handshakes_total", ROUTE, "101"] == 6
        assert found["django_websocket_message_bytes_total", "received", ROUTE] == 4 * sent
        assert found["django_websocket_groups", "default"] == 2
        assert found["django_websocket_group_backend_healthy", "default"] == 1

        # A worker is killed: its connections are gone without an end, its messages remain.
        victim = talkers[0].pid
        os.kill(victim, signal.SIGKILL)
        rest = [talker for talker in talkers if talker.pid != victim]
        wait_for(server, "connections", ROUTE, value=3)
        assert server.value("messages_total", "received", ROUTE) == sent
        assert server.value("closes_total", "normal", "client", "1000", ROUTE) == 0

        # The others end. What they have sent last is counted with the end.
        for talker in rest:
            talker.say()
            talker.end()
        wait_for(server, "closes_total", "normal", "client", "1000", ROUTE, value=3)
        assert server.value("messages_total", "received", ROUTE) == sent + 3
        assert server.value("connections", ROUTE) == 0
        assert server.value("connection_duration_seconds_count", ROUTE) == 3
        wait_for(server, "group_members", "default", value=0)

        # The worker that has taken the place of the killed one counts too.
        talk(server, stack, 1, gone=victim)
        wait_for(server, "connections", ROUTE, value=2)
        assert server.value("handshakes_total", ROUTE, "101") == 8


@pytest.mark.xdist_group("gunicorn_gthread")
def test_two_processes_by_another_view(start):
    server = start(GTHREAD)
    with ExitStack() as stack:
        talk(server, stack, 1)
        wait_for(server, "messages_total", "sent", ROUTE, value=2)
        wait_for(server, "group_members", "default", value=2)
        # A process may write between two scrapes.
        found = eventually(lambda: server.metrics(OTHER_VIEW), lambda found: found == server.metrics())
    assert found["django_websocket_connections", ROUTE] == 2


@pytest.mark.xdist_group("gunicorn_gthread")
def test_a_worker_that_ends(start):
    """Guards a reload: what came last before the end of a worker is counted, by the worker itself."""
    server = start(GTHREAD)
    with ExitStack() as stack:
        talkers = talk(server, stack, 1)
        for talker in talkers:
            talker.say()
        before = set(server.children())
        server.process.send_signal(signal.SIGHUP)
        for talker in talkers:
            assert talker.answer_close() == (1012, "")
        eventually(lambda: before & set(server.children()), lambda left: not left)
    assert server.value("closes_total", "restart", "server", "1012", ROUTE) == 2
    assert server.value("messages_total", "received", ROUTE) == 4
    assert server.value("connections", ROUTE) == 0


@pytest.mark.xdist_group("gunicorn_gthread")
def test_the_files_of_the_last_start_are_removed(start, tmp_path):
    files = tmp_path / "metrics"
    files.mkdir()
    (files / "gauge_livesum_1.db").write_bytes(b"not a file of prometheus_client")
    server = start(GTHREAD)
    assert server.metrics() == {}
    assert not Path(files, "gauge_livesum_1.db").exists()


def wait_for(server, name, *labels, value):
    """Wait until a scrape has a value."""
    eventually(lambda: server.value(name, *labels), lambda found: found == value)
