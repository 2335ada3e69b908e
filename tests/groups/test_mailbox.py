"""What waits for a view that takes the messages of its groups itself. ``test_listening.py`` has the view."""

from __future__ import annotations

import pytest

from django_websocket.connection.backlog import DEFAULT_LIMITS, Delivery, QueueLimits
from django_websocket.groups.mailbox import Event, Inlet, Item, Mailbox
from django_websocket.groups.member import NO_LIMITS, Member
from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position

from ..connection.line import connect, connection_of

POSITION = Position.make("0123abcd", 1)


def item(text, size=1):
    return Item("room", Payload("text", text), POSITION, size=size)


@pytest.fixture
def ws_line():
    ws, line = connect()
    yield ws, line
    ws.end(wait=False)


@pytest.fixture
def mailbox(ws_line):
    return Mailbox(connection_of(ws_line[0]))


@pytest.fixture
def inlet(mailbox):
    return Inlet(mailbox)


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [("text", "[1]", "[1]"), ("json", "[1]", [1]), ("json", "null", None), ("bytes", b"[1]", b"[1]")],
)
def test_the_event_of_an_item(kind, data, expected):
    event = Item("room", Payload(kind, data), POSITION).event()
    assert event == Event("group", expected, "room", POSITION)


@pytest.mark.parametrize("gap", [None, (3, 5)])
def test_the_event_of_a_gap(gap):
    assert Item("room", None, gap=gap).event() == Event("gap", gap, "room", None)


def test_items_in_their_order(mailbox, inlet):
    assert mailbox.take() is None
    for text in "ab":
        assert inlet.deliver(item(text), DEFAULT_LIMITS) is Delivery.QUEUED
    assert mailbox.bell.rung
    assert len(mailbox) == 2
    assert [mailbox.take().payload.data for _ in range(2)] == ["a", "b"]
    assert mailbox.take() is None


@pytest.mark.parametrize("limits", [QueueLimits(10, 2), QueueLimits(2, 10)])
def test_limits(mailbox, inlet, limits, ws_line):
    for text in "ab":
        assert inlet.deliver(item(text), limits) is Delivery.QUEUED
    mailbox.take()
    # What was taken counts no more.
    assert inlet.deliver(item("c"), limits) is Delivery.QUEUED
    assert inlet.deliver(item("d"), limits) is Delivery.OVERFLOW
    assert len(mailbox) == 0
    assert inlet.deliver(item("e"), limits) is Delivery.GONE
    assert ws_line[1].peer.close_code == 1013


def test_a_history_does_not_count(mailbox, inlet):
    for text in "abc":
        assert inlet.deliver(item(text), NO_LIMITS) is Delivery.QUEUED
    assert inlet.deliver(item("d"), QueueLimits(1, 1)) is Delivery.QUEUED
    while mailbox.take():
        pass
    assert inlet.deliver(item("e"), QueueLimits(1, 1)) is Delivery.QUEUED


def test_a_closed_mailbox(mailbox, inlet, ws_line):
    mailbox.close()
    assert inlet.deliver(item("a"), DEFAULT_LIMITS) is Delivery.GONE
    assert mailbox.bell.closed


def test_a_connection_that_is_being_closed(inlet, ws_line):
    _, line = ws_line
    line.answering = False
    inlet.request_close(4000, "over")
    assert line.peer.close_code == 4000
    assert inlet.deliver(item("a"), DEFAULT_LIMITS) is Delivery.GONE


def test_an_inlet_without_a_successor(mailbox, inlet):
    other = Inlet(mailbox)
    inlet.deliver(item("a"), DEFAULT_LIMITS)
    other.deliver(item("b"), DEFAULT_LIMITS)
    inlet.end(None)
    assert inlet.closed
    assert inlet.deliver(item("c"), DEFAULT_LIMITS) is Delivery.GONE
    assert mailbox.take().payload.data == "b"
    assert mailbox.take() is None
    # Nothing of what was taken away counts.
    assert other.deliver(item("d"), QueueLimits(1, 1)) is Delivery.QUEUED


def test_a_successor_gets_all_in_order(mailbox, inlet, ws_line):
    ws, line = ws_line
    inlet.deliver(item("a"), DEFAULT_LIMITS)
    inlet.end(Member("room", ws))
    assert inlet.deliver(item("b"), DEFAULT_LIMITS) is Delivery.SENT
    assert inlet.deliver(Item("room", None), DEFAULT_LIMITS) is Delivery.SENT, "without history nothing is said of gaps"
    assert [payload for _, payload in line.frames] == [b"a", b"b"]
    assert not inlet.closed
