"""What becomes of what arrives: what is not understood, and what is reported. :mod:`.test_channel` has the rest."""

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.groups.backends.redis import receiver as module
from django_websocket.groups.backends.redis.log_outs import LOG_OUTS, LogOuts, log_out
from django_websocket.signals import group_gap, member_joined, member_left

from ...recording import member
from .model import settled


@pytest.fixture
def model():
    return settled()


@pytest.fixture
def put(model, monkeypatch):
    """Return the signals that were to be sent."""
    found = []
    monkeypatch.setattr(model.receiver._events, "put", lambda signal, **more: found.append((signal, more)))
    return found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"m",
        b"m a",
        b"m 01234567 x y",
        b"m 01234567 -1 t\nx",
        b"m 01234567 10000000000000000000 t\nx",
        b'm a","gap":null,"b":" 1 t\nx',
        b"m \xff 1 t\nx",
        b"s 01234567",
        b"s 01234567 1 x y",
        b"x 01234567 1 x",
    ],
)
def test_what_is_not_understood_is_ignored_and_logged(model, data, caplog):
    model.receiver.receive(model.channel, data)
    assert "is not understood, and is ignored" in caplog.text
    assert model.channel.position == model.position


def test_a_payload_that_is_not_understood_moves_nothing(model, caplog):
    model.receiver.receive(model.channel, b"m 01234567 99 rubbish")
    model.receiver.receive(model.channel, b"c 01234567 99 rubbish")
    assert "is not signed with SECRET" in caplog.text
    assert model.channel.position == model.position


@pytest.mark.parametrize("content", ['["a", "b"]', "[null, 1]", "[1e999, 1]", "[1006, 1]", "[1000, 1]", "[" * 50_000])
def test_a_closing_that_cannot_come_from_this_site(model, content, caplog):
    one, recorder = member("g")
    model.channel.add(one)
    model.receiver.receive(model.channel, b"c 00000001 7 j\n" + content.encode())
    model.receiver.receive(model.channel, b"s 00000001 0 8 j\n" + content.encode())
    assert recorder.closed is None
    assert "is not understood" in caplog.text


def test_many_of_them_are_logged_once_a_minute(model, caplog, monkeypatch):
    for _ in range(5):
        model.receiver.receive(model.channel, b"x")
    assert caplog.text.count("is ignored") == 1
    monkeypatch.setattr(module, "WARNING_INTERVAL", 0.0)
    model.receiver._next_warning = 0.0
    model.receiver.receive(model.channel, b"x")
    model.receiver.receive(model.channel, b"x")
    assert caplog.text.count("is ignored") == 3


def test_names_are_reported_whether_there_is_a_member_or_not(model, put):
    model.receiver.receive(model.channel, b"j ann lee")
    model.receiver.receive(model.channel, b"l ann lee")
    assert put == [(member_joined, {"group": "g", "name": "ann lee"}), (member_left, {"group": "g", "name": "ann lee"})]


def test_a_name_that_is_not_signed(caplog):
    model = settled(secret=b"0" * 16)
    model.receiver.receive(model.channel, b"j ann")
    assert "is not signed" in caplog.text


def test_a_question_is_passed_on(model):
    model.receiver.receive_own(b"q what is asked")
    assert model.asked == [b"what is asked"]


@pytest.mark.parametrize("data", [b"", b"q", b"z something of a later version", b"wake"])
def test_what_a_later_version_publishes_is_ignored(model, data, caplog):
    model.receiver.receive_own(data)
    assert model.asked == ([b""] if data == b"q" else [])
    assert caplog.text == ""


@pytest.mark.parametrize(("wipe", "lost"), [(False, 2), (True, None)])
def test_losses_are_reported_where_there_is_a_member(model, put, caplog, wipe, lost):
    for one in (None, member("g")[0]):
        if one is not None:
            model.channel.add(one)
        model.disconnect()
        if wipe:
            model.wipe()
        model.publish()
        model.publish()
        model.settle()
        assert put == ([] if one is None else [(group_gap, {"group": "g", "lost": lost})])
    assert ("an unknown number of messages were lost" if wipe else "2 messages were lost") in caplog.text


def test_log_outs():
    model = settled()
    channel = LogOuts(DEFAULT_LIMITS)
    channel.mark("0" * 8, 0, 0, None)
    for number, sender in enumerate(["that", "this", "that"], 1):
        raw = model.wire.write(LOG_OUTS, log_out("user", str(number), sender))
        model.receiver.receive(channel, b"m 00000000 %d %b" % (number, raw))
    # Those of this process were made by whoever has called disconnect().
    assert model.disconnected == [("user", "1"), ("user", "3")]


@pytest.mark.parametrize(
    "data", ["hello", "5", "null", '["user"]', '["user", "1", "2"]', '["all", "1"]', '["user", 1]']
)
def test_log_outs_that_are_not_understood(model, data, caplog):
    channel = LogOuts(DEFAULT_LIMITS)
    channel.mark("0" * 8, 0, 0, None)
    model.receiver.receive(channel, b"m 00000000 1 j\n" + data.encode())
    assert "is not understood, and is ignored" in caplog.text
    assert model.disconnected == []


def test_log_outs_that_are_lost(model, caplog):
    channel = LogOuts(DEFAULT_LIMITS)
    channel.mark("0" * 8, 0, 0, None)
    model.receiver.receive(channel, b"s 00000000 3 0 ")
    assert "log-outs of other processes were missed" in caplog.text
    assert model.receiver.lost == 0
