"""The judge of members of groups without history."""

from lab.groups.numbers import Numbers


def numbers(*taken):
    made = Numbers()
    for publisher, number in taken:
        made.take(publisher, number)
    return made


def test_all_is_well():
    made = numbers(("a", 3), ("b", 0), ("a", 4), ("b", 1))
    assert (made.count, made.disorder) == (4, 0)
    assert made.has("a", 3)
    assert made.has("b", 1)


def test_what_has_not_come():
    made = numbers(("a", 3), ("a", 6))
    assert [number for number in range(9) if made.has("a", number)] == [3, 6]
    assert not made.has("b", 3)


def test_twice_and_late():
    assert numbers(("a", 1), ("a", 1)).disorder == 1
    assert numbers(("a", 2), ("a", 1)).disorder == 1
