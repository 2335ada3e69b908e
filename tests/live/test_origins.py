"""Origins, byte by byte: what a page's Origin may be mistaken for, on every server, as each parses headers its own way.

``tests/handshake/test_origins.py`` has the whole list; here are those of it that a server may change on the way, with
one of each other kind.
"""

import pytest

from lab.servers import HOST

from .clients import Raw, handshake
from .parameters import on

pytestmark = pytest.mark.live

#: Stands in everything that is sent, so that it is found in an answer that repeats any of it.
EVIL = "evil-page.example"


def line(value):
    """Return an Origin header; ``value`` is bytes, or text of ASCII."""
    return b"Origin: " + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"


def bad_origins(server):
    """Return header lines by name; what the server's own pages would send is ``own``."""
    scheme, port, own = ("https" if server.kind.tls else "http"), server.port, server.origin
    other = "http" if server.kind.tls else "https"
    values = {
        "another": f"{scheme}://{EVIL}",
        "another with our port": f"{scheme}://{EVIL}:{port}",
        # our name in theirs
        "prefix": f"{scheme}://{HOST}.{EVIL}:{port}",
        "prefix of all": f"{own}.{EVIL}",
        "suffix": f"{scheme}://{EVIL}.{HOST}:{port}",
        "suffix without dot": f"{scheme}://{EVIL}{HOST}:{port}",
        # port
        "no port": f"{scheme}://{HOST}",
        "default port": f"{scheme}://{HOST}:{443 if server.kind.tls else 80}",
        "other scheme's port": f"{scheme}://{HOST}:{80 if server.kind.tls else 443}",
        "port 0": f"{scheme}://{HOST}:0",
        "port 90000": f"{scheme}://{HOST}:90000",
        "port and 65536": f"{scheme}://{HOST}:{port + 65536}",
        "port with a zero": f"{scheme}://{HOST}:0{port}",
        "longer port": f"{own}0",
        "two ports": f"{own}:{port}",
        "empty port": f"{scheme}://{HOST}:",
        "port in other digits": f"{scheme}://{HOST}:\u0668".encode(),
        # scheme
        "other scheme": f"{other}://{HOST}:{port}",
        "WebSocket scheme": f"ws{'s' if server.kind.tls else ''}://{HOST}:{port}",
        "script": f"javascript://{HOST}:{port}",
        "no scheme": HOST,
        "no scheme, another port": f"{HOST}:{port + 1}",
        "no scheme, another host": f"{EVIL}:{port}",
        "no scheme but slashes": f"//{HOST}:{port}",
        "one slash": f"{scheme}:/{HOST}:{port}",
        # userinfo
        "user": f"{scheme}://{EVIL}@{HOST}:{port}",
        "we as user": f"{own}@{EVIL}",
        "we as user and password": f"{scheme}://{HOST}:{port}@{EVIL}:{port}",
        # other names of us
        "name of us": f"{scheme}://localhost:{port}",
        "trailing dot": f"{scheme}://{HOST}.:{port}",
        "short address": f"{scheme}://127.1:{port}",
        "decimal address": f"{scheme}://2130706433:{port}",
        "hexadecimal address": f"{scheme}://0x7f000001:{port}",
        "octal address": f"{scheme}://0177.0.0.1:{port}",
        "IPv6": f"{scheme}://[::1]:{port}",
        "IPv4 in IPv6": f"{scheme}://[::ffff:{HOST}]:{port}",
        "IPv4 in brackets": f"{scheme}://[{HOST}]:{port}",
        "IPv6 with a zone": f"{scheme}://[::1%25lo]:{port}",
        "wildcard": f"{scheme}://*:{port}",
        "star": "*",
        # none
        "null": "null",
        "null in capitals": "NULL",
        "file": "file://",
        "nothing": "",
        "a space": " ",
        # more than an origin
        "slash": f"{own}/",
        "path": f"{own}/{EVIL}",
        "query": f"{own}?{EVIL}",
        "fragment": f"{own}#{EVIL}",
        "backslash": f"{own}\\{EVIL}",
        "backslash before us": f"{scheme}://{EVIL}\\@{HOST}:{port}",
        "semicolon": f"{own};{EVIL}",
        "two in one": f"{own} {scheme}://{EVIL}",
        "two with a comma": f"{own},{scheme}://{EVIL}",
        "two with ours behind": f"{scheme}://{EVIL}, {own}",
        "twice ours": f"{own}, {own}",
        # characters
        "percent": f"{scheme}://127%2e0.0.1:{port}",
        "percent null": f"{own}%00.{EVIL}",
        "tab": f"{scheme}://{HOST}\t:{port}",
        "tab before another": f"{own}\t{EVIL}",
        "IDN": f"{scheme}://ev\u0131l-page.example".encode(),
        "dots that are none": f"{scheme}://127\u30020\u30020\u30021:{port}".encode(),
        "fullwidth digits": f"{scheme}://\uff11\uff12\uff17.0.0.1:{port}".encode(),
        "latin-1": f"{scheme}://{HOST}\xa0:{port}".encode("latin-1"),
        "next line": f"{own}\x85{EVIL}".encode("latin-1"),
        "vertical tab": f"{own}\x0b{EVIL}",
        "file separator": f"{own}\x1c{EVIL}",
        "delete": f"{own}\x7f",
        "zero": f"{own}\x00.{EVIL}",
        "soft hyphen": f"{scheme}://127.0.0\xad.1:{port}".encode(),
        "markup": f"{scheme}://<script>{EVIL}</script>",
        # size
        "10 KiB": f"{scheme}://{'a' * 10_240}.{EVIL}",
        "10 KiB behind ours": f"{own}{'0' * 10_240}",
    }
    lines = {name: line(value) for name, value in values.items()}
    evil, good = line(f"{scheme}://{EVIL}"), line(own)
    within = (scheme.encode(), HOST.encode(), port)
    if not server.kind.name.startswith("cheroot"):
        # cheroot keeps the last line only, which is the Host: it may connect without a scheme.
        lines["folded within"] = b"Origin: %s://\r\n %s:%d\r\n" % within
    return lines | {
        # Servers join them, or take the last.
        "two headers, theirs last": good + evil,
        "three headers, theirs last": good + good + evil,
        "folded": b"Origin: %s\r\n X-Injected: %s\r\n" % (own.encode(), EVIL.encode()),
        "folded with a tab": b"Origin: %s\r\n\t.%s\r\n" % (own.encode(), EVIL.encode()),
        "a bare line end": b"Origin: %s://%s\nX-Injected: 1\r\n" % (scheme.encode(), EVIL.encode()),
        "a bare return": b"Origin: %s://%s\rX-Injected: 1\r\n" % (scheme.encode(), EVIL.encode()),
        "another name": b"Sec-WebSocket-Origin: %s\r\n%s" % (own.encode(), evil),
        "another spelling": b"ORIGIN: %s://%s\r\n" % (scheme.encode(), EVIL.encode()),
    }


@on(tls=True)
def test_bad_origins(server):
    """Guards every way to look like a page of this site: refused with a 403, or with a 400 by the server, the

    connection closed, nothing of it in the answer, and one line of plain ASCII in the log, with the reason.
    """
    # It logs what it cannot parse.
    server.tolerate_tracebacks("gevent/pywsgi.py")
    path = "/echo/origins/"
    head = handshake(server, path, {"Origin": None})[:-2]
    reasons = 0
    for name, lines in bad_origins(server).items():
        with Raw(server) as client:
            client.send(head + lines + b"\r\n")
            status = int(client.until(b"\r\n").split()[1])
            assert status in ({403, 400} if "KiB" not in name else {403, 400, 431}), name
            answer = client.rest_promptly()
        if status == 403:
            reasons += 1
            body = answer.partition(b"\r\n\r\n")[2]
            assert body in {b"the Origin is not allowed\n", b"the Origin header is malformed\n"}, name
        # Which says in its own 400 what it could not parse.
        if status == 403 or server.kind.name != "waitress":
            assert not any(word in answer.lower() for word in (EVIL.encode(), b"injected")), name
    server.idle()
    assert server.records("live") == []
    records = server.records("django_websocket.handshake")
    assert len(records) == reasons
    assert reasons > 50
    for record in records:
        assert "Origin" in record["message"]
        assert record["message"].isascii()
        assert record["message"].isprintable()
        assert len(record["message"]) < 400


@on(tls=True)
def test_own_origin(server):
    """Guards the same handshake from the server's own pages, in capitals too, and from clients that are no browser.

    Some of those send the Host as their Origin.
    """
    for origin in (server.origin, server.origin.upper(), server.host, None):
        with Raw(server) as client:
            client.open("/echo/", {"Origin": origin})
            client.end()
