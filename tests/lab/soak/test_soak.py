"""The figures of a soak run; the runs themselves are live tests."""

import math
import random

import pytest

from lab.soak.figures import Slope, slope
from lab.soak.run import Outcome


def test_a_line():
    found = slope(range(10), [3 * x + 7 for x in range(10)])
    assert found.value == pytest.approx(3)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.grows


def test_noise_does_not_grow():
    dice = random.Random(1)
    grown = [slope(range(100), [dice.gauss(0, 1) for _ in range(100)]).grows for _ in range(400)]
    # By chance, one in forty intervals is above zero.
    assert sum(grown) < 25


def test_a_leak_in_noise_is_seen():
    dice = random.Random(2)
    found = slope(range(300), [x + dice.gauss(0, 50) for x in range(300)])
    assert found.grows
    assert abs(found.value - 1) < 2 * found.error


def test_steps_widen_the_interval():
    """A value that changes rarely counts as fewer independent measurements."""
    steps = [0] * 40 + [1] * 40
    alternating = [0, 1] * 40
    assert slope(range(80), steps).error > 2 * slope(range(80), alternating).error


@pytest.mark.parametrize("values", [[], [1.0], [1, 2, 3]])
def test_too_few_values(values):
    assert slope(range(len(values)), values) == Slope(0.0, math.inf)
    assert not slope(range(len(values)), values).grows


def test_the_same_value_all_the_time():
    assert slope(range(5), [7] * 5) == Slope(0.0, 0.0)
    assert not Slope(0.0, 0.0).grows


def test_the_beginning_of_a_run_does_not_count():
    outcome = Outcome(
        samples=[(second, 10 * second, 1_000_000 if second > 30 else 0) for second in range(100)], took=100
    )
    assert outcome.growth(cycles=False) == Slope(0.0, 0.0)
    outcome.connections["talk"] = 1000
    assert outcome.rate == 10
    assert any("1000 connections in 100 s: talk 1000" in line for line in outcome.report(cycles=True))
