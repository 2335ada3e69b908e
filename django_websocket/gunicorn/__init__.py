"""The interface to gunicorn: a worker class, and a server hook for its settings file.

* ``gunicorn -k django_websocket.gunicorn.EventletWorker project.wsgi`` serves every connection in a greenlet of
  eventlet, for which gunicorn has had no worker of its own since version 26.
* ``from django_websocket.gunicorn import post_worker_init`` in ``gunicorn.conf.py`` warns, when a worker starts, of
  settings that leave WebSockets or plain requests waiting. Without the hook, the middleware warns when it first finds
  the worker.

Importing this package imports neither Django nor eventlet: the worker patches the standard library first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .eventlet_worker import EventletWorker

__all__ = ["EventletWorker", "post_worker_init"]


def __getattr__(name: str) -> Any:
    """Import the worker class at its first use (PEP 562)."""
    if name == "EventletWorker":
        from .eventlet_worker import EventletWorker

        return EventletWorker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def post_worker_init(worker: Any) -> None:
    """Watch gunicorn's worker, whose application is loaded now, and warn of its settings."""
    from ..conf import conf
    from .workers import adopt_worker

    adopt_worker(worker, close=conf.close_on_sigterm, limit=conf.max_connections)
