"""Finding objects among the variables of the functions that have called."""

from __future__ import annotations

from django_websocket.servers.frames import find_in_callers

from ..running import Running


def pick(variables):
    return variables.get("looked_for")


def look():
    return find_in_callers(pick)


def test_the_nearest_function_comes_first():
    looked_for = "far"

    def near():
        looked_for = "near"
        return look(), looked_for

    assert near() == ("near", "near")
    assert look() == looked_for


def test_there_is_none():
    assert look() is None


def test_the_callers_of_another_thread_are_out_of_reach():
    looked_for = "here"
    assert Running(look).result() is None
    assert look() == looked_for
