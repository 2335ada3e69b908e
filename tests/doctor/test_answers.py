import pytest
from django.middleware.csrf import get_token
from django.template import Context, Template
from django.test import RequestFactory, override_settings

from django_websocket.doctor.addresses import Address
from django_websocket.doctor.answers import describe, is_asgi, is_same_page, judge, judge_close
from django_websocket.doctor.clients import MAX_BODY, Answer
from django_websocket.exceptions import SocketNotFound
from django_websocket.middleware import upgrade
from django_websocket.servers import find

from ..requests import attempt

ADDRESS = Address.parse("ws://example.com/room/")


def answer_of(response):
    """Return what a client gets of a response of the test project."""
    headers = {name.lower(): value for name, value in response.items()}
    return Answer(response.status_code, headers, response.content.decode())


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("path", "changes", "verdict"),
    [
        ("/unreachable/", {"HTTP_UPGRADE": None}, "upgrade-dropped"),
        (
            "/unreachable/",
            {"HTTP_UPGRADE": None, "HTTP_SEC_WEBSOCKET_KEY": None, "HTTP_SEC_WEBSOCKET_VERSION": None},
            "upgrade-dropped",
        ),
        ("/echo/", {"HTTP_UPGRADE": None}, "upgrade-dropped-or-page"),
        ("/unreachable/", {"HTTP_CONNECTION": "close"}, "connection-dropped"),
        ("/unreachable/", {"SERVER_PROTOCOL": "HTTP/1.0"}, "http-1.0"),
        ("/plain/", {}, "not-a-websocket-view"),
        ("/unreachable/", {"HTTP_ORIGIN": "http://other.example"}, "origin-refused"),
        ("/unreachable/", {"HTTP_ORIGIN": "no origin"}, "origin-refused"),
        ("/strict/", {}, "origin-refused"),
        ("/unreachable/", {"HTTP_HOST": "app"}, "host-replaced"),
        ("/unreachable/", {"HTTP_HOST": None}, "host-replaced"),
        ("/unreachable/", {"HTTP_HOST": "a,b"}, "host-replaced"),
        ("/unreachable", {}, "redirect"),
        ("/status/302/", {}, "redirect"),
        ("/status/401/", {}, "login"),
        ("/status/403/", {}, "login"),
        ("/status/500/", {}, "error"),
        ("/status/200/", {}, "upgrade-dropped-or-page"),
        ("/nowhere/", {}, "no-such-address"),
    ],
)
def test_what_this_package_answers(debug, path, changes, verdict):
    with override_settings(DEBUG=debug):
        assert judge(answer_of(attempt(path, **changes)), ADDRESS) == verdict


def test_x_forwarded_host(settings):
    settings.USE_X_FORWARDED_HOST = True
    assert judge(answer_of(attempt("/unreachable/", HTTP_X_FORWARDED_HOST="app")), ADDRESS) == "host-replaced"


@pytest.mark.parametrize(
    ("environ", "verdict"),
    [
        ({}, "asgi"),
        ({"wsgi.version": (1, 0), "SERVER_SOFTWARE": "granian"}, "server-without-socket"),
        ({"wsgi.version": (1, 0), "gunicorn.socket": object(), "SERVER_PROTOCOL": "HTTP/2"}, "server-without-socket"),
        ({"wsgi.version": (1, 0), "gunicorn.socket": object(), "wsgi.input": None}, "server-without-socket"),
    ],
)
def test_servers_without_sockets(environ, verdict):
    with pytest.raises(SocketNotFound) as caught:
        find(environ)
    assert judge(Answer(400, body=f"{caught.value}\n"), ADDRESS) == verdict


@pytest.mark.parametrize(
    ("name", "value", "verdict"), [("draining", True, "restarting"), ("enter", lambda _: False, "full")]
)
def test_no_room(monkeypatch, name, value, verdict):
    monkeypatch.setattr(upgrade.registry, name, value)
    answer = answer_of(attempt("/unreachable/"))
    assert (answer.status, judge(answer, ADDRESS)) == (503, verdict)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(101), "ok"),
        (Answer(101, timed_out=True), "no-answer"),
        (Answer(101, error="the server's Sec-WebSocket-Accept is wrong"), "wrong-accept"),
        (Answer(101, error="the server's answer is no upgrade to WebSocket"), "error"),
        (Answer(timed_out=True), "no-answer"),
        (Answer(error="the server hung up before it answered"), "error"),
        (Answer(400, body="<h1>The plain HTTP request was sent to HTTPS port</h1>"), "tls"),
        (Answer(400, body="something of somebody else"), "error"),
        (Answer(502), "backend-down"),
        (Answer(503, body="<h1>503 Service Unavailable</h1>"), "backend-down"),
        (Answer(504), "backend-down"),
        (Answer(426), "error"),
    ],
)
def test_what_others_answer(answer, verdict):
    assert judge(answer, ADDRESS) == verdict


@pytest.mark.parametrize(
    ("location", "verdict"),
    [
        ("/accounts/login/?next=/room/", "login"),
        ("http://example.com/accounts/login/", "login"),
        ("/accounts/login/help/", "redirect"),
        ("/room/", "redirect"),
        ("", "redirect"),
    ],
)
def test_redirects(location, verdict):
    answer = Answer(302, {"location": location})
    assert judge(answer, ADDRESS, ("/accounts/login/",)) == verdict
    assert judge(answer, ADDRESS) == "redirect"


@pytest.mark.parametrize(
    ("code", "seconds", "verdict"),
    [
        (1000, 3, "ok"),
        (1001, 3, "ok"),
        (1005, 3, "ok"),
        (4000, 3, "ok"),
        (3000, 3, "ok"),
        (1002, 3, "error"),
        (1006, 3, "cut-when-idle"),
        (1008, 3, "error"),
        (1011, 0.2, "error"),
        (1011, 4.3, "killed"),
        (1012, 3, "restarting"),
        (1013, 3, "full"),
        (4401, 0, "login"),
        (4403, 0, "login"),
        (4404, 0, "no-such-address"),
    ],
)
def test_ends(code, seconds, verdict):
    assert judge_close(code, seconds) == verdict


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (Answer(error="no answer"), "no answer"),
        (Answer(), "there is no answer"),
        (Answer(101, {"server": "nginx"}), "101 (Server: nginx)"),
        (Answer(101, {}, error="wrong"), "101: wrong"),
        (Answer(400, {"content-type": "text/plain; charset=utf-8"}, "reason\nmore"), "400: reason"),
        (
            Answer(200, {"content-type": "text/html", "via": "1.1 a", "server": "b"}),
            "200 (Server: b, Via: 1.1 a): text/html",
        ),
        (Answer(301, {"location": "/room/\x1b[31m"}), "301: to /room/?[31m"),
        (Answer(204), "204: no body"),
    ],
)
def test_description(answer, line):
    assert describe(answer) == line


@pytest.mark.parametrize(
    ("server", "expected"), [("uvicorn", True), ("Daphne", True), ("hypercorn-h11", True), ("gunicorn", False)]
)
def test_asgi_servers(server, expected):
    assert is_asgi(Answer(500, {"server": server})) is expected


def page_of(filling=""):
    """Return a page as Django renders it for a visitor without a cookie."""
    template = Template("<p>{{ filling }}<form>{% csrf_token %}</form><p>Welcome")
    context = Context({"filling": filling, "csrf_token": get_token(RequestFactory().get("/"))})
    return template.render(context)


def are_same(one, other, status=200):
    return is_same_page(Answer(200, body=one[:MAX_BODY]), Answer(status, body=other[:MAX_BODY]))


def test_pages_that_are_the_same_but_for_tokens_and_numbers():
    one, other = page_of(), page_of()
    assert one != other
    assert are_same(one, other)
    assert are_same("rendered at 9:59:59", "rendered at 10:00:00")
    assert not are_same(one, page_of("other"))
    assert not are_same(one, f"{other} back")
    assert not are_same("Ann is here", "Bob is here")
    assert not are_same(one, other, status=404)


@pytest.mark.parametrize("size", range(MAX_BODY - 200, MAX_BODY + 2, 7))
def test_pages_of_which_the_beginning_was_read(size):
    """Guards the place where a page is cut: in a token, or in a number."""
    words = "word " * (size // 5)
    assert are_same(f"9 {page_of(words)} 9", f"1000 {page_of(words)} 1000")
    assert not are_same(page_of(f"other {words}"), page_of(words))
