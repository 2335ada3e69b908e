"""Positions: text that is stored, sent and handed back, by clients that may send anything."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_websocket.groups.position import Position, new_epoch


def test_a_position():
    position = Position.make("0123abcd", 17)
    assert position == "0123abcd-17"
    assert (position.epoch, position.number) == ("0123abcd", 17)
    assert {position: 1}["0123abcd-17"] == 1
    assert Position.parse(position) == position


@given(st.integers(0, 10**15))
def test_what_is_made_can_be_parsed(number):
    epoch = new_epoch()
    parsed = Position.parse(Position.make(epoch, number))
    assert (parsed.epoch, parsed.number) == (epoch, number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "17",
        "0123abcd",
        "0123abcd-",
        "0123abcd--1",
        "0123abcd-01",
        "0123abcd-1 ",
        " 0123abcd-1",
        "0123abcd-1\n",
        "0123ABCD-1",
        "0123abc-1",
        "0123abcde-1",
        "0123abcd-1-1",
        "0123abcd-\u0661",
        "0123abcd-" + "9" * 17,
        "\x00",
    ],
)
def test_text_that_is_no_position(text):
    assert Position.parse(text) is None


@given(st.text())
def test_any_text_is_a_position_or_none(text):
    assert Position.parse(text) in (None, text)


def test_no_epoch_is_another():
    assert len({new_epoch() for _ in range(100)}) == 100


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies(clone):
    """A position may be kept in a cache or a session."""
    position = clone(Position.make("0123abcd", 17))
    assert position == "0123abcd-17"
    assert (position.epoch, position.number) == ("0123abcd", 17)
