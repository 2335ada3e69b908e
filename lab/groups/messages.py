"""The text of a message, by which each member can tell what is missing, doubled or late."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """What the text of a message says."""

    publisher: str
    #: The numbers of a publisher rise by one, also where a message could not be sent.
    number: int
    #: When it was sent, by the monotonic clock that all processes of a machine share.
    sent: float


def compose(publisher: str, number: int, sent: float, size: int) -> str:
    """Return the text of a message, of ``size`` bytes if it is not longer without anything to fill it."""
    return f"{publisher} {number} {sent:.6f} ".ljust(size, "x")


def parse(text: str | bytes) -> Message:
    """Return what a text says.

    :raises ValueError: it is none of these texts.
    """
    publisher, number, sent, _ = text.split(b" " if isinstance(text, bytes) else " ", 3)  # type: ignore[arg-type]
    name = publisher.decode() if isinstance(publisher, bytes) else publisher
    return Message(name, int(number), float(sent))
