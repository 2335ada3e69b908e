"""waitress with ``channel_request_lookahead``: its main loop reads a connection while a request of it is served."""

import pytest

from lab.kinds import BY_NAME

from .clients import Raw, get, handshake

pytestmark = pytest.mark.live

#: A race that the main loop wins in two of five conversations.
CONVERSATIONS = 20


@pytest.fixture
def server(launch):
    return launch(BY_NAME["waitress"], environment={"LIVE_LOOKAHEAD": "2"}, warm=False)


def test_messages(server):
    """Guards the messages of a WebSocket: the main loop takes none of them."""
    for _ in range(CONVERSATIONS):
        with Raw(server) as client:
            client.open("/echo/")
            for text in ("one", "two", "three", "four"):
                client.send_frame(text)
                assert client.message() == text
            client.end()
    server.check()


def test_refusal(server):
    """Guards the end of a refused connection: requests that were read ahead are not executed."""
    second, third = "/plain/second/", "/plain/third/"
    with Raw(server) as client:
        client.send(handshake(server, "/forbid/lookahead/") + get(server, second) + get(server, third))
        assert client.response()[0] == 403
        client.over()
    assert server.tally(second)["started"] == server.tally(third)["started"] == 0
    server.check()
