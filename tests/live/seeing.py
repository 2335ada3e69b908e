"""A small project with recipes of the page "Seeing what happens", literally, served by gunicorn."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from lab.kinds import Kind
from lab.project.server import Server
from lab.servers import ROOT, gunicorn

from .typed import Block, blocks, write

#: Messages of a client that talks. They make its life long compared with its handshake.
MESSAGES: Final = 50
#: The project around the recipes, by the names of its files.
PROJECT: Final = {
    "mysite/__init__.py": "",
    "mysite/settings.py": """
SECRET_KEY = "not a secret"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "mysite.urls"
USE_TZ = True
INSTALLED_APPS = [
    "django_websocket",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
]
MIDDLEWARE = ["django_websocket.middleware.WebSocketMiddleware"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
""",
    "mysite/wsgi.py": """
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
""",
    "mysite/views.py": """
from django_websocket import require_websocket


@require_websocket
def room(request, name):
    request.websocket.send(f"welcome to {name}")
    for message in request.websocket:
        request.websocket.send(str(int(message) + 1))
""",
    "mysite/urls.py": """
from django.http import HttpResponse
from django.urls import path

from . import views

urlpatterns = [
    path("room/<name>/", views.room, name="room"),
    path("page/", lambda request: HttpResponse("page"), name="page"),
]
""",
}


def recipe(caption: str) -> Block:
    """Return the block of the page with a caption."""
    (block,) = [block for block in blocks("seeing") if block.caption == caption]
    return block


def talk(client: ClientConnection) -> float:
    """Send messages to the room; return how many seconds that took."""
    assert client.recv(timeout=10) == "welcome to tea"
    begin = time.perf_counter()
    for number in range(MESSAGES):
        client.send(str(number))
        assert client.recv(timeout=10) == str(number + 1)
    return time.perf_counter() - begin


class Site(Server):
    """The project on one worker of gunicorn with threads. It is started by its constructor."""

    def __init__(
        self,
        directory: Path,
        *captions: str,
        files: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        """Write the project with the blocks of the page that have these captions, and serve it.

        ``files`` are written before the blocks, by names that may be those of captions. ``options`` are gunicorn's.
        """
        for name, text in {**PROJECT, **(files or {})}.items():
            write(directory, Block("python", name, text))
        for caption in captions:
            write(directory, recipe(caption))
        super().__init__(
            Kind("seeing", gunicorn("gthread", "--threads", "8", *options, "mysite.wsgi:application"), forks=True),
            directory / "log",
            environment={
                "PYTHONPATH": os.pathsep.join(filter(None, [str(directory), str(ROOT), os.environ.get("PYTHONPATH")])),
                "DJANGO_SETTINGS_MODULE": "mysite.settings",
                **(environment or {}),
            },
            strict=False,
            ready="/page/",
        )

    @contextmanager
    def room(self) -> Iterator[ClientConnection]:
        """Open a WebSocket in a ``with`` statement, and close it at its end."""
        with connect(self.url("/room/tea/"), origin=self.origin, proxy=None) as client:
            yield client
        assert client.close_code == 1000

    def visit(self) -> float:
        """Open a WebSocket, talk, and close it; return how many seconds it was open at least."""
        with self.room() as client:
            return talk(client)

    def fail(self) -> None:
        """Open a WebSocket whose view raises an exception."""
        with connect(self.url("/room/tea/"), origin=self.origin, proxy=None) as client:
            client.send("one")
            assert client.recv(timeout=10) == "welcome to tea"
            with pytest.raises(ConnectionClosedError) as caught:
                client.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1011

    def page(self) -> None:
        """Make a plain request."""
        assert self.get("/page/") == (200, b"page")
