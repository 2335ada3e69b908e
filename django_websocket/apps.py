"""The configuration of the application."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.http import HttpRequest


class WebSocketConfig(AppConfig):
    """The application ``"django_websocket"`` of ``INSTALLED_APPS``."""

    name = "django_websocket"
    verbose_name = "WebSockets"

    def ready(self) -> None:
        """Register the system checks, and make log-outs close WebSockets; log if an ASGI server has loaded the project.

        No WebSocket will work under an ASGI server.
        """
        from django.contrib.auth.signals import user_logged_out

        from . import checks  # noqa: F401
        from .housekeeping import databases  # noqa: F401 - it records each connection that is opened from now on.
        from .servers.asgi import warn_on_asgi

        warn_on_asgi()
        user_logged_out.connect(_close_websockets, dispatch_uid="django_websocket")


def _close_websockets(request: HttpRequest | None = None, **_: Any) -> None:
    """Close the WebSockets of a session that is logged out."""
    # Groups are loaded when they are needed.
    from .groups.logout import on_logged_out

    on_logged_out(request)
