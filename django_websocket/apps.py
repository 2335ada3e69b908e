"""The configuration of the application."""

from __future__ import annotations

from django.apps import AppConfig


class WebSocketConfig(AppConfig):
    """The application ``"django_websocket"`` of ``INSTALLED_APPS``."""

    name = "django_websocket"
    verbose_name = "WebSockets"

    def ready(self) -> None:
        """Register the system checks; log that no WebSocket will work if an ASGI server has loaded the project."""
        from . import checks  # noqa: F401
        from .servers.asgi import warn_on_asgi

        warn_on_asgi()
