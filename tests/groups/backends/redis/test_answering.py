"""Questions of other processes: which are answered, and which are not."""

import threading

import pytest

from django_websocket.exceptions import GroupUnavailable
from django_websocket.groups.backends.redis import answering as module
from django_websocket.groups.backends.redis.answering import AT_ONCE, Answering
from django_websocket.groups.backends.redis.keys import Keys
from django_websocket.groups.backends.redis.questions import Question, read_answer, write_question
from django_websocket.groups.backends.redis.wire import Wire
from django_websocket.groups.snapshot import Search

from ..making import wait_for_threads

WIRE = Wire(b"sixteen bytes and more")


class Client:
    """Notes the answers."""

    def __init__(self):
        self.calls = []
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def run(self, script, keys, life, kept, raw):
        self.gate.wait()
        if self.error is not None:
            raise self.error
        self.calls.append((keys, raw))


@pytest.fixture
def client():
    client = Client()
    yield client
    client.gate.set()
    wait_for_threads()


@pytest.fixture
def answering(client):
    return Answering(client, Keys("p"), WIRE, "abc/1")


def question(number):
    return Question(f"{number:032x}", Search(), 10)


def ask(answering, number=1):
    answering.receive(write_question(WIRE, question(number)))


def test_an_answer_goes_to_the_key_of_its_question(answering, client):
    ask(answering)
    wait_for_threads()
    ((keys, raw),) = client.calls
    assert keys == [f"p:{{p}}:a:{1:032x}"]
    assert read_answer(WIRE, question(1).id, raw).sender == "abc/1"
    assert read_answer(WIRE, question(2).id, raw) is None


def test_a_question_that_comes_twice_is_answered_once(answering, client):
    """Guards a cluster, where each subscriber gets it."""
    for _ in range(3):
        ask(answering)
    wait_for_threads()
    assert len(client.calls) == 1


def test_questions_are_not_remembered_for_ever(answering, client):
    for number in range(module.REMEMBERED + 5):
        ask(answering, number)
        wait_for_threads()
    assert len(answering._remembered) == module.REMEMBERED


def test_the_subscriber_does_not_wait(answering, client):
    client.gate.clear()
    ask(answering)
    assert client.calls == []


def test_many_questions_at_once_are_dropped(answering, client, caplog):
    client.gate.clear()
    for number in range(AT_ONCE + 5):
        ask(answering, number)
    assert caplog.text.count("others were being answered, and is ignored") == 1
    client.gate.set()
    wait_for_threads()
    assert len(client.calls) == AT_ONCE
    ask(answering, 1000)
    wait_for_threads()
    assert len(client.calls) == AT_ONCE + 1


@pytest.mark.parametrize("raw", [b"", b"rubbish", write_question(Wire(None), question(1))])
def test_what_is_not_understood_is_ignored_and_logged_once_a_minute(answering, client, raw, caplog, monkeypatch):
    for _ in range(3):
        answering.receive(raw)
    assert caplog.text.count("is not understood, or is not signed with SECRET, and is ignored") == 1
    assert client.calls == []
    monkeypatch.setattr(module, "WARNING_INTERVAL", 0)
    answering._next_warning = 0.0
    answering.receive(raw)
    assert caplog.text.count("is ignored") == 2


def test_no_room_for_a_thread(answering, client, monkeypatch, caplog):
    monkeypatch.setattr(module, "start_worker", lambda *_: False)
    for number in range(AT_ONCE + 2):
        ask(answering, number)
    assert "no room for another thread" in caplog.text
    assert answering._running == 0


@pytest.mark.parametrize(
    ("error", "text"), [(GroupUnavailable("it is away"), "of this one: it is away"), (ZeroDivisionError(), "Traceback")]
)
def test_an_answer_that_does_not_get_away(answering, client, error, text, caplog):
    client.error = error
    ask(answering)
    wait_for_threads()
    assert "was not told of the WebSockets of this one" in caplog.text
    assert text in caplog.text
    assert answering._running == 0
