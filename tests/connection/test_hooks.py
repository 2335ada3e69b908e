"""When the hooks of a connection are called."""

from __future__ import annotations

from django_websocket.connection.hooks import Hooks

from .line import START, connect


class Busy(Hooks):
    """Something that is told of each wait, and holds something or not."""

    def __init__(self, *holds):
        self.resources = holds
        self.told = []

    def before_wait(self):
        self.told.append("pause")
        return 1.0

    def on_idle(self):
        self.told.append("silence")


def test_hooks_are_called_only_where_something_is_held():
    hooks = Busy()
    ws, line = connect(hooks=hooks)
    line.say("x", at=START + 30)
    assert ws.wait() == "x"
    assert hooks.told == []


def test_a_wait_ends_when_the_peer_is_to_be_revalidated():
    hooks = Busy()
    hooks.revalidate_interval = 5.0
    asked = []
    hooks.revalidate = lambda: asked.append(line.now)
    ws, line = connect(hooks=hooks)
    line.say("x", at=START + 12)
    assert ws.wait() == "x"
    assert line.default_timeout == 5
    assert asked == [START + 5, START + 10]


def test_hooks_are_called_before_each_wait_and_once_for_a_silence():
    hooks = Busy("a connection")
    ws, line = connect(hooks=hooks)
    line.say("x")
    line.say("y", at=START + 0.5)
    line.say("z", at=START + 2)
    assert [ws.wait(), ws.wait()] == ["x", "y"]
    assert hooks.told == ["pause", "pause"]
    assert ws.wait() == "z"
    assert hooks.told == ["pause", "pause", "pause", "silence", "pause"]
