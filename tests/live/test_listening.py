"""Views that listen to their client and to a group, woken from threads and greenlets of every kind of server."""

import json
import re
from contextlib import ExitStack

import pytest

from lab.servers import eventually

from .clients import Raw
from .parameters import on

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

LISTENERS = 100
#: Messages that the view "ring" publishes.
RINGS = 40


def listening(server, stack, number):
    clients = [stack.enter_context(Raw(server, 30)) for _ in range(number)]
    for client in clients:
        client.open("/listen/bells/")
    for client in clients:
        assert client.message() == "listening"
    return clients


@on(lambda kind: kind.concurrent and kind.settings.get("INSTALLED_APPS") != [], tls=True)
def test_every_listener_hears_every_ring_in_order(server):
    """Messages of a greenlet or a thread, of a native thread, and of the client: none is lost, each wakes the view."""
    with ExitStack() as stack:
        clients = listening(server, stack, LISTENERS)
        for how in ("own", "native"):
            assert server.get(f"/ring/{how}/bells/") == (200, b"ringing")
        for number, client in enumerate(clients):
            client.send_frame(str(number))
        for number, client in enumerate(clients):
            heard = [client.message() for _ in range(2 * RINGS + 1)]
            for how in ("own", "native"):
                assert [text for text in heard if how in text] == [f"group {how} {turn}" for turn in range(RINGS)]
            assert f"client {number}" in heard
        for client in clients:
            client.end()
    server.idle()


@on(lambda kind: kind.lead and kind.concurrent, tls=True)
def test_no_descriptor_is_left(server):
    with ExitStack() as stack:
        before = server.usage()[0]
        clients = listening(server, stack, 10)
        # Each has its socket, and a bell of its own under threads; a hub needs one bell for all.
        bells = server.usage()[0] - before - 10
        assert bells <= 11
        if server.kind.green:
            assert bells <= 2
        for client in clients[:5]:
            client.end()
        for client in clients[5:]:
            client.reset()
    server.idle()
    ends = [record for record in server.records("live") if re.match("ended ", record["message"])]
    assert len(ends) == 10, json.dumps(ends)
    eventually(lambda: server.usage()[0] <= before)
