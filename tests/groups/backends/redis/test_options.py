"""The options and the location: what they may be."""

import pytest

from django_websocket.groups.backends.redis import options
from django_websocket.groups.backends.redis.options import OPTIONS


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PREFIX", "site:a.b-c_1", "site:a.b-c_1"),
        ("CLUSTER", True, True),
        ("SHARDED", None, None),
        ("SHARDED", False, False),
        ("SENTINELS", None, None),
        ("SENTINELS", [("a", 1), ["::1", 2]], ("redis://a:1", "redis://[::1]:2")),
        ("SENTINELS", ("rediss://:pw@a:1",), ("rediss://:pw@a:1",)),
        ("SERVICE", None, None),
        ("SERVICE", "master", "master"),
        ("TIMEOUT", 0.5, 0.5),
        ("ON_GAP", "signal", "signal"),
        ("ON_GAP", "close", "close"),
        ("SECRET", None, None),
        ("SECRET", "0123456789abcdef", b"0123456789abcdef"),
        ("SECRET", b"0123456789abcdef", b"0123456789abcdef"),
    ],
)
def test_values(name, value, expected):
    assert OPTIONS[name][0](value) == expected


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        ("PREFIX", 1, TypeError, "must be a string"),
        ("PREFIX", "", ValueError, "1 to 50 letters"),
        ("PREFIX", "a{b}", ValueError, "1 to 50 letters"),
        ("PREFIX", "a" * 51, ValueError, "1 to 50 letters"),
        ("CLUSTER", 1, TypeError, "must be True or False"),
        ("SHARDED", "yes", TypeError, "must be True or False"),
        ("SENTINELS", "redis://a", TypeError, "must be a list"),
        ("SENTINELS", 5, TypeError, "must be a list"),
        ("SENTINELS", [], ValueError, "at least one"),
        ("SENTINELS", [("a", "1")], TypeError, "pairs of a host and a port number"),
        ("SENTINELS", [("a", True)], TypeError, "pairs of a host and a port number"),
        ("SENTINELS", [("a", 1, 2)], TypeError, "pairs of a host and a port number"),
        ("SENTINELS", ["http://a"], ValueError, "begin with redis://"),
        ("SERVICE", 1, TypeError, "must be a string"),
        ("SERVICE", "", ValueError, "must not be empty"),
        ("TIMEOUT", 0, ValueError, "above 0"),
        ("TIMEOUT", None, TypeError, "a number of seconds"),
        ("ON_GAP", "ignore", ValueError, "must be 'signal' or 'close'"),
        ("ON_GAP", [], ValueError, "must be 'signal' or 'close'"),
        ("SECRET", 1, TypeError, "must be a string, bytes or None"),
        ("SECRET", "short", ValueError, "16 bytes or more"),
    ],
)
def test_what_is_no_value(name, value, error, text):
    with pytest.raises(error, match=text):
        OPTIONS[name][0](value)


def test_a_secret_is_not_repeated():
    with pytest.raises(ValueError, match="16 bytes") as caught:
        OPTIONS["SECRET"][0]("mysecret")
    assert "mysecret" not in str(caught.value)


@pytest.mark.parametrize("value", ["redis://:hidden@a", [("redis://:hidden@a", "26379")], ["redis://:hidden@a:x"]])
def test_a_password_of_a_sentinel_is_not_repeated(value):
    with pytest.raises((TypeError, ValueError)) as caught:
        OPTIONS["SENTINELS"][0](value)
    assert "hidden" not in str(caught.value)


def test_the_default_values_are_values():
    for validate, default in OPTIONS.values():
        validate(default)


@pytest.mark.parametrize(
    "location", [None, "redis://a", "rediss://:pw@a:1/2", "unix:///run/redis.sock", ("redis://a", "redis://b:1")]
)
def test_locations(location):
    options.check_location(location)


@pytest.mark.parametrize("location", ["", (), "a:6379", "valkey://a", ("redis://a", "b"), "redis://:hidden@a:x"])
def test_what_is_no_location(location):
    with pytest.raises(ValueError, match="has a LOCATION ") as caught:
        options.check_location(location)
    assert "hidden" not in str(caught.value)
