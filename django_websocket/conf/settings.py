"""The settings, each declared once: its name, its default, its validator and the id of its system check.

A setting is read from ``django.conf.settings`` at its first access, so that importing this module needs no settings,
and again after ``override_settings`` has changed one. A setting and the decorator option of the same name share one
validator, and the system checks use it too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, overload

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from ..options import Options
from ..protocols.base import DEFAULT_MAX_FRAGMENTS, DEFAULT_MAX_MESSAGE_SIZE
from . import validators
from .validators import count_or_none, database_policy, flag, origins_or_none, seconds, seconds_or_none

T = TypeVar("T")

#: Every version, in order of preference.
DEFAULT_PROTOCOLS: Final = (
    "django_websocket.protocols.rfc6455.RFC6455",
    "django_websocket.protocols.hixie76.Hixie76",
    "django_websocket.protocols.hixie75.Hixie75",
)


#: The backend of groups whose members are in one process.
MEMORY_BACKEND: Final = "django_websocket.groups.backends.memory.MemoryBackend"
DEFAULT_GROUPS: Final[Mapping[str, object]] = {"default": {"BACKEND": MEMORY_BACKEND}}


class Setting(Generic[T]):
    """A setting of the project, read and validated at its first access, then cached as an attribute of the instance.

    ``check_id`` is the id of the system check that reports a bad value, without ``django_websocket.`` before it.
    Projects silence checks by their ids, so that an id never changes. ``per_view`` says that the decorators take an
    option of the same name.

    :raises ImproperlyConfigured: at access, when ``validate`` rejects the value.
    """

    def __init__(
        self, name: str, default: object, validate: Callable[[object], T], *, check_id: str, per_view: bool = False
    ) -> None:
        self.name = name
        self.default = default
        self.validate = validate
        self.check_id = check_id
        self.per_view = per_view

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> Setting[T] | T:
        if instance is None:
            return self
        # The dict is fetched before the setting is read: if another thread calls forget() meanwhile, the old value
        # goes into the old dict, and the next access reads the new value.
        values = instance.__dict__
        try:
            value = values[self.attribute] = self.validate(getattr(settings, self.name, self.default))
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"{self.name} {error}.") from error
        return value


class Conf:
    """The settings of this package: ``conf.ping_interval`` is the validated ``WEBSOCKET_PING_INTERVAL``."""

    #: Whether every view takes WebSockets; this needs the middleware.
    accept_all = Setting("WEBSOCKET_ACCEPT_ALL", False, flag, check_id="E001")
    #: The classes of the protocol versions that are spoken, in order of preference.
    protocols = Setting("WEBSOCKET_PROTOCOLS", DEFAULT_PROTOCOLS, validators.protocols, check_id="E002")
    #: The origins whose pages may connect; ``None``: the origin of the request and ``CSRF_TRUSTED_ORIGINS``.
    allowed_origins = Setting("WEBSOCKET_ALLOWED_ORIGINS", None, origins_or_none, check_id="E003", per_view=True)
    #: Whether clients that send no ``Origin`` are refused.
    require_origin = Setting("WEBSOCKET_REQUIRE_ORIGIN", False, flag, check_id="E004", per_view=True)
    #: Bytes of a message, after decompression; ``None``: no limit.
    max_message_size = Setting(
        "WEBSOCKET_MAX_MESSAGE_SIZE", DEFAULT_MAX_MESSAGE_SIZE, count_or_none, check_id="E005", per_view=True
    )
    #: Frames of a message; ``None``: no limit.
    max_fragments = Setting(
        "WEBSOCKET_MAX_FRAGMENTS", DEFAULT_MAX_FRAGMENTS, count_or_none, check_id="E006", per_view=True
    )
    #: The parameters of the compression of messages; ``None``: no compression.
    compression = Setting("WEBSOCKET_COMPRESSION", False, validators.compression, check_id="E014", per_view=True)
    #: Seconds without a byte from the peer before a ping; ``None``: no pings.
    ping_interval = Setting("WEBSOCKET_PING_INTERVAL", 20, seconds_or_none, check_id="E007", per_view=True)
    #: Seconds without a byte from the peer after a ping before the connection is dropped; ``None``: no limit.
    ping_timeout = Setting("WEBSOCKET_PING_TIMEOUT", 20, seconds_or_none, check_id="E008", per_view=True)
    #: Seconds in which the peer takes not one byte before the connection is dropped.
    send_timeout = Setting("WEBSOCKET_SEND_TIMEOUT", 10, seconds, check_id="E009", per_view=True)
    #: Seconds to wait for the peer's Close after ours.
    close_timeout = Setting("WEBSOCKET_CLOSE_TIMEOUT", 5, seconds, check_id="E010", per_view=True)
    #: Seconds to wait for the rest of a handshake.
    handshake_timeout = Setting("WEBSOCKET_HANDSHAKE_TIMEOUT", 5, seconds, check_id="E011")
    #: WebSockets of this process at a time; ``None``: no limit.
    max_connections = Setting("WEBSOCKET_MAX_CONNECTIONS", None, count_or_none, check_id="E012")
    #: Whether open WebSockets are closed with 1012 when the process is asked to end.
    close_on_sigterm = Setting("WEBSOCKET_CLOSE_ON_SIGTERM", True, flag, check_id="E013")
    #: The policy for the database connections of a waiting view: ``"release"`` closes them, ``"keep"`` does not.
    db = Setting("WEBSOCKET_DB", "release", database_policy, check_id="E015")
    #: Seconds between two checks of the session and user of a connection; ``None``: never.
    revalidate = Setting("WEBSOCKET_REVALIDATE", 60, seconds_or_none, check_id="E016")

    #: The backends that carry the messages of groups, by alias.
    groups = Setting("WEBSOCKET_GROUPS", DEFAULT_GROUPS, validators.groups, check_id="E017")

    def options(self, overrides: Mapping[str, object]) -> Options:
        """Return the options of a view: ``overrides``, which are its decorator's, and the settings for the rest.

        :raises TypeError: see :func:`check_options`.
        :raises ValueError: see :func:`check_options`.
        :raises ImproperlyConfigured: a setting that is needed has a bad value.
        """
        return self._options(overrides) if overrides else self._default_options

    @cached_property
    def _default_options(self) -> Options:
        return self._options({})

    def _options(self, overrides: Mapping[str, object]) -> Options:
        values = _validated(overrides)
        for name in _OPTIONS_FROM_SETTINGS:
            if name not in values:
                values[name] = getattr(self, name)
        return Options(**values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name!r} is set in the project's settings")

    def forget(self, *, setting: str, **_: Any) -> None:
        """Forget the cached values when a test has changed ``setting`` and it is a setting of this package."""
        if setting.startswith("WEBSOCKET_"):
            object.__setattr__(self, "__dict__", {})


#: Every setting, in the order of the documentation.
SETTINGS: Final[tuple[Setting[Any], ...]] = tuple(
    setting for setting in vars(Conf).values() if isinstance(setting, Setting)
)

conf: Final = Conf()
setting_changed.connect(conf.forget, dispatch_uid="django_websocket.conf")


# The fields of Options that have a setting of the same name.
_OPTIONS_FROM_SETTINGS: Final = tuple(field.name for field in fields(Options) if hasattr(Conf, field.name))

# The options that the decorators take.
_OPTION_VALIDATORS: Final[Mapping[str, Callable[[object], object]]] = {
    **{setting.attribute: setting.validate for setting in SETTINGS if setting.per_view},
    "subprotocols": validators.subprotocols,
}


def check_options(options: Mapping[str, object]) -> None:
    """Check the options of a decorator, when a view is decorated.

    :raises TypeError: an option that does not exist, or a value of the wrong type.
    :raises ValueError: a value of the right type that the option cannot have.
    """
    _validated(options)


def _validated(options: Mapping[str, object]) -> dict[str, Any]:
    """Return the options of a decorator in their final types; the errors are those of :func:`check_options`."""
    values = {}
    for name, value in options.items():
        if name not in _OPTION_VALIDATORS:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(sorted(_OPTION_VALIDATORS))}")
        try:
            values[name] = _OPTION_VALIDATORS[name](value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} {error}") from error
    return values
