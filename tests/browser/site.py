"""A site with pages and views of docs/browser.rst and docs/htmx.rst, and with views that do what a test needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path, re_path

from django_websocket import Group, accept_websocket, require_websocket

from ..live.typed import blocks
from . import clients

PAGES = ("browser", "htmx")
PYTHON = [block.text for page in PAGES for block in blocks(page) if block.language == "python"]
#: The templates and scripts of the pages, by their captions.
FILES = {block.caption: block.text for page in PAGES for block in blocks(page) if block.caption}

DEBUG = True
SECRET_KEY = "not a secret"
ROOT_URLCONF = __name__
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
STATIC_URL = "/static/"
INSTALLED_APPS = ["django_websocket", "django.contrib.staticfiles"]
MIDDLEWARE = ["django_websocket.middleware.WebSocketMiddleware", f"{__name__}.policy"]
#: Opens as many sockets as a test wants, and keeps all that they tell.
RECORDER = """<!doctype html><link rel=icon href="data:,"><title>recorder</title>
<script type="module">
    import { ReconnectingWebSocket } from "/static/django_websocket/websocket.js";

    window.sockets = [];
    window.start = (url = "/talk/", options = {}) => {
        const socket = new ReconnectingWebSocket(url, [], options);
        const seen = { opened: [], messages: [], groups: [], gaps: [], lost: [], closed: [], restored: false };
        socket.onopen = () => seen.opened.push([performance.now(), socket.url]);
        socket.onmessage = ({ data, group }) => { seen.messages.push(data); seen.groups.push(group); };
        socket.ongap = ({ detail }) => seen.gaps.push(detail);
        socket.onreconnecting = ({ detail }) => seen.lost.push({ ...detail, at: performance.now() });
        socket.onclose = ({ code, reason }) => seen.closed.push([code, reason]);
        addEventListener("pageshow", ({ persisted }) => { seen.restored ||= persisted; });
        sockets.push(Object.assign(socket, { seen }));
        return socket;
    };
    window.socket = start();
</script>"""
TURBO = """<!doctype html><link rel=icon href="data:,"><title>orders</title>
<script src="/static/turbo.js"></script><body>{% include "orders/lasting.html" %}</body>"""
ICON = '<link rel=icon href="data:,">'
#: The page of the documentation with an import map, with another script.
REACT = (
    f"{FILES['mapped.html'].replace('bids.js', 'bids-react.js')}{ICON}"
    '<div id="root" data-url="/bids/?since={{ position }}"></div>'
)
PAGES_OF_TESTS = {
    "recorder.html": RECORDER,
    "turbo.html": TURBO,
    "alpine.html": FILES["bids/alpine.html"] + ICON,
    "react.html": REACT,
}
LOADERS = [("django.template.loaders.locmem.Loader", {**FILES, **PAGES_OF_TESTS})]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": LOADERS,
            "context_processors": [f"{__name__}.nonce", "django.template.context_processors.request"],
        },
    }
]
WEBSOCKET_GROUPS = {
    "default": {
        "BACKEND": "django_websocket.groups.backends.redis.RedisBackend",
        "LOCATION": os.environ.get("REDIS_URL", "redis://127.0.0.1:1/0"),
    }
}

NONCE = "0123456789abcdef"
POLICY = f"default-src 'none'; img-src data:; connect-src 'self'; script-src 'nonce-{NONCE}'"


def nonce(request: Any) -> dict[str, str]:
    return {"csp_nonce": NONCE}


def policy(get_response: Any) -> Any:
    """Send the strictest policy that the documentation permits, with the pages that are of the documentation."""

    def middleware(request: Any) -> Any:
        response = get_response(request)
        if response is not None and request.path in {"/bids/", "/mapped/"}:
            response.headers["Content-Security-Policy"] = POLICY
        return response

    return middleware


room = Group("room", history=1000)


@require_websocket
def talk(request: Any) -> None:
    """Say to the room, and so to the page, what the page says."""
    with room.joined(request.websocket, since=request.GET.get("since")):
        for message in request.websocket:
            room.send(message)


@require_websocket
def waits(request: Any) -> None:
    """Say that it waits, in a way that every client takes, and close with the code that :func:`end` sends."""
    events = Group("waiting").listen(request.websocket)
    request.websocket.send('<p id="ready" hx-swap-oob="true">waiting</p>')
    for event in events:
        if event.kind == "group":
            request.websocket.close(int(event.data), "as was asked for")


def end(request: Any, code: int) -> HttpResponse:
    Group("waiting").send(str(code))
    return HttpResponse("sent")


@require_websocket
def ends(request: Any, code: int) -> None:
    request.websocket.close(code, "as was asked for")


def plain(request: Any) -> HttpResponse | None:
    if request.websocket is None:
        return HttpResponse(f"<!doctype html><link rel=icon href='data:,'><body>{FILES['plain.html']}")
    request.websocket.send("hello")
    return None


def publish(request: Any) -> HttpResponse:
    room.send(request.GET["text"])
    return HttpResponse("sent")


def serve_file(request: Any, name: str) -> HttpResponse:
    """Serve the files of the package as ``runserver`` does, and scripts of the documentation and of npm."""
    from django.contrib.staticfiles.views import serve

    package = Path(os.environ["NPM_FILES"], name)
    if package.is_file():
        return HttpResponse(package.read_bytes(), content_type="text/javascript")
    if name in FILES:
        return HttpResponse(FILES[name], content_type="text/javascript")
    response: HttpResponse = serve(request, name, insecure=True)
    return response


def documented() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "documented"}
    for text in PYTHON:
        exec(text, names)
    return names


DOCUMENTED = documented()


def template(name: str) -> Any:
    return lambda request: render(request, name, {"position": DOCUMENTED["everybody"].position()})


urlpatterns = [
    path("", lambda request: HttpResponse("<!doctype html><link rel=icon href='data:,'><title>another</title>")),
    path("recorder/", template("recorder.html")),
    path("plain/", accept_websocket(plain)),
    path("mapped/", template("mapped.html")),
    path("bids/", DOCUMENTED["bids"]),
    path("orders/", DOCUMENTED["orders"], name="orders"),
    path("turbo/", template("turbo.html")),
    path("alpine/", template("alpine.html")),
    path("react/", template("react.html")),
    path("clients/", lambda request: HttpResponse(clients.ALL)),
    path("clients/<name>/", lambda request, name: HttpResponse(clients.page(name, request.get_host()))),
    path("waits/", waits),
    path("end/<int:code>/", end),
    path("talk/", talk),
    path("ends/<int:code>/", ends),
    path("publish/", publish),
    re_path("^static/(?P<name>.*)$", serve_file),
]
application = get_wsgi_application() if os.environ.get("DJANGO_SETTINGS_MODULE") == __name__ else None
