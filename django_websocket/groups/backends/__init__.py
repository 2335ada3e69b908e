"""The backends that carry the messages of groups: within one process, or between processes and machines."""

from __future__ import annotations

import os
from typing import Any, Final

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ...conf import GroupsConfig, conf
from ...exceptions import GroupConfigurationError
from ...process.threads import native_rlock
from .base import Backend
from .isolation import RunningTest, in_tests

__all__ = ["backend_class", "backend_options", "forget_groups", "get_backend", "known_backends"]

_backends: Final[dict[str, Backend]] = {}
# The lock is native, as nothing that waits for another greenlet runs under it.
_lock: Final = [native_rlock()]
#: The running test, if a backend was made in one.
_test: Final[list[RunningTest]] = []


def get_backend(alias: str) -> Backend:
    """Return the backend of an alias of ``WEBSOCKET_GROUPS``, made at first use in this process. Thread-safe.

    :raises GroupConfigurationError: there is no such alias, or its entry is not right.
    """
    if _test and _test[0].has_changed():
        forget_groups()
    try:
        return _backends[alias]
    except KeyError:
        pass
    config = conf.groups.get(alias)
    if config is None:
        raise GroupConfigurationError(f"WEBSOCKET_GROUPS has no entry {alias!r}")
    try:
        backend = backend_class(config)
        options = backend_options(backend, config)
    except (TypeError, ValueError) as error:
        raise GroupConfigurationError(f"WEBSOCKET_GROUPS {error}, for {alias!r}") from error
    with _lock[0]:
        if not _test and in_tests():
            _test.append(RunningTest())
        if alias not in _backends:
            _backends[alias] = backend(alias, config.location, options)
        return _backends[alias]


def known_backends() -> list[Backend]:
    """Return the backends that were used in this process."""
    return list(_backends.values())


def backend_class(config: GroupsConfig) -> type[Backend]:
    """Return the class of a backend.

    :raises TypeError: the dotted path leads to something that is no backend.
    :raises ValueError: nothing can be imported from it.
    """
    try:
        found = import_string(config.backend)
    except ImportError as error:
        raise ValueError(f"has a BACKEND that cannot be imported: {config.backend!r} ({error})") from error
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise TypeError(f"has a BACKEND that is no subclass of {Backend.__module__}.Backend: {config.backend!r}")
    return found


def backend_options(backend: type[Backend], config: GroupsConfig) -> dict[str, Any]:
    """Return all options of a backend, validated.

    :raises TypeError: an option has the wrong type.
    :raises ValueError: an option does not exist, or has a value that it cannot have; or ``LOCATION`` has.
    """
    for name in config.options:
        if name not in backend.option_names:
            raise ValueError(
                f"has an option that does not exist: {name!r}; there are {', '.join(backend.option_names)}"
            )
    options = {}
    for name, (validate, default) in backend.option_names.items():
        try:
            options[name] = validate(config.options.get(name, default))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} {error}") from error
    backend.check_location(config.location)
    return options


def forget_groups() -> None:
    """Forget the members, histories and positions of all groups that are in the memory of this process only.

    Before each test that uses groups, this happens automatically.
    """
    for alias, backend in list(_backends.items()):
        if not backend.crosses_processes:
            _backends.pop(alias, None)
            backend.stop()


def _forget(*, setting: str = "WEBSOCKET_GROUPS", **_: Any) -> None:
    """Forget all backends: a test has changed the setting, or this is a forked child, and they are its parent's."""
    if setting == "WEBSOCKET_GROUPS":
        for backend in list(_backends.values()):
            backend.stop()
        _backends.clear()


def _reset() -> None:
    _lock[0] = native_rlock()
    _backends.clear()


setting_changed.connect(_forget, dispatch_uid="django_websocket.groups")
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
