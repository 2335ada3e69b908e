"""Checks of the backends that carry the messages of groups."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_resolver

from ..conf import MEMORY_BACKEND, GroupsConfig, conf
from ..exceptions import GroupConfigurationError

_APP: Final = "django_websocket"


@register(Tags.compatibility)
def check_backends(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the backends of ``WEBSOCKET_GROUPS`` can be imported, and take their options."""
    messages: list[CheckMessage] = []
    for alias, config in _configured():
        if config.backend == MEMORY_BACKEND and not config.options and config.location is None:
            # Projects without groups of their own load nothing.
            continue
        from ..groups.backends import backend_class, backend_options

        try:
            backend_options(backend_class(config), config)
        except (TypeError, ValueError) as error:
            messages.append(Error(f"WEBSOCKET_GROUPS {error}, for {alias!r}.", id=f"{_APP}.E018"))
        except GroupConfigurationError as error:
            messages.append(Error(f"WEBSOCKET_GROUPS cannot be used for {alias!r}: {error}.", id=f"{_APP}.E018"))
    return messages


@register(Tags.compatibility, deploy=True)
def check_groups_deployment(**_kwargs: Any) -> list[CheckMessage]:
    """Return the messages about backends that reach too few, or too many."""
    return [*_one_process(), *_plain_text()]


def _one_process() -> Iterator[CheckMessage]:
    # The URLconf imports the views, and so Group, if the project uses it.
    if getattr(settings, "ROOT_URLCONF", None):
        get_resolver().url_patterns  # noqa: B018 - the attribute is loaded at access
    if "django_websocket.groups.group" not in sys.modules:
        return
    aliases = [alias for alias, config in _configured() if config.backend == MEMORY_BACKEND]
    if aliases:
        yield Warning(
            f"Messages to groups reach only the members in the same process (WEBSOCKET_GROUPS: {', '.join(aliases)}).",
            hint="With several workers, or for messages from commands and tasks, use "
            "'django_websocket.groups.backends.redis.RedisBackend'. If there is one process, silence this check.",
            id=f"{_APP}.W214",
        )


def _plain_text() -> Iterator[CheckMessage]:
    for alias, config in _configured():
        locations = config.location if isinstance(config.location, tuple) else (config.location,)
        hosts = [host for location in locations if (host := _remote_host(location)) is not None]
        if hosts:
            yield Warning(
                f"The messages of groups are sent to {', '.join(hosts)} without TLS (WEBSOCKET_GROUPS: {alias}).",
                hint="Write rediss:// in LOCATION; or, if nobody else is in that network, silence this check.",
                id=f"{_APP}.W215",
            )


def _remote_host(location: str | None) -> str | None:
    """Return the host of a URL of Redis without TLS, ``None`` if there is none, or it is this machine."""
    with suppress(ValueError):
        parts = urlsplit(location or "")
        if parts.scheme in {"redis", "valkey"} and parts.hostname and not _is_local(parts.hostname):
            return parts.hostname
    return None


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _configured() -> list[tuple[str, GroupsConfig]]:
    """Return the entries of ``WEBSOCKET_GROUPS``; none if it has a bad value, which :func:`check_settings` reports."""
    with suppress(ImproperlyConfigured):
        return list(conf.groups.items())
    return []
