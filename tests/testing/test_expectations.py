"""What a test expects of a message, and the texts of failures."""

import datetime as dt
import json
from decimal import Decimal
from unittest.mock import ANY

import pytest

from django_websocket.groups.payload import Payload, gap_envelope
from django_websocket.groups.position import Position
from django_websocket.testing.expectations import Expectation, show_following

POSITION = Position.make("0123abcd", 7)


def envelope(kind, data, group="room"):
    return Payload(kind, data).envelope(group, POSITION)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("hello", "hello"),
        ("1", "1"),
        (b"hello", b"hello"),
        ({"a": 1}, '{"a": 1}'),
        ({"a": 1}, b'{"a": 1}'),
        ([1, (2, 3)], "[1, [2, 3]]"),
        (1, "1"),
        (None, "null"),
        ({"at": dt.date(2010, 5, 17), "cost": Decimal("1.50")}, '{"at": "2010-05-17", "cost": "1.50"}'),
        ({"at": ANY, "by": "Ann"}, '{"by": "Ann", "at": 17}'),
        ({1: "a"}, '{"1": "a"}'),
    ],
)
def test_an_expected_message(expected, message):
    assert Expectation(expected, None).envelope_of(message) is None


@pytest.mark.parametrize(
    ("expected", "message", "came"),
    [
        ("hello", "bye", "'bye'"),
        ("hello", b"hello", "b'hello'"),
        (b"hello", "hello", "'hello'"),
        ({"a": 1}, '{"a": 2}', "{'a': 2}"),
        ({"a": 1}, "a: 1", "'a: 1'"),
        ({"a": 1}, b"\xff", "b'\\xff'"),
        (1, '"1"', "'1'"),
        ([], "[" * 100_000, f"'{'[' * 999}… (100002 characters)"),
    ],
)
def test_another_message(expected, message, came):
    with pytest.raises(AssertionError) as caught:
        Expectation(expected, None).envelope_of(message)
    assert str(caught.value) == f"expected: {expected!r}\n     got: {came}"


@pytest.mark.parametrize(
    ("expected", "message"),
    [("hello", envelope("text", "hello")), ("[1]", envelope("text", "[1]")), ([1], envelope("json", "[1]"))],
)
def test_an_expected_envelope(expected, message):
    assert Expectation(expected, "room").envelope_of(message).id == POSITION


@pytest.mark.parametrize(
    ("message", "came"),
    [
        (envelope("text", "bye"), "'bye'"),
        (envelope("json", '["hello"]'), "['hello']"),
        (envelope("text", "hello", "news"), f"{envelope('text', 'hello', 'news')!r}, of another group"),
        ("hello", "'hello', which is no envelope of a group"),
        (gap_envelope("room", (1, 2)), f"{gap_envelope('room', (1, 2))!r}: messages are missing"),
        (json.dumps({"group": "room", "data": "hello"}), ANY),
    ],
)
def test_another_envelope(message, came):
    with pytest.raises(AssertionError) as caught:
        Expectation("hello", "room").envelope_of(message)
    first, second = str(caught.value).splitlines()
    assert first == "expected: 'hello', in the group room"
    assert second.startswith("     got: ")
    assert second.removeprefix("     got: ") == came


def test_the_messages_behind_it():
    assert show_following([]) == []
    assert show_following(["a", b"b"]) == ["    then: 'a', b'b'"]
    assert show_following(["a"] * 7) == ["    then: 'a', 'a', 'a', 'a', 'a' and 2 more"]
