"""The collector: signals and looks, which count everything once."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from django_websocket.prometheus import collector as module
from django_websocket.prometheus.collector import Collector

from .figures import ROUTE, a_request, a_websocket, info, samples, stats, status

#: The metric of messages that have come in.
RECEIVED = ("django_websocket_messages_total", ROUTE, "received")


@pytest.fixture
def _hasty():
    """Make threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def collector():
    return Collector()


@pytest.fixture
def table(monkeypatch):
    """Return the connections that a look finds, for the test to fill."""
    table = {}
    monkeypatch.setattr(module, "connections", lambda: list(table.values()))
    monkeypatch.setattr(module, "groups_status", dict)
    return table


def accept(collector, member_id="a/1", route=ROUTE):
    collector.on_accepted(sender=None, signal=None, request=a_request(route), websocket=a_websocket(member_id))


def close(collector, member_id="a/1", latency=None, **figures):
    websocket = a_websocket(member_id, latency)
    collector.on_closed(sender=None, signal=None, request=a_request(), websocket=websocket, stats=stats(**figures))


def test_the_life_of_a_connection(collector, table):
    accept(collector)
    table["a/1"] = info(counts=(1, 2, 30, 40), latency=0.25)
    found = samples(collector)
    assert found["django_websocket_connections", ROUTE] == 1
    assert found["django_websocket_handshakes_total", ROUTE, "101"] == 1
    assert found[RECEIVED] == 1
    assert found["django_websocket_message_bytes_total", ROUTE, "sent"] == 40
    assert found["django_websocket_ping_seconds_count", ROUTE] == 1
    assert samples(collector) == found
    del table["a/1"]
    close(collector, counts=(3, 2, 50, 40), latency=0.5, duration=42.0)
    found = samples(collector)
    assert ("django_websocket_connections", ROUTE) not in found
    assert found[RECEIVED] == 3
    assert found["django_websocket_message_bytes_total", ROUTE, "received"] == 50
    assert found["django_websocket_ping_seconds_count", ROUTE] == 2
    assert found["django_websocket_closes_total", ROUTE, "1000", "client", "normal"] == 1
    assert found["django_websocket_connection_duration_seconds_sum", ROUTE] == 42


def test_a_refusal(collector, table):
    collector.on_refused(sender=None, signal=None, request=a_request(None), status=400, reason="no")
    collector.on_refused(sender=None, signal=None, request=a_request(), status=4403, reason="no")
    assert samples(collector) == {
        ("django_websocket_handshakes_total", "unknown", "400"): 1,
        ("django_websocket_handshakes_total", ROUTE, "4403"): 1,
    }


def test_the_code_of_a_client_is_no_label(collector, table):
    for number in range(100):
        accept(collector)
        close(collector, close_code=4000 + number)
    assert samples(collector)["django_websocket_closes_total", ROUTE, "4xxx", "client", "normal"] == 100


def test_a_connection_that_ends_between_a_look_and_its_entry(collector, table, monkeypatch):
    """Guards against counting twice: the signal comes in the midst of the look."""
    accept(collector)
    table["a/1"] = info(counts=(2, 0, 20, 0))

    def end():
        close(collector, counts=(3, 0, 30, 0))
        return {}

    monkeypatch.setattr(module, "groups_status", end)
    assert samples(collector)[RECEIVED] == 3


def test_each_route_has_its_gauge(collector, table):
    for number in range(3):
        accept(collector, f"a/{number}")
    accept(collector, "a/9", "")
    close(collector, "a/0")
    found = samples(collector)
    assert found["django_websocket_connections", ROUTE] == 2
    assert found["django_websocket_connections", "/"] == 1


def test_nothing_waits_for_a_look_but_messages(collector):
    """Guards the files of several processes: a scrape reads them, and asks no process to look."""
    accept(collector)
    assert samples(*collector._metrics) == {
        ("django_websocket_connections", ROUTE): 1,
        ("django_websocket_handshakes_total", ROUTE, "101"): 1,
    }
    close(collector, counts=(1, 0, 1, 0))
    found = samples(*collector._metrics)
    assert ("django_websocket_connections", ROUTE) not in found
    assert found[RECEIVED] == 1


def test_an_end_that_nobody_expects(collector, table):
    close(collector)
    assert samples(collector) == {}


def test_a_forked_child(collector, table):
    accept(collector)
    table["a/1"] = info(counts=(2, 0, 20, 0))
    assert samples(collector)[RECEIVED] == 2
    table.clear()
    collector.reset()
    assert ("django_websocket_connections", ROUTE) not in samples(collector)
    close(collector, counts=(5, 0, 50, 0))
    assert samples(collector)[RECEIVED] == 2


def test_groups(collector, table, monkeypatch):
    monkeypatch.setattr(module, "groups_status", lambda: {"default": status(groups=1, members=2, lost=3)})
    for _ in range(2):
        found = samples(collector)
        assert found["django_websocket_group_members", "default"] == 2
        assert found["django_websocket_group_lost_messages_total", "default"] == 3


# In a registry


def test_a_registry_that_is_asked_for_one_metric(collector, table):
    """Guards ``/metrics?name[]=...``: the registry asks only the collectors that have the name."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(collector)
    accept(collector)
    table["a/1"] = info(counts=(2, 0, 20, 0))
    text = generate_latest(registry.restricted_registry(["django_websocket_messages_total"])).decode()
    assert f'django_websocket_messages_total{{direction="received",route="{ROUTE}"}} 2.0' in text
    assert "django_websocket_connections" not in text


def test_another_metric_of_a_name_is_an_error(collector):
    registry = CollectorRegistry(auto_describe=True)
    registry.register(collector)
    with pytest.raises(ValueError, match="django_websocket_closes_total"):
        Counter("django_websocket_closes", "Another.", registry=registry)


# Threads


class Probe:
    """A WebSocket, or what is known of one, that asks whether another thread could count at the moment."""

    latency = None

    def __init__(self, collector, pool):
        self.answers = []
        self._lock, self._pool = collector._lock, pool

    @property
    def member_id(self):
        self.answers.append(self._pool.submit(self._is_free).result(20))
        return "a/1"

    @property
    def id(self):
        return self.member_id

    def _is_free(self):
        free = self._lock.acquire(False)
        if free:
            self._lock.release()
        return free


def test_only_one_thread_counts_at_a_time(collector, table):
    with ThreadPoolExecutor(1) as pool:
        probe = table["a/1"] = Probe(collector, pool)
        collector.on_accepted(request=a_request(), websocket=probe)
        with pytest.raises(AttributeError, match="messages_received"):
            collector.look()
        collector.on_closed(request=a_request(), websocket=probe, stats=stats())
    assert probe.answers == [False] * 3


@pytest.mark.usefixtures("_hasty")
def test_threads_count_everything_once(collector, table):
    """Guards the sums: connections come, send and go in threads, while others look at them."""
    threads, rounds = 4, 50
    begin = threading.Barrier(threads + 2)
    over = threading.Event()

    def live(number):
        begin.wait(20)
        for turn in range(rounds):
            member_id = f"{number}/{turn}"
            accept(collector, member_id)
            for count in range(1, 4):
                table[member_id] = info(member_id, (count, count, count, count))
            del table[member_id]
            close(collector, member_id, counts=(5, 5, 5, 5))

    def look():
        begin.wait(20)
        while not over.is_set():
            samples(collector)

    with ThreadPoolExecutor(threads + 2) as pool:
        lookers = [pool.submit(look) for _ in range(2)]
        try:
            for life in [pool.submit(live, number) for number in range(threads)]:
                life.result(60)
        finally:
            over.set()
        for looker in lookers:
            looker.result(20)
    found = samples(collector)
    assert found[RECEIVED] == 5 * threads * rounds
    assert found["django_websocket_message_bytes_total", ROUTE, "sent"] == 5 * threads * rounds
    assert found["django_websocket_closes_total", ROUTE, "1000", "client", "normal"] == threads * rounds
    assert ("django_websocket_connections", ROUTE) not in found
