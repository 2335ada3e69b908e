"""System checks.

====  =====================================================================================
id    error or warning
====  =====================================================================================
E001  ``WEBSOCKET_ACCEPT_ALL`` has an invalid value
E002  ``WEBSOCKET_PROTOCOLS`` has an invalid value, or an entry that is no importable ``Protocol``
E003  ``WEBSOCKET_ALLOWED_ORIGINS`` has an invalid value, or an entry that no origin can match
E004  ``WEBSOCKET_REQUIRE_ORIGIN`` has an invalid value
E005  ``WEBSOCKET_MAX_MESSAGE_SIZE`` has an invalid value
E006  ``WEBSOCKET_MAX_FRAGMENTS`` has an invalid value
E007  ``WEBSOCKET_PING_INTERVAL`` has an invalid value
E008  ``WEBSOCKET_PING_TIMEOUT`` has an invalid value
E009  ``WEBSOCKET_SEND_TIMEOUT`` has an invalid value
E010  ``WEBSOCKET_CLOSE_TIMEOUT`` has an invalid value
E011  ``WEBSOCKET_HANDSHAKE_TIMEOUT`` has an invalid value
E012  ``WEBSOCKET_MAX_CONNECTIONS`` has an invalid value
E013  ``WEBSOCKET_CLOSE_ON_SIGTERM`` has an invalid value
E014  ``WEBSOCKET_COMPRESSION`` has an invalid value, or an option of it has one
E015  ``WEBSOCKET_DB`` has an invalid value
E016  ``WEBSOCKET_REVALIDATE`` has an invalid value
E017  ``WEBSOCKET_GROUPS`` has an invalid value
E018  a backend of ``WEBSOCKET_GROUPS`` cannot be imported, or one of its options has an invalid value
E101  ``WEBSOCKET_ACCEPT_ALL`` is on together with ``ATOMIC_REQUESTS``
W102  the middleware is not the first of ``MIDDLEWARE``
W103  ``"django_websocket"`` stands after an application with a ``runserver`` of its own
W104  a view of Django REST framework is decorated from outside, where it must not return ``None``
====  =====================================================================================

With ``--deploy``:

====  =====================================================================================
id    risk
====  =====================================================================================
W201  every origin is allowed
W202  messages of any size are accepted, or of more than 16 MiB
I203  hixie-75 or hixie-76 is spoken
W204  the project is set up for ASGI, whose servers give views no access to their sockets
W205  messages of any number of fragments are accepted
W206  silent clients are not pinged, or only after a proxy would have cut the connection
W207  clients that do not answer a ping stay connected
W208  messages are compressed
I209  clients that send no ``Origin`` are accepted
W210  every ``Host`` is allowed, and so is the origin of the same name
W211  the header ``X-Forwarded-Host`` decides which origin is the site's own
W212  pages of other sites connect with the session of their visitor
W213  behind a proxy that ends TLS, every handshake is redirected
W214  messages to groups reach only the members in the same process
W215  the messages of groups go to another machine without TLS
====  =====================================================================================

Every id is preceded by ``django_websocket.``, as in ``SILENCED_SYSTEM_CHECKS = ["django_websocket.I203"]``. The
checks read the settings only, not the options of decorators; ``W104`` reads the URLconf.
"""

from __future__ import annotations

from .deployment import check_asgi, check_deployment
from .groups import check_backends, check_groups_deployment
from .settings import check_atomic_requests, check_middleware, check_runserver, check_settings
from .views import check_rest_framework

__all__ = [
    "check_asgi",
    "check_atomic_requests",
    "check_backends",
    "check_deployment",
    "check_groups_deployment",
    "check_middleware",
    "check_rest_framework",
    "check_runserver",
    "check_settings",
]
