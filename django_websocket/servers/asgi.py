"""The warning that no WebSocket will work on an ASGI server, which may not even call this package for them."""

from __future__ import annotations

import logging
import sys
from functools import cache

from . import _WORKING

logger = logging.getLogger("django_websocket")


def warn_on_asgi() -> None:
    """Log, once in a process, that Django is going to refuse every WebSocket, if this process seems to serve ASGI.

    Django's handler for ASGI raises an exception for a WebSocket before any middleware is called: there is no later
    place for the warning. A project's ``asgi.py`` imports ``django.core.asgi`` before anything else of Django, and
    nothing in a process that serves WSGI does.
    """
    if "django.core.asgi" in sys.modules:
        _warn()


@cache
def _warn() -> None:
    logger.warning(
        "This process has imported django.core.asgi. An ASGI server gives no access to its sockets, so that no view "
        "gets a WebSocket there: Django raises 'Django can only handle ASGI/HTTP connections, not websocket.'; %s",
        _WORKING,
    )
