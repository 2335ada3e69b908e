"""Whether a call interrupts another one of the same object is read from the stack."""

from __future__ import annotations

from django_websocket.connection.reentry import interrupts


class Door:
    """An object whose methods call each other, and whatever comes in between."""

    def open(self, between):
        return between()

    def knock(self):
        return self._look()

    def _look(self):
        return interrupts(self, {"open", "knock"})


def handler(call):
    """Return a function that calls a method, as a signal handler does."""
    return lambda: call()  # noqa: PLW0108 - its frame stands between the two calls.


def test_a_call_interrupts_another_one():
    door = Door()
    assert door.open(handler(door.knock))
    assert door.open(handler(lambda: door.open(handler(door.knock))))


def test_the_methods_of_one_call_do_not_interrupt_it():
    assert not Door().knock()


def test_another_object_is_not_interrupted():
    assert not Door().open(handler(Door().knock))


def test_other_methods_do_not_count():
    door = Door()
    assert not door.open(lambda: interrupts(door, {"knock"}))
