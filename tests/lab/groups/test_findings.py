"""What members received, compared with what was sent: each loss is found, and no other."""

import pytest

from django_websocket.groups.position import Position
from lab.groups.findings import compare
from lab.groups.member import Member, Stay

PID = 7


def report(*numbers, failed=()):
    """Return what a publisher says who sent a message each second, in the epoch ``aaaaaaaa`` from its number 1 on."""
    acknowledged = [(number, float(number), f"aaaaaaaa-{number + 1}") for number in numbers]
    return {"p": {"acknowledged": acknowledged, "failed": [(number, float(number), True, "") for number in failed]}}


def member(*numbers, joined=0.5, ended=0.0, since=None):
    made = Member(0, "group", since=None if since is None else Position.make("aaaaaaaa", since))
    made.stays.append(Stay(pid=PID, joined=joined, ended=ended))
    for number in numbers:
        if made.chain is None:
            made.stay.numbers.take("p", number)
        else:
            made.chain.take(Position.make("aaaaaaaa", number + 1))
    return made


@pytest.mark.parametrize("since", [None, 1])
def test_all_is_well(since):
    found = compare([member(1, 2, 3, since=since)], report(0, 1, 2, 3), {})
    assert (found.acknowledged, found.silent, found.holes, found.deviations) == (4, 0, 0, [])


@pytest.mark.parametrize("since", [None, 1])
@pytest.mark.parametrize("came", [(2, 3), (1, 3), (1, 2), ()], ids=["first", "amid", "last", "all"])
def test_a_loss_in_silence(since, came):
    found = compare([member(*came, since=since)], report(1, 2, 3), {})
    assert found.silent == 3 - len(came)
    assert found.deviations


def test_an_announced_loss():
    found = compare([member(1, 3)], report(1, 2, 3), {PID: 1})
    assert (found.announced, found.silent, found.deviations) == (1, 0, [])
    found = compare([member(1, 4)], report(1, 2, 3, 4), {PID: 1})
    assert (found.announced, found.silent) == (1, 1)
    found = compare([member(1, 4)], report(1, 2, 3, 4), {PID: None})
    assert (found.announced, found.silent) == (2, 0)
    found = compare([member(1, 3)], report(1, 2, 3), {PID + 1: 1})
    assert found.silent == 1


def test_an_envelope_announces_a_loss():
    one = member(1, since=1)
    one.chain.gap((3, 3))
    one.chain.take(Position.make("aaaaaaaa", 4))
    found = compare([one], report(1, 2, 3), {})
    assert (found.announced, found.silent, found.deviations) == (1, 0, [])


def test_a_publish_that_failed_is_no_loss():
    found = compare([member(1, 3)], report(1, 3, failed=[2]), {})
    assert (found.uncertain, found.deviations) == (1, [])
    assert compare([member(1, 2, 3)], report(1, 3, failed=[2]), {}).deviations == []


@pytest.mark.parametrize("since", [None, 1])
def test_what_was_sent_while_a_member_was_away(since):
    found = compare([member(1, 2, ended=4.1, since=since)], report(0, 1, 2, 4, 5), {})
    assert found.silent == 0


@pytest.mark.parametrize("since", [None, 1])
def test_twice(since):
    found = compare([member(1, 1, since=since)], report(1), {})
    assert found.disorder == 1
    assert found.deviations
