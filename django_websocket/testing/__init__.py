"""WebSockets in Django's tests.

:class:`WebSocketClient` runs a view in a greenlet of the test's own thread. The view shares the database connection and
the transaction of the test, no time is spent sleeping, and no server is started. For tests with a real server there is
Django's ``LiveServerTestCase``.
"""

from __future__ import annotations

from ..groups.backends import forget_groups
from .cases import WebSocketTestCase
from .client import WebSocketClient
from .session import WebSocketSession

__all__ = ["WebSocketClient", "WebSocketSession", "WebSocketTestCase", "forget_groups"]
