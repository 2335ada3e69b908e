"""The page on troubleshooting quotes what is written: each mistake of the page is made here, and leaves its line."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseRedirect
from django.test import override_settings
from django.urls import path

from django_websocket import (
    accept_websocket,
    require_websocket,
    websocket_login_required,
    websocket_permission_required,
)
from django_websocket.conf import installed
from django_websocket.handshake import plain_http
from django_websocket.servers import asgi
from django_websocket.testing import WebSocketClient

from .observing import records
from .requests import HANDSHAKE, attempt
from .test_docs import code_blocks

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

PAGE = Path(__file__).parent.parent / "docs" / "troubleshooting.rst"
#: What begins the part of the page that is about groups.
GROUPS = "\n.. groups\n"


def quoted() -> list[str]:
    """Return the lines that the page quotes about handshakes, each as one line again."""
    return lines_in(PAGE.read_text(encoding="utf-8").partition(GROUPS)[0])


def lines_in(text: str) -> list[str]:
    """Return the lines that a part of the page quotes, each as one line again."""
    return [" ".join(block.source.split()) for block in code_blocks(PAGE.name, text, "text")]


def room(request):
    pytest.fail("a refused request must not reach its view")


urlpatterns = [
    path("room/", require_websocket(room)),
    path("both/", accept_websocket(lambda _: HttpResponse("page"))),
    path("undecorated/", lambda _: HttpResponse("page")),
    path("redirecting/", lambda _: HttpResponseRedirect("/login/")),
    path("listed/", require_websocket(allowed_origins=["https://example.org"])(room)),
    path("private/", login_required(require_websocket(room))),
    path("members/", websocket_login_required(require_websocket(room))),
    path("staff/", websocket_permission_required("auth.add_group")(require_websocket(room))),
]


def unprepared(request):
    """Use what neither a decorator nor the middleware has set."""
    return HttpResponse(request.websocket)


def test_a_view_without_decorator_and_middleware(rf):
    """The page has the text of Python's error, which people search for."""
    with pytest.raises(AttributeError) as caught:
        unprepared(rf.get("/"))
    assert f"``AttributeError: {caught.value}``" in PAGE.read_text(encoding="utf-8")


LOST = {**HANDSHAKE, "HTTP_UPGRADE": None, "HTTP_CONNECTION": None}

#: The address of each mistake, and what is different in the request.
MISTAKES = {
    "lost upgrade": ("/room/", {"environ": LOST}),
    "lost upgrade, both": ("/both/", {"environ": LOST}),
    "connection": ("/room/", {"HTTP_CONNECTION": "close"}),
    "HTTP/1.0": ("/room/", {"SERVER_PROTOCOL": "HTTP/1.0"}),
    "undecorated": ("/undecorated/", {}),
    "redirecting": ("/redirecting/", {}),
    "answer": ("/both/", {}),
    "host": ("/room/", {"HTTP_HOST": "127.0.0.1:8000"}),
    "hosts": ("/room/", {"HTTP_HOST": "example.com,example.com"}),
    "no host": ("/room/", {"HTTP_HOST": None}),
    "TLS": ("/room/", {"HTTP_ORIGIN": "https://example.com"}),
    "TLS, no header": ("/room/", {"HTTP_ORIGIN": "https://example.com", "HTTP_X_FORWARDED_PROTO": None}),
    "TLS, other header": ("/room/", {"HTTP_ORIGIN": "https://example.com", "HTTP_X_FORWARDED_PROTO": "http"}),
    "port": ("/room/", {"HTTP_ORIGIN": "http://example.com:8080"}),
    "replaced host": ("/room/", {"HTTP_HOST": "localhost:8000", "HTTP_ORIGIN": "http://example.com"}),
    "loopback": ("/room/", {"HTTP_HOST": "localhost:8000", "HTTP_ORIGIN": "http://127.0.0.1:8000"}),
    "development": ("/room/", {"HTTP_HOST": "localhost:8000", "HTTP_ORIGIN": "http://localhost:3000"}),
    "http": ("/room/", {"wsgi.url_scheme": "https", "HTTP_ORIGIN": "http://example.com"}),
    "null": ("/room/", {"HTTP_ORIGIN": "null"}),
    "listed": ("/listed/", {"HTTP_ORIGIN": "http://example.com"}),
    "login": ("/private/", {}),
    "slash": ("/room", {}),
}


#: The addresses that reject a WebSocket, and the close codes.
REJECTIONS = {"/members/": 4401, "/staff/": 4403}


@pytest.fixture
def first(monkeypatch):
    """Make the test the first of its process, in which nothing has been logged."""
    monkeypatch.setattr(plain_http, "_reporter", plain_http.Reporter())
    forget()
    yield
    forget()


def forget():
    for warn in (installed._warn_unless_installed, asgi._warn):
        warn.cache_clear()


def make(mistake, caplog):
    """Make one of the mistakes; return the line that it leaves, and the answer."""
    caplog.clear()
    address, changes = MISTAKES[mistake]
    header = ("HTTP_X_FORWARDED_PROTO", "https") if "HTTP_X_FORWARDED_PROTO" in changes else None
    with override_settings(SECURE_PROXY_SSL_HEADER=header):
        response = attempt(address, **{"HTTP_HOST": "example.com", **changes})
    (record,) = records(caplog)
    return record.getMessage(), response.content.decode()


def reject(address, caplog):
    """Open a WebSocket that is rejected; return the line that it leaves."""
    caplog.clear()
    client = WebSocketClient()
    if address == "/staff/":
        client.force_login(User.objects.create(username="ann"))
    with client.websocket(address) as websocket:
        assert list(websocket) == []
    assert websocket.close_code == REJECTIONS[address]
    (record,) = records(caplog)
    return record.getMessage()


@pytest.mark.usefixtures("first")
def test_every_line_is_quoted_and_every_quotation_is_written(settings, monkeypatch, caplog):
    settings.ALLOWED_HOSTS = ["example.com", "localhost", "testserver"]
    written = [make(mistake, caplog)[0] for mistake in MISTAKES]
    written += [reject(address, caplog) for address in REJECTIONS]
    caplog.clear()
    monkeypatch.setitem(sys.modules, "django.core.asgi", None)
    settings.INSTALLED_APPS = []
    forget()
    installed.warn_unless_installed()
    asgi.warn_on_asgi()
    written += [record.getMessage() for record in records(caplog, "django_websocket")]
    written.append(import_module("django_websocket.management.commands.runserver").NOTHREADING)
    assert sorted(written) == sorted(quoted())


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_remedy_is_in_the_answer_with_debug(settings, caplog, mistake):
    """Where there is an answer of ours: a page or a redirect is the project's own."""
    settings.ALLOWED_HOSTS = ["example.com", "localhost"]
    settings.DEBUG = True
    line, answer = make(mistake, caplog)
    if line.startswith("WebSocket refused with"):
        # All but what the client has sent.
        reason = re.sub(r" \((?:it says|this site is|the page is of) [^)]*\)", "", line.partition(": ")[2])
        assert answer == f"{reason}\n"
    else:
        assert "WebSocket" not in answer
