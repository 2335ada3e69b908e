"""The application, as Django sees it."""

from __future__ import annotations

from django.apps import AppConfig


class WebSocketConfig(AppConfig):
    """``"django_websocket"`` in ``INSTALLED_APPS``."""

    name = "django_websocket"
    verbose_name = "WebSockets"

    def ready(self) -> None:
        """Register the system checks."""
        from . import checks  # noqa: F401
