"""What is to be closed from the admin: one WebSocket, or all of a user."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ..groups.listing import AllConnections, all_connections
from ..groups.logout import disconnect_connection, disconnect_user

#: Seconds that closing waits until the WebSockets have gone, so that the page does not list them any more.
PATIENCE: Final = 2.0
#: Seconds between two looks, and seconds that other processes have to answer each.
PAUSE: Final = 0.05
LOOK: Final = 0.5


class Target(ABC):
    """WebSockets that are to be closed."""

    #: The name of the parameter of the address.
    parameter: ClassVar[str]

    def __init__(self, value: str) -> None:
        self.value = value

    @property
    @abstractmethod
    def search(self) -> Mapping[str, Any]:
        """The arguments of :func:`.all_connections` that find them."""

    @abstractmethod
    def disconnect(self) -> None:
        """Close them, in all processes.

        :raises GroupError: they may be open still in other processes.
        """

    def find(self, timeout: float) -> AllConnections:
        """Return those that are open."""
        return all_connections(timeout, **self.search)

    def wait_until_gone(self, found: AllConnections) -> bool:
        """Return whether all that were ``found`` before :meth:`disconnect` have gone; wait a moment for them."""
        before = {info.id for info in found.connections}
        deadline = time.monotonic() + PATIENCE
        while before and time.monotonic() < deadline:
            left = self.find(min(LOOK, deadline - time.monotonic()))
            still = {info.id for info in left.connections}
            answered = {process.process for process in left.processes}
            # Nothing is known of those whose process has not answered.
            before = {one for one in before if one in still or one.partition("/")[0] not in answered}
            if before:
                time.sleep(PAUSE)
        return not before


class OneConnection(Target):
    """One WebSocket, by its id."""

    parameter = "connection"

    @property
    def search(self) -> Mapping[str, Any]:
        """See :attr:`Target.search`."""
        return {"id": self.value}

    def disconnect(self) -> None:
        """See :meth:`Target.disconnect`."""
        disconnect_connection(self.value)


class AllOfUser(Target):
    """All WebSockets of a user, by the primary key."""

    parameter = "all_of"

    @property
    def search(self) -> Mapping[str, Any]:
        """See :attr:`Target.search`."""
        return {"users": [self.value]}

    def disconnect(self) -> None:
        """See :meth:`Target.disconnect`."""
        disconnect_user(self.value)
