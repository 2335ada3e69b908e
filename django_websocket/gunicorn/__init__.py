"""What gunicorn can be told: a worker class, and a hook for its settings file.

* ``gunicorn -k django_websocket.gunicorn.EventletWorker project.wsgi`` serves every connection in a greenlet of
  eventlet, for which gunicorn has had no worker of its own since version 26.
* ``from django_websocket.gunicorn import post_worker_init`` in ``gunicorn.conf.py`` warns, when a worker starts, of
  settings that leave WebSockets or plain requests waiting. Without it the first WebSocket's middleware does.

Nothing here imports Django or eventlet: the worker patches the standard library first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .eventlet_worker import EventletWorker

__all__ = ["EventletWorker", "post_worker_init"]


def __getattr__(name: str) -> Any:
    if name == "EventletWorker":
        from .eventlet_worker import EventletWorker

        return EventletWorker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def post_worker_init(worker: Any) -> None:
    """Take note of gunicorn's worker, and warn of what will happen with its settings."""
    from .workers import meet_worker

    meet_worker(worker)
