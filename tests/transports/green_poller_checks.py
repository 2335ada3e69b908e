"""Checks of many connections at one hub: nothing that one does reaches the wrong one, or costs another its events.

``test_pollers.py`` runs each of them in processes of their own, with the compiled poller and without it.
"""

from __future__ import annotations

import contextlib
import os
import socket as system_socket
import time
from pathlib import Path

import pytest

from django_websocket.speedups import load
from django_websocket.transports import open_transport
from django_websocket.transports.pollers import _by_hub

from .green_checks import open_websocket
from .green_process import SHORT
from .pairs import DEFAULT_TIMEOUT, count_descriptors, taking

#: All checks by their names.
CHECKS = {}
POLLED = load("poller") is not None


def check(function):
    """Register a check; its argument is the :class:`GreenProcess`. The transports that it opens are shut down."""

    def run(green):
        transports = []
        open_one = green.open

        def remember(*args, **kwargs):
            pair = open_one(*args, **kwargs)
            transports.append(pair[0])
            return pair

        green.open = remember
        function(green)
        for transport in transports:
            transport.shutdown()
        green.let_run()
        assert not _by_hub

    CHECKS[function.__name__] = run
    return function


def check_compiled(function):
    """Register a check that holds with the compiled poller only."""
    if POLLED:
        check(function)
    else:
        CHECKS[function.__name__] = lambda _: None
    return function


def is_alive(green, transport, peer):
    """Return whether a greenlet of a connection is woken by what its peer sends."""
    receiving = green.run(transport.receive, DEFAULT_TIMEOUT)
    green.let_run()
    peer.sendall(b"alive")
    return receiving.result() == b"alive"


def registrations(poller):
    """Return what Linux says of the descriptors in an epoll object."""
    info = Path(f"/proc/self/fdinfo/{poller.fileno()}").read_text(encoding="ascii")
    return sorted(line for line in info.splitlines() if line.startswith("tfd"))


def run_in_thread(green, call):
    """Run a call in a thread of the system that gets a hub of its own, and return the result."""
    return green.run_native(call).result()


@check
def every_one_of_many_connections_is_woken(green):
    """There are more events than one batch takes."""
    opened = [green.open() for _ in range(300)]
    receiving = [green.run(transport.receive, DEFAULT_TIMEOUT) for transport, _ in opened]
    green.let_run()
    for number, (_, peer) in enumerate(opened):
        peer.sendall(b"%d" % number)
    for number, running in enumerate(receiving):
        assert running.result() == b"%d" % number
    for transport, _ in opened:
        transport.shutdown()


@check
def descriptors_of_a_batch_are_closed_and_opened_again(green):
    """The first greenlet that is woken ends the other connections, for which there are events, and opens new ones."""
    for _ in range(5):
        opened = [green.open() for _ in range(10)]
        numbers = {transport.fileno() for transport, _ in opened}
        new = []

        def receive(number, transport, opened=opened, new=new):
            data = transport.receive(DEFAULT_TIMEOUT)
            if not new:
                others = [other for other, _ in opened if other is not transport]
                for other in others:
                    other.shutdown()
                # The sockets of the first ten connections, but for this one.
                for sock in [sock for sock in green.opened[:20:2] if sock.fileno() != transport.fileno()]:
                    sock.close()
                for _ in range(9):
                    ours, theirs = system_socket.socketpair()
                    ours = green.socket.socket(ours.family, ours.type, fileno=ours.detach())
                    green.opened += ours, theirs
                    new.append((open_transport(ours, DEFAULT_TIMEOUT), theirs))
                    new[-1] = (*new[-1], green.run(new[-1][0].receive, DEFAULT_TIMEOUT))
            return number, data

        receiving = [green.run(receive, number, transport) for number, (transport, _) in enumerate(opened)]
        green.let_run()
        for _, peer in opened:
            peer.sendall(b"x")
        green.wait_until(lambda new=new: new)
        green.let_run()
        # Without the poller gevent closes sockets that are waited for later.
        assert not POLLED or numbers & {transport.fileno() for transport, _, _ in new}
        assert not [1 for _, _, running in new if running.over]
        for number, (_, peer, _) in enumerate(new):
            peer.sendall(b"%d" % number)
        assert [running.result() for _, _, running in new] == [b"%d" % number for number in range(9)]
        got = [running.result()[1] for running in receiving]
        assert got.count(b"x") >= 1
        assert set(got) <= {b"x", b""}
        for transport, _, _ in new:
            transport.shutdown()
        green.close()


@check
def a_number_passes_from_a_closed_connection_to_another(green):
    """The closed one, whose greenlet still waits, gets nothing of the other, and its end takes nothing from it."""
    if not POLLED and green.name.startswith("gevent"):
        return  # Its sockets are closed later.
    transport, _ = green.open(default_timeout=SHORT)
    receiving = green.run(transport.receive, 3 * SHORT)
    green.let_run()
    number = transport.fileno()
    green.opened[0].close()
    pair = system_socket.socketpair()
    ours, theirs = pair if pair[0].fileno() == number else reversed(pair)
    green.opened.append(theirs)
    sock = green.socket.socket(ours.family, ours.type, fileno=ours.detach())
    other = open_transport(sock, DEFAULT_TIMEOUT)
    assert other.fileno() == number
    assert is_alive(green, other, theirs)
    with contextlib.suppress(TimeoutError):
        assert receiving.result() == b""
    with taking(0, SHORT):
        assert transport.receive(DEFAULT_TIMEOUT) == b""
    transport.shutdown()
    assert is_alive(green, other, theirs)
    other.shutdown()
    sock.close()


@check_compiled
def a_file_that_is_kept_open_elsewhere_does_not_keep_the_hub_busy(green):
    """It is closed here without a shutdown, so that the system goes on to report it."""
    transport, peer = green.open()
    other, other_peer = green.open()
    for one, sock in ((transport, peer), (other, other_peer)):
        assert is_alive(green, one, sock)
    kept = os.dup(transport.fileno())
    ours = green.opened[0]
    receiving = green.run(other.receive, DEFAULT_TIMEOUT)
    green.let_run()
    ours.close()
    third, third_peer = green.open()
    assert is_alive(green, third, third_peer)
    peer.sendall(b"x")
    spent = time.process_time()
    green.sleep(5 * SHORT)
    assert time.process_time() - spent < 2 * SHORT
    other_peer.sendall(b"y")
    assert receiving.result() == b"y"
    assert is_alive(green, third, third_peer)
    os.close(kept)


@check
def an_error_let_out_into_the_hub_costs_no_other_connection_its_events(green):
    def fail(transport, error):
        transport.receive(DEFAULT_TIMEOUT)
        raise error

    opened = [green.open() for _ in range(6)]
    others = [green.run(transport.receive, DEFAULT_TIMEOUT) for transport, _ in opened[:3]]
    for transport, _ in opened[3:]:
        green.spawn_raw(fail, transport, ValueError("let out into the hub"))
    green.let_run()
    for _, peer in opened[3:] + opened[:3]:
        peer.sendall(b"x")
    assert [running.result() for running in others] == [b"x"] * 3
    for transport, peer in opened:
        assert is_alive(green, transport, peer)


@check
def an_exit_let_out_into_the_hub_reaches_the_main_greenlet(green):
    """It ends the hub of eventlet, which makes a new one. The other connections keep their events."""
    if "asyncio" in green.name:
        return  # Such a hub cannot go on.

    def leave(transport):
        transport.receive(DEFAULT_TIMEOUT)
        raise SystemExit(3)

    opened = [green.open() for _ in range(6)]
    receiving = [green.run(transport.receive, DEFAULT_TIMEOUT) for transport, _ in opened[1:]]
    green.spawn_raw(leave, opened[0][0])
    green.let_run()
    for _, peer in opened:
        peer.sendall(b"x")
    with pytest.raises(SystemExit):
        green.sleep(DEFAULT_TIMEOUT)
    assert [running.result() for running in receiving] == [b"x"] * 5
    for transport, peer in opened:
        assert is_alive(green, transport, peer)


@check_compiled
def a_greenlet_is_woken_for_nothing(green):
    transport, peer = green.open()
    receiving = green.run(transport.receive, DEFAULT_TIMEOUT)
    green.let_run()
    for _ in range(3):
        transport._library.call_soon(receiving.greenlet.switch)
        green.let_run()
        assert not receiving.over
    peer.sendall(b"x")
    assert receiving.result() == b"x"


@check_compiled
def two_greenlets_do_not_wait_for_the_same_socket(green):
    transport, peer = green.open()
    receiving = green.run(transport.receive, DEFAULT_TIMEOUT)
    green.let_run()
    with pytest.raises(RuntimeError, match="another greenlet waits"):
        transport.receive()
    peer.sendall(b"x")
    assert receiving.result() == b"x"


@check
def nobody_waits_in_the_hub_itself(green):
    transport, _ = green.open()
    errors = []

    def wait():
        try:
            transport.receive(DEFAULT_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - each library has one of its own.
            errors.append(error)

    transport._library.call_soon(wait)
    green.wait_until(lambda: errors)
    assert type(errors[0]).__name__ in {"AssertionError", "BlockingSwitchOutError"}
    assert is_alive(green, *green.open())


@check_compiled
def one_registration_serves_many_messages(green):
    transport, peer = green.open()
    assert is_alive(green, transport, peer)
    (poller,) = _by_hub.values()
    before = registrations(poller)
    assert len(before) == 1

    def echo():
        for _ in range(100):
            transport.send(transport.receive(DEFAULT_TIMEOUT), DEFAULT_TIMEOUT)

    echoing = green.run(echo)
    green.let_run()
    for _ in range(100):
        peer.sendall(b"x")
        assert peer.recv(1) == b"x"
    echoing.result()
    assert registrations(poller) == before
    # Its greenlet is busy: only now is the registration removed, and the next wait makes another one.
    peer.sendall(b"x")
    green.let_run()
    assert registrations(poller) == []
    assert transport.receive(DEFAULT_TIMEOUT) == b"x"
    assert is_alive(green, transport, peer)
    assert len(registrations(poller)) == 1
    transport.shutdown()


@check_compiled
def the_poller_goes_with_the_last_connection(green):
    before = count_descriptors()
    opened = [green.open() for _ in range(3)]
    for transport, peer in opened:
        assert is_alive(green, transport, peer)
    assert count_descriptors() == before + 7
    assert len(_by_hub) == 1
    # One is shut down while a greenlet waits.
    receiving = green.run(opened[0][0].receive, DEFAULT_TIMEOUT)
    green.let_run()
    for transport, _ in opened:
        assert len(_by_hub) == 1
        transport.shutdown()
    assert receiving.result() == b""
    green.let_run()
    assert not _by_hub
    assert count_descriptors() == before + 6
    transport, peer = green.open()
    assert is_alive(green, transport, peer)
    assert len(_by_hub) == 1
    transport.shutdown()
    assert not _by_hub


@check
def each_thread_has_a_hub_and_a_poller(green):
    main_transport, main_peer = green.open()
    assert is_alive(green, main_transport, main_peer)

    def serve():
        transport, peer = green.open()
        peer.sendall(b"y")
        first = transport.receive(DEFAULT_TIMEOUT)
        with pytest.raises(TimeoutError):
            transport.receive(0.01)
        assert len(_by_hub) == 2 * POLLED
        transport.shutdown()
        assert len(_by_hub) == POLLED
        return first

    assert run_in_thread(green, serve) == b"y"
    assert is_alive(green, main_transport, main_peer)
    main_transport.shutdown()


@check
def a_hub_is_replaced(green):
    """Connections of the new hub work, and those of the old one can be shut down."""

    def serve():
        old, peer = green.open()
        peer.sendall(b"x")
        received = [old.receive(DEFAULT_TIMEOUT)]
        with pytest.raises(TimeoutError):
            old.receive(0.01)
        green.replace_hub()
        new, peer = green.open()
        with pytest.raises(TimeoutError):
            new.receive(0.01)
        peer.sendall(b"y")
        received.append(new.receive(DEFAULT_TIMEOUT))
        old.shutdown()
        for sock in green.opened[:2]:
            # A socket of gevent has watchers of the old hub.
            with contextlib.suppress(ValueError):
                sock.close()
        del green.opened[:2]
        with pytest.raises(TimeoutError):
            new.receive(0.01)
        new.shutdown()
        return received

    assert run_in_thread(green, serve) == [b"x", b"y"]


def wait_in_child(green):
    """Wait for a connection of a process that has been forked from one with a hub."""
    if green.name.startswith("eventlet"):
        # The child shares the hub's epoll object with its parent.
        green.replace_hub()
    transport, peer = green.open()
    peer.sendall(b"x")
    assert transport.receive(DEFAULT_TIMEOUT) == b"x"
    with pytest.raises(TimeoutError):
        transport.receive(0.01)
    transport.shutdown()


@check
def a_child_process_leaves_the_connections_of_its_parent_alone(green):
    """It may even end them as if they were its own, and has a poller of its own."""
    if not POLLED and green.name.startswith("eventlet"):
        return  # The children of eventlet share the hub's epoll object with it.
    transport, peer = green.open()
    assert is_alive(green, transport, peer)
    receiving = green.run(transport.receive, DEFAULT_TIMEOUT)
    green.let_run()
    child = green.fork()
    if not child:
        status = 1
        try:
            transport._waiter.detach()
            if "asyncio" not in green.name:  # Such a hub cannot be replaced while it runs.
                wait_in_child(green)
            status = 0
        finally:
            os._exit(status)
    statuses = []
    green.wait_until(lambda: statuses.append(os.waitpid(child, os.WNOHANG)) or statuses[-1][0])
    assert statuses[-1] == (child, 0)
    assert not receiving.over
    peer.sendall(b"x")
    assert receiving.result() == b"x"
    assert is_alive(green, transport, peer)


@check
def a_hub_of_gevent_ends_once_nobody_waits(green):
    """Connections that are merely open do not keep it, as before."""
    if not green.name.startswith("gevent"):
        return
    import gevent
    from gevent.event import Event

    def serve():
        # A timer would keep the hub as well.
        transport, peer = green.open(default_timeout=None)
        receiving = green.run(transport.receive)
        hub = gevent.get_hub()
        assert not hub.join(SHORT)
        peer.sendall(b"x")
        assert hub.join(DEFAULT_TIMEOUT)
        assert receiving.value == b"x"
        with pytest.raises(gevent.exceptions.LoopExit):
            Event().wait()
        # A timer ends this wait, and not an event.
        waiting = green.run(transport.receive, SHORT)
        with taking(SHORT, 2 * SHORT), pytest.raises(gevent.exceptions.LoopExit):
            Event().wait()
        assert isinstance(waiting.error, TimeoutError)
        transport.shutdown()

    run_in_thread(green, serve)


@check_compiled
def a_closed_descriptor_ends_a_websocket(green):
    """The error of the system is not let out into the view."""
    ws, browser = open_websocket(green, green.open)
    ws.accept()
    assert browser.read()
    browser.say("x")
    assert ws.wait() == "x"
    browser.say("y")
    green.let_run()  # The waiter is disarmed.
    assert ws.wait() == "y"
    browser.say("z")
    green.let_run()
    ws._connection._transport._plain.close()
    with taking(0, 1):
        assert ws.wait() is None
    assert ws.close_code == 1006
    ws.end(wait=False)


@check
def a_view_that_never_waits_elsewhere_lets_others_run(green):
    """A client that sends without a pause does not keep the others from being served."""
    (busy, busy_browser), (quiet, quiet_browser) = (open_websocket(green, green.open) for _ in range(2))
    for ws, browser in ((busy, busy_browser), (quiet, quiet_browser)):
        ws.accept()
        assert browser.read()

    def view(ws):
        for message in ws:
            ws.send(message)
        ws.end()

    viewing = [green.run(view, ws) for ws in (busy, quiet)]
    stop = []

    def flood():
        while not stop:
            busy_browser.say("x")
            busy_browser.read()

    flooding = green.run(flood)
    green.let_run()
    for number in range(20):
        quiet_browser.say(str(number))
        while len(quiet_browser.messages) <= number:
            assert quiet_browser.read()
    stop.append(True)
    flooding.result()
    for browser in (busy_browser, quiet_browser):
        browser.protocol.close(4000)
        browser.sock.sendall(browser.protocol.data_to_send())
    for running in viewing:
        running.result()
