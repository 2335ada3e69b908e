"""What every backend does. A backend of its own passes these tests, if :func:`.conftest.backend` makes it."""

import threading

import pytest

from django_websocket.connection.backlog import Delivery
from django_websocket.groups.payload import Payload
from django_websocket.groups.position import Position, Replay
from lab.servers import eventually

from ..recording import member

THREADS = 4
MESSAGES = 50


def send(backend, text, group="g", history=0, **more):
    return backend.publish(group, Payload("text", text, **more), history=history)


def add(backend, group="g", name=None, since=None, **more):
    one, recorder = member(group, name, **more)
    return one, recorder, backend.add(one, since=since)


def ids(recorder):
    return [str(envelope.id) for envelope in recorder.envelopes]


# Messages


def test_messages_reach_all_members_of_their_group_in_order(backend):
    recorders = [add(backend)[1] for _ in range(3)]
    other = add(backend, "other")[1]
    for number in range(5):
        send(backend, str(number))
    send(backend, "last", "other")
    for recorder in recorders:
        recorder.expect("0", "1", "2", "3", "4")
    other.expect("last")


def test_text_bytes_and_json(backend):
    _, recorder, _ = add(backend)
    backend.publish("g", Payload("text", "ä\n"), history=0)
    backend.publish("g", Payload("bytes", b"\x00\xff"), history=0)
    backend.publish("g", Payload("json", '{"a": 1}'), history=0)
    recorder.wait_for(lambda it: it.data == "ä\n\n".encode() + b'b:\x00\xff\n{"a": 1}\n')


def test_an_excluded_member(backend):
    _, ann, _ = add(backend)
    _, bob, _ = add(backend)
    send(backend, "to bob", exclude=ann.member_id)
    send(backend, "to all", exclude="nobody/1")
    bob.expect("to bob", "to all")
    ann.expect("to all")


def test_a_member_counts_the_messages(backend):
    add(backend)
    positions = [send(backend, "hello") for _ in range(3)]
    assert positions == [Position.make(positions[0].epoch, number) for number in (1, 2, 3)]


def test_messages_without_members_are_no_error(backend):
    assert isinstance(send(backend, "hello"), Position)


def test_envelopes_have_the_position(backend):
    _, recorder, _ = add(backend, enveloped=True)
    position = send(backend, "hello", history=5)
    recorder.wait_for(lambda it: it.texts)
    (envelope,) = recorder.envelopes
    assert (envelope.group, envelope.id, envelope.data) == ("g", position, "hello")


def test_threads_that_publish_at_once(backend):
    """What each of them sends arrives in order, and all members get the same."""
    recorders = [add(backend)[1] for _ in range(2)]

    def publish(number):
        for message in range(MESSAGES):
            send(backend, f"{number} {message}")

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for recorder in recorders:
        recorder.wait_for(lambda it: len(it.texts) == THREADS * MESSAGES)
        for number in range(THREADS):
            own = [text for text in recorder.texts if text.startswith(f"{number} ")]
            assert own == [f"{number} {message}" for message in range(MESSAGES)]
    assert recorders[0].texts == recorders[1].texts


# Positions and history


def test_the_position_of_a_group_without_messages(backend):
    position = backend.position("g")
    assert position.number == 0
    assert send(backend, "hello", history=5) == Position.make(position.epoch, 1)
    assert backend.position("g") == Position.make(position.epoch, 1)


def test_a_member_with_the_position_of_a_page_misses_nothing(backend):
    position = backend.position("g")
    sent = [send(backend, text, history=10) for text in ("a", "b")]
    _, recorder, replay = add(backend, since=position, enveloped=True)
    assert replay == Replay(complete=True, missed=0)
    sent.append(send(backend, "c", history=10))
    recorder.wait_for(lambda it: len(it.texts) == 3)
    assert ids(recorder) == sent


def test_a_member_without_a_position_gets_nothing_old(backend):
    send(backend, "old", history=10)
    _, recorder, replay = add(backend)
    assert replay == Replay(complete=True, missed=0)
    send(backend, "new", history=10)
    recorder.expect("new")


def test_a_history_that_is_too_short(backend):
    position = backend.position("g")
    sent = [send(backend, str(number), history=2) for number in range(5)]
    _, recorder, replay = add(backend, since=position, enveloped=True)
    assert replay == Replay(complete=False, missed=3)
    gap, *messages = recorder.envelopes
    assert gap.gap == (1, 3)
    assert [message.id for message in messages] == sent[3:]


@pytest.mark.parametrize("since", [Position.make("ffffffff", 3), Position.make("", 0)])
def test_a_position_of_another_epoch(backend, since):
    send(backend, "old", history=2)
    _, recorder, replay = add(backend, since=since, enveloped=True)
    assert replay == Replay(complete=False, missed=None)
    gap, message = recorder.envelopes
    assert gap.is_gap
    assert gap.gap is None
    assert message.data == "old"


def test_a_position_that_is_yet_to_come(backend):
    position = send(backend, "old", history=2)
    _, recorder, replay = add(backend, since=Position.make(position.epoch, 9), enveloped=True)
    assert replay == Replay(complete=False, missed=None)
    assert [envelope.data for envelope in recorder.envelopes] == [None, "old"]


def test_a_member_that_asks_for_messages_of_a_group_without_history(backend):
    position = backend.position("g")
    _, other, _ = add(backend)
    send(backend, "1")
    send(backend, "2")
    other.expect("1", "2")
    _, recorder, replay = add(backend, since=position)
    assert replay == Replay(complete=False, missed=2)
    send(backend, "3")
    recorder.expect("3")


# Members


def test_names_and_numbers(backend):
    assert (backend.count("g"), backend.names("g")) == (0, set())
    for name in ("ann", "ann", "bob", None):
        add(backend, name=name)
    assert (backend.count("g"), backend.names("g")) == (4, {"ann", "bob"})


def test_a_member_that_is_discarded(backend):
    ann, to_ann, _ = add(backend, name="ann")
    _, to_bob, _ = add(backend, name="bob")
    backend.discard(ann)
    backend.discard(ann)
    assert (backend.count("g"), backend.names("g")) == (1, {"bob"})
    send(backend, "hello")
    to_bob.expect("hello")
    assert to_ann.texts == []


def test_discarding_somebody_else(backend):
    backend.discard(member("g")[0])
    add(backend)
    backend.discard(member("g")[0])
    assert backend.count("g") == 1


def test_a_member_that_is_added_again_gets_each_message_once(backend):
    before, recorder, _ = add(backend, name="ann")
    after, _, _ = add(backend, name="bob", recorder=recorder)
    assert (backend.count("g"), backend.names("g")) == (1, {"bob"})
    backend.discard(before)
    assert backend.count("g") == 1
    send(backend, "hello")
    recorder.expect("hello")
    backend.discard(after)
    assert backend.count("g") == 0


@pytest.mark.parametrize(("answer", "overflows"), [(Delivery.GONE, 0), (Delivery.OVERFLOW, 1)])
def test_a_member_that_can_get_nothing_is_discarded(backend, answer, overflows):
    _, recorder, _ = add(backend, name="ann")
    _, other, _ = add(backend, name="bob")
    recorder.answer = answer
    send(backend, "hello")
    other.expect("hello")
    eventually(lambda: backend.names("g"), lambda names: names == {"bob"})
    assert backend.status().overflows == overflows


def test_closing(backend):
    _, recorder, _ = add(backend)
    _, other, _ = add(backend, "other")
    send(backend, "last")
    backend.close("g", 4000, "over")
    recorder.wait_for(lambda it: it.closed)
    assert (recorder.texts, recorder.closed) == (["last"], (4000, "over"))
    assert other.closed is None


def test_closing_a_group_without_members(backend):
    backend.close("g", 1000, "")
    _, recorder, _ = add(backend)
    send(backend, "hello")
    recorder.expect("hello")
    assert recorder.closed is None


# The process


def test_the_state(backend):
    add(backend)
    add(backend)
    one, _, _ = add(backend, "other")
    backend.discard(one)
    status = eventually(backend.status, lambda status: status.healthy)
    assert (status.problem, status.groups, status.members) == ("", 1, 2)
    assert (status.overflows, status.lost, status.reconnects) == (0, 0, 0)


def test_log_outs_can_be_sent_and_heard_of(backend):
    backend.watch()
    backend.watch()
    backend.disconnect("user", "5")
    backend.disconnect("session", "abc")


def test_a_backend_that_is_stopped_twice(backend):
    add(backend)
    backend.stop()
    backend.stop()
