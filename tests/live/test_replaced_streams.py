"""A WSGI middleware that replaces ``wsgi.input``, as agents and loggers of bodies do (PEP 3333 lets them)."""

import pytest

from lab.kinds import KINDS

from .clients import Raw, frame, get, handshake
from .test_handshakes import KEY3, KEYS, OLD, RESPONSE, hixie76_head, talk76

pytestmark = pytest.mark.live


@pytest.mark.parametrize("stream", ["wrap", "buffer"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_replaced_stream(launch, kind, stream):
    """Guards the bytes that the server has read behind the request: the server's own stream is found."""
    server = launch(kind, environment={"LIVE_STREAM": stream})
    with Raw(server) as client:
        client.open("/echo/", early=frame("early"))
        assert client.message() == "early"
        client.end()
    for length in (None, "8"):
        with Raw(server) as client:
            client.send(handshake(server, "/echo/", {**OLD, **KEYS, "Content-Length": length}) + KEY3)
            assert client.until(b"\r\n\r\n") == hixie76_head(server)
            assert client.exactly(16) == RESPONSE
            talk76(client)
    with Raw(server) as client:
        client.send(handshake(server, "/forbid/replaced/") + get(server, "/plain/second/"))
        assert client.response()[0] == 403
        client.over()
    server.idle()
    assert server.tally("/plain/second/")["started"] == 0
    server.check_log()
