"""Every wait of a view ends: each kind of peer that keeps one waiting, and the time in which its view is free again.

What a peer does at its worst is to vanish without a word: no packet reaches it any more, and none comes.
"""

import time
from contextlib import ExitStack

import pytest

from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455
from lab.kinds import KINDS
from lab.servers import PATIENCE
from tests.promptness import within
from tests.vanishing import vanish

from .clients import Old, Raw, handshake

pytestmark = pytest.mark.live

#: Seconds.
HANDSHAKE, PING, TIMEOUT, SEND, CLOSE = 1.0, 0.5, 0.5, 1.0, 0.5
#: Seconds that the machine may be late, if it has nothing else to do.
LATE = 2.0
#: A probe of keepalive goes out in whole seconds, and the next look at the time comes with the next one.
PROBES = 1.0

SETTINGS = {
    "WEBSOCKET_HANDSHAKE_TIMEOUT": HANDSHAKE,
    "WEBSOCKET_PING_INTERVAL": PING,
    "WEBSOCKET_PING_TIMEOUT": TIMEOUT,
    "WEBSOCKET_SEND_TIMEOUT": SEND,
    "WEBSOCKET_CLOSE_TIMEOUT": CLOSE,
}


class Peers:
    """Peers of one server, each of which keeps a view waiting."""

    def __init__(self, server, stack):
        self.server, self.stack = server, stack

    def raw(self, path, *, opened=True):
        client = self.stack.enter_context(Raw(self.server))
        if opened:
            client.open(path)
        return client

    def old(self, path, protocol, version):
        return self.stack.enter_context(Old(self.server, path, protocol, version))

    # Each has the seconds that it may take.

    def no_key(self, path):
        headers = {"Sec-WebSocket-Key": None, "Sec-WebSocket-Version": None}
        headers |= {"Sec-WebSocket-Key1": "4 @1  46546xW%0l 1 5", "Sec-WebSocket-Key2": "12998 5 Y3 1  .P00"}
        self.raw(path, opened=False).send(handshake(self.server, path, headers))
        return HANDSHAKE

    def vanishes_in_the_handshake(self, path):
        client = self.raw(path, opened=False)
        vanish(client.sock)
        client.send(handshake(self.server, path))
        return PING + TIMEOUT

    def vanishes(self, path):
        vanish(self.raw(path).sock)
        return PING + TIMEOUT

    def vanishes_before_the_answer(self, path):
        client = self.raw(path)
        vanish(client.sock)
        client.send_frame("the answer will be on its way for ever")
        return PING + TIMEOUT

    def old_one_vanishes(self, path, protocol=Hixie76, version=76):
        vanish(self.old(path, protocol, version).sock)
        return PING + TIMEOUT + PROBES

    def oldest_vanishes(self, path):
        return self.old_one_vanishes(path, Hixie75, 75)

    def old_one_vanishes_before_the_answer(self, path):
        client = self.old(path, Hixie76, 76)
        vanish(client.sock)
        client.sock.sendall(b"\x00the answer will be on its way for ever\xff")
        return PING + TIMEOUT

    def draft_vanishes(self, path):
        vanish(self.old(path, RFC6455, 8).sock)
        return PING + TIMEOUT

    def does_not_read(self, path):
        self.raw(path)
        return max(SEND, PING + TIMEOUT)

    def vanishes_while_the_view_sends(self, path):
        vanish(self.raw(path).sock)
        return max(SEND, PING + TIMEOUT)

    def does_not_answer_close(self, path):
        self.raw(path).send_frame("1000")
        return CLOSE

    def vanishes_before_the_close(self, path):
        client = self.raw(path)
        vanish(client.sock)
        client.send_frame("1000")
        return CLOSE

    def breaks_the_protocol_and_stays(self, path):
        self.raw(path).send(b"\x83\x80abcd")
        return 2 * CLOSE


VIEWS = {
    "flood": {Peers.does_not_read, Peers.vanishes_while_the_view_sends},
    "close": {Peers.does_not_answer_close, Peers.vanishes_before_the_close},
}
BEHAVIOURS = [value for name, value in vars(Peers).items() if not name.startswith("_") and name not in {"raw", "old"}]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.xdist_group(kind.name))
        for kind in KINDS
        if kind.name in {"gunicorn_gthread", "eventlet"}
    ],
    ids=str,
)
def test_every_view_is_free_again(launch, kind):
    """Guards the time of each wait, of all at once, on threads and on greenlets."""
    server = launch(kind, settings=SETTINGS)
    left, late = {}, {}
    with ExitStack() as stack:
        peers = Peers(server, stack)
        for behave in BEHAVIOURS:
            view = next((view for view, behaviours in VIEWS.items() if behave in behaviours), "echo")
            path = f"/{view}/{behave.__name__}/"
            began = time.monotonic()
            left[path] = began, behave(peers, path)
        deadline = time.monotonic() + PATIENCE
        while left:
            assert time.monotonic() < deadline, f"never free again: {list(left)}"
            for path in list(left):
                if server.tally(path)["finished"]:
                    began, bound = left.pop(path)
                    took = time.monotonic() - began
                    if not within(took, bound + LATE, LATE):
                        late[path] = f"{took:.1f} s, not {bound}"
            time.sleep(0.05)
        assert not late
        # While the peers still hold their ends.
        server.idle()
        server.check_log()
