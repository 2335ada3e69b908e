"""What is wrong with the settings anywhere, in development too."""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.core.management import find_commands
from django.db import connections

from ..conf.settings import conf

_APP: Final = "django_websocket"
_MIDDLEWARE: Final = "django_websocket.middleware.WebSocketMiddleware"

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
    "db": "E015",
    "revalidate": "E016",
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
