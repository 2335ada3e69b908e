"""What happens to groups when Redis fails: on servers that are killed, frozen, wiped, and connections that break."""

import itertools
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter

import pytest

from django_websocket.exceptions import GroupUnavailable
from django_websocket.groups.backends.redis import keeper, subscriber
from django_websocket.groups.payload import Payload, unwrap
from django_websocket.groups.position import Position
from django_websocket.signals import group_gap
from lab.servers import HOST, ROOT, eventually

from ...recording import member

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

#: Seconds that a command may take.
TIMEOUT = 1

_lasts = itertools.count(1)


def send(backend, text, group="g", history=0):
    return backend.publish(group, Payload("text", text), history=history)


def add(backend, group="g", name=None, since=None, enveloped=True):
    one, recorder = member(group, name, enveloped=enveloped)
    return one, recorder, backend.add(one, since=since)


@pytest.fixture
def server(start):
    """Return a server of the test's own."""
    return start()


@pytest.fixture
def two(make, server):
    """Return the backends of two processes."""
    return make(server.url, TIMEOUT=TIMEOUT), make(server.url, TIMEOUT=TIMEOUT)


@pytest.fixture
def quick(monkeypatch):
    """Let the connections be probed in fractions of a second."""
    monkeypatch.setattr(subscriber, "PROBE", 0.3)
    monkeypatch.setattr(keeper, "BEAT", 0.3)


class Publisher:
    """Publishes all the time, in a thread, and notes what became of each message."""

    def __init__(self, backend, history=0, pause=0.005):
        self.backend, self.history, self.pause = backend, history, pause
        self.sent, self.unknown, self.failed = {}, [], 0
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        number = 0
        while not self._over.wait(self.pause):
            number += 1
            began = time.monotonic()
            try:
                self.sent[send(self.backend, str(number), history=self.history)] = str(number)
            except GroupUnavailable as error:
                if error.maybe_sent:
                    self.unknown.append(str(number))
                else:
                    self.failed += 1
            self.longest = max(self.longest, time.monotonic() - began)


def account(recorder, sent):
    """Check that a member has got each message once and in order, but for those that were announced as missing.

    Return the number of those announced whose number is known, and the number of gaps of an unknown size.
    """
    last, missing, unknown = None, 0, 0
    texts = Counter()
    may_jump = False
    for envelope in recorder.envelopes:
        if envelope.is_gap:
            if envelope.gap is None:
                unknown += 1
                may_jump = True
            else:
                first, end = envelope.gap
                assert may_jump or last is None or first == last.number + 1
                missing += end - first + 1
                last = Position.make(last.epoch if last else "", end)
            continue
        if last is not None and not may_jump:
            same = last.epoch in (envelope.id.epoch, "")
            assert envelope.id.number == (last.number + 1 if same else 1), (last, envelope)
        last, may_jump = envelope.id, False
        texts[envelope.data] += 1
        assert sent.get(envelope.id, envelope.data) == envelope.data
    assert max(texts.values(), default=1) == 1
    return missing, unknown


def settle(backend, recorder, history=0):
    """Send a last message, when Redis can be reached, and wait until it has arrived or is known to be missing."""
    eventually(lambda: backend.status().healthy, timeout=30)
    last = eventually(lambda: unless_away(lambda: send(backend, f"last {next(_lasts)}", history=history)), timeout=30)
    recorder.wait_for(lambda it: reaches(it, last), 30)


def reaches(recorder, position):
    """Return whether a member has got a message, or knows that it is missing."""
    envelope = unwrap(recorder.last) if recorder.last else None
    if envelope is None or envelope.id == position:
        return envelope is not None
    return bool(envelope.gap) and envelope.gap[1] == position.number


# Servers


def test_a_server_that_is_killed_and_has_forgotten_all(two, server):
    here, there = two
    reported = []

    def receive(sender, signal, group, lost):
        reported.append((group, lost))

    group_gap.connect(receive)
    try:
        _, recorder, _ = add(there)
        with Publisher(here) as publisher:
            recorder.wait_for(lambda it: len(it.texts) > 20)
            server.kill()
            eventually(lambda: publisher.failed > 20)
            assert not there.status().healthy
            server.start()
            count = len(recorder.texts)
            recorder.wait_for(lambda it: len(it.texts) > count + 20)
        settle(there, recorder)
        _, unknown = account(recorder, publisher.sent)
        assert unknown == 1
        eventually(lambda: reported, lambda reported: reported == [("g", None)])
        assert there.status().reconnects >= 1
        # A refused connection is known not to have sent anything.
        assert len(publisher.unknown) <= 1
        assert publisher.longest < TIMEOUT * 3
    finally:
        group_gap.disconnect(receive)


def test_a_server_that_is_killed_and_has_stored_all(make, start):
    server = start(persistent=True)
    here, there = make(server.url, TIMEOUT=TIMEOUT), make(server.url, TIMEOUT=TIMEOUT)
    _, recorder, _ = add(there)
    with Publisher(here, history=5000) as publisher:
        recorder.wait_for(lambda it: len(it.texts) > 20)
        server.restart()
        count = len(recorder.texts)
        recorder.wait_for(lambda it: len(it.texts) > count + 20)
    settle(there, recorder, history=5000)
    assert account(recorder, publisher.sent) == (0, 0)
    got = {envelope.id for envelope in recorder.envelopes}
    assert publisher.sent.keys() <= got
    assert there.status().lost == 0


def test_a_server_that_is_frozen(two, server, quick):
    here, there = two
    _, recorder, _ = add(there)
    send(here, "before")
    recorder.wait_for(lambda it: it.texts)
    server.freeze()
    began = time.monotonic()
    with pytest.raises(GroupUnavailable) as caught:
        send(here, "during")
    assert TIMEOUT * 0.9 < time.monotonic() - began < TIMEOUT * 4
    assert caught.value.maybe_sent
    eventually(lambda: not there.status().healthy)
    with pytest.raises(GroupUnavailable) as caught:
        # Nothing was sent: the connection could not be made.
        send(here, "during")
    assert not caught.value.maybe_sent
    server.thaw()
    settle(there, recorder)
    account(recorder, {})
    # It may have been executed afterwards, but never twice.
    assert [one.data for one in recorder.envelopes].count("during") <= 1
    assert here.position("g").number <= 3


def test_a_server_that_is_paused(two, server, quick):
    here, there = two
    _, recorder, _ = add(there)
    server.command("CLIENT PAUSE", 3000, "ALL")
    with pytest.raises(GroupUnavailable) as caught:
        send(here, "during")
    assert caught.value.maybe_sent
    settle(there, recorder)
    assert here.position("g").number == len({one.data for one in recorder.envelopes})
    assert "during" not in [one.data for one in recorder.envelopes]


def test_a_server_that_is_wiped(two, server, quick):
    here, there = two
    _, recorder, _ = add(there, name="ann")
    with Publisher(here, history=100) as publisher:
        recorder.wait_for(lambda it: len(it.texts) > 20)
        server.command("FLUSHALL")
        count = len(recorder.texts)
        recorder.wait_for(lambda it: len(it.texts) > count + 20)
    settle(there, recorder, history=100)
    # The subscription is unbroken, so nothing is lost.
    assert account(recorder, publisher.sent) == (0, 0)
    eventually(lambda: here.names("g"), lambda names: names == {"ann"})


def test_a_server_that_was_not_there_at_first(make, start):
    server = start()
    server.kill()
    here = make(server.url, TIMEOUT=0.3)
    with pytest.raises(GroupUnavailable):
        add(here)
    server.start()
    # On a busy machine a command takes longer than this now and then.
    recorder = eventually(lambda: joined(here, None))
    eventually(lambda: unless_away(lambda: send(here, "hello")))
    recorder.wait_for(lambda it: it.texts)


def test_members_stay_when_the_server_is_away(two, server, quick):
    here, there = two
    one, recorder, _ = add(there, name="ann")
    two_, _, _ = add(there, name="bob")
    server.kill()
    eventually(lambda: not there.status().healthy)
    began = time.monotonic()
    there.discard(two_)
    assert time.monotonic() - began < TIMEOUT
    server.start()
    eventually(lambda: here.status().healthy)
    eventually(lambda: unless_away(lambda: here.names("g")), lambda names: names == {"ann"})
    settle(there, recorder)
    there.discard(one)


def unless_away(get):
    try:
        return get()
    except GroupUnavailable:
        return None


# Connections


@pytest.mark.parametrize("history", [0, 100_000])
def test_subscriptions_that_are_killed_all_the_time(make, server, history):
    publisher_backend, here, there = (make(server.url, TIMEOUT=TIMEOUT) for _ in range(3))
    recorders = [add(one)[1] for one in (here, there)]
    with Publisher(publisher_backend, history=history, pause=0.001) as publisher:
        for _ in range(8):
            counts = [len(recorder.texts) for recorder in recorders[:2]]
            for recorder, count in zip(recorders, counts, strict=False):
                recorder.wait_for(lambda it, count=count: len(it.texts) > count + 20, 30)
            server.command("CLIENT KILL", "TYPE", "pubsub")
            if history:
                since = min(publisher.sent, key=lambda position: position.number)
                recorders.append(eventually(lambda since=since: joined(here, since)))
    for backend, recorder in ((here, recorders[0]), (there, recorders[1])):
        settle(backend, recorder, history)
        missing, unknown = account(recorder, publisher.sent)
        assert unknown == 0
        assert (missing == 0) == bool(history)
        assert backend.status().reconnects >= 5
        assert backend.status().lost == missing
    for recorder in recorders[2:]:
        settle(here, recorder, history)
        assert account(recorder, publisher.sent) == (0, 0)


def joined(backend, since):
    try:
        return add(backend, since=since)[1]
    except GroupUnavailable:
        return None


@pytest.mark.parametrize("history", [0, 10_000])
def test_a_subscriber_that_is_too_slow_for_its_buffer(two, server, history, monkeypatch):
    """Redis cuts its connection."""
    here, there = two
    server.command("CONFIG SET", "client-output-buffer-limit", "pubsub 256kb 128kb 1")
    _, recorder, _ = add(there)
    blocked = threading.Event()
    deliver = recorder.deliver
    monkeypatch.setattr(recorder, "deliver", lambda *args: (blocked.wait(20), deliver(*args))[1])
    sent = {}
    for number in range(1500):
        # The system has buffers of some megabytes as well.
        text = f"{number} {'x' * 16_000}"
        sent[send(here, text, history=history)] = text
    blocked.set()
    settle(there, recorder, history)
    missing, unknown = account(recorder, sent)
    assert unknown == 0
    assert there.status().reconnects >= 1
    assert there.status().lost == missing
    assert (missing == 0) == bool(history)


class Relay:
    """Passes connections on to a server, and can stop to pass on what the server sends, as a router does that forgets.

    Connections that are made afterwards are passed on again.
    """

    def __init__(self, port):
        self._port = port
        self._deaf = set()
        self._sockets = []
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((HOST, self._port))
            self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, sink, server), daemon=True).start()

    def _copy(self, source, sink, server):
        try:
            while data := source.recv(65536):
                if not (source is server and server in self._deaf):
                    sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            one.close()

    def deafen(self):
        self._deaf.update(self._sockets)

    def close(self):
        # Closing it would not wake the thread, which would accept one more connection that nobody closes.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in [self._listener, *self._sockets]:
            one.close()


def test_a_connection_that_is_dead_without_an_error(make, server, quick):
    relay = Relay(server.port)
    try:
        here = make(server.url, TIMEOUT=TIMEOUT)
        there = make(f"redis://{HOST}:{relay.port}/0", TIMEOUT=TIMEOUT)
        _, recorder, _ = add(there)
        send(here, "before", history=10)
        recorder.wait_for(lambda it: it.texts)
        relay.deafen()
        send(here, "during", history=10)
        recorder.wait_for(lambda it: len(it.texts) == 2)
        settle(there, recorder)
        assert account(recorder, {}) == (0, 0)
        assert there.status().reconnects >= 1
    finally:
        relay.close()


# Processes

FORK = """
    import os, sys, threading, time
    import django
    from django.conf import settings

    settings.configure(WEBSOCKET_GROUPS={"default": {
        "BACKEND": "django_websocket.groups.backends.redis.RedisBackend", "LOCATION": sys.argv[1]}})
    django.setup()
    from django_websocket.groups.backends import get_backend
    from django_websocket.groups.payload import Payload, unwrap
    from tests.groups.recording import member

    def check(name):
        backend = get_backend("default")
        one, recorder = member("g", name)
        backend.add(one, since=None)
        backend.publish("g", Payload("text", name), history=0)
        recorder.wait_for(lambda it: name in it.texts)
        return backend, recorder

    parent, recorder = check("parent")
    child = os.fork()
    if not child:
        backend, _ = check("child")
        assert backend is not parent and backend.process != parent.process, backend.process
        assert backend.names("g") == {"parent", "child"}, backend.names("g")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == 0, status
    recorder.wait_for(lambda it: "child" in it.texts)
    get_backend("default").publish("g", Payload("text", "after"), history=0)
    recorder.wait_for(lambda it: "after" in it.texts)
    print("fine")
"""


def run(script, *arguments):
    """Run a script in a process of its own, and return what it prints."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_process_that_forks_after_it_has_used_groups(server):
    assert run(FORK, server.url) == "fine\n"


DYING = """
    import os, sys, signal
    import django
    from django.conf import settings

    settings.configure()
    django.setup()
    from django_websocket.groups.backends.redis import keeper
    from tests.groups.backends.making import make_redis
    from tests.groups.recording import member

    keeper.BEAT = float(sys.argv[4])
    backend = make_redis(sys.argv[1], PREFIX=sys.argv[2])
    for number in range(int(sys.argv[3])):
        backend.add(member(f"g{number % 10}", f"name{number}")[0], since=None)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_names_of_a_process_that_is_killed(make, server, prefix, monkeypatch):
    """They are gone after the TTL, and two beats."""
    monkeypatch.setattr(keeper, "TTL", 3.0)
    monkeypatch.setattr(keeper, "BEAT", 0.5)
    here = make(server.url)
    add(here, "g0", name="ann")
    command = [sys.executable, "-c", textwrap.dedent(DYING), server.url, prefix, "200", "0.5"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=180, check=False)
    died = time.monotonic()
    assert len(here.names("g0")) == 21
    eventually(lambda: here.names("g0"), lambda names: names == {"ann"})
    assert 2 < time.monotonic() - died < 10
    eventually(lambda: server.command("KEYS", f"{prefix}:{{g?}}:w"), lambda keys: keys == [f"{prefix}:{{g0}}:w"])
    assert time.monotonic() - died < 20


GREEN = """
    import sys
    world = sys.argv[2]
    if world == "gevent":
        from gevent import monkey
        monkey.patch_all()
        from gevent.threadpool import ThreadPool
        run_natively = ThreadPool(2).apply
    else:
        import eventlet
        from eventlet import tpool
        if world == "eventlet":
            eventlet.monkey_patch()
        run_natively = tpool.execute
    import threading, time
    import django
    from django.conf import settings

    settings.configure()
    django.setup()
    from django_websocket.groups.payload import Payload, unwrap
    from tests.groups.backends.making import make_redis
    from tests.groups.recording import member

    backend = make_redis(sys.argv[1])
    recorders = [member("g", f"name{number}") for number in range(20)]
    threads = [threading.Thread(target=backend.add, args=(one,), kwargs={"since": None}) for one, _ in recorders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def publish():
        for number in range(100):
            backend.publish("g", Payload("text", str(number)), history=0)

    publish()
    run_natively(publish)
    expected = [str(number) for number in range(100)] * 2
    deadline = time.monotonic() + 20
    while any(recorder.texts != expected for _, recorder in recorders) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert all(recorder.texts == expected for _, recorder in recorders), recorders[0][1].texts[-5:]
    assert len(backend.names("g")) == 20
    assert backend.status().healthy, backend.status()
    print("fine")
"""


@pytest.mark.parametrize("world", ["gevent", "eventlet", "eventlet, not patched"])
def test_greenlets_and_native_threads(server, world):
    if world == "gevent":
        pytest.importorskip("gevent")
    assert run(GREEN, server.url, world) == "fine\n"
