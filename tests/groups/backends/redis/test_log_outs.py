"""The channel of log-outs."""

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.groups.backends.redis.log_outs import LOG_OUTS, LogOuts, log_out
from django_websocket.groups.group import Group


def test_log_outs_are_collected_until_they_are_taken():
    channel = LogOuts(DEFAULT_LIMITS)
    channel.mark("a" * 8, 0, 0, None)
    channel.deliver("a" * 8, 1, log_out("user", "7", "here"))
    channel.deliver("a" * 8, 2, log_out("session", "abc", "there"))
    channel.deliver("a" * 8, 2, log_out("session", "abc", "there"))
    assert channel.take() == [("user", "7", "here"), ("session", "abc", "there")]
    assert channel.take() == []


def test_no_group_of_a_project_has_the_name():
    with pytest.raises(ValueError, match="the name of a group"):
        Group(LOG_OUTS)
