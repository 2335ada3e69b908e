"""django-debug-toolbar around a view that lives for hours."""

import pytest
from django.db import connections
from django.urls import path

from django_websocket import require_websocket
from django_websocket.testing.client import WebSocketClient

from ..views import OURS


@require_websocket
def echo(request):
    """Echo, with a query for each message."""
    for message in request.websocket:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        request.websocket.send(message)


@pytest.mark.django_db
def test_the_debug_toolbar_collects_no_queries(settings):
    """Else the queries of hours would stay in memory, for a page that never comes."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "debug_toolbar"]
    settings.DEBUG = True
    settings.INTERNAL_IPS = ["127.0.0.1"]
    settings.MIDDLEWARE = [OURS, "debug_toolbar.middleware.DebugToolbarMiddleware"]
    from debug_toolbar.toolbar import DebugToolbar, debug_toolbar_urls

    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("echo/", echo), *debug_toolbar_urls()]})
    toolbars = []

    def created(toolbar, **_):
        toolbars.append(toolbar)

    DebugToolbar._created.connect(created)
    try:
        with WebSocketClient().websocket("/echo/") as websocket:
            for _ in range(5):
                websocket.send("a")
                websocket.wait()
            websocket.close()
    finally:
        DebugToolbar._created.disconnect(created)
    (toolbar,) = toolbars
    assert toolbar.get_panel_by_id("SQLPanel").get_stats()["queries"] == []
    assert len(connections["default"].queries) <= 1
