"""What a page in a real browser sees of a WebSocket that is refused, and how it brings a token."""

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from django_websocket import require_websocket, websocket_login_required
from django_websocket.views import WebSocketView

from ..running import Running

pytestmark = [pytest.mark.browser, pytest.mark.urls(__name__)]

#: Opens a WebSocket, and returns whether it opened, its messages, and the close code and reason that the page gets.
OPEN = """
const [path, subprotocols, done] = arguments;
const socket = new WebSocket(`ws://${location.host}${path}`, subprotocols);
const seen = [false, []];
socket.onopen = () => { seen[0] = true; };
socket.onmessage = (event) => seen[1].push(event.data);
socket.onclose = (event) => done([...seen, event.code, event.reason]);
"""


def page(request):
    return HttpResponse("<!doctype html><link rel=icon href='data:,'><title>page</title>")


def unreachable(request):
    pytest.fail("a refused request must not reach its view")


class Tokens(WebSocketView):
    """Says with which token the page has come."""

    websocket_options = {"subprotocols": ["notifications"]}

    def websocket(self, request):
        websocket = request.websocket
        websocket.send(f"{websocket.subprotocol} {websocket.offered_subprotocols[-1]} {request.headers.get('Accept')}")


@require_websocket
def missing(request):
    request.websocket.reject(4404, "no such room ☃")


urlpatterns = [
    path("page/", page),
    path("members/", websocket_login_required(require_websocket(unreachable))),
    path("missing/", missing),
    path("refused/", require_websocket(lambda _: HttpResponse("no", status=403))),
    path("tokens/", Tokens.as_view()),
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        """Log nothing."""


@pytest.fixture
def port():
    """Return the port of a development server in this process. Nobody is logged in, and there is no database."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(get_wsgi_application())
    serving = Running(server.serve_forever)
    yield server.server_port
    server.shutdown()
    serving.result()
    server.server_close()


@pytest.fixture
def see(driver, port):
    """Return a function that opens a WebSocket in a page; see :data:`OPEN`."""
    driver.get(f"http://127.0.0.1:{port}/page/")

    def see(path, *subprotocols):
        return driver.execute_async_script(OPEN, path, list(subprotocols))

    yield see
    driver.get("about:blank")
    # The browser complains of the refusals in its console.
    driver.get_log("browser")


def test_a_rejection_is_seen(see):
    assert see("/members/") == [True, [], 4401, "not logged in"]
    assert see("/missing/") == [True, [], 4404, "no such room ☃"]


def test_a_refusal_is_not(see):
    assert see("/refused/") == [False, [], 1006, ""]


def test_a_token_in_a_subprotocol(see):
    """The browser sends no Accept, which a framework might want to satisfy."""
    assert see("/tokens/", "notifications", "token.7c9e.66-79_x") == [
        True,
        ["notifications token.7c9e.66-79_x None"],
        1000,
        "",
    ]


def test_a_browser_wants_one_of_its_subprotocols(see):
    """Guards the advice to name another one than the token."""
    opened, _, code, _ = see("/tokens/", "token.7c9e.66-79_x")
    assert (opened, code) == (False, 1006)
