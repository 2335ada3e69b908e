"""The messages behind a position, and the gaps among them."""

import pytest

from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position, Replay
from django_websocket.groups.replay import CatchUp

from .recording import member

EPOCH = "0" * 8


def catch_up(since, last, *numbers, enveloped=True):
    one, recorder = member("g", enveloped=enveloped)
    catch_up = CatchUp(one, since, Position.make(EPOCH, last))
    for number in numbers:
        catch_up.take(Payload("text", str(number)), Position.make(EPOCH, number))
    catch_up.reach(last)
    one.deliver_history(catch_up.items)
    return catch_up.replay, recorder


@pytest.mark.parametrize(
    ("since", "last", "numbers", "expected", "missed"),
    [
        (3, 3, [], [], 0),
        (3, 5, [4, 5], [4, 5], 0),
        (3, 5, [2, 3, 4, 5], [4, 5], 0),
        (3, 5, [], [(4, 5)], 2),
        (3, 6, [5, 6], [(4, 4), 5, 6], 1),
        (3, 6, [4], [4, (5, 6)], 2),
        (3, 8, [5, 8], [(4, 4), 5, (6, 7), 8], 3),
    ],
)
def test_behind_a_position(since, last, numbers, expected, missed):
    replay, recorder = catch_up(Position.make(EPOCH, since), last, *numbers)
    assert [one.gap if one.is_gap else one.id.number for one in recorder.envelopes] == expected
    assert replay == Replay(complete=not missed, missed=missed)


@pytest.mark.parametrize("since", [Position.make("f" * 8, 3), Position.make("", 0), Position.make(EPOCH, 9)])
@pytest.mark.parametrize(
    ("numbers", "expected"), [([3, 4], [None, 3, 4]), ([], [None]), ([2, 4], [None, 2, (3, 3), 4])]
)
def test_behind_a_position_that_the_group_does_not_have(since, numbers, expected):
    replay, recorder = catch_up(since, 4, *numbers)
    assert [one.gap if one.is_gap else one.id.number for one in recorder.envelopes] == expected
    assert replay == Replay(complete=False, missed=None)


def test_a_member_without_envelopes():
    replay, recorder = catch_up(Position.make(EPOCH, 1), 4, 3, 4, enveloped=False)
    assert recorder.texts == ["3", "4"]
    assert replay == Replay(complete=False, missed=1)
