"""The settings, typed, and the options of a view, which override them.

A setting is read from ``django.conf.settings`` when it is asked for first, so that importing this module needs no
settings, and again after ``override_settings`` has changed one. A setting and the option of the same name have one
validator, and the system checks use it too. A validator gives the value in its final type, or raises ``TypeError`` or
``ValueError`` with a text that continues a sentence begun by the name of the setting or option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, overload

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ..exceptions import HandshakeError
from ..handshake.origins import parse_listed
from ..options import Options
from ..protocols.base import Compression, Protocol
from ..protocols.http import parse_tokens

T = TypeVar("T")

#: Seconds, nearly 25 days: the longest time that ``poll`` can wait for, in its milliseconds.
MAX_SECONDS: Final = 2_147_483

#: Every version, in order of preference.
DEFAULT_PROTOCOLS: Final = (
    "django_websocket.protocols.rfc6455.RFC6455",
    "django_websocket.protocols.hixie76.Hixie76",
    "django_websocket.protocols.hixie75.Hixie75",
)


# Validators


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"must be True or False, not {value!r}")
    return value


def _seconds(value: object, expected: str = "a number of seconds") -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"must be {expected}, not {value!r}")
    if not 0 < value <= MAX_SECONDS:
        raise ValueError(f"must be above 0 and at most {MAX_SECONDS} seconds, not {value!r}")
    return value


def _seconds_or_none(value: object) -> float | None:
    return None if value is None else _seconds(value, "a number of seconds or None")


def _count_or_none(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"must be a whole number or None, not {value!r}")
    if value < 1:
        raise ValueError(f"must be above 0, not {value!r}")
    return value


def _database_policy(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be 'release' or 'keep', not {value!r}")
    if value not in {"release", "keep"}:
        raise ValueError(f"must be 'release' or 'keep', not {value!r}")
    return value


def _strings(value: object, expected: str) -> tuple[str, ...]:
    """Give a list or tuple of strings as a tuple; a bare string is a list that lost its brackets."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"must be {expected}, not {value!r}")
    return tuple(value)


def _origins_or_none(value: object) -> tuple[str, ...] | None:
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


def _subprotocols(value: object) -> tuple[str, ...]:
    names = _strings(value, "a list of subprotocol names")
    # A list is good if a client could offer it: what is read back from the header must be what was written.
    try:
        read_back = parse_tokens(",".join(names), "Sec-WebSocket-Protocol")
    except HandshakeError:
        read_back = None
    if read_back != names:
        raise ValueError(f"must be different tokens (letters, digits, and !#$%&'*+-.^_`|~), not {value!r}")
    return names


# The options that are whole numbers, and which. zlib does not compress with fewer than nine window bits.
_COMPRESSION_NUMBERS: Final = {
    "level": range(1, 10),
    "window_bits": range(9, 16),
    "memory_level": range(1, 10),
    "threshold": range(2**63),
}


def _compression(value: object) -> Compression | None:
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


def _protocols(value: object) -> tuple[type[Protocol], ...]:
    paths = _strings(value, "a list of dotted paths")
    if not paths:
        raise ValueError("must name at least one protocol")
    return tuple(map(import_protocol, paths))


def import_protocol(path: str) -> type[Protocol]:
    """Give the protocol class at a dotted path; errors as a validator's."""
    try:
        protocol = import_string(path)
    except ImportError as error:
        raise ValueError(f"has an entry that cannot be imported: {path!r} ({error})") from error
    if not (isinstance(protocol, type) and issubclass(protocol, Protocol)):
        raise TypeError(f"has an entry that is no subclass of {Protocol.__module__}.Protocol: {path!r}")
    return protocol


# Settings


class Setting(Generic[T]):
    """A setting of the project, read and validated at the first access; then it is an attribute of the instance.

    :raises ImproperlyConfigured: at access, when the value is not one the setting can have.
    """

    def __init__(self, default: object, validate: Callable[[object], T]) -> None:
        self.default = default
        self.validate = validate

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name
        self.name = f"WEBSOCKET_{name.upper()}"

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> Setting[T] | T:
        if instance is None:
            return self
        # Taken before the setting is read: what another thread changes meanwhile is not forgotten.
        values = instance.__dict__
        try:
            value = values[self.attribute] = self.validate(getattr(settings, self.name, self.default))
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"{self.name} {error}.") from error
        return value


class Conf:
    """The settings of this package: ``conf.ping_interval`` is ``WEBSOCKET_PING_INTERVAL``."""

    #: With the middleware: every view takes WebSockets.
    accept_all = Setting(False, _flag)
    #: The classes of the versions that are spoken, in order of preference.
    protocols = Setting(DEFAULT_PROTOCOLS, _protocols)
    #: ``None``: the request's own origin and ``CSRF_TRUSTED_ORIGINS``.
    allowed_origins = Setting(None, _origins_or_none)
    #: Whether clients that send no Origin are refused.
    require_origin = Setting(False, _flag)
    #: Bytes after decompression; ``None``: no limit.
    max_message_size = Setting(1024 * 1024, _count_or_none)
    #: Frames a message may come in; ``None``: no limit.
    max_fragments = Setting(1024, _count_or_none)
    #: How messages are compressed; ``None``: not.
    compression = Setting(False, _compression)
    #: Seconds of silence before a ping; ``None``: no pings.
    ping_interval = Setting(20, _seconds_or_none)
    #: Seconds to wait for a sign of life after a ping; ``None``: for ever.
    ping_timeout = Setting(20, _seconds_or_none)
    #: Seconds without one byte accepted by the peer.
    send_timeout = Setting(10, _seconds)
    #: Seconds to wait for the peer's Close.
    close_timeout = Setting(5, _seconds)
    #: Seconds to wait for the rest of a handshake.
    handshake_timeout = Setting(5, _seconds)
    #: Connections of this process; ``None``: no limit.
    max_connections = Setting(None, _count_or_none)
    #: Whether open sockets get Close 1012 when the process is asked to end.
    close_on_sigterm = Setting(True, _flag)
    #: What becomes of a waiting view's database connections: ``"release"`` or ``"keep"``.
    db = Setting("release", _database_policy)
    #: Seconds between two looks at the session and user of a connection; ``None``: never.
    revalidate = Setting(60, _seconds_or_none)

    def options(self, overrides: Mapping[str, object]) -> Options:
        """Give the effective options of a view: its own in ``overrides``, and the settings for the rest.

        :raises TypeError: as :func:`check_options`; so with ``ValueError``.
        :raises ImproperlyConfigured: a setting has a value it cannot have.
        """
        return self._options(overrides) if overrides else self._defaults

    @cached_property
    def _defaults(self) -> Options:
        return self._options({})

    def _options(self, overrides: Mapping[str, object]) -> Options:
        values = _validated(overrides)
        for name in _VALIDATORS:
            if name not in values and name != "subprotocols":
                values[name] = getattr(self, name)
        return Options(handshake_timeout=self.handshake_timeout, **values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name!r} is set in the project's settings")

    def forget(self, *, setting: str, **_: Any) -> None:
        """Have the settings read anew, as a test has changed one."""
        if setting.startswith("WEBSOCKET_"):
            object.__setattr__(self, "__dict__", {})


conf: Final = Conf()
setting_changed.connect(conf.forget, dispatch_uid="django_websocket.conf")


# The options of a view


_VALIDATORS: Final[Mapping[str, Callable[[object], object]]] = {
    field.name: _subprotocols if field.name == "subprotocols" else getattr(Conf, field.name).validate
    for field in fields(Options)
    if field.name != "handshake_timeout"
}


def check_options(options: Mapping[str, object]) -> None:
    """Check the options of a view, when it is decorated.

    :raises TypeError: an option that does not exist, or a value of the wrong type.
    :raises ValueError: a value of the right type that the option cannot have.
    """
    _validated(options)


def _validated(options: Mapping[str, object]) -> dict[str, Any]:
    """Give the options in their final types; errors as in :func:`check_options`."""
    values = {}
    for name, value in options.items():
        if name not in _VALIDATORS:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(sorted(_VALIDATORS))}")
        try:
            values[name] = _VALIDATORS[name](value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} {error}") from error
    return values
