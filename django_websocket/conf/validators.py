"""The validators of the settings and of the options that the decorators take.

A validator takes the value that a project has written and returns it in its final type. ``TypeError`` and
``ValueError`` carry a text that continues a sentence begun with the name of the setting or option.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from django.utils.module_loading import import_string

from ..exceptions import HandshakeError
from ..handshake.origins import parse_listed
from ..protocols.base import Compression, Protocol
from ..protocols.http import parse_tokens

#: Seconds, nearly 25 days: the longest timeout of ``poll``, which takes milliseconds as a signed 32-bit integer.
MAX_SECONDS: Final = 2_147_483


def flag(value: object) -> bool:
    """Return ``value``, which has to be ``True`` or ``False``.

    :raises TypeError: ``value`` is anything else, ``0`` and ``1`` included.
    """
    if not isinstance(value, bool):
        raise TypeError(f"must be True or False, not {value!r}")
    return value


def seconds(value: object) -> float:
    """Return ``value``, which has to be a number of seconds above 0 and at most :data:`MAX_SECONDS`.

    :raises TypeError: ``value`` is not a number, or is a ``bool``.
    :raises ValueError: ``value`` is outside these bounds, or is NaN.
    """
    return _seconds(value, "a number of seconds")


def seconds_or_none(value: object) -> float | None:
    """Return ``value``, which has to be ``None`` or a number of seconds as for :func:`seconds`."""
    return None if value is None else _seconds(value, "a number of seconds or None")


def _seconds(value: object, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"must be {expected}, not {value!r}")
    if not 0 < value <= MAX_SECONDS:
        raise ValueError(f"must be above 0 and at most {MAX_SECONDS} seconds, not {value!r}")
    return value


def count_or_none(value: object) -> int | None:
    """Return ``value``, which has to be a whole number above 0, or ``None``.

    :raises TypeError: ``value`` is anything else, a ``bool`` included.
    :raises ValueError: ``value`` is a whole number below 1.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError(f"must be a whole number or None, not {value!r}")
    return None if value is None else count(value)


def database_policy(value: object) -> str:
    """Return ``value``, which has to be ``"release"`` or ``"keep"``.

    :raises TypeError: ``value`` is not a string.
    :raises ValueError: ``value`` is another string.
    """
    if not isinstance(value, str):
        raise TypeError(f"must be 'release' or 'keep', not {value!r}")
    if value not in {"release", "keep"}:
        raise ValueError(f"must be 'release' or 'keep', not {value!r}")
    return value


def origins_or_none(value: object) -> tuple[str, ...] | None:
    """Return a list of origins as a tuple, or ``None``. The entry ``"*"`` allows every origin.

    :raises TypeError: ``value`` is not a list or tuple of strings.
    :raises ValueError: an entry that no origin could ever match.
    """
    if value is None:
        return None
    origins = _strings(value, "a list of origins or None")
    for origin in origins:
        if origin != "*" and parse_listed(origin) is None:
            raise ValueError(
                f"has an entry that is no origin: {origin!r}; "
                "write 'https://example.com', 'https://*.example.com' or '*'"
            )
    return origins


def subprotocols(value: object) -> tuple[str, ...]:
    """Return a list of subprotocol names as a tuple.

    :raises TypeError: ``value`` is not a list or tuple of strings.
    :raises ValueError: a name that is not a token (RFC 6455 section 4.1), a name that comes twice, or too many of them.
    """
    names = _strings(value, "a list of subprotocol names")
    # The list is valid if a client could offer it: parsing the header field returns the names that were written to it.
    try:
        read_back = parse_tokens(",".join(names), "Sec-WebSocket-Protocol")
    except HandshakeError:
        read_back = None
    if read_back != names:
        raise ValueError(f"must be different tokens (letters, digits, and !#$%&'*+-.^_`|~), not {value!r}")
    return names


# The compression options that are whole numbers, and their ranges. zlib does not compress with fewer than nine window
# bits.
_COMPRESSION_NUMBERS: Final = {
    "level": range(1, 10),
    "window_bits": range(9, 16),
    "memory_level": range(1, 10),
    "threshold": range(2**63),
}


def compression(value: object) -> Compression | None:
    """Return the compression that ``True`` or a dict of options stands for; ``None`` for ``False``.

    :raises TypeError: ``value`` is neither a ``bool`` nor a dict, or an option has the wrong type.
    :raises ValueError: an option does not exist, or a number is outside its range.
    """
    if isinstance(value, bool):
        return Compression() if value else None
    if not isinstance(value, Mapping):
        raise TypeError(f"must be True, False or a dict of options, not {value!r}")
    for name, item in value.items():
        if name == "context_takeover":
            if not isinstance(item, bool):
                raise TypeError(f"must be a dict in which {name!r} is True or False, not {item!r}")
        elif name not in _COMPRESSION_NUMBERS:
            known = ", ".join(_COMPRESSION_NUMBERS)
            raise ValueError(f"must be a dict with the keys {known} and context_takeover, not {name!r}")
        else:
            numbers = _COMPRESSION_NUMBERS[name]
            if isinstance(item, bool) or not isinstance(item, int):
                raise TypeError(f"must be a dict in which {name!r} is a whole number, not {item!r}")
            if item not in numbers:
                upper = f" and at most {numbers[-1]}" if name != "threshold" else ""
                raise ValueError(f"must be a dict in which {name!r} is at least {numbers[0]}{upper}, not {item!r}")
    return Compression(**value)


class GroupsConfig(NamedTuple):
    """An entry of ``WEBSOCKET_GROUPS``."""

    #: The dotted path of a subclass of :class:`~django_websocket.groups.backends.base.Backend`.
    backend: str
    #: Where the backend finds its server; ``None`` if it has none.
    location: str | tuple[str, ...] | None
    options: Mapping[str, object]


_GROUPS_KEYS: Final = frozenset({"BACKEND", "LOCATION", "OPTIONS"})


def groups(value: object) -> Mapping[str, GroupsConfig]:
    """Return the entries of a dict of backends, by alias. Their backends are not imported.

    :raises TypeError: the value, or a part of it, has the wrong type.
    :raises ValueError: an entry has no ``BACKEND``, or a key that does not exist; or none is called ``"default"``.
    """
    if not isinstance(value, Mapping) or not all(isinstance(alias, str) for alias in value):
        raise TypeError(f"must be a dict of backends by alias, not {value!r}")
    if "default" not in value:
        raise ValueError("must have an entry 'default'")
    return {alias: _groups_config(alias, entry) for alias, entry in value.items()}


def _groups_config(alias: str, entry: object) -> GroupsConfig:
    if not isinstance(entry, Mapping):
        raise TypeError(f"must have a dict for {alias!r}, not {entry!r}")
    if unknown := set(entry) - _GROUPS_KEYS:
        raise ValueError(f"has a key for {alias!r} that does not exist: {min(map(repr, unknown))}")
    backend, location, options = (entry.get(key) for key in ("BACKEND", "LOCATION", "OPTIONS"))
    if not isinstance(backend, str):
        raise TypeError(f"must have a dotted path as BACKEND of {alias!r}, not {backend!r}")
    if isinstance(location, (list, tuple)):
        location = _strings(location, f"a URL, or a list of them, as LOCATION of {alias!r}")
    elif not isinstance(location, (str, type(None))):
        raise TypeError(f"must have a URL, or a list of them, as LOCATION of {alias!r}, not {location!r}")
    if not isinstance(options, (Mapping, type(None))):
        raise TypeError(f"must have a dict as OPTIONS of {alias!r}, not {options!r}")
    return GroupsConfig(backend, location, options or {})


def count(value: object) -> int:
    """Return ``value``, which has to be a whole number above 0.

    :raises TypeError: ``value`` is anything else, a ``bool`` included.
    :raises ValueError: ``value`` is a whole number below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"must be above 0, not {value!r}")
    return value


def protocols(value: object) -> tuple[type[Protocol], ...]:
    """Return the protocol classes of a list of dotted paths, in its order.

    :raises TypeError: ``value`` is not a list or tuple of strings, or an entry is no protocol class.
    :raises ValueError: the list is empty, or an entry cannot be imported.
    """
    paths = _strings(value, "a list of dotted paths")
    if not paths:
        raise ValueError("must name at least one protocol")
    return tuple(map(import_protocol, paths))


def import_protocol(path: str) -> type[Protocol]:
    """Return the protocol class at a dotted path.

    :raises TypeError: the path leads to something that is no subclass of ``Protocol``.
    :raises ValueError: nothing can be imported from the path.
    """
    try:
        protocol = import_string(path)
    except ImportError as error:
        raise ValueError(f"has an entry that cannot be imported: {path!r} ({error})") from error
    if not (isinstance(protocol, type) and issubclass(protocol, Protocol)):
        raise TypeError(f"has an entry that is no subclass of {Protocol.__module__}.Protocol: {path!r}")
    return protocol


def _strings(value: object, expected: str) -> tuple[str, ...]:
    """Return a list or tuple of strings as a tuple. A single string is an error: the list around it is missing."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"must be {expected}, not {value!r}")
    return tuple(value)
