"""The errors of redis-py, as those of groups."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from ....exceptions import GroupConfigurationError, GroupError, GroupUnavailable

#: The oldest redis-py.
OLDEST_CLIENT: Final = 5
#: Functions of redis-py that make a connection. An error that has passed through one of them came ahead of the command.
_CONNECTING: Final = frozenset({"connect", "connect_check_health", "get_connection", "make_connection", "initialize"})


def import_redis() -> Any:
    """Return the module :mod:`redis`.

    :raises GroupConfigurationError: it is not installed, or is too old.
    """
    try:
        redis = import_module("redis")
    except ImportError as error:
        raise GroupConfigurationError("groups on Redis need the package redis: pip install redis") from error
    version = str(getattr(redis, "__version__", "0"))
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < OLDEST_CLIENT:
        raise GroupConfigurationError(f"groups on Redis need redis-py {OLDEST_CLIENT} or newer, not {version}")
    return redis


def failures() -> tuple[type[Exception], ...]:
    """Return the classes of the errors that redis-py raises, for ``except``."""
    redis = import_redis()
    return (redis.RedisError, redis.exceptions.RedisClusterException, OSError)


def translate(error: Exception) -> GroupError:
    """Return the error of a group for one of redis-py."""
    exceptions = import_redis().exceptions
    text = " ".join(str(error).split())[:300]
    if isinstance(error, GroupError):
        return error
    if isinstance(error, exceptions.AuthenticationError) or any(
        word in text for word in ("NOAUTH", "WRONGPASS", "unauthenticated")
    ):
        return GroupConfigurationError(f"Redis does not accept the user or the password in LOCATION: {text}")
    # Within a script Redis words it in another way.
    if isinstance(error, exceptions.NoPermissionError) or "can't publish" in text:
        return GroupConfigurationError(f"Redis forbids this user what groups need: {text}")
    if "unknown command" in text.lower() or "unknown redis command" in text.lower():
        return GroupConfigurationError(f"groups need Redis 5 or Valkey, and Redis 7 for the option SHARDED: {text}")
    if "cluster support disabled" in text.lower() or "cluster mode is not enabled" in text.lower():
        return GroupConfigurationError(f"the option CLUSTER is set, but the server in LOCATION is no cluster: {text}")
    if isinstance(error, exceptions.MovedError):
        return GroupConfigurationError(f"the server in LOCATION is a cluster: set the option CLUSTER ({text})")
    return GroupUnavailable(f"Redis is not available: {type(error).__name__}: {text}", maybe_sent=_was_sent(error))


def _was_sent(error: BaseException) -> bool:
    """Return whether the command may have been executed, because only its answer is missing."""
    exceptions = import_redis().exceptions
    refusals = (exceptions.ResponseError, exceptions.BusyLoadingError, exceptions.MaxConnectionsError)
    return not any(isinstance(one, refusals) or _came_while_connecting(one) for one in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error and its causes; not its context, which may be an error that the project is just handling."""
    while error is not None:
        yield error
        error = error.__cause__


def _came_while_connecting(error: BaseException) -> bool:
    """Return whether redis-py was about to make a connection; its errors do not say so, but their tracebacks do."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name in _CONNECTING:
            return True
        trace = trace.tb_next
    return False
