"""The conversations of instruments over a pair of sockets."""

import pytest

from django_websocket.connection.core import Core
from lab.conversations import View, converse
from lab.fuzzing.frames import build

TEXT, CLOSE = build(b"\x81\x00\x05Hello", masked=True), build(b"\x88\x00\x05\x03\xe8bye", masked=True)


@pytest.mark.parametrize("view", [View(), View(iterates=True), View(corked=True)])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_messages_are_echoed_however_they_come(view, size):
    stream = TEXT + TEXT + CLOSE
    outcome = converse([stream[start : start + size] for start in range(0, len(stream), size)], view)
    assert outcome.messages == ["Hello", "Hello"]
    assert (outcome.code, outcome.reason, outcome.errors) == (1000, "bye", ("", "None"))
    assert outcome.sent == b"\x81\x05Hello\x81\x05Hello\x88\x02\x03\xe8"


def test_a_view_that_does_not_echo():
    outcome = converse([TEXT], View(echoes=False))
    # The end of the stream is no Close.
    assert (outcome.messages, outcome.code, outcome.sent) == (["Hello"], 1006, b"")


def test_a_view_that_closes():
    outcome = converse([TEXT, TEXT, TEXT], View(closes_after=1))
    assert outcome.messages == ["Hello"]
    assert outcome.sent == b"\x81\x05Hello\x88\x08\x03\xe8enough"


def test_limits():
    assert converse([TEXT], View(limit=3)).code == 1009
    assert converse([build(b"\x01\x00\x01a\x00\x00\x01b\x80\x00\x01c", masked=True)], View(fragments=2)).code == 1008


def test_the_pieces_reach_the_core(monkeypatch):
    """The code in Python has taken the first message, so that compiled code takes all of these itself."""
    taken = []
    original = Core.take

    def take(self):
        taken.append(self.protocol.whole_limit)
        return original(self)

    monkeypatch.setattr("django_websocket.connection.connection.Connection.take", take)
    converse([TEXT, TEXT, CLOSE], View(limit=1000))
    # Nothing may be taken before the first message.
    assert taken[:3] == [-1, 1000, 1000]
