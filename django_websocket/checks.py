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
E101  ``WEBSOCKET_ACCEPT_ALL`` together with ``ATOMIC_REQUESTS``
W102  the middleware is not the first of ``MIDDLEWARE``
W103  ``"django_websocket"`` stands after an application with a ``runserver`` of its own
W201  ``--deploy``: every origin is allowed
W202  ``--deploy``: messages of any size are taken
I203  ``--deploy``: versions of before RFC 6455 are spoken
W204  ``--deploy``: the project is set up for ASGI, whose servers keep their sockets
====  =====================================================================================

Every id is preceded by ``django_websocket.``, as in ``SILENCED_SYSTEM_CHECKS = ["django_websocket.I203"]``.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.core.management import find_commands
from django.db import connections

from .conf import conf

_APP: Final = "django_websocket"
_MIDDLEWARE: Final = "django_websocket.middleware.WebSocketMiddleware"
_DRAFTS: Final = frozenset({75, 76})

# An id is for ever: projects silence checks by it.
_SETTING_IDS: Final = {
    "accept_all": "E001",
    "protocols": "E002",
    "allowed_origins": "E003",
    "require_origin": "E004",
    "max_message_size": "E005",
    "max_fragments": "E006",
    "ping_interval": "E007",
    "ping_timeout": "E008",
    "send_timeout": "E009",
    "close_timeout": "E010",
    "handshake_timeout": "E011",
    "max_connections": "E012",
    "close_on_sigterm": "E013",
    "compression": "E014",
}


@register(Tags.compatibility)
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Check each setting for itself."""
    complaints = ((_complaint(name), number) for name, number in _SETTING_IDS.items())
    return [Error(complaint, id=f"{_APP}.{number}") for complaint, number in complaints if complaint]


def _complaint(name: str) -> str:
    """Give what is wrong with a setting's value, ``""`` when nothing is."""
    try:
        getattr(conf, name)
    except ImproperlyConfigured as error:
        return str(error)
    return ""


@register(Tags.compatibility)
def check_atomic_requests(**_kwargs: Any) -> list[CheckMessage]:
    """Check that no WebSocket would hold a transaction for as long as it lives."""
    aliases = [alias for alias, database in connections.settings.items() if database["ATOMIC_REQUESTS"]]
    with suppress(ImproperlyConfigured):  # check_settings has an error for it
        if conf.accept_all and aliases:
            return [
                Error(
                    f"WEBSOCKET_ACCEPT_ALL together with ATOMIC_REQUESTS (of {', '.join(map(repr, aliases))}) holds "
                    "a transaction open for as long as a WebSocket is.",
                    hint="Decorate the views that take WebSockets instead, which keeps these out of ATOMIC_REQUESTS.",
                    id=f"{_APP}.E101",
                )
            ]
    return []


@register(Tags.compatibility)
def check_middleware(**_kwargs: Any) -> list[CheckMessage]:
    """Check that nothing stands between the server and the middleware."""
    if _MIDDLEWARE in settings.MIDDLEWARE[1:]:
        return [
            Warning(
                "WebSocketMiddleware is not the first of MIDDLEWARE.",
                hint=f"Put {_MIDDLEWARE!r} before all others: what they do to a response must not reach an open "
                "WebSocket.",
                id=f"{_APP}.W102",
            )
        ]
    return []


@register(Tags.compatibility)
def check_runserver(**_kwargs: Any) -> list[CheckMessage]:
    """Check that our ``runserver`` is the one that is found; it wraps the next one."""
    for app in takewhile(lambda app: app.name != _APP, apps.get_app_configs()):
        if "runserver" in find_commands(str(Path(app.path, "management"))):
            return [
                Warning(
                    f"{app.name!r} has a runserver command of its own and stands before {_APP!r}.",
                    hint=f"Put {_APP!r} before {app.name!r} in INSTALLED_APPS, to get both.",
                    id=f"{_APP}.W103",
                )
            ]
    return []


@register(Tags.security, deploy=True)
def check_deployment(**_kwargs: Any) -> list[CheckMessage]:
    """Note what is legal but deserves a thought before it meets the world."""
    messages: list[CheckMessage] = []
    with suppress(ImproperlyConfigured):
        if "*" in (conf.allowed_origins or ()):
            messages.append(
                Warning(
                    "WEBSOCKET_ALLOWED_ORIGINS allows every origin: any page can open a WebSocket with the cookies "
                    "of its visitor.",
                    hint="List the origins, or make it None for this site and CSRF_TRUSTED_ORIGINS.",
                    id=f"{_APP}.W201",
                )
            )
    with suppress(ImproperlyConfigured):
        if conf.max_message_size is None:
            messages.append(
                Warning(
                    "WEBSOCKET_MAX_MESSAGE_SIZE is None: one client can fill the memory.",
                    hint="Set it to as many bytes as your largest message has.",
                    id=f"{_APP}.W202",
                )
            )
    with suppress(ImproperlyConfigured):
        old = [protocol.__name__ for protocol in conf.protocols if not _DRAFTS.isdisjoint(protocol.versions)]
        if old:
            messages.append(
                Info(
                    f"WebSocket versions of before RFC 6455 are spoken ({', '.join(old)}).",
                    hint="If no client needs them, leave them out of WEBSOCKET_PROTOCOLS.",
                    id=f"{_APP}.I203",
                )
            )
    return messages


@register(Tags.compatibility, deploy=True)
def check_asgi(**_kwargs: Any) -> list[CheckMessage]:
    """Note what says that an ASGI server is going to serve the project.

    An ``asgi.py`` says nothing, as ``startproject`` writes one for everybody; nor does ``"channels"``, whose layers and
    workers have their uses beside WSGI.
    """
    signs = []
    if getattr(settings, "ASGI_APPLICATION", None):
        signs.append("ASGI_APPLICATION is set")
    if apps.is_installed("daphne"):
        signs.append("'daphne' is in INSTALLED_APPS")
    if not signs:
        return []
    return [
        Warning(
            f"{' and '.join(signs)}: an ASGI server serves no WebSockets of this package.",
            hint="Serve the WSGI application on one of the servers in the documentation. If the WebSockets' addresses "
            "go there already, silence this check.",
            id=f"{_APP}.W204",
        )
    ]
