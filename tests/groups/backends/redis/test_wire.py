"""What goes through Redis, with and without a secret."""

import pytest

from django_websocket.groups.backends.redis.channel import History, Message
from django_websocket.groups.backends.redis.wire import Wire, read_position
from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position

SECRET = b"0123456789abcdef"
PAYLOAD = Payload("text", "hello", "abc/1")


@pytest.fixture(params=[None, SECRET], ids=["plain", "signed"])
def wire(request):
    return Wire(request.param)


def test_what_is_written_is_read(wire):
    assert wire.read("g", wire.write("g", PAYLOAD)) == PAYLOAD
    assert wire.read_closing("g", wire.write_closing("g", 4000, "für heute")) == (4000, "für heute")
    assert wire.read_name("g", wire.write_name("g", "Ann Ü").encode()) == "Ann Ü"


def test_a_history(wire):
    raw = wire.write("g", PAYLOAD)
    answer = [b"01234567", b"3", [(b"2-0", {b"d": raw}), (b"3-0", [b"d", b""])]]
    expected = History("01234567", 3, [Message(2, PAYLOAD), Message(3, None)])
    assert wire.read_history("g", answer) == expected


def test_an_epoch_that_no_process_has_begun(wire):
    answer = [b'x","gap":null,"y":"', b"3", [(b"3-0", {b"d": wire.write("g", PAYLOAD)})]]
    assert wire.read_history("g", answer) == History("", 0, [])


def test_a_group_that_redis_has_forgotten(wire):
    assert wire.read_history("g", [b"", b"0", []]) == History("", 0, [])


@pytest.mark.parametrize("raw", [b"", b"x", b"zhello\nyou", b"j\n5", b"j\nnonsense"])
def test_what_is_not_understood_is_no_closing(wire, raw):
    assert wire.read_closing("g", raw) is None


def test_without_the_secret_nothing_is_believed():
    ours, theirs = Wire(SECRET), Wire(None)
    for stranger in (theirs, Wire(SECRET[::-1])):
        assert ours.read("g", stranger.write("g", PAYLOAD)) is None
        assert ours.read_closing("g", stranger.write_closing("g", 4000, "over")) is None
        assert ours.read_name("g", stranger.write_name("g", "ann").encode()) is None
    assert ours.read_name("g", b"\xff") is None


def test_what_is_signed_for_one_group_is_not_believed_in_another():
    wire = Wire(SECRET)
    assert wire.read("other", wire.write("g", PAYLOAD)) is None
    assert wire.read_name("other", wire.write_name("g", "ann").encode()) is None


def test_a_position():
    assert read_position([b"01234567", b"12"]) == Position.make("01234567", 12)
    assert read_position([b"01234567", 12]).number == 12
