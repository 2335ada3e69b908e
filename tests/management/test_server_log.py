"""The lines that runserver prints for WebSockets, in Django's format and colours."""

import logging
import re
import sys
import time

import pytest
from django.core.management.color import color_style
from django.test import RequestFactory
from django.utils.log import ServerFormatter

from django_websocket import require_websocket
from django_websocket.management import server_log
from django_websocket.management.server_log import log_websockets
from django_websocket.signals import websocket_accepted, websocket_closed

from ..views import make_route_by_name

urlpatterns = []
route = make_route_by_name(urlpatterns)


@route
@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


@route
@require_websocket
def rejecting(request):
    request.websocket.reject(4404)


def stop_logging():
    """Undo :func:`log_websockets`, which is for the whole life of a process."""
    for signal in (websocket_accepted, websocket_closed):
        signal.disconnect(dispatch_uid=server_log.__name__)


@pytest.fixture
def lines(settings, monkeypatch):
    """Return what runserver prints."""
    settings.ROOT_URLCONF = sys.modules[__name__]
    printed = []

    class Handler(logging.Handler):
        def emit(self, record):
            printed.append(self.format(record))

    handler = Handler()
    formatter = ServerFormatter("[{server_time}] {message}", style="{")
    formatter.style = color_style(force_color=True)
    handler.setFormatter(formatter)
    logger = logging.getLogger("django.server")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.INFO)
    logging.getLogger().manager._clear_cache()
    log_websockets()
    log_websockets()
    yield printed
    stop_logging()
    logging.getLogger().manager._clear_cache()


TIME = r"\[\d\d/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/20\d\d \d\d:\d\d:\d\d\] "


def test_opened_and_closed(client, lines):
    with client.websocket("/echo/?name=a%20b") as websocket:
        websocket.send("hello")
        assert websocket.wait() == "hello"
        assert len(lines) == 1
    opened, closed = (re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines)
    assert re.fullmatch(TIME + re.escape('"GET /echo/?name=a%20b HTTP/1.1" 101 open'), opened)
    assert re.fullmatch(TIME + re.escape('"GET /echo/?name=a%20b HTTP/1.1" 101 closed 1000 0.0 s'), closed)
    style = color_style(force_color=True)
    for line in lines:
        time_, _, rest = line.partition("] ")
        assert rest == style.HTTP_INFO(re.sub(r"\x1b\[[0-9;]*m", "", rest)), "in the colour of a status below 200"
        assert time_


def test_a_rejected_one_is_not_opened(client, lines):
    with client.websocket("/rejecting/") as websocket:
        assert list(websocket) == []
    assert lines == []


def test_the_time_is_that_of_djangos_lines(monkeypatch):
    from django.core.servers.basehttp import WSGIRequestHandler

    monkeypatch.setattr(time, "time", lambda: 1_795_902_612.0)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(1_795_902_612))
    handler = WSGIRequestHandler.__new__(WSGIRequestHandler)
    assert server_log._server_time() == handler.log_date_time_string() == "28/Nov/2026 21:50:12"


def test_line_breaks_cannot_be_forged(lines):
    request = RequestFactory().get("/a%0Ab/")
    websocket_accepted.send(None, request=request, websocket=None)
    assert "/a%0Ab/" in lines[0]
    assert "\n" not in lines[0]
