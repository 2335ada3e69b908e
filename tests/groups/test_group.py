"""Groups as a project uses them, with the memory backend and connections in memory."""

from __future__ import annotations

import json
import logging
import uuid

import pytest
from django.db import transaction

from django_websocket import (
    ConnectionClosed,
    Group,
    GroupConfigurationError,
    GroupUnavailable,
    groups_status,
)
from django_websocket.groups.position import Replay
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie75 import Hixie75
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455.frames import Opcode

from ..connection.line import connect, connection_of, protocol_of
from ..running import Running
from . import spy

LOGGER = "django_websocket.groups"

room, kept = Group("room"), Group("kept", history=3)


@pytest.fixture
def enter():
    """Return a function that opens a WebSocket and returns it and its line."""
    opened = []

    def make(*args, **options):
        ws, line = connect(*args, **options)
        opened.append(ws)
        return ws, line

    yield make
    for ws in opened:
        ws.end(wait=False)
    assert room.count() == kept.count() == 0, "ended WebSockets leave"


@pytest.fixture
def ws_line(enter):
    return enter()


@pytest.fixture
def ws(ws_line):
    return ws_line[0]


@pytest.fixture
def line(ws_line):
    return ws_line[1]


def texts(line):
    return [payload.decode() for opcode, payload in line.frames if opcode is Opcode.TEXT]


def data(line):
    return [json.loads(text).get("data", "gap") for text in texts(line)]


class TestName:
    @pytest.mark.parametrize("name", ["a", "room:42", "A-b_c.d", "x" * 100])
    def test_a_name(self, name):
        assert Group(name).name == name

    @pytest.mark.parametrize("name", ["", "x" * 101, "a b", "a/b", "a\n", "\u00e4", "~user", "a{b}", "\u0661"])
    def test_a_name_that_is_none(self, name):
        with pytest.raises(ValueError, match="1 to 100 letters"):
            Group(name)

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ((1,), TypeError),
            ((b"room",), TypeError),
            ((None,), TypeError),
            (("room", "1"), TypeError),
            (("room", 1.5), TypeError),
            (("room", True), TypeError),
            (("room", -1), ValueError),
            (("room", 0, None), TypeError),
        ],
    )
    def test_wrong_arguments(self, arguments, error):
        with pytest.raises(error):
            Group(*arguments)

    def test_repr_and_equality(self):
        assert repr(room) == "Group('room')"
        assert repr(Group("room", 3, "other")) == "Group('room', history=3, using='other')"
        assert room == Group("room", history=5)
        assert hash(room) == hash(Group("room", history=5))
        assert room != Group("room", using="other")
        assert room != Group("Room")
        assert room != "room"

    def test_an_alias_that_does_not_exist(self, ws):
        with pytest.raises(GroupConfigurationError, match="WEBSOCKET_GROUPS has no entry 'other'"):
            Group("room", using="other").add(ws)


class TestMembers:
    def test_add_and_discard(self, ws, line):
        assert room.add(ws) == Replay(complete=True, missed=0)
        assert room.count() == 1
        room.send("one")
        room.discard(ws)
        room.discard(ws)
        room.send("two")
        assert texts(line) == ["one"]

    def test_the_second_add_replaces_the_name(self, ws, line):
        room.add(ws)
        for name in ("Ann", "Bea", None):
            room.add(ws, name=name)
            assert room.count() == 1
            assert room.members() == {name} - {None}
        room.send("once")
        assert texts(line) == ["once"]

    def test_names(self, enter):
        for name in ("Ann", "Ann", "Bob", None):
            room.add(enter()[0], name=name)
        assert (room.count(), room.members()) == (4, {"Ann", "Bob"})

    def test_joined(self, ws):
        with room.joined(ws, name="Ann") as replay:
            assert replay.complete
            assert room.members() == {"Ann"}
        assert room.count() == 0

        with pytest.raises(LookupError), room.joined(ws):
            raise LookupError
        assert room.count() == 0

    def test_joining_sends_the_handshake(self, enter):
        ws, line = enter(accept=False)
        room.add(ws)
        assert ws.handshake_sent
        room.send("x")
        assert texts(line) == ["x"]

    @pytest.mark.parametrize("name", [1, b"Ann", ["Ann"]])
    def test_a_name_of_the_wrong_type(self, ws, name):
        with pytest.raises(TypeError, match="name of a member is a str"):
            room.add(ws, name=name)

    @pytest.mark.parametrize("name", ["", "x" * 201])
    def test_a_name_of_the_wrong_length(self, ws, name):
        with pytest.raises(ValueError, match="1 to 200 characters"):
            room.add(ws, name=name)

    def test_a_name_that_is_no_text(self, ws):
        with pytest.raises(ValueError, match="surrogates"):
            room.add(ws, name=json.loads('"Ann \\ud800"'))
        assert room.members() == set()

    @pytest.mark.parametrize("since", [1, b"0123abcd-1", 0, False])
    def test_a_position_of_the_wrong_type(self, ws, since):
        with pytest.raises(TypeError, match="since is a str"):
            room.add(ws, since=since)

    @pytest.mark.parametrize("call", [room.add, room.discard, room.listen])
    def test_what_is_no_websocket(self, call):
        with pytest.raises(TypeError, match="a member of a group is a WebSocket, not object"):
            call(object())

    def test_what_cannot_be_excluded(self):
        with pytest.raises(TypeError, match="exclude is a WebSocket or its member_id, not object"):
            room.send("x", exclude=object())

    def test_wrong_arguments_send_no_handshake(self, enter):
        ws, _ = enter(accept=False)
        for arguments in ({"name": ""}, {"name": 1}, {"since": 1}):
            with pytest.raises((TypeError, ValueError)):
                room.add(ws, **arguments)
        assert not ws.handshake_sent

    def test_an_ended_websocket_does_not_stay(self, enter):
        ws, _ = enter()
        ws.end(wait=False)
        room.add(ws, name="Ann")
        assert (room.count(), room.members()) == (0, set())
        ws, _ = enter(accept=False)
        ws.end(wait=False)
        with pytest.raises(ConnectionClosed):
            room.add(ws)

    def test_a_member_whose_client_is_gone_leaves_by_the_next_message(self, ws, line):
        room.add(ws)
        line.feed(b"")
        assert ws.wait() is None
        room.send("x")
        assert room.count() == 0


class TestMessages:
    def test_text_and_bytes(self, ws, line):
        room.add(ws)
        first = room.send("\u00e9")
        second = room.send(b"\x00")
        assert line.frames == [(Opcode.TEXT, "\u00e9".encode()), (Opcode.BINARY, b"\x00")]
        assert (first.number, second.number, first.epoch) == (1, 2, second.epoch)
        assert room.position() == second

    def test_json(self, ws, line):
        room.add(ws)
        some = uuid.uuid4()
        room.send_json({"id": some})
        room.send_json(None)
        assert [json.loads(text) for text in texts(line)] == [{"id": str(some)}, None]

    @pytest.mark.parametrize("message", [None, 1, {}, [], bytearray(b"x"), memoryview(b"x")])
    def test_other_types(self, message):
        with pytest.raises(TypeError, match="takes str or bytes, not"):
            room.send(message)

    def test_what_cannot_be_sent(self):
        with pytest.raises(ValueError, match="surrogates"):
            room.send("\ud800")
        with pytest.raises(TypeError, match="not JSON serializable"):
            room.send_json(object())
        with pytest.raises(TypeError, match="history are text, not bytes"):
            kept.send(b"x")
        assert room.position().number == kept.position().number == 0

    def test_exclude(self, enter):
        (one, first), (two, second) = enter(), enter()
        room.add(one)
        room.add(two)
        room.send("to the second", exclude=one)
        room.send("to the first", exclude=two.member_id)
        room.send_json("to both", exclude="0123abcd-0")
        assert texts(first) == ["to the first", '"to both"']
        assert texts(second) == ["to the second", '"to both"']
        with pytest.raises(TypeError, match="exclude is a WebSocket or its member_id, not int"):
            room.send("x", exclude=1)

    def test_a_log_handler_that_sends_what_is_logged(self, ws, line, settings):
        """It does not wait for whoever sends to a member that cannot keep up, who would wait for the handler."""

        class Handler(logging.Handler):
            def emit(self, record):
                Running(Group("log").send, record.getMessage()).result()

        settings.WEBSOCKET_GROUPS = {
            "default": {
                "BACKEND": "django_websocket.groups.backends.memory.MemoryBackend",
                "OPTIONS": {"QUEUE_MESSAGES": 1},
            }
        }
        handler = Handler()
        logging.getLogger("django_websocket.connection").addHandler(handler)
        try:
            room.add(ws)
            line.sends_now = 0
            for _ in range(3):
                room.send("x")
            assert room.count() == 0
            line.sends_now = True
            assert ws.wait() is None
        finally:
            logging.getLogger("django_websocket.connection").removeHandler(handler)

    @pytest.mark.parametrize("forged", ["", "x\nforged", "\ud800", "0123456789ab/1\n", "\u0661"])
    def test_what_a_client_sent_to_be_excluded(self, settings, monkeypatch, forged):
        """It excludes nobody, and cannot become a part of the message on its way to other processes."""
        settings.WEBSOCKET_GROUPS = spy.SETTING
        raw = []
        publish = spy.SpyBackend.publish

        def note(backend, group, payload, *, history):
            raw.append(payload.to_bytes())
            return publish(backend, group, payload, history=history)

        monkeypatch.setattr(spy.SpyBackend, "publish", note)
        room.send("x", exclude=forged)
        assert raw == [b"t\nx"]

    @pytest.mark.parametrize("kind", [Hixie75, Hixie76])
    def test_old_clients_get_text_only(self, enter, caplog, kind):
        ws, line = enter(kind)
        modern, other = enter()
        for one in (ws, modern):
            room.add(one)
        for message in ("a", b"b", b"c", "d"):
            room.send(message)
        assert bytes(line.sent).endswith(b"\x00a\xff\x00d\xff")
        assert len(other.frames) == 4
        warnings = [record.getMessage() for record in caplog.records if record.name == LOGGER]
        assert len(warnings) == 1
        assert warnings[0].startswith("Group 'room': a message is not sent to some of its members: ")

    def test_a_client_that_does_not_keep_up(self, ws, line, settings):
        settings.WEBSOCKET_GROUPS = {
            "default": {
                "BACKEND": "django_websocket.groups.backends.memory.MemoryBackend",
                "OPTIONS": {"QUEUE_MESSAGES": 2},
            }
        }
        room.add(ws)
        line.sends_now = False
        for _ in range(10):
            room.send("x")
        assert room.count() == 0
        assert groups_status()["default"].overflows == 1
        line.sends_now = True
        # The flusher does this, once there is room.
        connection_of(ws)._flush_nowait()
        assert ws.wait() is None
        assert line.peer.close_code == 1013

    def test_close(self, enter):
        (one, first), (two, second) = enter(), enter()
        room.add(one)
        room.add(two)
        room.send("last")
        room.close(4001, "over")
        for ws, line in ((one, first), (two, second)):
            assert ws.wait() is None
            assert (line.peer.close_code, line.peer.close_reason) == (4001, "over")
            assert line.heard == ["last"]
        Group("nobody").close()

    @pytest.mark.parametrize(
        ("arguments", "error"), [((1005,), ValueError), ((1000, "x" * 124), ValueError), (("1000",), TypeError)]
    )
    def test_a_close_that_cannot_be_sent(self, ws, arguments, error):
        room.add(ws)
        with pytest.raises(error):
            room.close(*arguments)
        assert protocol_of(ws).state is State.OPEN

    def test_a_closing_member_gets_nothing_more(self, ws, line):
        room.add(ws)
        line.answering = False
        room.close()
        room.send("late")
        assert texts(line) == []
        assert room.count() == 0


class TestHistory:
    def test_envelopes(self, ws, line):
        kept.add(ws)
        position = kept.send("plain")
        kept.send_json({"a": 1})
        envelopes = [Group.unwrap(text) for text in texts(line)]
        assert [(one.group, one.data) for one in envelopes] == [("kept", "plain"), ("kept", {"a": 1})]
        assert envelopes[0].id == position

    def test_a_position_of_a_page(self, ws, line):
        since = kept.position()
        kept.send("1")
        kept.send("2")
        assert kept.add(ws, since=since) == Replay(complete=True, missed=0)
        kept.send("3")
        assert data(line) == ["1", "2", "3"]

    @pytest.mark.parametrize("since", [None, ""])
    def test_no_position(self, ws, line, since):
        kept.send("1")
        assert kept.add(ws, since=since) == Replay(complete=True, missed=0)
        assert data(line) == []

    def test_messages_that_are_kept_no_more(self, ws, line):
        since = kept.send("0")
        for number in range(1, 6):
            kept.send(str(number))
        assert kept.add(ws, since=since) == Replay(complete=False, missed=2)
        assert data(line) == ["gap", "3", "4", "5"]
        assert Group.unwrap(texts(line)[0]).gap == (2, 3)

    @pytest.mark.parametrize("since", ["nonsense", "0123abcd-1", "0" * 5000, "\x00", "\u0661"])
    def test_a_position_of_another_time(self, ws, line, since):
        kept.send("1")
        assert kept.add(ws, since=since) == Replay(complete=False, missed=None)
        assert data(line) == ["gap", "1"]
        assert Group.unwrap(texts(line)[0]).gap is None

    def test_a_position_that_is_still_to_come(self, ws, line):
        """A client has made it up."""
        position = kept.send("1")
        assert not kept.add(ws, since=f"{position.epoch}-99").complete
        assert data(line) == ["gap", "1"]


@pytest.mark.django_db(transaction=True)
class TestOnCommit:
    @pytest.fixture(autouse=True)
    def _member(self, ws):
        room.add(ws)

    def test_now_if_there_is_no_transaction(self, line):
        room.send_on_commit("x")
        room.send_on_commit(b"y")
        room.send_on_commit({"z": 1})
        assert [payload for _, payload in line.frames] == [b"x", b"y", b'{"z": 1}']

    def test_at_the_end_of_the_transaction(self, ws, line):
        obj = {"a": 1}
        with transaction.atomic():
            room.send_on_commit(obj)
            room.send_on_commit("not to the author", exclude=ws)
            obj["a"] = 2
            assert texts(line) == []
        assert texts(line) == ['{"a": 1}'], "it was serialized at the call"

    def test_never_after_a_rollback(self, line):
        with transaction.atomic():
            room.send_on_commit("x")
            transaction.set_rollback(True)
        with transaction.atomic():
            with transaction.atomic():
                room.send_on_commit("y")
                transaction.set_rollback(True)
            room.send_on_commit("z")
        assert texts(line) == ["z"]

    def test_an_error_of_the_message_is_raised_at_the_call(self, line):
        with transaction.atomic():
            for group, message in ((room, object()), (kept, b"x")):
                with pytest.raises(TypeError):
                    group.send_on_commit(message)
            with pytest.raises(ValueError, match="surrogates"):
                room.send_on_commit("\ud800")
        assert texts(line) == []

    def test_an_error_of_the_backend_is_logged(self, settings, monkeypatch, caplog):
        settings.WEBSOCKET_GROUPS = spy.SETTING
        monkeypatch.setattr(spy.SpyBackend, "away", True)
        done = []
        with transaction.atomic():
            room.send_on_commit("x")
            transaction.on_commit(lambda: done.append(1))
        assert done == [1]
        (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert record.getMessage() == "Group 'room': it is away"


class TestUnavailable:
    @pytest.fixture(autouse=True)
    def _away(self, settings, monkeypatch):
        settings.WEBSOCKET_GROUPS = spy.SETTING
        monkeypatch.setattr(spy.SpyBackend, "away", True)

    def test_it_is_raised(self):
        with pytest.raises(GroupUnavailable) as caught:
            room.send("x")
        assert caught.value.maybe_sent
        with pytest.raises(GroupUnavailable):
            room.close()

    def test_it_is_logged(self, settings, caplog):
        settings.WEBSOCKET_GROUPS = {"default": {"BACKEND": spy.PATH, "OPTIONS": {"ON_ERROR": "log"}}}
        assert room.send("x") is None
        assert room.send_json({}) is None
        room.close()
        records = [record for record in caplog.records if record.name == LOGGER]
        assert {(record.levelno, record.getMessage()) for record in records} == {
            (logging.ERROR, "Group 'room': it is away")
        }
