"""A WSGI middleware that replaces ``wsgi.input``, as agents and loggers of bodies do (PEP 3333 lets them)."""

import pytest

from .clients import Raw, frame, get, handshake
from .parameters import on
from .test_handshakes import KEY3, KEYS, OLD, RESPONSE, hixie76_head, talk76

pytestmark = pytest.mark.live


@on()
@pytest.mark.parametrize("stream", ["wrap", "buffer"])
def test_replaced_stream(server, stream):
    """Guards the bytes that the server has read behind the request: the server's own stream is found."""
    replaced = {"X-Stream": stream}
    with Raw(server) as client:
        client.open("/echo/", replaced, early=frame("early"))
        assert client.message() == "early"
        client.end()
    for length in (None, "8"):
        with Raw(server) as client:
            client.send(handshake(server, "/echo/", {**OLD, **KEYS, **replaced, "Content-Length": length}) + KEY3)
            assert client.until(b"\r\n\r\n") == hixie76_head(server)
            assert client.exactly(16) == RESPONSE
            talk76(client)
    second = f"/plain/replaced-{stream}/"
    with Raw(server) as client:
        client.send(handshake(server, "/forbid/replaced/", replaced) + get(server, second))
        assert client.response()[0] == 403
        client.over()
    server.idle()
    assert server.tally(second)["started"] == 0
