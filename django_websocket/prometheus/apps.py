"""The configuration of the application."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured


class PrometheusConfig(AppConfig):
    """The application ``"django_websocket.prometheus"`` of ``INSTALLED_APPS``."""

    name = "django_websocket.prometheus"
    label = "django_websocket_prometheus"
    verbose_name = "WebSockets: metrics for Prometheus"

    def ready(self) -> None:
        """Register the metrics with prometheus_client, and begin to count.

        :raises ImproperlyConfigured: prometheus_client is not installed.
        """
        try:
            from .installation import install
        except ModuleNotFoundError as error:
            if error.name != "prometheus_client":
                raise
            raise ImproperlyConfigured(
                f"{self.name!r} in INSTALLED_APPS needs prometheus_client, which is not installed; install it by "
                "'python -m pip install prometheus-client'"
            ) from error
        install()
