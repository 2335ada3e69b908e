"""The content of a message to a group, and the forms in which members and other processes get it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from .position import Position

Kind: TypeAlias = Literal["text", "bytes", "json"]

# The first byte of the wire format.
_LETTERS: Final[dict[Kind, bytes]] = {"text": b"t", "bytes": b"b", "json": b"j"}
_KINDS: Final[dict[bytes, Kind]] = {letter: kind for kind, letter in _LETTERS.items()}
#: Bytes of the signature ahead of the rest, if there is a secret.
_SIGNATURE_SIZE: Final = hashlib.sha256().digest_size


class Payload(NamedTuple):
    """The content of a message to a group."""

    kind: Kind
    #: JSON is text as well: it was serialized by the publisher.
    data: str | bytes
    #: The ``member_id`` of the WebSocket that does not get the message; ``None`` if all members get it.
    exclude: str | None = None

    def envelope(self, group: str, position: Position) -> str:
        """Return the text that members of a group with history get, who have to learn the position of each message.

        The payload must not be bytes.
        """
        data = self.data if self.kind == "json" else json.dumps(self.data)
        return f'{{"group": {json.dumps(group)}, "id": "{position}", "data": {data}}}'  # type: ignore[str-bytes-safe]

    def to_bytes(self, secret: bytes | None = None) -> bytes:
        """Return the wire format, by which the content reaches other processes; ``secret`` signs it."""
        data = self.data if isinstance(self.data, bytes) else self.data.encode()
        raw = b"%b%b\n%b" % (_LETTERS[self.kind], (self.exclude or "").encode(), data)
        return raw if secret is None else hmac.digest(secret, raw, "sha256") + raw

    @classmethod
    def from_bytes(cls, raw: bytes, secret: bytes | None = None) -> Payload:
        """Return the content of a wire format.

        :raises ValueError: ``raw`` is malformed, or not signed with ``secret``.
        """
        if secret is not None:
            signature, raw = raw[:_SIGNATURE_SIZE], raw[_SIGNATURE_SIZE:]
            if not hmac.compare_digest(signature, hmac.digest(secret, raw, "sha256")):
                raise ValueError("a message without the signature of this site")
        head, found, data = raw.partition(b"\n")
        kind = _KINDS.get(head[:1])
        if not found or kind is None:
            raise ValueError("a message that is not understood")
        return cls(kind, data if kind == "bytes" else data.decode(), head[1:].decode() or None)


class Envelope(NamedTuple):
    """What a client has got from a group with history, unwrapped."""

    #: The name of the group.
    group: str
    #: The position of the message; ``None`` for a gap.
    id: Position | None
    #: What was sent: a ``str``, or the object that was passed to ``send_json()``; ``None`` for a gap.
    data: Any
    #: Whether messages are missing here.
    is_gap: bool = False
    #: The numbers of the first and the last missing message; ``None`` if they are not known.
    gap: tuple[int, int] | None = None


def gap_envelope(group: str, gap: tuple[int, int] | None) -> str:
    """Return the text that tells members of a group with history that messages are missing here.

    ``gap`` has the numbers of the first and the last of them; ``None`` if they are not known.
    """
    return json.dumps({"group": group, "gap": gap})


def unwrap(text: str | bytes) -> Envelope:
    """Return what an envelope holds.

    :raises ValueError: ``text`` is no envelope.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    match content:
        case {"group": str(group), "gap": None}:
            return Envelope(group, None, None, is_gap=True)
        case {"group": str(group), "gap": [int(first), int(last)]}:
            return Envelope(group, None, None, is_gap=True, gap=(first, last))
        case {"group": str(group), "id": str(text), "data": data} if position := Position.parse(text):
            return Envelope(group, position, data)
    raise ValueError("not an envelope of a group")
