"""Checks of transports, locks and WebSockets of eventlet and gevent.

``test_eventlet.py`` and ``test_gevent.py`` run each of them in processes of their own: see ``green_process.py``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket as system_socket
import struct
import time
from collections import deque
from types import SimpleNamespace

import pytest

from django_websocket.exceptions import ConnectionClosed
from django_websocket.protocols.http import Request
from django_websocket.protocols.rfc6455 import RFC6455
from django_websocket.transports import READ_SIZE, open_transport
from django_websocket.transports.green import GreenTransport
from django_websocket.transports.green_locks import GreenLock
from django_websocket.transports.sockets import BlockingTransport
from django_websocket.websocket import WebSocket

from ..options import make_options
from ..vanishing import vanish
from .green_process import BIG, SHORT, Running
from .pairs import DEFAULT_TIMEOUT, count_descriptors, pattern, read_all, taking

#: All checks by their names.
CHECKS = {}


def check(function):
    """Register a check; its argument is the :class:`GreenProcess`."""
    CHECKS[function.__name__] = function
    return function


def check_both(function):
    """Register a check for plain connections and for TLS.

    Its arguments are the :class:`GreenProcess` and a function that opens a connection.
    """
    CHECKS[function.__name__] = lambda green: function(green, green.open)
    CHECKS[f"{function.__name__}_over_tls"] = lambda green: function(green, green.open_tls)
    return function


# Checks of the transport


@check_both
def open_transport_returns_a_green_transport(green, open_one):
    transport, _ = open_one(default_timeout=3)
    assert type(transport) is GreenTransport
    assert transport.default_timeout == 3
    assert type(transport.lock()) is GreenLock
    assert transport.current() is green.getcurrent()
    other = green.run(transport.current).result()
    assert other is not transport.current()
    assert isinstance(transport._plain, system_socket.socket.__mro__[1] if "patched" not in green.name else object)
    transport.enable_keepalive(20, 20)


@check_both
def receive_lets_others_run(green, open_one):
    transport, _ = open_one(default_timeout=SHORT)
    for timeout in (None, SHORT):
        with green.others_run(), taking(SHORT), pytest.raises(TimeoutError):
            transport.receive(timeout)
    with taking(0), pytest.raises(TimeoutError):
        transport.receive(0)
    assert transport.try_receive() is None


@check_both
def receive_is_woken_by_data(green, open_one):
    transport, peer = open_one(default_timeout=None)
    for timeout in (None, DEFAULT_TIMEOUT):
        receiving = green.run(transport.receive, timeout)
        green.let_run()
        assert not receiving.over
        peer.sendall(b"x")
        assert receiving.result() == b"x"
    peer.sendall(b"y")
    green.sleep(0.01)
    assert transport.receive(0) == b"y"
    with pytest.raises(TimeoutError):
        transport.receive(0.01)


@check_both
def receive_is_woken_by_the_end(green, open_one):
    transport, peer = open_one(default_timeout=None)
    receiving = green.run(transport.receive)
    green.let_run()
    peer.close()
    assert receiving.result() == b""
    assert transport.receive() == b""
    assert transport.try_receive() == b""


@check_both
def receive_after_a_reset(green, open_one):
    transport, peer = open_one(default_timeout=None)
    receiving = green.run(transport.receive)
    green.let_run()
    peer.setsockopt(system_socket.SOL_SOCKET, system_socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert receiving.result() == b""
    with pytest.raises(OSError, match=r".") as caught:
        transport.send(b"x" * BIG, SHORT)
    assert not isinstance(caught.value, TimeoutError)


@check
def keepalive_notices_a_peer_that_has_vanished(green):
    transport, peer = green.open(default_timeout=None)
    transport.enable_keepalive(0.1, 0.1)
    vanish(peer)
    transport.send(b"x", SHORT)
    with green.others_run(), taking(0.2, 1):
        assert green.run(transport.receive).result() == b""


@check_both
def shutdown_wakes_a_greenlet_that_receives(green, open_one):
    transport, peer = open_one(default_timeout=None)
    receiving = green.run(transport.receive)
    green.let_run()
    transport.shutdown()
    assert receiving.result() == b""
    assert peer.recv(1) == b""


@check_both
def shutdown_leaves_the_descriptor_open(green, open_one):
    """The server closes it later, also if the peer has ended TLS properly."""
    transport, peer = open_one()
    if hasattr(peer, "unwrap"):
        ending = green.run(peer.unwrap)
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
def shutdown_wakes_a_greenlet_that_sends(green, open_one):
    transport, _ = open_one()
    sending = green.run(transport.send, b"x" * BIG, 10 * DEFAULT_TIMEOUT)
    green.let_run()
    assert not sending.over
    transport.shutdown()
    with pytest.raises(OSError, match=r".") as caught:
        sending.result()
    assert not isinstance(caught.value, TimeoutError)


@check_both
def send_times_out_if_the_peer_does_not_read(green, open_one):
    transport, _ = open_one()
    with green.others_run(), taking(SHORT, 3 * SHORT), pytest.raises(TimeoutError):
        transport.send(b"x" * BIG, SHORT)


@check_both
def the_timeout_of_send_counts_time_without_progress(green, open_one):
    timeout, pause, size = 0.5, 0.25, 25_000_000
    transport, peer = open_one()
    transport._plain.setsockopt(system_socket.SOL_SOCKET, system_socket.SO_SNDBUF, READ_SIZE)
    sending = green.run(transport.send, b"x" * size, timeout)
    got = 0
    for _ in range(5):
        green.sleep(pause)  # The pause is the slow reader.
        assert not sending.over, repr(sending.error)
        got += len(read_all(peer, 500_000))
    read_all(peer, size - got)
    sending.result()


@check_both
def one_greenlet_sends_while_another_receives(green, open_one):
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

    running = [green.run(transport.send, out, DEFAULT_TIMEOUT), green.run(receive), green.run(read_all, peer, size)]
    send_back()
    assert [part.result() for part in running] == [None, back, out]


@check
def try_send(green):
    for open_one in (green.open, green.open_tls):
        transport, peer = open_one()
        assert transport.try_send(b"now") == 3
        assert peer.recv(10) == b"now"
        transport.shutdown()
        assert transport.try_send(b"now") is None


@check_both
def a_timeout_of_the_library_ends_a_wait(green, open_one):
    """The transport stays usable."""
    transport, peer = open_one(default_timeout=None)
    with taking(SHORT), pytest.raises(green.Timeout), green.Timeout(SHORT):
        transport.receive()
    peer.sendall(b"x")
    assert transport.receive() == b"x"


@check_both
def an_exception_of_the_view_ends_a_wait(green, open_one):
    """It is taken neither for a timeout of the transport nor for an error of the system; the transport stays usable."""
    transport, peer = open_one(default_timeout=DEFAULT_TIMEOUT)
    for error in (TimeoutError("the view's own"), OSError("the view's own")):
        with pytest.raises(OSError, match="own") as caught, green.Timeout(0.01, error):
            transport.receive()
        assert caught.value is error
        peer.sendall(b"x")
        assert transport.receive() == b"x"


@check_both
def an_exception_of_the_view_ends_sending(green, open_one):
    transport, _ = open_one()
    error = TimeoutError("the view's own")
    with pytest.raises(TimeoutError) as caught, green.Timeout(0.05, error):
        transport.send(b"x" * BIG, DEFAULT_TIMEOUT)
    assert caught.value is error


@check_both
def a_killed_greenlet_stops_waiting(green, open_one):
    transport, peer = open_one(default_timeout=None)
    receiving = green.run(transport.receive)
    green.let_run()
    green.kill(receiving.greenlet)
    green.wait_until(lambda: receiving.over)
    assert type(receiving.error).__name__ == "GreenletExit"
    peer.sendall(b"x")
    assert transport.receive() == b"x"


def listeners(green):
    """Return the number of listeners for reading at eventlet's hub; gevent's has none to count."""
    if not green.name.startswith("eventlet"):
        return 0
    from eventlet.hubs import get_hub

    hub = get_hub()
    return len(hub.listeners[hub.READ]) + len(hub.secondaries[hub.READ])


@check
def shutdown_removes_listener_and_timer_from_the_hub(green):
    transport, peer = green.open(default_timeout=DEFAULT_TIMEOUT)
    before = listeners(green)
    for _ in range(3):
        peer.sendall(b"x")
        assert transport.receive() == b"x"
    transport.shutdown()
    assert transport._waiter._timer is None
    # The view did not wait again, so that a listener was left until shutdown() removed it.
    assert listeners(green) <= before
    # Another greenlet shuts the connection down while one waits.
    transport, peer = green.open(default_timeout=DEFAULT_TIMEOUT)
    receiving = green.run(transport.receive)
    green.let_run()
    transport.shutdown()
    assert receiving.result() == b""
    green.let_run()
    assert transport._waiter._timer is None
    assert listeners(green) <= before


@check
def bytes_for_a_busy_view_do_not_keep_the_hub_busy(green):
    """The hub is called for them once, not again and again."""
    transport, peer = green.open(default_timeout=DEFAULT_TIMEOUT)
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    peer.sendall(b"y")
    spent = time.process_time()
    green.sleep(5 * SHORT)
    assert time.process_time() - spent < 2 * SHORT
    assert transport.receive() == b"y"


@check
def a_descriptor_is_reused_by_the_next_connection(green):
    """The transport of the first connection still has a listener then."""
    transport, peer = green.open(default_timeout=DEFAULT_TIMEOUT)
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    green.close()
    others = [green.open(default_timeout=DEFAULT_TIMEOUT) for _ in range(4)]
    for number, (transport, peer) in enumerate(others):
        receiving = green.run(transport.receive)
        green.let_run()
        peer.sendall(b"%d" % number)
        assert receiving.result() == b"%d" % number


@check
def default_and_explicit_timeouts_in_turn(green):
    """The one timer of a connection expires in time, whatever it was set to before."""
    transport, peer = green.open(default_timeout=3 * SHORT)
    peer.sendall(b"x")
    assert transport.receive() == b"x"
    with taking(SHORT), pytest.raises(TimeoutError):
        transport.receive(SHORT)
    with taking(3 * SHORT), pytest.raises(TimeoutError):
        transport.receive()
    peer.sendall(b"y")
    assert transport.receive(DEFAULT_TIMEOUT) == b"y"
    # The timer is still set to the longest timeout.
    with taking(3 * SHORT), pytest.raises(TimeoutError):
        transport.receive()
    transport.default_timeout = None
    receiving = green.run(transport.receive)
    green.sleep(4 * SHORT)
    assert not receiving.over
    peer.sendall(b"z")
    assert receiving.result() == b"z"


@check
def more_bytes_than_one_read_takes(green):
    transport, peer = green.open(default_timeout=DEFAULT_TIMEOUT)
    data = bytes(range(256)) * 1024
    sending = green.run(peer.sendall, data)
    received = b""
    while len(received) < len(data):
        received += transport.receive()
    assert received == data
    sending.result()
    # If the last read filled its buffer exactly, receive() tries to read first, finds nothing and waits.
    transport.more = True
    receiving = green.run(transport.receive)
    green.let_run()
    assert not receiving.over
    peer.sendall(b"x")
    assert receiving.result() == b"x"


@check
def waits_of_many_greenlets_end_in_different_ways(green):
    """Every byte arrives once, although timeouts and kills end waits, and greenlets sleep."""
    import random

    generator = random.Random(7)

    def talk(number):
        transport, peer = green.open(default_timeout=DEFAULT_TIMEOUT)
        for turn in range(40):
            sent = b"%d:%d" % (number, turn)
            how = generator.randrange(5)
            if how == 0:
                with pytest.raises(TimeoutError):
                    transport.receive(0.001)
            elif how == 1:
                with contextlib.suppress(green.Timeout), green.Timeout(0.001):
                    transport.receive()
            elif how == 2:
                victim = green.run(transport.receive)
                green.sleep(0.001)
                green.kill(victim.greenlet)
                green.wait_until(lambda victim=victim: victim.over)
            peer.sendall(sent)
            if how == 3:
                green.sleep(0.002)
            assert transport.receive() == sent
        transport.shutdown()

    before = listeners(green)
    talks = [green.run(talk, number) for number in range(30)]
    for running in talks:
        running.result()
    green.let_run()
    assert listeners(green) <= before


@check_both
def a_thread_of_the_system_sends(green, open_one):
    """It waits natively, and the greenlets of the hub's thread run on, one of them in receive()."""
    transport, peer = open_one(default_timeout=None)
    receiving = green.run(transport.receive)
    green.let_run()
    data = pattern(8_000_000, 7)
    sending = green.run_native(transport.send, data, DEFAULT_TIMEOUT)
    green.sleep(0.05)
    assert not sending.over
    assert read_all(peer, len(data)) == data
    sending.result()
    peer.sendall(b"x")
    assert receiving.result() == b"x"


@check_both
def a_thread_of_the_system_times_out(green, open_one):
    transport, peer = open_one()
    with green.others_run(), taking(SHORT, 4 * SHORT), pytest.raises(TimeoutError):
        green.run_native(transport.send, b"x" * BIG, SHORT).result()
    transport, peer = open_one()
    with green.others_run(), taking(SHORT), pytest.raises(TimeoutError):
        green.run_native(transport.receive, SHORT).result()
    receiving = green.run_native(transport.receive, DEFAULT_TIMEOUT)
    peer.sendall(b"x")
    assert receiving.result() == b"x"


@check
def a_socket_of_the_standard_library(green):
    ours, theirs = system_socket.socketpair()
    with ours, theirs:
        transport = open_transport(ours, 3)
        patched = "patched" in green.name
        assert type(transport) is (GreenTransport if patched else BlockingTransport)


# Checks of the bell


def ringers(green):
    """Return the functions that start a ring in each kind of thread."""
    return (green.run, green.run_native)


@check_both
def a_ring_ends_a_wait(green, open_one):
    transport, peer = open_one()
    bell = transport.bell()
    for start in ringers(green):
        receiving = green.run(bell.receive, DEFAULT_TIMEOUT)
        with taking(0), pytest.raises(RuntimeError, match="in the thread in which that has begun"):
            green.run_native(bell.receive, 0).result()
        green.let_run()
        assert not receiving.over
        with taking(0):
            start(bell.ring).result()
            with pytest.raises(TimeoutError):
                receiving.result()
        assert bell.rung
        # Nobody has looked for the reason yet.
        with taking(0), pytest.raises(TimeoutError):
            bell.receive(DEFAULT_TIMEOUT)
        bell.rung = False
        with green.others_run(), taking(SHORT), pytest.raises(TimeoutError):
            bell.receive(SHORT)
    bell.ring()
    peer.sendall(b"x")
    green.sleep(0.01)
    assert bell.receive(DEFAULT_TIMEOUT) == b"x", "bytes come first"
    bell.close()


@check_both
def a_bell_lets_bytes_through(green, open_one):
    transport, peer = open_one()
    bell = transport.bell()
    for data in (b"x", b"y" * 10_000):
        receiving = green.run(bell.receive, DEFAULT_TIMEOUT)
        green.let_run()
        peer.sendall(data)
        received = receiving.result()
        while len(received) < len(data):
            received += bell.receive(DEFAULT_TIMEOUT)
        assert received == data
    receiving = green.run(bell.receive, DEFAULT_TIMEOUT)
    green.let_run()
    peer.close()
    assert receiving.result() == b""
    bell.close()


@check_both
def a_wait_with_a_bell_ends_by_shutdown_and_by_the_view(green, open_one):
    transport, _ = open_one()
    bell = transport.bell()
    error = OSError("the view's own")
    with pytest.raises(OSError, match="own") as caught, green.Timeout(0.01, error):
        bell.receive(DEFAULT_TIMEOUT)
    assert caught.value is error
    receiving = green.run(bell.receive, DEFAULT_TIMEOUT)
    green.let_run()
    transport.shutdown()
    assert receiving.result() == b""
    bell.close()


@check_both
def a_late_ring_is_not_felt_elsewhere(green, open_one):
    """Neither by another wait of the same greenlet, nor after the bell is closed."""
    transport, peer = open_one(default_timeout=None)
    bell = transport.bell()

    def listen():
        with pytest.raises(TimeoutError):
            bell.receive(SHORT)
        return transport.receive()

    for start in ringers(green):
        listening = green.run(listen)
        green.let_run()
        bell._asleep = False
        bell._calls.call(bell._wake)
        start(bell._calls.call, bell._wake).result()
        green.let_run()
        assert not listening.over
        peer.sendall(b"x")
        assert listening.result() == b"x"
    bell.close()
    bell.close()
    for start in ringers(green):
        start(bell.ring).result()


@check_both
def rings_of_many_threads_are_not_lost(green, open_one):
    """Each wait looks in the box before it sleeps; whoever puts something in it rings."""
    boxes, listening, ringing = [], [], []

    def listen(bell, box):
        heard = []
        while len(heard) < 200:
            bell.rung = False
            while box:
                heard.append(box.popleft())
            if len(heard) < 200:
                with contextlib.suppress(TimeoutError):
                    bell.receive(DEFAULT_TIMEOUT)
        return heard

    def ring(name):
        for number in range(100):
            for bell, box in boxes:
                box.append((name, number))
                bell.ring()
            if name == "greenlet" and number % 7 == 0:
                green.sleep(0)

    for _ in range(10):
        transport, _peer = open_one()
        box = deque()
        bell = transport.bell()
        boxes.append((bell, box))
        listening.append(green.run(listen, bell, box))
    with taking(0, 5):
        ringing = [green.run_native(ring, "thread"), green.run(ring, "greenlet")]
        for running in listening:
            heard = running.result()
            for name in ("greenlet", "thread"):
                assert [number for one, number in heard if one == name] == list(range(100))
        for running in ringing:
            running.result()
    for bell, _ in boxes:
        bell.close()


@check
def bells_of_one_hub_share_a_descriptor(green):
    opened = [green.open() for _ in range(3)]
    before = count_descriptors()
    bells = [transport.bell() for transport, _ in opened]
    assert count_descriptors() == before + 1
    for bell in bells[1:]:
        bell.close()
    with pytest.raises(TimeoutError):
        bells[0].receive(0.01)
    receiving = green.run(bells[0].receive, DEFAULT_TIMEOUT)
    green.let_run()
    # A garbage collection in any thread may close it.
    green.run_native(bells[0].close).result()
    green.wait_until(lambda: count_descriptors() == before)
    opened[0][1].sendall(b"x")
    assert receiving.result() == b"x"
    assert listeners(green) <= 3
    # It is closed at once, though the hub may have nothing else to do for long.
    bell = opened[0][0].bell()
    assert count_descriptors() == before + 1
    bell.close()
    assert count_descriptors() == before


@check
def a_thread_of_the_system_waits_with_a_bell_of_its_own(green):
    for open_one in (green.open, green.open_tls):
        transport, peer = open_one()
        bell = green.run_native(transport.bell).result()
        receiving = green.run_native(bell.receive, DEFAULT_TIMEOUT)
        green.let_run()
        bell.ring()
        with pytest.raises(TimeoutError):
            receiving.result()
        bell.rung = False
        receiving = green.run_native(bell.receive, DEFAULT_TIMEOUT)
        peer.sendall(b"x")
        assert receiving.result() == b"x"
        bell.close()


@check
def a_signal_handler_rings_while_the_hub_sleeps(green):
    transport, _ = green.open()
    bell = transport.bell()
    previous = signal.signal(signal.SIGALRM, lambda *_: bell.ring())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with taking(0.05, 1), pytest.raises(TimeoutError):
            bell.receive(DEFAULT_TIMEOUT)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert bell.rung
    bell.close()


# Checks of the lock


@check
def a_greenlet_waits_for_a_lock_of_another(green):
    lock = green.open()[0].lock()
    order = []

    def hold(name, seconds):
        with lock:
            order.append(name)
            green.sleep(seconds)

    first = green.run(hold, "first", SHORT)
    green.let_run()
    second = green.run(hold, "second", 0)
    with green.others_run():
        second.result()
    first.result()
    assert order == ["first", "second"]
    assert lock.acquire(False)
    lock.release()


@check
def a_lock_is_acquired_without_blocking_or_with_a_timeout(green):
    lock = green.open()[0].lock()
    assert lock.acquire()
    with taking(0):
        assert lock.acquire(blocking=False) is False
    with taking(0):
        assert lock.acquire(timeout=0) is False
    with green.others_run(), taking(SHORT):
        assert lock.acquire(timeout=SHORT) is False
    lock.release()
    assert lock.acquire(blocking=False) is True
    lock.release()
    assert lock.acquire(timeout=SHORT) is True
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


@check
def a_greenlet_waits_for_a_lock_of_a_thread(green):
    lock = green.open()[0].lock()
    held, go_on = green.allocate_lock(), green.allocate_lock()
    held.acquire()
    go_on.acquire()

    def hold():
        with lock:
            held.release()
            go_on.acquire()

    holding = green.run_native(hold)
    assert held.acquire(True, DEFAULT_TIMEOUT)
    with green.others_run():
        assert lock.acquire(timeout=SHORT) is False
    waiting = green.run(lock.acquire)
    green.let_run()
    assert not waiting.over
    go_on.release()
    assert waiting.result() is True
    holding.result()
    lock.release()


@check
def a_thread_waits_for_a_lock_of_a_greenlet(green):
    lock = green.open()[0].lock()
    lock.acquire()
    with green.others_run(), taking(SHORT):
        assert green.run_native(lock.acquire, timeout=SHORT).result() is False
    assert green.run_native(lock.acquire, False).result() is False
    waiting = green.run_native(lock.acquire)
    green.let_run()
    assert not waiting.over
    lock.release()
    assert waiting.result() is True
    lock.release()


@check
def a_lock_is_passed_on_in_the_order_of_arrival(green):
    """Greenlets and threads alike, although the first holder acquires it again and again without a pause."""
    lock = green.open()[0].lock()
    order = []

    def hold(name):
        with lock:
            order.append(name)

    lock.acquire()
    waiting = []
    for number in range(6):
        waiting.append((green.run_native if number % 3 == 2 else green.run)(hold, number))
        green.wait_until(lambda: len(lock._waiters or ()) == len(waiting))
    lock.release()
    while len(order) < 6:
        with lock:
            order.append("again")
            assert len(order) < 50
    for running in waiting:
        running.result()
    assert [name for name in order if name != "again"] == list(range(6))
    assert lock.acquire(False)


@check
def a_greenlet_that_stops_waiting_leaves_the_lock_to_others(green):
    lock = green.open()[0].lock()
    lock.acquire()
    killed, waiting = green.run(lock.acquire), green.run(lock.acquire)
    green.let_run()
    green.kill(killed.greenlet)
    green.wait_until(lambda: killed.over)
    lock.release()
    assert waiting.result() is True
    assert not lock.acquire(False)
    lock.release()
    assert lock.acquire(False)


# Checks of WebSockets


def open_websocket(green, open_one, **options):
    """Return a WebSocket and its client."""
    client = RFC6455(Request(host="localhost"), client=True)
    client.connect()
    client.data_to_send()
    server = RFC6455(Request(client.request.headers, host="localhost", http_version=(1, 1)))
    ours, theirs = open_one()
    ws = WebSocket(server, lambda: (ours, b""), make_options(**options))
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
def a_websocket_echoes_messages(green, open_one):
    ws, browser = open_websocket(green, open_one)

    def view():
        for message in ws:
            ws.send(message)
        ws.end()

    viewing = green.run(view)
    while not browser.protocol.state:
        browser.read()
    for message in ("a", "b" * 100_000):
        browser.say(message)
        green.wait_until(lambda: browser.messages or not browser.read())
        assert browser.messages.popleft() == message
    browser.protocol.close(4000)
    browser.sock.sendall(browser.protocol.data_to_send())
    with contextlib.suppress(ConnectionResetError):
        while browser.read():
            pass
    viewing.result()
    assert ws.close_code == browser.protocol.close_code == 4000


@check_both
def many_greenlets_send_at_once(green, open_one):
    ws, browser = open_websocket(green, open_one)
    ws.accept()
    waiting = green.run(ws.wait)

    def send(number):
        for _ in range(5):
            ws.send(str(number) * 50_000)

    sending = [green.run(send, number) for number in range(8)]
    sending.append(green.run_native(send, 8))
    while len(browser.messages) < 45:
        assert browser.read()
    for part in sending:
        part.result()
    assert sorted(browser.messages) == sorted(str(number) * 50_000 for number in range(9) for _ in range(5))
    browser.say("over")
    assert waiting.result() == "over"
    ws.end(wait=False)


def stream(ws, green):
    """Start a greenlet that sends without a pause, and return it once it waits for its client to read."""
    ws.accept()
    ws._connection._transport._plain.setsockopt(system_socket.SOL_SOCKET, system_socket.SO_SNDBUF, READ_SIZE)
    sent = []

    def send_for_ever():
        while True:
            ws.send(b"x" * READ_SIZE)
            sent.append(1)

    streaming = green.run(send_for_ever)
    streaming.sent = sent
    green.let_run()
    return streaming


def read_until(browser, condition):
    """Read as a client that reads steadily, but slowly."""
    while not condition() and browser.read():
        pass
    assert condition()


@check_both
def a_greenlet_sends_beside_one_that_never_stops(green, open_one):
    ws, browser = open_websocket(green, open_one)
    streaming = stream(ws, green)
    sending = green.run(lambda: (ws.send("small"), ws.ping(b"small")))
    green.let_run()
    before = len(streaming.sent)
    read_until(browser, lambda: "small" in browser.messages)
    read_until(browser, lambda: sending.over)
    sending.result()
    assert len(streaming.sent) - before < 10
    ws.end(wait=False)
    with pytest.raises(ConnectionClosed):
        streaming.result()


@check_both
def close_beside_a_greenlet_that_never_stops_sending(green, open_one):
    """The Close leaves behind the frame that is being sent, which a client that reads gets whole."""
    for view in (True, False):
        ws, browser = open_websocket(green, open_one)
        streaming = stream(ws, green)
        closing = green.run(ws.end if view else ws.close, 4000)
        if view:
            ws._connection._owner = closing.greenlet
        else:
            green.let_run()
            assert closing.over
        read_until(browser, lambda browser=browser: browser.protocol.close_code is not None)
        assert browser.protocol.close_code == 4000
        closing.result()
        with pytest.raises(ConnectionClosed):
            streaming.result()


@check_both
def looking_in_a_loop_lets_others_run(green, open_one):
    """Another greenlet sends what the view looks for."""
    for look in (WebSocket.read, WebSocket.has_messages, WebSocket.count_messages):
        ws, browser = open_websocket(green, open_one)
        ws.accept()
        while not browser.protocol.state:
            browser.read()

        def say(browser=browser):
            green.sleep(0.01)
            browser.say("x")

        saying = green.run(say)
        deadline = time.monotonic() + DEFAULT_TIMEOUT
        while not look(ws):
            assert time.monotonic() < deadline, "nobody else runs"
        saying.result()
        # A thread of the system has no greenlets to let run, and neither has the hub.
        green.run_native(look, ws).result()
        in_hub = Running(green, functools.partial(look, ws))
        ws._connection._transport._library.call_soon(in_hub.go)
        in_hub.result()


@check_both
def end_wakes_a_greenlet_that_sends(green, open_one):
    ws, _ = open_websocket(green, open_one, close_timeout=SHORT)
    ws.accept()
    sending = green.run(ws.send, b"x" * BIG)
    green.let_run()
    assert not sending.over
    with green.others_run(), taking(SHORT):
        ws.end()
    with pytest.raises(ConnectionClosed):
        sending.result()


@check
def close_from_another_greenlet_does_not_wait(green):
    ws, browser = open_websocket(green, green.open)
    ws.accept()
    waiting = green.run(ws.wait)
    green.let_run()
    with taking(0):
        green.run(ws.close, 4001).result()
    assert not waiting.over
    while browser.read():
        if browser.protocol.close_code:
            break
    assert waiting.result() is None
    assert ws.close_code == 4001
    ws.end()
