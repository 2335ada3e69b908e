"""A member in its backend, for as long as its WebSocket is open."""

from __future__ import annotations

from .backends.base import Backend
from .member import Member
from .position import Position, Replay


class Membership:
    """A member and its backend. The WebSocket calls this object when it has ended, which removes the member."""

    __slots__ = ("_backend", "member")

    def __init__(self, backend: Backend, member: Member) -> None:
        self._backend = backend
        self.member = member

    def begin(self, since: Position | None = None) -> Replay:
        """Add the member, in place of another one of the same WebSocket; see :meth:`.Backend.add`."""
        return self._backend.add(self.member, since=since)

    def __call__(self) -> None:
        """Remove the member, if it is there; raise no error."""
        self._backend.discard(self.member)
