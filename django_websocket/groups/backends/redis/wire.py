"""The form of what is published on the channel of a group, and of what the scripts return."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ....protocols.close_codes import check_close
from ...payload import Payload
from ...position import Position
from .channel import Closing, History, Message

#: Hexadecimal digits of the signature ahead of a name.
_SIGNATURE_SIZE: Final = 32


class Wire:
    """Writes and reads what goes through Redis.

    With a secret, messages, closings and names are signed for their group, so that whoever can write to Redis cannot
    make up any of them. Numbers and marks are not signed, because Redis makes them. So whoever can write to Redis can
    repeat or withhold messages, or announce them as lost, and could as well delete the keys.
    """

    def __init__(self, secret: bytes | None) -> None:
        self._secret = secret

    def _key(self, group: str) -> bytes | None:
        return None if self._secret is None else hmac.digest(self._secret, group.encode(), "sha256")

    def write(self, group: str, payload: Payload) -> bytes:
        """Return the bytes of a payload, for one group."""
        return payload.to_bytes(self._key(group))

    def read(self, group: str, raw: bytes) -> Payload | None:
        """Return the payload of bytes; ``None`` if they are not understood, or were not signed by this site."""
        try:
            return Payload.from_bytes(raw, self._key(group))
        except ValueError:
            return None

    def write_closing(self, group: str, code: int, reason: str) -> bytes:
        """Return the bytes of a closing."""
        return self.write(group, Payload("json", json.dumps([code, reason])))

    def read_closing(self, group: str, raw: bytes) -> Closing | None:
        """Return a closing; ``None`` as for :meth:`read`."""
        payload = self.read(group, raw)
        if payload is None:
            return None
        try:
            code, reason = json.loads(payload.data)
            check_close(code, reason)
        except (ValueError, TypeError, RecursionError):
            return None
        return code, reason

    def write_name(self, group: str, name: str) -> str:
        """Return the form in which Redis has a name."""
        return name if self._secret is None else self._sign(group, name) + name

    def read_name(self, group: str, raw: bytes) -> str | None:
        """Return a name; ``None`` if it was not signed by this site."""
        text = raw.decode(errors="replace")
        if self._secret is None:
            return text
        signature, name = text[:_SIGNATURE_SIZE], text[_SIGNATURE_SIZE:]
        return name if hmac.compare_digest(signature.encode(), self._sign(group, name).encode()) else None

    def _sign(self, group: str, name: str) -> str:
        key = self._key(group)
        assert key is not None
        return hmac.digest(key, b"name " + name.encode(), "sha256").hex()[:_SIGNATURE_SIZE]

    def read_history(self, group: str, answer: Sequence[Any]) -> History:
        """Return what the script REPLAY has answered."""
        epoch, number, entries = answer
        # The epoch gets into the envelopes of messages; what somebody else has put there could change their meaning.
        position = Position.parse(f"{epoch.decode(errors='replace')}-{int(number)}")
        if position is None:
            return History("", 0, [])
        return History(position.epoch, position.number, list(self._read_entries(group, entries)))

    def _read_entries(self, group: str, entries: Iterable[Any]) -> Iterable[Message]:
        for identifier, fields in entries:
            # A list of names and values, or a dictionary in other versions of redis-py.
            raw = fields[b"d"] if isinstance(fields, dict) else fields[1]
            yield Message(int(identifier.partition(b"-")[0]), self.read(group, raw))


def read_position(answer: Sequence[Any]) -> Position:
    """Return the position that a script has answered."""
    epoch, number = answer
    return Position.make(epoch.decode(), int(number))
