import itertools
import secrets
import ssl

import pytest

from django_websocket.conf import DEFAULT_PROTOCOLS
from django_websocket.doctor import dialing, examination, project
from django_websocket.doctor.addresses import Address
from django_websocket.doctor.examination import Options, examine

from .looking import look, read_on
from .peers import HOST, by_request, fields_of, opens, peer, refuses, says


def test_all_is_well():
    def ping(sock, protocol):
        if protocol.can_ping:
            protocol.ping()
            sock.sendall(protocol.data_to_send())

    word, checks = look(opens(ping), versions=(), message="hello")
    assert word == "ok"
    assert {name: check.status for name, check in checks.items()} == {
        "dns": "ok",
        "tcp": "ok",
        "tls": "skip",
        "handshake": "ok",
        "accept-key": "ok",
        "versions": "ok",
        "ping": "ok",
        "idle": "ok",
        "echo": "ok",
        "close": "ok",
    }
    assert checks["versions"].data == {"open": [13, 8, 7, 76, 75], "refused": []}
    assert checks["idle"].data["pings"] == 1


@pytest.mark.parametrize("version", [8, 7, 76, 75])
def test_older_versions(version):
    word, checks = look(opens(), versions=(version,), message="hello")
    assert word == "ok"
    assert checks["echo"].status == "ok"
    assert checks["ping"].status == ("skip" if version > 13 else "ok")


def test_what_is_sent():
    heads = []

    def handle(sock, head):
        heads.append(fields_of(head))
        refuses(400)(sock, head)

    look(handle, origin="http://other.example", headers={"cookie": "a=b", "x-key": "c"})
    look(handle, origin="")
    look(handle)
    first, second, third = heads
    assert (first["origin"], first["cookie"], first["x-key"]) == ("http://other.example", "a=b", "c")
    assert "origin" not in second
    assert third["origin"] == f"http://{third['host']}"


def test_an_origin_that_an_older_version_cannot_send():
    with pytest.raises(ValueError, match="Origin header"):
        examine(Address.parse(f"ws://{HOST}:1/"), Options(origin="a b", versions=(13, 76)))


@pytest.mark.parametrize("headers", [{"upgrade": "x"}, {"x": "a\nb"}])
def test_header_fields_that_cannot_be_sent(headers):
    with pytest.raises(ValueError, match=r"handshake|visible"):
        examine(Address.parse(f"ws://{HOST}:1/"), Options(headers=headers))


# The way there


def test_unknown_name(monkeypatch):
    def fail(*_):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(examination, "look_up", fail)
    report = examine(Address.parse("ws://nowhere.invalid/"), Options())
    assert report.verdict.word == "unreachable"
    assert [check.message for check in report.checks] == ["nowhere.invalid: Name or service not known"]


def test_nothing_listens():
    with peer(opens()) as address:
        pass
    report = examine(address, Options())
    assert report.verdict.word == "unreachable"
    assert report.checks[-1].message.endswith("Connection refused")


@pytest.mark.parametrize(
    ("error", "verdict", "text"),
    [
        (TimeoutError("timed out"), "no-answer", "no answer in time"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "tls", "WRONG_VERSION_NUMBER"),
        (TimeoutError("the name is not resolved within 5 s"), "no-answer", "within 5 s"),
        (ConnectionResetError(), "tls", "ConnectionResetError"),
    ],
)
def test_tls_that_fails(monkeypatch, error, verdict, text):
    def fail(sock, *_, **__):
        sock.close()
        raise error

    monkeypatch.setattr(examination, "start_tls", fail)
    with peer(opens()) as address:
        report = examine(Address(True, HOST, address.port, "/"), Options())
    assert report.verdict.word == verdict
    assert text in report.checks[-1].message


@pytest.mark.parametrize(("number", "check_id", "verdict"), [(2, "handshake", "error"), (3, "ping", "unreachable")])
def test_a_connection_that_fails(monkeypatch, number, check_id, verdict):
    """Guards each connection behind the first, which may fail too."""
    monkeypatch.setattr(examination, "connect", failing_from(number))
    word, checks = look(opens())
    assert word == verdict
    assert "Connection refused" in checks[check_id].message


def failing_from(number):
    """Return a function that connects, and fails from a call on."""
    calls = []

    def connect(*arguments):
        calls.append(arguments)
        if len(calls) >= number:
            raise ConnectionRefusedError(111, "Connection refused")
        return dialing.connect(*arguments)

    return connect


# Refusals


@pytest.mark.parametrize(
    ("handle", "verdict"),
    [
        (refuses(404), "no-such-address"),
        (refuses(302, "", "Location: /accounts/login/?next=/room/"), "login"),
        (refuses(302, "", "Location: /rooms/"), "redirect"),
        (refuses(503, "the server has no room for more WebSockets"), "full"),
        (refuses(503, "the server is restarting"), "restarting"),
        (says("garbage\n\n"), "error"),
        (says(""), "error"),
        (
            says("HTTP/1.1 101 Yes\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: no\n\n"),
            "wrong-accept",
        ),
    ],
)
def test_refusals(handle, verdict):
    word, checks = look(handle)
    assert word == verdict
    assert "fail" in {check.status for check in checks.values()}
    assert "ping" not in checks


@pytest.mark.parametrize("body", ["the Host header is not allowed", "the X-Forwarded-Host header is malformed"])
@pytest.mark.parametrize(
    ("hosts", "status", "text"),
    [
        ([HOST], "ok", ": a proxy in front does not pass it on"),
        (["example.com"], "fail", "of this project does not have "),
        (7, "skip", "cannot be read"),
    ],
)
def test_a_host_that_is_refused(settings, body, hosts, status, text):
    """From outside, one that a proxy has replaced cannot be told from one that the list does not have."""
    settings.ALLOWED_HOSTS = hosts
    word, checks = look(refuses(400, body))
    assert word == "host-replaced"
    assert checks["host"].status == status
    assert text in checks["host"].message


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/echo/", "ok", "it may have found nothing"),
        ("/plain/", "ok", "it may have found nothing"),
        ("/nowhere/", "fail", "this project has no view at the address"),
    ],
)
def test_a_404_of_the_view_or_of_the_urlconf(path, status, text):
    word, checks = look(refuses(404), path=path)
    assert word == "no-such-address"
    assert checks["view"].status == status
    assert text in checks["view"].message


@pytest.mark.parametrize(
    ("path", "middleware", "verdict", "text"),
    [
        ("/plain/", [], "not-a-websocket-view", "does not exist, as WebSocketMiddleware is missing too"),
        ("/plain/", [project.MIDDLEWARE], "not-a-websocket-view", "is None there"),
        ("/echo/", [], "error", None),
        ("/nowhere/", [], "error", None),
    ],
)
def test_a_view_that_fails_because_it_is_not_decorated(settings, path, middleware, verdict, text):
    settings.MIDDLEWARE = middleware
    word, checks = look(refuses(500, "<h1>Server Error (500)</h1>", kind="text/html"), path=path)
    assert word == verdict
    said = checks["view"].message if "view" in checks else None
    assert said == (text and f"the view at the address is not decorated: request.websocket {text}")


def test_no_answer():
    word, checks = look(read_on, timeout=0.5)
    assert word == "no-answer"
    assert checks["handshake"].message == "not answered within 0.5 s"


def test_a_port_that_speaks_tls(monkeypatch):
    monkeypatch.setattr(examination, "start_tls", lambda sock, *_, **__: sock)
    word, checks = look(says(""))
    assert word == "tls"
    assert checks["tls"].status == "fail"


def test_silence_over_tls(monkeypatch):
    """Guards that a second look at TLS is for addresses without it only."""

    class Secured:
        def __init__(self, sock):
            self._sock = sock

        def __getattr__(self, name):
            return getattr(self._sock, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._sock.close()

        def version(self):
            return "TLSv1.3"

    monkeypatch.setattr(examination, "start_tls", lambda sock, *_, **__: Secured(sock))
    with peer(says("")) as address:
        report = examine(Address(True, HOST, address.port, "/"), Options(insecure=True))
    assert report.verdict.word == "error"
    assert report.checks[2].message == "TLSv1.3, any certificate"


@pytest.mark.parametrize(
    ("may", "verdict"),
    [
        (lambda origin, host: origin is None, "host-replaced"),
        (lambda origin, host: origin in {None, f"http://{host.partition(':')[0]}"}, "port-lost"),
        (lambda origin, host: origin in {None, f"http://{host}"}, "origin-refused"),
    ],
)
def test_origins(may, verdict):
    def handle(sock, head):
        fields = fields_of(head)
        answer = opens() if may(fields.get("origin"), fields["host"]) else refuses(403, "the Origin is not allowed")
        answer(sock, head)

    word, checks = look(handle, origin="http://other.example")
    assert word == verdict
    assert "no Origin accepted" in checks["origins"].message


@pytest.mark.parametrize("status", [302, 401, 404])
def test_an_origin_counts_as_accepted_whatever_the_view_answers(status):
    """A visitor without a session is sent to the login, by a view whose Origin was checked before."""

    def handle(sock, head):
        fields = fields_of(head)
        refused = fields.get("origin") not in {None, f"http://{fields['host']}"}
        answer = refuses(403, "the Origin is not allowed") if refused else refuses(status, "log in")
        answer(sock, head)

    word, checks = look(handle, origin="http://other.example")
    assert word == "origin-refused"
    assert "no Origin accepted" in checks["origins"].message


PAGE = refuses(200, "page", kind="text/html")
ELSEWHERE = refuses(404, "nothing", kind="text/html")


def pages(view, elsewhere, plain=None):
    """Return a handler that answers for the view, for a plain request to it, and for other addresses."""

    def handle(sock, head):
        target = head.split()[1].decode()
        if "websocket-doctor" in target:
            elsewhere(sock, head)
        else:
            (view if "upgrade" in fields_of(head) else plain or view)(sock, head)

    return handle


@pytest.mark.parametrize(
    ("handle", "path", "verdict"),
    [
        (pages(PAGE, PAGE), "/echo/", "upgrade-dropped-or-page"),
        (pages(PAGE, ELSEWHERE), "/echo/", "upgrade-dropped"),
        (pages(PAGE, ELSEWHERE), "/plain/", "not-a-websocket-view"),
        (pages(PAGE, ELSEWHERE), "/nowhere/", "upgrade-dropped-or-page"),
        (pages(PAGE, ELSEWHERE, refuses(200, "another")), "/echo/", "upgrade-dropped-or-page"),
        (pages(PAGE, ELSEWHERE, refuses(400, "this address takes WebSockets only")), "/echo/", "error"),
    ],
)
def test_pages(handle, path, verdict):
    word, checks = look(handle, path=path)
    assert word == verdict
    assert checks["page"].status == "fail"


def test_pages_with_tokens():
    """Django makes a token for each visitor without a cookie."""
    numbers = itertools.count(900)

    def page(sock, head):
        token = secrets.token_hex(32)
        refuses(200, f"<input value='{token}'> visitor {next(numbers)}", kind="text/html")(sock, head)

    word, _ = look(pages(page, ELSEWHERE), path="/echo/")
    assert word == "upgrade-dropped"


UVICORN = refuses(400, "this address takes WebSockets only", "Server: uvicorn")
NAMELESS = refuses(400, "this address takes WebSockets only")
BARE = refuses(500, "Internal Server Error")


@pytest.mark.parametrize(
    ("handle", "asgi_application", "verdict"),
    [
        (by_request(BARE, UVICORN), None, "asgi"),
        (by_request(refuses(403), UVICORN), None, "asgi"),
        (by_request(BARE, NAMELESS), "project.asgi.application", "asgi"),
        (by_request(refuses(403), NAMELESS), "project.asgi.application", "asgi"),
        (by_request(BARE, NAMELESS), None, "error"),
        (by_request(refuses(500, "<h1>Server Error</h1>"), NAMELESS), "project.asgi.application", "error"),
        (by_request(refuses(403), NAMELESS), None, "login"),
    ],
)
def test_asgi(settings, handle, asgi_application, verdict):
    settings.ASGI_APPLICATION = asgi_application
    word, checks = look(handle, headers={"x-key": "value"})
    assert word == verdict
    assert checks["plain"].status == ("fail" if verdict == "asgi" else "ok")


def test_a_plain_request_that_fails(monkeypatch):
    """Guards the question behind an answer: whoever has answered may be gone."""
    monkeypatch.setattr(examination, "connect", failing_from(3))
    word, checks = look(BARE)
    assert word == "error"
    assert "Connection refused" in checks["plain"].message


# The versions


@pytest.mark.parametrize(
    ("versions", "named", "verdict", "status"),
    [
        ((13, 76), False, "error", "fail"),
        ((), False, "ok", "ok"),
        ((), True, "ok", "warn"),
    ],
)
def test_an_oldest_version_that_is_refused(settings, versions, named, verdict, status):
    """Nobody misses them behind a proxy that does not know them, unless the settings ask for them."""

    def handle(sock, head):
        (opens() if "sec-websocket-key" in fields_of(head) else refuses(400, "no such version"))(sock, head)

    if named:
        settings.WEBSOCKET_PROTOCOLS = list(DEFAULT_PROTOCOLS)
    word, checks = look(handle, versions=versions)
    assert word == verdict
    assert checks["versions"].status == status
    assert "76 does not: 400: no such version" in checks["versions"].message
    assert set(checks["versions"].data["refused"]) == {75, 76} - ({75} if versions else set())


def test_a_draft_that_is_refused():
    def handle(sock, head):
        old = fields_of(head).get("sec-websocket-version") == "8"
        (refuses(400, "no such version") if old else opens())(sock, head)

    word, checks = look(handle, versions=())
    assert word == "ok"
    assert checks["versions"].status == "warn"


def test_the_second_websocket_is_refused():
    seen = []

    def handle(sock, head):
        seen.append(head)
        (opens() if len(seen) == 1 else refuses(503, "the server has no room for more WebSockets"))(sock, head)

    word, checks = look(handle)
    assert word == "full"
    assert checks["ping"].message == "the second WebSocket: 503: the server has no room for more WebSockets"
