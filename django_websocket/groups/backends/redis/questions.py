"""The form of a question for the WebSockets of all processes, and of an answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

from ....connection.info import ConnectionInfo
from ...payload import Payload
from ...snapshot import LIMIT, MAX_USERS, TEXT_SIZE, Search, Snapshot, Totals
from .wire import Wire

#: The name of the group for which questions are signed, and the beginning of that for answers. No project can have it.
ROLL_CALL: Final = "~roll-call"
#: Numbers in an answer are smaller: a page could not show what no float can hold.
MAX_COUNT: Final = 1 << 63
#: The years of times in an answer, without the first and the last few, which some time zones do not have.
YEARS: Final = range(1970, 9000)
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
#: What reading JSON of somebody else may raise.
_ERRORS: Final = (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError)


class Question(NamedTuple):
    """A question for the WebSockets of all processes."""

    #: 32 hexadecimal digits.
    id: str
    search: Search
    #: How many each process lists at most.
    limit: int


class Answer(NamedTuple):
    """What one process has answered."""

    #: Its name among those that share the backend.
    sender: str
    snapshot: Snapshot


def write_question(wire: Wire, question: Question) -> bytes:
    """Return the bytes of a question."""
    return wire.write(ROLL_CALL, Payload("json", json.dumps([question.id, question.limit, question.search._asdict()])))


def read_question(wire: Wire, raw: bytes) -> Question | None:
    """Return a question; ``None`` if it is not understood, or was not signed by this site."""
    payload = wire.read(ROLL_CALL, raw)
    if payload is None:
        return None
    try:
        identifier, limit, search = json.loads(payload.data)
        if not _ID.fullmatch(identifier):
            return None
        text, users, one = search["text"], search["users"], search["id"]
        return Question(
            identifier,
            Search(_text(text), None if users is None else tuple(map(_text, users[:MAX_USERS])), _text_or_none(one)),
            min(_count(limit), LIMIT),
        )
    except _ERRORS:
        return None


def write_answer(wire: Wire, question: str, answer: Answer) -> bytes:
    """Return the bytes of an answer to a question, which is of use for no other question."""
    snapshot = answer.snapshot
    content = {
        "sender": answer.sender,
        **{name: getattr(snapshot, name) for name in _SNAPSHOT},
        "totals": snapshot.totals._asdict(),
        "fields": list(_FIELDS),
        "rows": [[_writable(getattr(info, name)) for name in _FIELDS] for info in snapshot.connections],
    }
    return wire.write(f"{ROLL_CALL} {question}", Payload("json", json.dumps(content)))


def read_answer(wire: Wire, question: str, raw: bytes) -> Answer | None:
    """Return an answer to a question; ``None`` as for :func:`read_question`.

    Fields of later versions are left out.
    """
    payload = wire.read(f"{ROLL_CALL} {question}", raw)
    if payload is None:
        return None
    try:
        content = json.loads(payload.data)
        totals = content["totals"]
        names = content["fields"]
        rows = [dict(zip(names, row, strict=True)) for row in content["rows"][:LIMIT]]
        snapshot = Snapshot(
            **{name: read(content[name]) for name, read in _SNAPSHOT.items()},
            totals=Totals(*(_count(totals[name]) for name in Totals._fields)),
            connections=[ConnectionInfo(**{name: read(row[name]) for name, read in _FIELDS.items()}) for row in rows],
        )
        return Answer(_text(content["sender"]), snapshot)
    except _ERRORS:
        return None


def _writable(value: object) -> object:
    if isinstance(value, datetime):
        return value.timestamp()
    return value[:TEXT_SIZE] if isinstance(value, str) else value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    # JSON may have halves of characters, which no page could be encoded with.
    return value[:TEXT_SIZE].encode(errors="replace").decode()


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_COUNT:
        raise ValueError("no number of things")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("no number of seconds")
    return value


def _time(value: object) -> datetime:
    time = datetime.fromtimestamp(_seconds(value), timezone.utc)
    if time.year not in YEARS:
        raise ValueError("no time of a connection")
    return time


def _or_none(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


_text_or_none: Final = _or_none(_text)
#: How the parts of an answer are read that are no totals and no list.
_SNAPSHOT: Final[Mapping[str, Callable[[object], Any]]] = {
    "process": _text,
    "host": _text,
    "pid": _count,
    "open": _count,
}
#: How the fields of each WebSocket are read.
_FIELDS: Final[Mapping[str, Callable[[object], Any]]] = {
    "id": _text,
    "path": _text,
    "route": _text_or_none,
    "user_id": _text_or_none,
    "version": _count,
    "subprotocol": _text_or_none,
    "since": _time,
    "messages_received": _count,
    "messages_sent": _count,
    "bytes_received": _count,
    "bytes_sent": _count,
    "last_received": _or_none(_time),
    "latency": _or_none(_seconds),
    "thread": _text,
}
