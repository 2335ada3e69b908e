"""Members that get nothing for a while, because they have got the next messages in another way."""

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS
from django_websocket.groups.members import Change, Members
from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position

from .recording import member


@pytest.fixture
def members():
    return Members(DEFAULT_LIMITS)


def send(members, number):
    return members.deliver(Payload("text", str(number)), Position.make("0" * 8, number))


def test_a_held_member_gets_nothing_until_it_is_released(members):
    (ann, to_ann), (bob, to_bob) = member("g", "ann"), member("g", "bob")
    members.add(ann)
    members.add(bob)
    members.hold(ann)
    send(members, 1)
    members.deliver_gap((2, 3))
    members.release(ann)
    send(members, 4)
    assert (to_ann.texts, to_bob.texts) == (["4"], ["1", "4"])


def test_a_held_member_counts(members):
    ann, to_ann = member("g", "ann")
    members.add(ann)
    members.hold(ann)
    assert len(members) == 1
    assert members.names == {"ann"}
    members.close(1000, "")
    assert to_ann.closed == (1000, "")


def test_a_member_that_comes_back_is_not_held(members):
    ann, to_ann = member("g", "ann")
    members.add(ann)
    members.hold(ann)
    assert members.discard(ann) == Change(left="ann")
    members.add(ann)
    send(members, 1)
    assert to_ann.texts == ["1"]


def test_releasing_a_member_that_is_not_held_does_nothing(members):
    ann, to_ann = member("g")
    members.release(ann)
    members.add(ann)
    members.release(ann)
    send(members, 1)
    assert to_ann.texts == ["1"]
