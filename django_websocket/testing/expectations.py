"""What a test expects of a message, and how a failure shows what came instead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder

from ..groups.payload import Envelope, unwrap
from ..protocols.base import Message

#: Characters of a message that a failure shows.
_MAX_SHOWN: Final = 1000
#: Messages behind it that a failure shows too.
_MAX_FOLLOWING: Final = 5


class Expectation:
    """An expected message: ``str`` or ``bytes`` as they are, everything else as JSON, perhaps in an envelope."""

    def __init__(self, expected: object, group: str | None) -> None:
        """Expect a message, or with ``group`` an envelope of that group with ``expected`` as its data."""
        self._expected = expected
        self._group = group

    def envelope_of(self, message: Message) -> Envelope | None:
        """Return the envelope in which an expected message came; ``None`` without a group.

        :raises AssertionError: the message is another one.
        """
        if self._group is None:
            self._check(message, _read_json(message) if self._is_json else message)
            return None
        try:
            envelope = unwrap(message)
        except ValueError:
            raise AssertionError(self.failure(f"{_show(message)}, which is no envelope of a group")) from None
        if envelope.group != self._group:
            raise AssertionError(self.failure(f"{_show(message)}, of another group"))
        if envelope.is_gap:
            raise AssertionError(self.failure(f"{_show(message)}: messages are missing"))
        self._check(message, envelope.data)
        return envelope

    @property
    def _is_json(self) -> bool:
        return not isinstance(self._expected, (str, bytes))

    def _check(self, message: Message, actual: object) -> None:
        # "1" as text is another message than 1 as JSON.
        same_kind = actual is not _NO_JSON and isinstance(actual, (str, bytes)) is not self._is_json
        if not same_kind or actual not in (self._expected, _as_json(self._expected)):
            raise AssertionError(self.failure(_show(message if actual is _NO_JSON else actual)))

    def failure(self, came: str) -> str:
        """Return the text of a failure: what was expected, and what came."""
        of_group = "" if self._group is None else f", in the group {self._group}"
        return f"expected: {_show(self._expected)}{of_group}\n     got: {came}"


def show_following(messages: Iterable[Message]) -> list[str]:
    """Return the line of a failure that shows the messages behind the one that came; none if there are none."""
    shown = [_show(message) for message in messages]
    more = len(shown) - _MAX_FOLLOWING
    text = ", ".join(shown[:_MAX_FOLLOWING]) + (f" and {more} more" if more > 0 else "")
    return [f"    then: {text}"] if shown else []


#: Stands for the content of a message that is no JSON.
_NO_JSON: Final = object()


def _read_json(message: Message) -> object:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return _NO_JSON


def _as_json(expected: Any) -> Any:
    """Return an object as the client gets it: tuples are lists then, and dates are text."""
    try:
        return json.loads(json.dumps(expected, cls=DjangoJSONEncoder))
    except (TypeError, ValueError):
        # It holds something that equals many things, such as unittest.mock.ANY.
        return expected


def _show(message: object) -> str:
    text = repr(message)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}… ({len(text)} characters)"
