"""eventlet and gevent: what their sockets do below a WebSocket, patched and unpatched.

The libraries change the process they are used in, so each world gets one of its own: this module, as a program, runs
every check there and prints what came of it, and the tests ask for that.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket as system_socket
import struct
import subprocess
import sys
import time
import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.transports import READ_SIZE, BlockingTransport, green, open_transport
from django_websocket.transports.green import GreenLock, GreenTransport, find_transport
from django_websocket.websocket import WebSocket

from .test_transports import make_certificate
from .vanishing import vanish

WORLDS = {
    "eventlet": "import eventlet",
    "eventlet-patched": "import eventlet; eventlet.monkey_patch()",
    "eventlet-asyncio": "import eventlet; eventlet.hubs.use_hub('eventlet.hubs.asyncio')",
    "eventlet-asyncio-patched": "import eventlet; eventlet.hubs.use_hub('eventlet.hubs.asyncio'); "
    "eventlet.monkey_patch()",
    "gevent": "import gevent",
    "gevent-patched": "from gevent import monkey; monkey.patch_all()",
}
#: Seconds for what has to happen, and takes no time unless it is broken.
DEFAULT_TIMEOUT = 10
#: Seconds for what has to end by itself.
SHORT = 0.1
#: Seconds that the machine may be late.
LATE = 3
#: Seconds that all checks of a world may take.
LIMIT = 50
BIG = 30_000_000

CHECKS = {}


def check(function):
    """Register a check, which gets its :class:`World`."""
    CHECKS[function.__name__] = function
    return function


def check_both(function):
    """Register a check for plain connections, and for TLS; it gets its world and a function that opens one."""
    CHECKS[function.__name__] = lambda world: function(world, world.open)
    CHECKS[f"{function.__name__}_over_tls"] = lambda world: function(world, world.open_tls)
    return function


class World:
    """What eventlet and gevent have in common."""

    def __init__(self, name, certificate):
        self.name, self.certificate = name, certificate
        if name.startswith("eventlet"):
            import eventlet
            from eventlet.green import socket, ssl

            self.spawn, self.sleep, self.getcurrent = eventlet.spawn, eventlet.sleep, eventlet.getcurrent
            self.kill = eventlet.kill
            thread = eventlet.patcher.original("_thread")
            self.start_new_thread, self.allocate_lock = thread.start_new_thread, thread.allocate_lock
            self.native_sleep = eventlet.patcher.original("time").sleep
            self.Timeout = eventlet.Timeout
        else:
            import gevent
            from gevent import monkey, socket, ssl

            self.spawn, self.sleep, self.getcurrent = gevent.spawn, gevent.sleep, gevent.getcurrent
            self.kill = gevent.kill
            self.start_new_thread, self.allocate_lock = monkey.get_original(
                "_thread", ["start_new_thread", "allocate_lock"]
            )
            self.native_sleep = monkey.get_original("time", "sleep")
            self.Timeout = gevent.Timeout
        self.socket, self.ssl = socket, ssl
        self.opened = []

    def pair(self):
        """Give both ends of a green connection."""
        listener = self.socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        theirs = self.socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        listener.close()
        self.opened += ours, theirs
        return ours, theirs

    def open(self, default_timeout=DEFAULT_TIMEOUT):
        """Give a transport, and its peer's socket."""
        ours, theirs = self.pair()
        return open_transport(ours, default_timeout), theirs

    def open_tls(self, default_timeout=DEFAULT_TIMEOUT):
        """Do the same over TLS."""
        ours, theirs = self.pair()
        server = self.ssl.SSLContext(self.ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.certificate)
        client = self.ssl.SSLContext(self.ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(self.certificate)
        shaking = self.run(server.wrap_socket, ours, server_side=True)
        theirs = client.wrap_socket(theirs, server_hostname="localhost")
        ours = shaking.result()
        self.opened += ours, theirs
        return open_transport(ours, default_timeout), theirs

    def run(self, call, *args, **kwargs):
        """Call something in a greenlet."""
        running = Running(self, lambda: call(*args, **kwargs))
        running.greenlet = self.spawn(running.go)
        return running

    def run_native(self, call, *args, **kwargs):
        """Call something in a thread of the system, patched or not."""
        running = Running(self, lambda: call(*args, **kwargs))
        self.start_new_thread(running.go, ())
        return running

    def wait_until(self, condition):
        """Let others run until something holds."""
        deadline = time.monotonic() + DEFAULT_TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, "did not happen"
            self.sleep(0.001)

    def let_run(self):
        """Let the others run until they wait."""
        for _ in range(5):
            self.sleep(0)
        self.sleep(0.01)

    @contextlib.contextmanager
    def others_run(self):
        """Check that other greenlets run meanwhile."""
        ticks, stop = [], []

        def tick():
            while not stop:
                ticks.append(1)
                self.sleep(0.005)

        ticking = self.run(tick)
        self.sleep(0)
        before = len(ticks)
        yield
        # A wait that keeps others from running lets none of them in.
        assert len(ticks) - before >= 2
        stop.append(True)
        ticking.result()

    def close(self):
        for sock in self.opened:
            sock.close()
        self.opened.clear()


class Running:
    """A call that runs in a greenlet or a thread."""

    def __init__(self, world, call):
        self.world, self.call = world, call
        self.over = False
        self.value = self.error = None
        self.greenlet = None

    def go(self):
        try:
            self.value = self.call()
        except BaseException as error:  # noqa: BLE001 - for whoever asks
            self.error = error
        self.over = True

    def result(self):
        self.world.wait_until(lambda: self.over)
        if self.error is not None:
            raise self.error
        return self.value


@contextlib.contextmanager
def taking(least, most=None):
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert least - 0.02 <= took <= (least if most is None else most) + LATE, took


def read_all(sock, size):
    data = bytearray()
    while len(data) < size:
        part = sock.recv(READ_SIZE)
        assert part, "the end"
        data += part
    return bytes(data)


def pattern(size, seed):
    return b"".join(struct.pack("<Q", number * seed) for number in range(size // 8))


# Checks of the transport


@check_both
def the_right_transport(world, open_one):
    transport, _ = open_one(default_timeout=3)
    assert type(transport) is GreenTransport
    assert transport.default_timeout == 3
    assert type(transport.lock()) is GreenLock
    assert transport.current() is world.getcurrent()
    other = world.run(transport.current).result()
    assert other is not transport.current()
    assert isinstance(transport._plain, system_socket.socket.__mro__[1] if "patched" not in world.name else object)
    transport.enable_keepalive(20, 20)


@check_both
def receive_lets_others_run(world, open_one):
    transport, _ = open_one(default_timeout=SHORT)
    for timeout in (None, SHORT):
        with world.others_run(), taking(SHORT), pytest.raises(TimeoutError):
            transport.receive(timeout)
    with taking(0), pytest.raises(TimeoutError):
        transport.receive(0)
    assert transport.try_receive() is None


@check_both
def receive_is_woken_by_data(world, open_one):
    transport, peer = open_one(default_timeout=None)
    for timeout in (None, DEFAULT_TIMEOUT):
        receiving = world.run(transport.receive, timeout)
        world.let_run()
        assert not receiving.over
        peer.sendall(b"x")
        assert receiving.result() == b"x"
    peer.sendall(b"y")
    world.sleep(0.01)
    assert transport.receive(0) == b"y"
    with pytest.raises(TimeoutError):
        transport.receive(0.01)


@check_both
def receive_is_woken_by_the_end(world, open_one):
    transport, peer = open_one(default_timeout=None)
    receiving = world.run(transport.receive)
    world.let_run()
    peer.close()
    assert receiving.result() == b""
    assert transport.receive() == b""
    assert transport.try_receive() == b""


@check_both
def a_reset_is_an_end(world, open_one):
    transport, peer = open_one(default_timeout=None)
    receiving = world.run(transport.receive)
    world.let_run()
    peer.setsockopt(system_socket.SOL_SOCKET, system_socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert receiving.result() == b""
    with pytest.raises(OSError, match=r".") as caught:
        transport.send(b"x" * BIG, SHORT)
    assert not isinstance(caught.value, TimeoutError)


@check
def a_watched_peer_that_vanishes_without_a_word(world):
    transport, peer = world.open(default_timeout=None)
    transport.enable_keepalive(0.1, 0.1)
    vanish(peer)
    transport.send(b"x", SHORT)
    with world.others_run(), taking(0.2, 1):
        assert world.run(transport.receive).result() == b""


@check_both
def shutdown_wakes_who_receives(world, open_one):
    transport, peer = open_one(default_timeout=None)
    receiving = world.run(transport.receive)
    world.let_run()
    transport.shutdown()
    assert receiving.result() == b""
    assert peer.recv(1) == b""


@check_both
def the_descriptor_stays_open(world, open_one):
    """It is the server's, also where the peer has ended TLS properly."""
    transport, peer = open_one()
    if hasattr(peer, "unwrap"):
        ending = world.run(peer.unwrap)
        assert transport.receive() == b""
    else:
        peer.shutdown(system_socket.SHUT_WR)
        ending = None
    transport.shutdown()
    if ending is not None:
        with contextlib.suppress(OSError):
            ending.result()
    fd = transport._plain.fileno()
    del transport
    assert fd >= 0
    assert os.fstat(fd)


@check_both
def shutdown_wakes_who_sends(world, open_one):
    transport, _ = open_one()
    sending = world.run(transport.send, b"x" * BIG, 10 * DEFAULT_TIMEOUT)
    world.let_run()
    assert not sending.over
    transport.shutdown()
    with pytest.raises(OSError, match=r".") as caught:
        sending.result()
    assert not isinstance(caught.value, TimeoutError)


@check_both
def send_gives_up_on_a_peer_that_does_not_read(world, open_one):
    transport, _ = open_one()
    with world.others_run(), taking(SHORT, 3 * SHORT), pytest.raises(TimeoutError):
        transport.send(b"x" * BIG, SHORT)


@check_both
def send_counts_the_time_without_progress(world, open_one):
    timeout, pause, size = 0.5, 0.25, 25_000_000
    transport, peer = open_one()
    transport._plain.setsockopt(system_socket.SOL_SOCKET, system_socket.SO_SNDBUF, READ_SIZE)
    sending = world.run(transport.send, b"x" * size, timeout)
    got = 0
    for _ in range(5):
        world.sleep(pause)  # a slow reader
        assert not sending.over, repr(sending.error)
        got += len(read_all(peer, 500_000))
    read_all(peer, size - got)
    sending.result()


@check_both
def both_ways_at_once(world, open_one):
    transport, peer = open_one()
    size = 4 * 1024 * 1024
    out, back = pattern(size, 3), pattern(size, 5)

    def send_back():
        for start in range(0, size, 100_000):
            peer.sendall(back[start : start + 100_000])

    def receive():
        data = bytearray()
        while len(data) < size:
            data += transport.receive()
        return bytes(data)

    running = [world.run(transport.send, out, DEFAULT_TIMEOUT), world.run(receive), world.run(read_all, peer, size)]
    send_back()
    assert [part.result() for part in running] == [None, back, out]


@check
def try_send(world):
    for open_one in (world.open, world.open_tls):
        transport, peer = open_one()
        assert transport.try_send(b"now") == 3
        assert peer.recv(10) == b"now"
        transport.shutdown()
        assert transport.try_send(b"now") == 0


@check_both
def a_timeout_of_the_librarys_own(world, open_one):
    """It ends the wait, and the transport stays usable."""
    transport, peer = open_one(default_timeout=None)
    with taking(SHORT), pytest.raises(world.Timeout), world.Timeout(SHORT):
        transport.receive()
    peer.sendall(b"x")
    assert transport.receive() == b"x"


@check_both
def a_killed_greenlet_lets_go(world, open_one):
    transport, peer = open_one(default_timeout=None)
    receiving = world.run(transport.receive)
    world.let_run()
    world.kill(receiving.greenlet)
    world.wait_until(lambda: receiving.over)
    assert type(receiving.error).__name__ == "GreenletExit"
    peer.sendall(b"x")
    assert transport.receive() == b"x"


def listeners(world):
    """Give how many descriptors eventlet's hub looks at for readers; gevent has none to count."""
    if not world.name.startswith("eventlet"):
        return 0
    from eventlet.hubs import get_hub

    hub = get_hub()
    return len(hub.listeners[hub.READ]) + len(hub.secondaries[hub.READ])


@check
def nothing_is_left_at_the_hub(world):
    transport, peer = world.open(default_timeout=DEFAULT_TIMEOUT)
    before = listeners(world)
    for _ in range(3):
        peer.sendall(b"x")
        assert transport.receive() == b"x"
    transport.shutdown()
    assert transport._reader._timer is None
    # The listener that a view at work leaves behind goes with its transport.
    assert listeners(world) <= before
    # Shut down while somebody waits, by somebody else.
    transport, peer = world.open(default_timeout=DEFAULT_TIMEOUT)
    receiving = world.run(transport.receive)
    world.let_run()
    transport.shutdown()
    assert receiving.result() == b""
    world.let_run()
    assert transport._reader._timer is None
    assert listeners(world) <= before


@check
def bytes_for_a_view_that_is_busy(world):
    """They cost its hub one look, not one after the other."""
    transport, peer = world.open(default_timeout=DEFAULT_TIMEOUT)
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    peer.sendall(b"y")
    spent = time.process_time()
    world.sleep(5 * SHORT)
    assert time.process_time() - spent < 2 * SHORT
    assert transport.receive() == b"y"


@check
def a_descriptor_that_is_used_again(world):
    """By the next connection, while the first one's transport has a listener yet."""
    transport, peer = world.open(default_timeout=DEFAULT_TIMEOUT)
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    world.close()
    others = [world.open(default_timeout=DEFAULT_TIMEOUT) for _ in range(4)]
    for number, (transport, peer) in enumerate(others):
        receiving = world.run(transport.receive)
        world.let_run()
        peer.sendall(b"%d" % number)
        assert receiving.result() == b"%d" % number


@check
def patience_and_timeouts_by_turns(world):
    """The one timer of a connection goes off when it should, whatever it was set to before."""
    transport, peer = world.open(default_timeout=3 * SHORT)
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    with taking(SHORT), pytest.raises(TimeoutError):
        transport.receive(SHORT)
    with taking(3 * SHORT), pytest.raises(TimeoutError):
        transport.receive()
    peer.sendall(b"y")
    assert transport.receive(DEFAULT_TIMEOUT) == b"y"
    # Its timer is still set to the longest of them.
    with taking(3 * SHORT), pytest.raises(TimeoutError):
        transport.receive()
    transport.default_timeout = None
    receiving = world.run(transport.receive)
    world.sleep(4 * SHORT)
    assert not receiving.over
    peer.sendall(b"z")
    assert receiving.result() == b"z"


@check
def more_than_a_read_takes(world):
    transport, peer = world.open(default_timeout=DEFAULT_TIMEOUT)
    data = bytes(range(256)) * 1024
    sending = world.run(peer.sendall, data)
    received = b""
    while len(received) < len(data):
        received += transport.receive()
    assert received == data
    sending.result()
    # The last read may have filled its buffer exactly: it looks, finds nothing, and waits.
    transport.more = True
    receiving = world.run(transport.receive)
    world.let_run()
    assert not receiving.over
    peer.sendall(b"x")
    assert receiving.result() == b"x"


@check
def many_readers_that_are_disturbed(world):
    """Timeouts of three kinds, sleeps, and greenlets that are killed while they wait: every byte arrives once."""
    import random

    dice = random.Random(7)

    def talk(number):
        transport, peer = world.open(default_timeout=DEFAULT_TIMEOUT)
        for turn in range(40):
            sent = b"%d:%d" % (number, turn)
            how = dice.randrange(5)
            if how == 0:
                with pytest.raises(TimeoutError):
                    transport.receive(0.001)
            elif how == 1:
                with contextlib.suppress(world.Timeout), world.Timeout(0.001):
                    transport.receive()
            elif how == 2:
                victim = world.run(transport.receive)
                world.sleep(0.001)
                world.kill(victim.greenlet)
                world.wait_until(lambda victim=victim: victim.over)
            peer.sendall(sent)
            if how == 3:
                world.sleep(0.002)
            assert transport.receive() == sent
        transport.shutdown()

    before = listeners(world)
    talks = [world.run(talk, number) for number in range(30)]
    for running in talks:
        running.result()
    world.let_run()
    assert listeners(world) <= before


@check_both
def a_thread_of_the_system_sends(world, open_one):
    """It waits natively, while the greenlets of the hub's thread run, one of them in receive()."""
    transport, peer = open_one(default_timeout=None)
    receiving = world.run(transport.receive)
    world.let_run()
    data = pattern(8_000_000, 7)
    sending = world.run_native(transport.send, data, DEFAULT_TIMEOUT)
    world.sleep(0.05)
    assert not sending.over
    assert read_all(peer, len(data)) == data
    sending.result()
    peer.sendall(b"x")
    assert receiving.result() == b"x"


@check_both
def a_thread_of_the_system_gives_up(world, open_one):
    transport, peer = open_one()
    with world.others_run(), taking(SHORT, 4 * SHORT), pytest.raises(TimeoutError):
        world.run_native(transport.send, b"x" * BIG, SHORT).result()
    transport, peer = open_one()
    with world.others_run(), taking(SHORT), pytest.raises(TimeoutError):
        world.run_native(transport.receive, SHORT).result()
    receiving = world.run_native(transport.receive, DEFAULT_TIMEOUT)
    peer.sendall(b"x")
    assert receiving.result() == b"x"


@check
def a_plain_socket_of_an_unpatched_process(world):
    ours, theirs = system_socket.socketpair()
    with ours, theirs:
        transport = open_transport(ours, 3)
        patched = "patched" in world.name
        assert type(transport) is (GreenTransport if patched else BlockingTransport)


# Checks of the lock


@check
def a_lock_between_greenlets(world):
    lock = world.open()[0].lock()
    order = []

    def hold(name, seconds):
        with lock:
            order.append(name)
            world.sleep(seconds)

    first = world.run(hold, "first", SHORT)
    world.let_run()
    second = world.run(hold, "second", 0)
    with world.others_run():
        second.result()
    first.result()
    assert order == ["first", "second"]
    assert lock.acquire(False)
    lock.release()


@check
def a_lock_that_is_not_waited_for(world):
    lock = world.open()[0].lock()
    assert lock.acquire()
    with taking(0):
        assert lock.acquire(blocking=False) is False
    with taking(0):
        assert lock.acquire(timeout=0) is False
    with world.others_run(), taking(SHORT):
        assert lock.acquire(timeout=SHORT) is False
    lock.release()
    assert lock.acquire(blocking=False) is True
    lock.release()
    assert lock.acquire(timeout=SHORT) is True
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


@check
def a_lock_that_a_thread_of_the_system_holds(world):
    lock = world.open()[0].lock()
    held, go_on = world.allocate_lock(), world.allocate_lock()
    held.acquire()
    go_on.acquire()

    def hold():
        with lock:
            held.release()
            go_on.acquire()

    holding = world.run_native(hold)
    assert held.acquire(True, DEFAULT_TIMEOUT)
    with world.others_run():
        assert lock.acquire(timeout=SHORT) is False
    waiting = world.run(lock.acquire)
    world.let_run()
    assert not waiting.over
    go_on.release()
    assert waiting.result() is True
    holding.result()
    lock.release()


@check
def a_lock_that_a_greenlet_holds(world):
    lock = world.open()[0].lock()
    lock.acquire()
    with world.others_run(), taking(SHORT):
        assert world.run_native(lock.acquire, timeout=SHORT).result() is False
    assert world.run_native(lock.acquire, False).result() is False
    waiting = world.run_native(lock.acquire)
    world.let_run()
    assert not waiting.over
    lock.release()
    assert waiting.result() is True
    lock.release()


# Checks of the whole


def open_websocket(world, open_one, **options):
    """Give a WebSocket and what its client's side is."""
    client = RFC6455(Request(host="localhost"), client=True)
    client.connect()
    client.data_to_send()
    server = RFC6455(Request(client.request.headers, host="localhost", http_version=(1, 1)))
    ours, theirs = open_one()
    ws = WebSocket(server, lambda: (ours, b""), **options)
    messages = deque()

    def read():
        data = theirs.recv(READ_SIZE)
        messages.extend(client.receive(data))
        if answer := client.data_to_send():
            theirs.sendall(answer)
        return bool(data)

    def say(message):
        client.send(message)
        theirs.sendall(client.data_to_send())

    return ws, SimpleNamespace(protocol=client, sock=theirs, messages=messages, read=read, say=say)


@check_both
def a_conversation(world, open_one):
    ws, browser = open_websocket(world, open_one)

    def view():
        for message in ws:
            ws.send(message)
        ws.end()

    viewing = world.run(view)
    while not browser.protocol.state:
        browser.read()
    for message in ("a", "b" * 100_000):
        browser.say(message)
        world.wait_until(lambda: browser.messages or not browser.read())
        assert browser.messages.popleft() == message
    browser.protocol.close(4000)
    browser.sock.sendall(browser.protocol.data_to_send())
    with contextlib.suppress(ConnectionResetError):
        while browser.read():
            pass
    viewing.result()
    assert ws.close_code == browser.protocol.close_code == 4000


@check_both
def many_greenlets_send_at_once(world, open_one):
    ws, browser = open_websocket(world, open_one)
    ws.accept()
    waiting = world.run(ws.wait)

    def send(number):
        for _ in range(5):
            ws.send(str(number) * 50_000)

    sending = [world.run(send, number) for number in range(8)]
    sending.append(world.run_native(send, 8))
    while len(browser.messages) < 45:
        assert browser.read()
    for part in sending:
        part.result()
    assert sorted(browser.messages) == sorted(str(number) * 50_000 for number in range(9) for _ in range(5))
    browser.say("over")
    assert waiting.result() == "over"
    ws.end(wait=False)


@check_both
def end_while_a_greenlet_sends(world, open_one):
    ws, _ = open_websocket(world, open_one, close_timeout=SHORT)
    ws.accept()
    sending = world.run(ws.send, b"x" * BIG)
    world.let_run()
    assert not sending.over
    with world.others_run(), taking(SHORT):
        ws.end()
    with pytest.raises(ConnectionClosed):
        sending.result()


@check
def close_from_another_greenlet_only_sends(world):
    ws, browser = open_websocket(world, world.open)
    ws.accept()
    waiting = world.run(ws.wait)
    world.let_run()
    with taking(0):
        world.run(ws.close, 4001).result()
    assert not waiting.over
    while browser.read():
        if browser.protocol.close_code:
            break
    assert waiting.result() is None
    assert ws.close_code == 4001
    ws.end()


# The program


def main(name, certificate):
    """Run all checks in a world; print the traceback of each, or nothing, as JSON."""
    for title, function in CHECKS.items():
        world = World(name, certificate)
        failure = ""
        try:
            function(world)
        except BaseException:  # noqa: BLE001 - the tests will tell
            failure = traceback.format_exc()
        world.close()
        print(json.dumps({"title": title, "failure": failure}), flush=True)
    print(json.dumps({"title": "", "failure": ""}), flush=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def outcomes(certificate):
    """Run all worlds, and give the outcomes of their checks; they wait most of the time, so three run at once."""
    worlds = [world for world in WORLDS if importlib.util.find_spec(library_of(world)) is not None]
    with ThreadPoolExecutor(3) as pool:
        return dict(zip(worlds, pool.map(lambda world: run_world(world, certificate), worlds), strict=True))


def library_of(world):
    return world.partition("-")[0]


def run_world(world, certificate):
    # In this order: what patches has to come first.
    lines = [
        "import os, warnings",
        "warnings.filterwarnings('ignore', module='__main__')",
        "if 'COVERAGE_PROCESS_START' in os.environ: import coverage; coverage.process_startup()",
        "warnings.simplefilter('ignore', DeprecationWarning)",
        WORLDS[world],
        "from tests import test_green",
        f"test_green.main({world!r}, {os.fspath(certificate)!r})",
    ]
    try:
        result = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            cwd=Path(__file__).parent.parent,
            env=os.environ | coverage_environment(),
        )
    except subprocess.TimeoutExpired as error:
        output, errors = (text.decode() if text else "" for text in (error.stdout, error.stderr))
    else:
        output, errors = result.stdout, result.stderr
    outcomes = [json.loads(line) for line in output.splitlines()]
    outcomes = {outcome["title"]: outcome["failure"] for outcome in outcomes}
    if "" not in outcomes:
        hanging = next((title for title in CHECKS if title not in outcomes), "")
        outcomes[hanging] = f"it hangs, or the process died in it\n{errors}"
    return outcomes


def coverage_environment():
    """Let the program be measured if we are."""
    with contextlib.suppress(ImportError):
        import coverage

        if current := coverage.Coverage.current():
            return {
                "COVERAGE_PROCESS_START": str(Path(__file__).parent.parent / "pyproject.toml"),
                "COVERAGE_FILE": str(Path(current.config.data_file).absolute()),
            }
    return {}


@pytest.mark.timeout(3 * LIMIT)
@pytest.mark.parametrize("title", CHECKS)
@pytest.mark.parametrize("world", WORLDS)
def test_world(world, title, outcomes):
    if world not in outcomes:
        pytest.skip(f"needs {library_of(world)}")
    failure = outcomes[world].get(title, "an earlier check has ended the process")
    assert not failure, f"\n{failure}"


# What can be said without either library


def fake_world(**attributes):
    import _thread
    import select

    clock = SimpleNamespace(pauses=[])
    defaults = {
        "allocate_lock": _thread.allocate_lock,
        "get_ident": _thread.get_ident,
        "select": select,
        "getcurrent": lambda: "me",
        "sleep": clock.pauses.append,
        "pauses": clock.pauses,
    }
    return SimpleNamespace(**defaults | attributes)


def test_a_greenlet_looks_for_its_lock_less_and_less_often():
    world = fake_world()
    lock = GreenLock(world)
    lock.acquire()

    def sleep(pause):
        world.pauses.append(pause)
        if len(world.pauses) == 12:
            lock.release()

    world.sleep = sleep
    assert lock.acquire()
    assert world.pauses == sorted(world.pauses)
    assert world.pauses[0] < world.pauses[-1] == world.pauses[-2] <= 0.05


def test_a_thread_waits_for_the_lock_natively():
    world = fake_world()
    lock = GreenLock(world)
    world.get_ident = lambda: "another"
    lock.acquire()
    assert not lock.acquire(timeout=0.01)
    assert world.pauses == []


def test_a_socket_of_neither_library():
    ours, theirs = system_socket.socketpair()
    with ours, theirs:
        assert find_transport(ours, 3) is None


@pytest.mark.parametrize("name", ["eventlet", "gevent"])
def test_what_is_no_socket_of_the_library(monkeypatch, name):
    """An object of one of its other classes."""
    monkeypatch.setattr(green, "_world", lambda _: SimpleNamespace(unwrap=lambda _: None))
    kind = type("Thing", (), {"__module__": f"{name}.things"})
    assert find_transport(kind(), 3) is None
