"""The ``OPTIONS`` of the backend, and its ``LOCATION``: what they may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from ....conf.validators import flag, seconds
from ..base import COMMON_OPTIONS

#: What a URL of a Redis server begins with.
SCHEMES: Final = ("redis://", "rediss://", "unix://")
#: The port of a Sentinel whose address has none.
SENTINEL_PORT: Final = 26379
_PREFIX: Final = re.compile(r"[A-Za-z0-9._:-]{1,50}", re.ASCII)


def prefix(value: object) -> str:
    """Return ``value``, which has to be up to 50 letters, digits and ``._:-``.

    :raises TypeError: ``value`` is not a string.
    :raises ValueError: it has other characters.
    """
    if not isinstance(value, str):
        raise TypeError(f"must be a string, not {value!r}")
    if not _PREFIX.fullmatch(value):
        raise ValueError(f"must be 1 to 50 letters, digits and ._:- and not {value!r}")
    return value


def flag_or_none(value: object) -> bool | None:
    """Return ``value``, which has to be ``True``, ``False`` or ``None``.

    :raises TypeError: it is anything else.
    """
    return None if value is None else flag(value)


def on_gap(value: object) -> Literal["signal", "close"]:
    """Return ``value``, which has to be ``"signal"`` or ``"close"``.

    :raises ValueError: it is neither.
    """
    if value == "signal":
        return "signal"
    if value == "close":
        return "close"
    raise ValueError(f"must be 'signal' or 'close', not {value!r}")


def secret_or_none(value: object) -> bytes | None:
    """Return a secret as bytes, or ``None``.

    :raises TypeError: ``value`` is neither a string, nor bytes, nor ``None``.
    :raises ValueError: it is shorter than 16 bytes; the text does not repeat it.
    """
    if value is None:
        return None
    if not isinstance(value, (str, bytes)):
        raise TypeError("must be a string, bytes or None")
    secret = value.encode() if isinstance(value, str) else value
    if len(secret) < 16:
        raise ValueError("must have 16 bytes or more, as secrets.token_hex() returns them")
    return secret


def service_or_none(value: object) -> str | None:
    """Return ``value``, which has to be the name that Sentinels have for a master, or ``None``.

    :raises TypeError: ``value`` is no string.
    :raises ValueError: it is empty.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"must be a string or None, not {value!r}")
    if value == "":
        raise ValueError("must not be empty")
    return value


def sentinels_or_none(value: object) -> tuple[str, ...] | None:
    """Return the URLs of a list of Sentinels, each a URL or a pair of host and port; or ``None``.

    The texts do not repeat what may be a URL with a password.

    :raises TypeError: ``value`` is no list, or an entry is something else.
    :raises ValueError: the list is empty, or an entry is no URL of a Redis server.
    """
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"must be a list of addresses or None, not {type(value).__name__}")
    if not value:
        raise ValueError("must name at least one Sentinel")
    return tuple(map(_sentinel, value))


def _sentinel(entry: object) -> str:
    if isinstance(entry, str):
        check_url(entry)
        return entry
    if isinstance(entry, Sequence) and len(entry) == 2:
        host, port = entry
        if isinstance(host, str) and isinstance(port, int) and not isinstance(port, bool):
            return f"redis://{f'[{host}]' if ':' in host else host}:{port}"
    raise TypeError(f"must have URLs, or pairs of a host and a port number, and nothing else: {type(entry).__name__}")


def check_url(url: str) -> None:
    """Check the URL of a Redis server, as far as that is possible without redis-py. The texts do not repeat it.

    :raises ValueError: it is none.
    """
    if not url.startswith(SCHEMES):
        raise ValueError(f"must have URLs that begin with {', '.join(SCHEMES)}")
    try:
        urlsplit(url).port  # noqa: B018 - asking for it checks it
    except ValueError:
        raise ValueError(
            "has a URL with a port that is no number; percent-encode special characters in a password"
        ) from None


def check_location(location: Any) -> None:
    """Check a ``LOCATION``: a URL, or the URLs of some nodes of a cluster, or ``None`` with Sentinels.

    :raises ValueError: it is none; the text continues a sentence begun with the name of the setting.
    """
    urls = () if location is None else (location,) if isinstance(location, str) else location
    if location is not None and not urls:
        raise ValueError("has a LOCATION without a URL")
    for url in urls:
        try:
            check_url(url)
        except ValueError as error:
            raise ValueError(f"has a LOCATION that cannot be used: it {error}") from None


OPTIONS: Final[Mapping[str, tuple[Callable[[object], Any], object]]] = {
    **COMMON_OPTIONS,
    "PREFIX": (prefix, "django-websocket"),
    "CLUSTER": (flag, False),
    # None: where CLUSTER is set.
    "SHARDED": (flag_or_none, None),
    "SENTINELS": (sentinels_or_none, None),
    "SERVICE": (service_or_none, None),
    "TIMEOUT": (seconds, 2),
    "ON_GAP": (on_gap, "signal"),
    "SECRET": (secret_or_none, None),
}
