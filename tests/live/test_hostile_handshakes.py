"""Handshakes that somebody has written by hand: each is refused, and the request hidden behind it is not executed."""

import re

import pytest

from lab.servers import HOST

from .clients import Raw, get, handshake
from .parameters import on

pytestmark = pytest.mark.live

EVIL = "evil-page.example"
#: The request behind each: what a proxy that believes in a tunnel would not see.
HIDDEN = "/plain/hidden/"
OLD = {"Sec-WebSocket-Key": None, "Sec-WebSocket-Version": None}


def hostile(server):
    """Return handshakes by name, each with its body."""

    def ask(headers=None, body=b"", method="GET", path="/echo/hostile/"):
        return handshake(server, path, headers, method) + body

    def twice(name, value):
        # Most servers join them, one takes the last.
        return ask()[:-2] + f"{name}: {value}\r\n\r\n".encode()

    hidden = get(server, HIDDEN)
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
    return {
        # a body
        "chunked": ask({"Transfer-Encoding": "chunked"}, chunk),
        "chunked and cut": ask({"Transfer-Encoding": "chunked"}, chunk[:20]),
        "chunked and with a length": ask({"Transfer-Encoding": "chunked", "Content-Length": "5"}, chunk),
        "unknown coding": ask({"Transfer-Encoding": "xchunked"}),
        "negative length": ask({"Content-Length": "-1"}),
        "length of no number": ask({"Content-Length": "five"}),
        # another method
        "POST": ask({"Content-Length": str(len(hidden))}, hidden, method="POST"),
        "POST without a body": ask(method="POST"),
        "CONNECT": ask(method="CONNECT"),
        "HEAD": ask(method="HEAD"),
        "OPTIONS": ask(method="OPTIONS"),
        # another HTTP
        "HTTP/1.0": ask().replace(b"HTTP/1.1", b"HTTP/1.0"),
        # the same header twice
        "two hosts": twice("Host", EVIL),
        "two keys": twice("Sec-WebSocket-Key", "x"),
        "two versions": twice("Sec-WebSocket-Version", "9"),
        # lists that are not read to their end, or take long to
        "quoted without an end": ask({"Sec-WebSocket-Extensions": 'a; b="' + "\\c" * 2000}),
        "subprotocols of spaces": ask({"Sec-WebSocket-Protocol": " " * 4000 + "a b"}),
        "an upgrade among others": ask({"Upgrade": "h2c, websocket", "Sec-WebSocket-Key": None}),
        "no upgrade": ask({"Connection": "notupgrade"}),
        "two hundred headers": ask({"Sec-WebSocket-Key": "x", **{f"X-{number}": "x" for number in range(200)}}),
        # Host
        "host with a user": ask({"Host": f"{HOST}@{EVIL}"}),
        "host of nothing": ask({"Host": ""}),
        "host with a path": ask({"Host": f"{server.host}/{EVIL}"}),
        # the drafts
        "no spaces to divide by": ask({**OLD, "Sec-WebSocket-Key1": "123", "Sec-WebSocket-Key2": "456"}, b"12345678"),
        "digits without end": ask(
            {**OLD, "Sec-WebSocket-Key1": "1 " + "9" * 5000, "Sec-WebSocket-Key2": "4 56"}, b"12345678"
        ),
        "draft without Origin": ask({**OLD, "Origin": None}),
        "folded subprotocol": ask({**OLD, "WebSocket-Protocol": f"a\r\n X-Injected: {EVIL}"}),
    }


@on()
def test_hostile_handshakes(server):
    """Guards what parsers disagree on: one answer, no 101, the connection closed, nothing repeated or executed."""
    # Django's own word for a host that is not ours, and what servers say of requests.
    server.tolerate("DisallowedHost")
    server.tolerate_tracebacks("gevent/pywsgi.py")
    requests = hostile(server)
    if server.kind.name.startswith("eventlet"):
        # It says 1.0 of all requests.
        del requests["HTTP/1.0"]
    for name, data in requests.items():
        with Raw(server) as client:
            client.send(data)
            try:
                client.send(get(server, HIDDEN))
                answer = client.rest_promptly()
            except ConnectionError:
                # The server had refused it before all was sent, and the system has said so.
                continue
        statuses = re.findall(rb"^HTTP/1\.[01] ([0-9]{3})", answer, re.MULTILINE)
        assert len(statuses) <= 1, (name, answer)
        assert b"101" not in statuses, name
        assert EVIL.encode() not in answer, name
        assert b"injected" not in answer.lower(), name
    server.idle()
    assert server.tally(HIDDEN)["called"] == 0
    assert server.records("live") == []
