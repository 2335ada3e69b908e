"""What Redis is told of the names and numbers of members."""

import random

import pytest

from django_websocket.groups.backends.redis.presence import Difference, Told
from django_websocket.groups.members import Change


@pytest.fixture
def told():
    return Told()


def test_nothing_is_to_be_told_at_first(told):
    assert told.is_current(0)
    assert told.begin(0) is None
    assert not told.is_urgent(0)


def test_the_first_member_is_urgent(told):
    assert told.is_urgent(1)
    assert told.begin(1) == Difference(1, [], [], enters=True)


def test_a_new_name_is_urgent_and_another_number_is_not(told):
    told.finish(told.begin(1), done=True)
    assert not told.is_urgent(2)
    assert not told.is_current(2)
    told.note(Change("ann"))
    assert told.is_urgent(2)
    assert told.begin(2) == Difference(2, ["ann"], [], enters=False)


def test_names_that_come_and_go(told):
    told.note(Change("ann"))
    told.note(Change("bob", "ann"))
    told.note(Change())
    assert told.begin(1) == Difference(1, ["bob"], ["ann"], enters=True)


def test_one_thread_tells_at_a_time(told):
    told.note(Change("ann"))
    difference = told.begin(1)
    told.note(Change("bob"))
    assert told.begin(2) is None
    told.finish(difference, done=True)
    assert told.begin(2) == Difference(2, ["bob"], [], enters=False)


def test_what_failed_is_told_again(told):
    told.note(Change("ann"))
    told.note(Change(left="bob"))
    told.finish(told.begin(1), done=False)
    assert told.is_urgent(1)
    assert told.begin(1) == Difference(1, ["ann"], ["bob"], enters=True)


def test_what_has_changed_since_it_failed(told):
    told.note(Change("ann"))
    difference = told.begin(1)
    told.note(Change(left="ann"))
    told.finish(difference, done=False)
    assert told.begin(0) == Difference(0, [], ["ann"], enters=False)


def test_the_last_member_leaves(told):
    told.note(Change("ann"))
    told.finish(told.begin(1), done=True)
    told.note(Change(left="ann"))
    assert told.is_urgent(0)
    told.finish(told.begin(0), done=True)
    assert told.is_current(0)
    assert told.begin(1).enters


def test_a_redis_that_has_forgotten_all(told):
    told.note(Change("ann"))
    told.finish(told.begin(1), done=True)
    told.forget(["ann", "bob"])
    assert told.begin(2) == Difference(2, ["ann", "bob"], [], enters=True)


@pytest.mark.parametrize("seed", range(50))
def test_redis_is_told_the_truth_in_the_end(told, seed):
    """Whatever comes in between: failures after or before Redis has heard, and a Redis that forgets."""
    rng = random.Random(seed)
    heard = False  # whether Redis has heard the difference that is being told, and has forgotten it since
    here, redis, number, entered, difference = set(), set(), None, False, None

    def hear(difference):
        nonlocal redis, number, entered
        redis = (redis | set(difference.joined)) - set(difference.left)
        number = difference.number
        entered = number > 0 and (entered or difference.enters)

    for _ in range(200):
        action = rng.choice(["change", "change", "begin", "finish", "finish", "forget"])
        name = rng.choice("abcd")
        if action == "change":
            told.note(Change(left=name) if name in here else Change(name))
            here ^= {name}
        elif action == "begin" and difference is None:
            difference = told.begin(len(here))
        elif action == "finish" and difference is not None:
            done = rng.random() < 0.7
            if not heard and (done or rng.random() < 0.5):
                hear(difference)
            heard = False
            told.finish(difference, done=done)
            difference = None
        elif action == "forget" and rng.random() < 0.1:
            if difference is not None and rng.random() < 0.5:
                hear(difference)
                heard = True
            redis, number, entered = set(), None, False
            told.forget(here)
    if difference is not None:
        told.finish(difference, done=False)
    difference = told.begin(len(here))
    if difference is not None:
        hear(difference)
        told.finish(difference, done=True)
    assert redis == here
    assert entered == bool(here)
    assert (number or 0) == len(here)
    assert told.is_current(len(here))
