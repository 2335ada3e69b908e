"""The messages of htmx: what its extensions for WebSockets send for a form."""

from __future__ import annotations

import json
from typing import Any


def parse(message: str | bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the headers of a message that htmx has sent.

    htmx sends the fields of a form as a JSON object, with its headers (``HX-Request``, ``HX-Trigger``, …) as a member
    of it, which is called ``HEADERS`` by the extension ``ws`` of htmx 2, and ``headers`` by ``hx-ws`` of htmx 4. The
    values are of the types that JSON has: text for what was typed, a list for a field that occurs several times,
    ``None`` for a header of an element without that attribute. The client is free to send anything else, so that a
    view has to check them as it checks a form. A page may leave the headers out; they are empty then.

    :raises ValueError: the message is not a JSON object, is nested too deeply, or has a surrogate that is no character.
    """
    try:
        fields = json.loads(message)
        # JSON can escape half of a character, which nothing can encode: a view that sends it would fail.
        json.dumps(fields, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("this is no message of htmx: the JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"this is no message of htmx: {error}") from error
    if not isinstance(fields, dict):
        kind = type(fields).__name__
        raise ValueError(f"this is no message of htmx: it is no JSON object, but {kind}")  # noqa: TRY004 - of the peer
    # A form may have a field by the name that the other version uses. What is typed is text, and no object.
    for name in ("HEADERS", "headers"):
        if isinstance(fields.get(name), dict):
            return fields, fields.pop(name)
    return fields, {}


__all__ = ["parse"]
