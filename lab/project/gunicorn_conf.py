"""Settings of gunicorn: the hook alone."""

from django_websocket.gunicorn import post_worker_init

__all__ = ["post_worker_init"]
