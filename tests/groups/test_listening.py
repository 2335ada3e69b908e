"""A view that waits for its client and for its groups, over a connection in memory: nothing sleeps."""

from __future__ import annotations

import gc
import json
import logging

import pytest

from django_websocket import ConnectionClosed, Group, GroupUnavailable
from django_websocket.connection.backlog import QueueLimits
from django_websocket.connection.connection import UNAUTHORIZED
from django_websocket.connection.hooks import Hooks
from django_websocket.groups.backends import get_backend
from django_websocket.groups.mailbox import Event
from django_websocket.protocols.base import State
from django_websocket.protocols.hixie76 import Hixie76
from django_websocket.protocols.rfc6455.frames import Opcode
from django_websocket.transports import TimedOut

from ..connection.line import CLOSE_TIMEOUT, PING_INTERVAL, PING_TIMEOUT, START, connect, connection_of, records

room, news = Group("room"), Group("news")


@pytest.fixture
def ws_line():
    ws, line = connect()
    yield ws, line
    ws.end(wait=False)
    assert all(bell.closed for bell in line.bells)
    assert room.count() == news.count() == 0


@pytest.fixture
def ws(ws_line):
    return ws_line[0]


@pytest.fixture
def line(ws_line):
    return ws_line[1]


def publish(line, call, at=None):
    """Make a call, as another thread would, while the view waits."""

    def make_call():
        call()
        return TimedOut()

    line.feed(make_call, at)


def data_of(events):
    return [event.data for event in events]


def take(events, number):
    return [next(events) for _ in range(number)]


def test_messages_of_the_client_and_of_the_group(ws, line):
    events = room.listen(ws)
    publish(line, lambda: room.send("one"), START + 1)
    line.say("two", START + 2)
    publish(line, lambda: room.send_json({"three": 3}), START + 3)
    publish(line, lambda: room.send(b"four"), START + 4)
    first = next(events)
    assert first == Event("group", "one", "room", first.position)
    assert first.position.number == 1
    assert next(events) == Event("client", "two", None, None)
    assert next(events)[:3] == ("group", {"three": 3}, "room")
    last = next(events)
    assert last[:3] == ("group", b"four", "room")
    assert last.position == room.position()
    assert line.now == START + 4
    assert Opcode.TEXT not in dict(line.frames), "a message went to the client"


def test_each_listening_view_gets_an_object_of_its_own(ws):
    other, _ = connect()
    room.send_json({"for": "nobody"})
    first, second = room.listen(ws), room.listen(other)
    room.send_json({"numbers": [1]})
    one, two = next(first).data, next(second).data
    one["numbers"].append(2)
    assert two == {"numbers": [1]}
    other.end(wait=False)


def test_the_membership_begins_with_the_call(ws):
    events = room.listen(ws, name="Ann")
    assert room.members() == {"Ann"}
    room.send("hello")
    assert next(events).data == "hello"


def test_what_came_before_is_taken_first(ws, line):
    line.say("early")
    assert ws.has_messages()
    events = room.listen(ws)
    assert next(events) == Event("client", "early")


def test_groups_and_client_take_turns(ws, line):
    """Neither waits for the other for longer than what was there at first."""
    events = room.listen(ws)

    def flood():
        room.send("group")
        return line.peer.data_to_send()

    for _ in range(3):
        line.peer.send("client")
        line.feed(flood)
    kinds = []
    for event in events:
        kinds.append(event.kind)
        if len(kinds) > 6:
            break
        if event.kind == "group" and kinds.count("group") < 4:
            room.send("answer")
    assert kinds.index("client") <= 2
    assert kinds.count("group") >= 3


@pytest.mark.parametrize("timeout", [0, 1, 50])
def test_a_timeout(ws, line, timeout):
    line.peer.send("late")
    events = room.listen(ws, timeout)
    line.feed(line.peer.data_to_send(), START + 2 * timeout + 1)
    assert take(events, 2) == [Event("timeout"), Event("timeout")]
    assert line.now >= START + 2 * timeout
    if timeout:
        assert next(events) == Event("client", "late")
    room.send("and on")
    assert next(events).data == "and on"


def test_a_ring_without_a_message_extends_no_timeout(ws, line):
    events = room.listen(ws, 10)

    def wake_too_late():
        line.bells[0].rung = False
        return TimedOut()

    line.feed(wake_too_late, START + 4)
    assert next(events).kind == "timeout"
    assert line.now == START + 10


@pytest.mark.parametrize(("timeout", "error"), [("1", TypeError), (True, TypeError), (float("nan"), ValueError)])
def test_a_timeout_that_is_none(ws, timeout, error):
    with pytest.raises(error, match=r"^listen\(\) takes a timeout in seconds, not "):
        room.listen(ws, timeout)
    assert room.count() == 0


def test_arguments_that_are_wrong(ws, line):
    with pytest.raises(TypeError, match="a member of a group is a WebSocket, not NoneType"):
        room.listen(None)
    with pytest.raises(TypeError, match="name of a member is a str"):
        room.listen(ws, name=1)
    with pytest.raises(TypeError, match="since is a str"):
        room.listen(ws, since=1)
    with pytest.raises(ValueError, match="1 to 200 characters"):
        room.listen(ws, name="")
    with pytest.raises(TypeError, match="a view listens to a Group, not to str"):
        room.listen(ws).add("news")
    assert room.count() == 0
    assert all(bell.closed for bell in line.bells)


class TestEnd:
    """The end of the iteration, and of the membership."""

    def test_the_client_closes(self, ws, line):
        events = room.listen(ws)
        line.say("bye")
        line.peer.close(4000)
        line.feed(line.peer.data_to_send())
        assert list(events) == [Event("client", "bye")]
        assert ws.close_code == 4000
        assert list(events) == []

    def test_the_client_vanishes(self, ws, line):
        events = room.listen(ws)
        line.feed(b"", START + 1)
        assert list(events) == []
        assert ws.close_code == 1006

    def test_the_view_closes(self, ws, line):
        events = room.listen(ws)
        publish(line, lambda: room.send("x"))
        seen = []
        for event in events:
            seen.append(event.data)
            ws.close()
        assert seen == ["x"]
        assert line.peer.close_code == 1000

    def test_the_group_is_closed(self, ws, line):
        events = room.listen(ws)
        room.send("last")
        publish(line, lambda: room.close(4001, "over"))
        assert data_of(events) == ["last"]
        assert (ws.close_code, line.peer.close_code, line.peer.close_reason) == (4001, 4001, "over")

    def test_the_connection_has_ended_before(self, line, ws):
        line.say("left over")
        ws.has_messages()
        ws.end(wait=False)
        events = room.listen(ws)
        assert room.count() == 0
        events.add(news)
        assert data_of(events) == ["left over"]

    def test_a_view_that_never_stops_asking(self, ws, line):
        line.feed(b"")
        for _ in range(99):
            assert list(room.listen(ws)) == []
        with pytest.raises(ConnectionClosed):
            list(room.listen(ws))

    def test_the_view_has_ended_and_keeps_the_object(self, ws, line):
        events = room.listen(ws)
        ws.end(wait=False)
        assert room.count() == 0
        assert line.bells[0].closed
        assert list(events) == []
        events.close()

    @pytest.mark.parametrize("how", ["break", "close", "with", "dropped", "never used", "collected"])
    def test_the_view_stops_listening(self, ws, line, how):
        events = room.listen(ws)
        if how != "never used":
            room.send("x")
            next(events)
        if how == "close":
            events.close()
            assert list(events) == []
            events.close()
            with pytest.raises(ValueError, match="does not listen any more"):
                events.add(news)
        elif how == "with":
            with events:
                assert room.count() == 1
        elif how == "break":
            room.send("y")
            for _ in events:
                room.send("not taken")
                break
        elif how == "collected":
            circle = [events]
            circle.append(circle)
            del circle
        del events
        gc.collect()
        assert room.count() == 0
        assert line.bells[0].closed
        room.send("unheard")
        line.say("still open")
        assert ws.wait() == "still open"

    def test_an_exception_in_the_loop(self, ws, line):
        room.send("x")

        def view():
            for event in room.listen(ws):
                raise LookupError(event.data)

        publish(line, lambda: room.send("x"))
        with pytest.raises(LookupError):
            view()
        assert room.count() == 0

    def test_it_was_removed_from_the_group(self, ws, line):
        events = room.listen(ws)
        room.discard(ws)
        room.send("unheard")
        line.say("heard")
        assert next(events).data == "heard"
        events.close()


class TestBeforeAndAfter:
    """What the WebSocket was in the group before, it is again afterwards."""

    def test_the_client_gets_what_the_view_has_not_taken(self, ws, line):
        room.add(ws, name="Ann")
        for event in room.listen(ws):
            assert event.data == "0"
            for number in (1, 2):
                room.send(str(number))
            break
        room.send("3")
        assert room.members() == {"Ann"}
        assert [payload for _, payload in line.frames] == [b"1", b"2", b"3"]

    @pytest.fixture(autouse=True)
    def _first_message(self, ws, line):
        publish(line, lambda: room.send("0"))

    def test_a_group_with_history(self, ws, line):
        room = Group("room", history=3)
        room.add(ws)
        for event in room.listen(ws, since="00000000-0"):
            assert event.kind == "gap"
            room.send_json([1])
            break
        assert json.loads(line.frames[-1][1])["data"] == [1]

    def test_a_gap_that_was_not_taken(self, ws, line):
        room = Group("room", history=3)
        room.add(ws)
        with room.listen(ws, since="00000000-0"):
            pass
        assert json.loads(line.frames[-1][1]) == {"group": "room", "gap": None}

    def test_bytes_that_the_client_cannot_get(self):
        ws, line = connect(Hixie76)
        room.add(ws)
        with room.listen(ws) as events:
            room.send(b"0")
            room.send(b"1")
            assert next(events).data == b"0"
        room.send("2")
        assert bytes(line.sent).endswith(b"\x002\xff")
        ws.end(wait=False)

    def test_a_member_that_was_removed_meanwhile(self, ws, line):
        room.add(ws)
        with room.listen(ws):
            room.send("x")
            room.discard(ws)
        assert room.count() == 0
        assert line.frames == []

    def test_a_backend_that_is_away_at_the_end(self, ws, line, monkeypatch):
        room.add(ws)
        events = room.listen(ws)
        backend = get_backend("default")

        def away(member, *, since):
            raise GroupUnavailable("it is away")

        with monkeypatch.context() as patch:
            patch.setattr(backend, "add", away)
            room.send("x")
            events.close()
        room.send("y")
        assert [payload for _, payload in line.frames] == [b"x", b"y"]
        assert line.bells[0].closed
        assert room.count() == 1

    def test_a_name_that_was_changed(self, ws):
        room.add(ws, name="Ann")
        with room.listen(ws) as events:
            assert room.members() == {"Ann"}
            room.add(ws, name="Ann B.")
            assert (room.members(), room.count()) == ({"Ann B."}, 1)
            room.send("x")
            assert next(events).data == "x", "it still listens"
        assert room.members() == {"Ann B."}

    def test_nested_loops_over_one_group(self, ws, line):
        outer = room.listen(ws)
        assert next(outer).data == "0"
        with room.listen(ws) as inner:
            room.send("1")
            assert next(inner).data == "1"
            room.send("2")
        room.send("3")
        assert data_of(take(outer, 2)) == ["2", "3"]
        outer.close()
        assert room.count() == 0

    def test_loops_that_end_in_the_wrong_order(self, ws, line):
        outer = room.listen(ws)
        inner = room.listen(ws)
        outer.close()
        assert room.count() == 1
        assert next(inner).data == "0"
        inner.close()
        assert room.count() == 0

    def test_loops_that_end_in_the_wrong_order_of_a_member(self, ws, line):
        room.add(ws)
        outer = room.listen(ws)
        inner = room.listen(ws)
        outer.close()
        inner.close()
        room.send("to the client")
        assert line.frames[-1] == (Opcode.TEXT, b"to the client")
        assert room.count() == 1


class TestSeveralGroups:
    def test_listening_to_both(self, ws):
        events = room.listen(ws)
        assert events.add(news, name="Ann").complete
        room.send("a")
        news.send("b")
        room.send("c")
        assert [(event.group, event.data) for event in take(events, 3)] == [("room", "a"), ("news", "b"), ("room", "c")]
        assert news.members() == {"Ann"}
        events.add(news, name="Bea")
        assert news.members() == {"Bea"}
        events.discard(news)
        events.discard(news)
        assert (room.count(), news.count()) == (1, 0)

    def test_other_memberships_go_to_the_client(self, ws, line):
        news.add(ws)
        events = room.listen(ws, 0)
        news.send("to the client")
        assert line.frames == [(Opcode.TEXT, b"to the client")]
        assert next(events).kind == "timeout"

    def test_what_was_not_taken_of_one_group(self, ws, line):
        news.add(ws)
        events = room.listen(ws)
        events.add(news)
        room.send("a")
        news.send("b")
        events.discard(news)
        assert line.frames == [(Opcode.TEXT, b"b")]
        assert next(events).data == "a"

    def test_nested_loops_over_different_groups(self, ws):
        outer = room.listen(ws)
        with news.listen(ws) as inner:
            room.send("kept")
            news.send("now")
            assert next(inner).data == "now"
        assert next(outer).data == "kept"

    def test_the_publisher_may_be_left_out(self, ws):
        events = room.listen(ws, 0)
        room.send("x", exclude=ws)
        assert next(events).kind == "timeout"


class TestHistory:
    @pytest.fixture
    def kept(self):
        return Group("room", history=2)

    def test_messages_since_a_position(self, ws, kept):
        since = kept.position()
        kept.send("a")
        kept.send_json({"b": 1})
        events = kept.listen(ws, since=since)
        kept.send("c")
        assert data_of(take(events, 3)) == ["a", {"b": 1}, "c"]

    @pytest.mark.parametrize("since", ["00000000-0", "nonsense"])
    def test_an_unknown_position(self, ws, kept, since):
        kept.send("a")
        events = kept.listen(ws, since=since)
        assert [event[:3] for event in take(events, 2)] == [("gap", None, "room"), ("group", "a", "room")]

    def test_a_gap(self, ws, kept):
        since = kept.position()
        for text in "abcd":
            kept.send(text)
        events = kept.listen(ws, since=since)
        assert [event[:3] for event in take(events, 3)] == [
            ("gap", (1, 2), "room"),
            ("group", "c", "room"),
            ("group", "d", "room"),
        ]

    def test_a_history_does_not_count_as_waiting(self, ws, monkeypatch):
        room = Group("room", history=10)
        since = room.position()
        monkeypatch.setattr(get_backend("default"), "limits", QueueLimits(10, 2))
        for _ in range(10):
            room.send("0123456789")
        events = room.listen(ws, since=since)
        room.send("x")
        assert len(take(events, 11)) == 11
        assert ws._connection.is_open


class TestLimits:
    @pytest.mark.parametrize("limits", [QueueLimits(100, 3), QueueLimits(3, 100)])
    def test_a_view_that_does_not_keep_up(self, ws, line, settings, limits, caplog):
        settings.WEBSOCKET_GROUPS = {
            "default": {
                "BACKEND": "django_websocket.groups.backends.memory.MemoryBackend",
                "OPTIONS": {"QUEUE_BYTES": limits.size, "QUEUE_MESSAGES": limits.messages},
            }
        }
        events = room.listen(ws)
        for _ in range(3):
            room.send("x")
        next(events)
        room.send("\u00e9" if limits.size > 3 else "x")
        assert ws._connection.is_open
        room.send("x")
        room.send("unheard")
        assert room.count() == 0
        assert get_backend("default").status().overflows == 1
        assert list(events) == []
        assert records(caplog) == [
            (
                logging.WARNING,
                "WebSocket /echo/ closed with 1013: its view does not keep up with the messages of its groups",
            )
        ]
        assert line.peer.close_code == 1013

    def test_bytes_are_counted(self, ws, monkeypatch):
        backend = get_backend("default")
        monkeypatch.setattr(backend, "limits", QueueLimits(4, 100))
        events = room.listen(ws)
        room.send("\u00e9\u00e9")
        assert ws._connection.is_open
        next(events)
        room.send("\u00e9\u00e9\u00e9")
        assert not ws._connection.is_open


class TestTheConnection:
    """Whatever ``wait()`` takes care of goes on."""

    def test_pings(self, ws, line):
        events = room.listen(ws)
        publish(line, lambda: room.send("x"), START + 2.5 * PING_INTERVAL)
        assert next(events).data == "x"
        assert [opcode for opcode, _ in line.frames].count(Opcode.PING) == 2

    def test_a_peer_without_a_sign_of_life(self, ws, line):
        line.answering = False
        for second in range(0, 100, 3):
            publish(line, lambda: room.send("x"), START + second)
        assert {event.kind for event in room.listen(ws)} == {"group"}
        assert ws.close_code == 1006
        assert PING_INTERVAL + PING_TIMEOUT <= line.now - START < PING_INTERVAL + PING_TIMEOUT + 3

    def test_a_peer_that_does_not_answer_close(self, ws, line):
        line.answering = False
        events = room.listen(ws)
        publish(line, lambda: room.close(4000), START + 1)
        assert list(events) == []
        assert line.now == START + 1 + CLOSE_TIMEOUT

    def test_revalidation_under_a_flood(self):
        """A view that gets messages without a pause is asked for as well."""

        class Revoked(Hooks):
            revalidate_interval = 10

            def revalidate(self):
                return "logged out" if line.now >= START + 30 else None

        ws, line = connect(hooks=Revoked())
        for second in range(60):
            publish(line, lambda: room.send("x"), START + second)
        assert 25 <= len(list(room.listen(ws))) <= 31
        assert line.peer.close_code == UNAUTHORIZED
        ws.end(wait=False)

    def test_a_database_is_released(self):
        class Held(Hooks):
            resources = ("a database",)
            released = idle = 0

            def before_wait(self):
                self.released += 1
                return 1.0

            def on_idle(self):
                self.idle += 1

        hooks = Held()
        ws, line = connect(hooks=hooks)
        publish(line, lambda: room.send("x"), START + 5)
        next(room.listen(ws))
        assert hooks.released
        assert hooks.idle
        ws.end(wait=False)

    def test_messages_ahead_of_a_close_are_answered(self, ws, line):
        line.peer.send("one")
        line.peer.send("two")
        line.peer.close(1000)
        line.feed(line.peer.data_to_send())
        for event in room.listen(ws):
            ws.send(event.data * 2)
        assert line.heard == ["oneone", "twotwo"]

    def test_another_thread_waits(self, ws):
        connection = connection_of(ws)
        connection._waiting = True
        connection._reading.lock.acquire()
        with pytest.raises(RuntimeError, match="another thread is waiting"):
            next(room.listen(ws))
        connection._reading.lock.release()

    def test_the_handshake_is_sent(self, line):
        ws, line = connect(accept=False)
        room.listen(ws)
        assert line.sent.startswith(b"HTTP/1.1 101 ")
        ws.end(wait=False)

    def test_a_connection_that_ends_before_its_handshake(self):
        ws, _ = connect(accept=False)
        ws.end(wait=False)
        with pytest.raises(ConnectionClosed):
            room.listen(ws)

    def test_waiting_for_the_client_between_events(self, ws, line):
        events = room.listen(ws)
        room.send("x")
        line.say("client")
        assert ws.wait() == "client"
        assert next(events).data == "x"
        assert protocol_state(ws) is State.OPEN


def protocol_state(ws):
    return ws._protocol.state
