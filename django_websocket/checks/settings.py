"""Checks of the settings that are run everywhere, in development too."""

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

from ..conf import SETTINGS, conf

_APP: Final = "django_websocket"
MIDDLEWARE: Final = "django_websocket.middleware.WebSocketMiddleware"


@register(Tags.compatibility)
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Check the value of each setting by itself."""
    messages: list[CheckMessage] = []
    for setting in sorted(SETTINGS, key=lambda setting: setting.check_id):
        try:
            getattr(conf, setting.attribute)
        except ImproperlyConfigured as error:
            messages.append(Error(str(error), id=f"{_APP}.{setting.check_id}"))
    return messages


@register(Tags.compatibility)
def check_atomic_requests(**_kwargs: Any) -> list[CheckMessage]:
    """Check that no WebSocket would hold a transaction open for as long as it lives."""
    aliases = [alias for alias, database in connections.settings.items() if database["ATOMIC_REQUESTS"]]
    with suppress(ImproperlyConfigured):  # check_settings() reports a setting that has a bad value
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
    """Check that ``WebSocketMiddleware`` comes before all other middleware."""
    if MIDDLEWARE in settings.MIDDLEWARE[1:]:
        return [
            Warning(
                "WebSocketMiddleware is not the first of MIDDLEWARE.",
                hint=f"Put {MIDDLEWARE!r} before all others: what they do to a response must not reach an open "
                "WebSocket.",
                id=f"{_APP}.W102",
            )
        ]
    return []


@register(Tags.compatibility)
def check_runserver(**_kwargs: Any) -> list[CheckMessage]:
    """Check that Django finds the ``runserver`` of this package first, which extends that of the next application."""
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
