"""The state of the backends in this process, for health checks."""

from __future__ import annotations

from .backends import known_backends
from .backends.base import GroupsStatus


def groups_status() -> dict[str, GroupsStatus]:
    """Return the state of each backend that was used in this process, by its alias, without asking a server.

    A health check fails if one is not ``healthy``: this process does not get the messages of others at the moment.
    """
    return {backend.alias: backend.status() for backend in known_backends()}
