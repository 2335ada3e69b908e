"""WebSockets in Django's tests.

:class:`WebSocketClient` runs a view in a greenlet of the test's own thread: its database connection and transaction are
the test's, nothing is slept, and no server is started. For a real one there is Django's ``LiveServerTestCase``.
"""

from __future__ import annotations

from .client import WebSocketClient
from .session import WebSocketSession

__all__ = ["WebSocketClient", "WebSocketSession"]
