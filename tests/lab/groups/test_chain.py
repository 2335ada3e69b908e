"""The judge of members of groups with history: it sees each kind of loss, and nothing where all is well."""

from django_websocket.groups.position import Position
from lab.groups.chain import Chain


def at(number, epoch="aaaaaaaa"):
    return Position.make(epoch, number)


def chain(*steps, since=0):
    """Return a chain after some steps: a number is a message, a list is a gap."""
    made = Chain(at(since))
    for step in steps:
        if isinstance(step, Position):
            made.take(step)
        elif isinstance(step, int):
            made.take(at(step))
        else:
            made.gap(None if step == [] else tuple(step))
    return made


def test_all_is_well():
    made = chain(4, 5, 6, since=3)
    made.end()
    assert (made.disorder, made.unannounced) == (0, 0)
    assert made.lacks(at(5)) is None


def test_a_hole():
    made = chain(1, 2, 5)
    assert made.unannounced == 2
    assert made.lacks(at(3)) is False


def test_a_hole_behind_since():
    assert chain(2).unannounced == 1


def test_an_announced_hole():
    made = chain(1, [2, 4], 5)
    assert made.unannounced == 0
    assert made.lacks(at(3)) is True


def test_gaps_that_cover_a_hole_together():
    assert chain([1, 2], [3, 3], 4).unannounced == 0
    assert chain([3, 3], [1, 2], 4).unannounced == 0


def test_a_gap_that_covers_a_part():
    assert chain([1, 2], 5).unannounced == 4
    assert chain([2, 4], 5).unannounced == 4


def test_an_unknown_gap_covers_all():
    assert chain([], 5).unannounced == 0


def test_a_gap_counts_once():
    made = chain([1, 9], 3, 5)
    assert made.unannounced == 1


def test_twice_and_late():
    assert chain(1, 1, 2).disorder == 1
    assert chain(1, 2, 1).disorder == 1


def test_a_new_epoch():
    new = at(1, "bbbbbbbb")
    silent, told = chain(1, new), chain(1, [], new)
    assert silent.disorder == told.disorder == 0
    assert silent.unannounced == told.unannounced == 0
    assert silent.lacks(at(2)) is False
    assert told.lacks(at(2)) is True
    assert told.lacks(at(7, "cccccccc")) is True
    assert told.lacks(new) is None


def test_the_end():
    made, told = chain(1), chain(1, [2, 2])
    made.end()
    told.end()
    assert made.lacks(at(2)) is False
    assert told.lacks(at(2)) is True
