"""The channel of log-outs."""

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.groups.backends.redis.log_outs import LOG_OUTS, LogOuts, log_out, read_log_out
from django_websocket.groups.group import Group


def test_log_outs_are_collected_until_they_are_taken():
    channel = LogOuts(DEFAULT_LIMITS)
    channel.mark("a" * 8, 0, 0, None)
    first, second = log_out("user", "7", "here"), log_out("session", "abc", "there")
    for number, payload in ((1, first), (2, second), (2, second)):
        channel.deliver("a" * 8, number, payload)
    assert channel.take() == [first, second]
    assert channel.take() == []


def test_a_log_out_is_read():
    for owner in ("user", "session", "connection"):
        payload = log_out(owner, "abc", "there")
        assert read_log_out(payload) == (owner, "abc")
        assert payload.exclude == "there"


def test_no_group_of_a_project_has_the_name():
    with pytest.raises(ValueError, match="the name of a group"):
        Group(LOG_OUTS)
