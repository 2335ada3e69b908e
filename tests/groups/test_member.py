"""Members: what makes their items, and who is who."""

from __future__ import annotations

import json

import pytest

from django_websocket import UnsupportedFeature
from django_websocket.groups.member import Member, log_warnings
from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455 import RFC6455

from ..connection.line import connect, connection_of

POSITION = Position.make("0123abcd", 7)
TEXT, BYTES, JSON = Payload("text", "hello"), Payload("bytes", b"hello"), Payload("json", '{"a": 1}')


@pytest.fixture
def enter():
    opened = []

    def make(kind=RFC6455, **options):
        ws, line = connect(kind)
        opened.append(ws)
        return Member("room", ws, **options), line

    yield make
    for ws in opened:
        ws.end(wait=False)


def deliver(member, *payloads):
    member.deliver_history([member.make(payload, POSITION) for payload in payloads])


def test_the_receiver_is_the_connection(enter):
    member, line = enter(name="Ann")
    assert member.receiver is connection_of(member.websocket)
    assert (member.group, member.name, member.enveloped) == ("room", "Ann", False)
    deliver(member, TEXT, BYTES, JSON)
    assert [payload for _, payload in line.frames] == [b"hello", b"hello", b'{"a": 1}']


def test_envelopes(enter):
    member, line = enter(enveloped=True)
    deliver(member, TEXT, JSON)
    assert [json.loads(payload)["data"] for _, payload in line.frames] == ["hello", {"a": 1}]


@pytest.mark.parametrize("kind", [RFC6455, Hixie75, Hixie76])
def test_gaps_are_told_in_envelopes_only(enter, kind):
    assert enter(kind)[0].make_gap((1, 2)) is None
    member, line = enter(kind, enveloped=True)
    member.deliver_history([member.make_gap((1, 2))])
    assert b'"gap": [1, 2]' in line.sent


def test_one_item_for_the_same_key(enter):
    """Members with the same key can use each other's items."""
    members = [enter()[0], enter()[0], enter(Hixie75)[0], enter(Hixie76)[0], enter(enveloped=True)[0]]
    keys = [member.key for member in members]
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert len(set(keys)) == 3
    assert members[0].make(TEXT, POSITION) == members[1].make(TEXT, POSITION) != members[4].make(TEXT, POSITION)


def test_what_a_member_cannot_get(enter, caplog):
    for member in (enter(Hixie76)[0], enter(enveloped=True)[0]):
        for _ in range(3):
            assert member.make(BYTES, POSITION) is None
    assert not caplog.records, "the lock of the backend may be held"
    log_warnings()
    log_warnings()
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2, "once for each"
    assert "text" in texts[0]
    assert texts[1].endswith("messages of a group with history are text")


def test_an_old_client_gets_no_bytes_at_all():
    ws, _ = connect(Hixie76)
    with pytest.raises(UnsupportedFeature):
        ws.send(b"x")
    ws.end(wait=False)


def test_no_history(enter):
    member, line = enter()
    member.deliver_history([])
    assert line.frames == []


def test_the_member_id_is_made_on_demand(enter):
    member, _ = enter()
    assert not member.has_id("0123abcd-1")
    assert not member.websocket.has_member_id, "the question makes none"
    assert member.has_id(member.websocket.member_id)
    assert not member.has_id("0123abcd-1")
