"""The warning of a process that serves ASGI, beside the error of Django."""

import subprocess
import sys

import pytest

from django_websocket import servers
from django_websocket.middleware import WebSocketMiddleware
from django_websocket.servers import asgi
from django_websocket.servers.asgi import warn_on_asgi

from ..observing import records

DJANGO = "Django can only handle ASGI/HTTP connections, not websocket."
TEXT = (
    "This process has imported django.core.asgi. An ASGI server gives no access to its sockets, so that no view gets a "
    f"WebSocket there: Django raises '{DJANGO}'; {servers._WORKING}"
)

#: What an ASGI server with a WebSocket library of its own does with a project, or a WSGI server.
SERVE = """
import asyncio
import sys
from django.conf import settings

kind, app = sys.argv[1:]
settings.configure(INSTALLED_APPS=[app], ROOT_URLCONF=__name__, MIDDLEWARE=sys.argv[3:])
urlpatterns = []
if kind == "wsgi":
    from django.core.wsgi import get_wsgi_application
    get_wsgi_application()
else:
    from django.core.asgi import get_asgi_application
    application = get_asgi_application()
    try:
        asyncio.run(application({"type": "websocket"}, None, None))
    except ValueError as error:
        print(error, file=sys.stderr)
"""
OURS = "django_websocket.middleware.WebSocketMiddleware"


@pytest.fixture(autouse=True)
def forget():
    """Make each test the first of its process."""
    asgi._warn.cache_clear()
    yield
    asgi._warn.cache_clear()


def serve(kind, app, middleware=()):
    """Return what a process writes to its standard error."""
    code = SERVE.replace("sys.argv[1:]", "sys.argv[1:3]")
    command = [sys.executable, "-c", code, kind, app, *middleware]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize(
    ("app", "middleware"), [("django_websocket", []), ("django_websocket", [OURS]), ("django.contrib.sessions", [OURS])]
)
def test_it_stands_in_the_log_beside_the_error_of_django(app, middleware):
    log = serve("asgi", app, middleware).splitlines()
    assert [line for line in log if DJANGO in line] == [TEXT, DJANGO]


def test_nothing_is_said_where_wsgi_is_served():
    assert serve("wsgi", "django_websocket", [OURS]) == ""


@pytest.mark.parametrize("use", [warn_on_asgi, lambda: WebSocketMiddleware(lambda _: None)])
def test_once_in_a_process(monkeypatch, caplog, use):
    monkeypatch.setitem(sys.modules, "django.core.asgi", None)
    use()
    use()
    (record,) = records(caplog, "django_websocket")
    assert record.getMessage() == TEXT
