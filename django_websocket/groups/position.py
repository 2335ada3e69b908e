"""A position in the messages of a group, and how many of the messages after one a new member has got."""

from __future__ import annotations

import re
import secrets
from typing import Final, NamedTuple

_POSITION: Final = re.compile(r"([0-9a-f]{8})-(0|[1-9][0-9]{0,15})", re.ASCII)


class Position(str):
    """A position in the messages of a group, as text: ``epoch-number``.

    Within an epoch the numbers of the messages rise by one; a new epoch begins when the backend has forgotten the
    group. Number 0 is the position before the first message. To other code the text is opaque: it is stored, sent to a
    client, and handed back as ``since``.
    """

    __slots__ = ("epoch", "number")

    epoch: str
    number: int

    @classmethod
    def make(cls, epoch: str, number: int) -> Position:
        """Return the position of the message with this number."""
        position = cls(f"{epoch}-{number}")
        position.epoch, position.number = epoch, number
        return position

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """Return the position that ``text`` is, ``None`` if it is none: a client may have sent anything."""
        match = _POSITION.fullmatch(text)
        return None if match is None else cls.make(match[1], int(match[2]))


def new_epoch() -> str:
    """Return the name of an epoch that begins, which no other epoch has."""
    return secrets.token_hex(4)


class Replay(NamedTuple):
    """What a new member has got of the messages after the position that it has named."""

    #: Whether it has got all of them; also ``True`` if it has named no position.
    complete: bool
    #: The number of messages that it has not got; ``None`` if that is not known.
    missed: int | None
