"""System checks.

====  =====================================================================================
id    what is wrong
====  =====================================================================================
E001  ``WEBSOCKET_ACCEPT_ALL`` has a value it cannot have
E002  ``WEBSOCKET_PROTOCOLS``: likewise, or an entry is no importable ``Protocol``
E003  ``WEBSOCKET_ALLOWED_ORIGINS``: likewise, or an entry is no origin (it lacks its scheme)
E004  ``WEBSOCKET_REQUIRE_ORIGIN``: likewise
E005  ``WEBSOCKET_MAX_MESSAGE_SIZE``: likewise
E006  ``WEBSOCKET_MAX_FRAGMENTS``: likewise
E007  ``WEBSOCKET_PING_INTERVAL``: likewise
E008  ``WEBSOCKET_PING_TIMEOUT``: likewise
E009  ``WEBSOCKET_SEND_TIMEOUT``: likewise
E010  ``WEBSOCKET_CLOSE_TIMEOUT``: likewise
E011  ``WEBSOCKET_HANDSHAKE_TIMEOUT``: likewise
E012  ``WEBSOCKET_MAX_CONNECTIONS``: likewise
E013  ``WEBSOCKET_CLOSE_ON_SIGTERM``: likewise
E014  ``WEBSOCKET_COMPRESSION``: likewise, or an option of it
E015  ``WEBSOCKET_DB``: likewise
E016  ``WEBSOCKET_REVALIDATE``: likewise
E101  ``WEBSOCKET_ACCEPT_ALL`` together with ``ATOMIC_REQUESTS``
W102  the middleware is not the first of ``MIDDLEWARE``
W103  ``"django_websocket"`` stands after an application with a ``runserver`` of its own
====  =====================================================================================

With ``--deploy``:

====  =====================================================================================
id    what deserves a thought
====  =====================================================================================
W201  every origin is allowed
W202  messages of any size are taken, or of over 16 MiB
I203  versions of before RFC 6455 are spoken
W204  the project is set up for ASGI, whose servers keep their sockets
W205  messages of any number of fragments are taken
W206  silent clients are not pinged, or so late that a proxy has cut them
W207  clients that do not answer a ping are kept
W208  messages are compressed
I209  clients that name no origin are let in
W210  every ``Host`` is allowed, and with it every origin of the same name
W211  the proxy says which host is the site's own
W212  the session goes along from the pages of other sites
W213  every handshake behind a proxy that ends TLS is redirected
====  =====================================================================================

Every id is preceded by ``django_websocket.``, as in ``SILENCED_SYSTEM_CHECKS = ["django_websocket.I203"]``. What a
view overrides with an option of its decorator is not looked at.
"""

from __future__ import annotations

from .deployment import check_asgi, check_deployment
from .settings import check_atomic_requests, check_middleware, check_runserver, check_settings

__all__ = [
    "check_asgi",
    "check_atomic_requests",
    "check_deployment",
    "check_middleware",
    "check_runserver",
    "check_settings",
]
