"""The channels of a process: made when they are needed, and closed when they are idle."""

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.groups.backends.redis import channels as module
from django_websocket.groups.backends.redis.channel import Channel
from django_websocket.groups.backends.redis.channels import Channels

from ...recording import member


@pytest.fixture
def released():
    return []


@pytest.fixture
def channels(released, monkeypatch):
    monkeypatch.setattr(module, "IDLE", 0.0)
    return Channels(lambda group: Channel(group, DEFAULT_LIMITS), released.append)


def test_a_group_has_one_channel(channels):
    assert channels.find("g") is None
    channel = channels.enter("g")
    assert channels.enter("g") is channel is channels.find("g")
    assert channels.enter("other") is not channel
    assert len(channels.all()) == 2


def test_a_channel_without_users_is_closed(channels, released):
    channel = channels.enter("g")
    channels.leave(channel)
    channels.close_idle()
    assert released == [channel]
    assert channels.find("g") is None


def test_a_channel_in_use_stays(channels, released):
    channels.enter("g")
    channel = channels.enter("g")
    channels.leave(channel)
    channels.close_idle()
    assert released == []


def test_a_channel_with_members_stays(channels, released):
    channel = channels.enter("g")
    channel.add(member("g")[0])
    channels.leave(channel)
    channels.close_idle()
    assert released == []


def test_a_channel_of_which_redis_is_still_to_be_told_stays(channels, released):
    channel = channels.enter("g")
    one, _ = member("g", "ann")
    channel.add(one)
    channels.leave(channel)
    channel.discard(one)
    channels.close_idle()
    assert released == []
    channel.told.finish(channel.told.begin(0), done=True)
    channels.close_idle()
    assert released == [channel]


def test_a_channel_is_not_closed_at_once(channels, released, monkeypatch):
    monkeypatch.setattr(module, "IDLE", 30.0)
    channels.leave(channels.enter("g"))
    channels.close_idle()
    assert released == []
