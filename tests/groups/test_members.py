"""The members of one group in one process: names, and the delivery to all."""

from __future__ import annotations

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS, Delivery
from django_websocket.groups.members import Change, Members
from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position

from .recording import Recorder

POSITION = Position.make("0123abcd", 1)
HELLO = Payload("text", "hello")


class Fake:
    """A member and its receiver; it counts what it makes."""

    def __init__(self, websocket=None, name=None, key="key", delivery=Delivery.SENT):
        self.websocket, self.name, self.key, self.delivery = websocket or object(), name, key, delivery
        self.receiver = self
        self.made, self.got, self.closed = 0, [], []

    def make(self, payload, position):
        self.made += 1
        return None if payload.kind == "bytes" else (payload.data, position)

    def make_gap(self, gap):
        return gap

    def has_id(self, member_id):
        return member_id == self.name

    def deliver(self, item, limits):
        assert limits == DEFAULT_LIMITS
        self.got.append(item)
        return self.delivery

    deliver_to_all = staticmethod(Recorder.deliver_to_all)

    def request_close(self, code, reason=""):
        self.closed.append((code, reason))


@pytest.fixture
def members():
    return Members(DEFAULT_LIMITS)


def test_names_come_and_go(members):
    first, second, nameless = Fake(name="Ann"), Fake(name="Ann"), Fake()
    assert members.add(first) == Change(joined="Ann")
    assert members.add(second) == Change()
    assert members.add(nameless) == Change()
    assert (len(members), members.names) == (3, {"Ann"})
    assert members.discard(first) == Change()
    assert members.discard(first) is None
    assert members.discard(nameless) == Change()
    assert members.discard(second) == Change(left="Ann")
    assert (len(members), members.names) == (0, set())


def test_another_name_of_the_same_websocket(members):
    ann = Fake(name="Ann")
    members.add(ann)
    same, bea, nobody = (Fake(ann.websocket, name) for name in ("Ann", "Bea", None))
    assert members.add(same) == Change()
    assert members.add(bea) == Change("Bea", "Ann")
    assert members.names == {"Bea"}
    assert members.add(nobody) == Change(None, "Bea")
    assert len(members) == 1
    # Those that were replaced are no members.
    assert members.discard(ann) is None
    assert list(members) == [nobody]


def test_a_name_that_is_replaced_and_stays(members):
    members.add(Fake(name="Ann"))
    second = Fake(name="Ann")
    members.add(second)
    assert members.add(Fake(second.websocket, "Bob")) == Change(joined="Bob")
    assert members.names == {"Ann", "Bob"}


def test_an_item_is_made_once_for_each_key(members):
    fakes = [Fake(key="a"), Fake(key="a"), Fake(key="b"), Fake(key=None), Fake(key=None)]
    for fake in fakes:
        members.add(fake)
    assert members.deliver(HELLO, POSITION) == []
    assert [fake.made for fake in fakes] == [1, 0, 1, 1, 1]
    assert all(fake.got == [("hello", POSITION)] for fake in fakes)
    # The next message goes to those who are there then.
    members.discard(fakes[0])
    late = Fake(key="a")
    members.add(late)
    members.deliver(HELLO, POSITION)
    assert len(fakes[0].got) == len(late.got) == 1
    assert len(fakes[1].got) == 2


def test_what_some_cannot_get(members):
    fake = Fake()
    members.add(fake)
    assert members.deliver(Payload("bytes", b"x"), POSITION) == []
    assert fake.got == []


def test_the_excluded_one_makes_for_others(members):
    first, second = Fake(name="first"), Fake(name="second")
    members.add(first)
    members.add(second)
    members.deliver(HELLO._replace(exclude="first"), POSITION)
    assert (first.got, len(second.got)) == ([], 1)
    members.deliver(HELLO._replace(exclude="nobody here"), POSITION)
    assert (len(first.got), len(second.got)) == (1, 2)


def test_those_who_have_left_are_returned(members):
    gone, slow, queued = Fake(delivery=Delivery.GONE), Fake(delivery=Delivery.OVERFLOW), Fake(delivery=Delivery.QUEUED)
    for fake in (gone, slow, queued, Fake()):
        members.add(fake)
    assert members.deliver(HELLO, POSITION) == [gone, slow]
    assert members.overflows == 1


def test_gaps(members):
    fake = Fake()
    members.add(fake)
    members.deliver_gap((3, 5))
    members.deliver_gap(None)
    assert fake.got == [(3, 5)]


def test_close(members):
    fakes = [Fake(), Fake()]
    for fake in fakes:
        members.add(fake)
    members.close(4000, "over")
    assert [fake.closed for fake in fakes] == [[(4000, "over")]] * 2


def test_members_may_change_while_they_are_looked_at(members):
    for _ in range(3):
        members.add(Fake())
    for member in members:
        members.discard(member)
    assert len(members) == 0


def test_a_member_that_leaves_while_the_others_are_looked_up(members):
    """The finalizer of what a view has dropped may run at any moment, in the thread that sends."""
    first, last = Fake(), Fake()

    class Finalizing(Fake):
        @property
        def key(self):
            members.discard(last)
            return "key"

        @key.setter
        def key(self, value):
            pass

    for member in (first, Finalizing(), last):
        members.add(member)
    members.deliver(HELLO, POSITION)
    members.deliver(HELLO, POSITION)
    assert len(first.got) == 2
    assert len(last.got) <= 1
