"""What errors of redis-py become."""

import pytest

from django_websocket.exceptions import GroupConfigurationError, GroupUnavailable
from django_websocket.groups.backends.redis import errors

redis = pytest.importorskip("redis")
E = redis.exceptions


def connect(error):
    raise error


def raised(error, function):
    try:
        function(error)
    except type(error) as caught:
        return caught
    raise AssertionError


def call(error):
    raise error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (E.AuthenticationError("invalid username-password pair"), "the user or the password"),
        (E.ResponseError("NOAUTH Authentication required."), "the user or the password"),
        (E.ResponseError("Protocol error: unauthenticated multibulk length"), "the user or the password"),
        (E.NoPermissionError("this user has no permissions to run 'evalsha'"), "forbids"),
        (E.ResponseError("Unknown Redis command called from script"), "Redis 7 for the option SHARDED"),
        (E.ResponseError("unknown command 'XADD'"), "Redis 5"),
        (E.ResponseError("This instance has cluster support disabled"), "is no cluster"),
        (E.MovedError("12 127.0.0.1:1"), "set the option CLUSTER"),
    ],
)
def test_mistakes_of_the_settings(error, text):
    translated = errors.translate(raised(error, call))
    assert isinstance(translated, GroupConfigurationError)
    assert text in str(translated)


@pytest.mark.parametrize(
    ("error", "function", "maybe_sent"),
    [
        (E.TimeoutError("Timeout reading from socket"), call, True),
        (E.ConnectionError("Connection closed by server."), call, True),
        (OSError("gone"), call, True),
        (E.ConnectionError("Error 111 connecting to localhost:1. Connection refused."), connect, False),
        (E.TimeoutError("Timeout connecting to server"), connect, False),
        (E.OutOfMemoryError("command not allowed"), call, False),
        (E.ReadOnlyError("You can't write against a read only replica."), call, False),
        (E.BusyLoadingError("Redis is loading the dataset in memory"), call, False),
        (E.ResponseError("anything"), call, False),
        (E.RedisClusterException("no node"), call, True),
    ],
)
def test_what_may_have_been_sent(error, function, maybe_sent):
    translated = errors.translate(raised(error, function))
    assert isinstance(translated, GroupUnavailable)
    assert translated.maybe_sent is maybe_sent
    assert str(error) in str(translated)


def test_an_error_behind_another_one():
    def behind(error):
        try:
            connect(E.ConnectionError("refused"))
        except E.ConnectionError as first:
            raise error from first

    assert not errors.translate(raised(E.TimeoutError("late"), behind)).maybe_sent


def test_an_error_that_the_project_is_handling():
    def handling(error):
        try:
            connect(E.ResponseError("its own"))
        except E.ResponseError:
            raise error  # noqa: B904 - this is about the context

    assert errors.translate(raised(E.TimeoutError("late"), handling)).maybe_sent


def test_a_long_text_is_cut_and_has_one_line():
    text = str(errors.translate(E.ResponseError("a\nb " + "x" * 1000)))
    assert "\n" not in text
    assert len(text) < 400


def test_an_error_of_groups_stays():
    error = GroupUnavailable("away")
    assert errors.translate(error) is error


@pytest.mark.parametrize("version", ["4.6.0", "unknown"])
def test_a_redis_py_that_is_too_old(monkeypatch, version):
    monkeypatch.setattr(redis, "__version__", version)
    with pytest.raises(GroupConfigurationError, match=f"not {version}"):
        errors.import_redis()


def test_redis_py_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(GroupConfigurationError, match="pip install redis"):
        errors.import_redis()
