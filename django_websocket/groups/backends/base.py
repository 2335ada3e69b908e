"""The contract of all backends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Literal, NamedTuple, Protocol, TypeAlias

from ...conf.validators import count, seconds
from ...connection.backlog import DEFAULT_LIMITS, QueueLimits
from ..member import Member
from ..payload import Payload
from ..position import Position, Replay
from ..snapshot import Search, Snapshot

#: Whose WebSockets :meth:`Backend.disconnect` closes: those of a user, those of a session, or a single one.
Owner: TypeAlias = Literal["user", "session", "connection"]


class GroupsStatus(NamedTuple):
    """The state of one backend in this process, for health checks."""

    #: Whether messages of other processes reach this one, as far as it knows.
    healthy: bool
    #: Why not; ``""`` if healthy.
    problem: str
    #: Groups with members in this process.
    groups: int
    #: Members in this process.
    members: int
    #: Members that were closed with 1013 because they could not keep up, since the process began.
    overflows: int = 0
    #: Messages that were lost on their way to this process, since it began.
    lost: int = 0
    #: How often the connection to other processes was made anew, since the process began.
    reconnects: int = 0


class RollCall(Protocol):
    """A question to all other processes: which WebSockets they have."""

    def collect(self, deadline: float) -> tuple[list[Snapshot], list[str]]:
        """Return the answers, and the processes that have not answered, as :attr:`.Snapshot.process`.

        Wait for them until ``deadline``, a time on the monotonic clock.

        :raises GroupUnavailable: the server of the backend is not available.
        """


def _on_error(value: object) -> object:
    """Return ``value``, which has to be ``"raise"`` or ``"log"``.

    :raises ValueError: it is neither.
    """
    if value not in ("raise", "log"):
        raise ValueError(f"must be 'raise' or 'log', not {value!r}")
    return value


#: The options of every backend, with their validators and default values. ``ON_ERROR`` says whether a message
#: that cannot be sent is raised as an error or logged. ``QUEUE_BYTES`` and ``QUEUE_MESSAGES`` limit what waits for one
#: slow member. ``HISTORY_TTL`` is the number of seconds after the last message until a group is forgotten.
COMMON_OPTIONS: Final[Mapping[str, tuple[Callable[[object], Any], object]]] = {
    "ON_ERROR": (_on_error, "raise"),
    "QUEUE_BYTES": (count, DEFAULT_LIMITS.size),
    "QUEUE_MESSAGES": (count, DEFAULT_LIMITS.messages),
    "HISTORY_TTL": (seconds, 86400),
}


class Backend(ABC):
    """Carries the messages of groups to the members, and knows who they are.

    There is one object for each alias of ``WEBSOCKET_GROUPS`` and process, made at first use; a forked child makes its
    own. All methods are thread-safe, and may be called by threads and greenlets.
    """

    #: The names of the ``OPTIONS`` that the backend takes, with their validators and default values. A validator is as
    #: in :mod:`django_websocket.conf.validators`.
    option_names: ClassVar[Mapping[str, tuple[Callable[[object], Any], object]]] = COMMON_OPTIONS
    #: Whether the messages reach other processes.
    crosses_processes: ClassVar[bool] = False

    def __init__(self, alias: str, location: Any, options: Mapping[str, Any]) -> None:
        """Make the backend of an alias; nothing is connected yet.

        ``options`` has all of :attr:`option_names`, validated.
        """
        self.alias = alias
        self.location = location
        self.options = options
        self.limits = QueueLimits(options["QUEUE_BYTES"], options["QUEUE_MESSAGES"])

    @classmethod
    def check_location(cls, location: Any) -> None:
        """Check a ``LOCATION``.

        :raises TypeError: it has the wrong type.
        :raises ValueError: it cannot be used.
        """
        if location is not None:
            raise ValueError("has a LOCATION, which this backend does not take")

    @abstractmethod
    def publish(self, group: str, payload: Payload, *, history: int) -> Position:
        """Send a message to all members of a group, everywhere, and return its position.

        The last ``history`` messages are kept; 0 keeps none.

        :raises GroupUnavailable: it could not be sent, or that is not known (``maybe_sent``).
        """

    @abstractmethod
    def close(self, group: str, code: int, reason: str) -> None:
        """Close the WebSockets of all members of a group, everywhere, after the messages that were sent before.

        :raises GroupUnavailable: see :meth:`publish`.
        """

    @abstractmethod
    def add(self, member: Member, *, since: Position | None) -> Replay:
        """Add a member. It first gets the messages after ``since``, as far as they are kept; none of them for ``None``.

        A ``since`` that is no position of this group counts as one of a forgotten epoch. If the WebSocket is a member
        of the group already, that member is replaced. When the call returns, no later message is missed.

        :raises GroupUnavailable: the messages of other processes cannot reach this one; nothing was added.
        """

    @abstractmethod
    def discard(self, member: Member) -> None:
        """Remove a member, if it is one; raise no error, and do not wait for other processes."""

    @abstractmethod
    def count(self, group: str) -> int:
        """Return the number of members of a group, everywhere.

        :raises GroupUnavailable: the server of the backend is not available.
        """

    @abstractmethod
    def names(self, group: str) -> set[str]:
        """Return the names of the members of a group, everywhere.

        :raises GroupUnavailable: see :meth:`count`.
        """

    @abstractmethod
    def position(self, group: str) -> Position:
        """Return the position of the last message of a group. A group that has none begins its epoch here.

        :raises GroupUnavailable: see :meth:`count`.
        """

    @abstractmethod
    def disconnect(self, owner: Owner, key: str) -> None:
        """Make other processes call :func:`.disconnect_here`, which closes the WebSockets of an owner.

        ``key`` is as for :meth:`.Hooks.belongs_to`. The caller has closed those of this process.

        :raises GroupUnavailable: see :meth:`publish`.
        """

    def call_roll(self, search: Search, limit: int) -> RollCall | None:  # noqa: ARG002 - for those that ask
        """Ask the other processes for the WebSockets that match; ``limit`` are listed by each of them at most.

        Return where the answers arrive; ``None`` if no process can be asked.

        :raises GroupUnavailable: see :meth:`publish`.
        """
        return None

    def watch(self) -> None:  # noqa: B027 - a backend within one process has nothing to do.
        """Begin to receive the calls of :meth:`disconnect` in other processes: this one serves a WebSocket.

        Never waits, and raises no error.
        """

    def stop(self) -> None:  # noqa: B027 - a backend within one process has nothing to stop.
        """Stop threads and connections: the backend is used no more, because a test has changed the setting."""

    @abstractmethod
    def status(self) -> GroupsStatus:
        """Return the state of the backend, without asking anybody."""
