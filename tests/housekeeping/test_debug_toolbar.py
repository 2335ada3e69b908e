"""django-debug-toolbar around a view that lives for hours."""

import cProfile

import pytest
from django.db import connections
from django.http import HttpResponse
from django.urls import path

from django_websocket import require_websocket
from django_websocket.testing.client import WebSocketClient

from ..views import OURS


def page(request):
    return HttpResponse("page", content_type="text/plain")


@require_websocket
def echo(request):
    """Echo, with a query for each message."""
    for message in request.websocket:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        request.websocket.send(message)


@pytest.fixture
def toolbar(settings):
    """Return the class of the toolbar, in a project that shows it on every page."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "debug_toolbar"]
    settings.DEBUG = True
    settings.INTERNAL_IPS = ["127.0.0.1"]
    settings.MIDDLEWARE = [OURS, "debug_toolbar.middleware.DebugToolbarMiddleware"]
    from debug_toolbar.toolbar import DebugToolbar, debug_toolbar_urls

    patterns = [path("echo/", echo), path("page/", page), *debug_toolbar_urls()]
    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": patterns})
    return DebugToolbar


class TestProfiler:
    """From Python 3.12 on a process has one profiler, and a second one is an error."""

    @pytest.fixture(autouse=True)
    def _panels(self, toolbar, monkeypatch):
        from debug_toolbar.panels.profiling import ProfilingPanel
        from debug_toolbar.panels.versions import VersionsPanel

        # The panel is off by default. Without the panel for SQL, nothing but the middleware knows the toolbar.
        monkeypatch.setattr(ProfilingPanel, "enabled", True)
        monkeypatch.setattr(toolbar, "_panel_classes", [VersionsPanel, ProfilingPanel])

    def test_a_page_while_a_websocket_is_open(self):
        client = WebSocketClient()
        with client.websocket("/echo/") as first, client.websocket("/echo/") as second:
            assert client.get("/page/").content == b"page"
            profiler = cProfile.Profile()
            assert profiler.runcall(int) == 0
            for websocket in (first, second):
                websocket.close()
        assert client.get("/page/").content == b"page"


@pytest.mark.django_db
def test_the_debug_toolbar_collects_no_queries(toolbar):
    """Else the queries of hours would stay in memory, for a page that never comes."""
    toolbars = []

    def created(**kwargs):
        toolbars.append(kwargs["toolbar"])

    toolbar._created.connect(created)
    try:
        with WebSocketClient().websocket("/echo/") as websocket:
            for _ in range(5):
                websocket.send("a")
                websocket.wait()
            websocket.close()
    finally:
        toolbar._created.disconnect(created)
    (made,) = toolbars
    assert made.get_panel_by_id("SQLPanel").get_stats()["queries"] == []
    assert len(connections["default"].queries) <= 1
