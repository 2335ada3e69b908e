"""The helper for bounds of time: it is as strict as the machine allows."""

import pytest

from . import promptness
from .promptness import promptly, slowness, within


@pytest.fixture
def busy(monkeypatch):
    """Return a function that makes the machine so many times slower than it is when it has nothing else to do."""
    monkeypatch.setattr(promptness, "slowness", lambda: 1.0)
    return lambda factor: monkeypatch.setattr(promptness, "slowness", lambda: factor)


def test_it_is_measured():
    assert 1 <= slowness() < 10_000


def test_it_is_strict_on_an_idle_machine(busy):
    assert within(1, 1)
    assert not within(1.01, 1)


def test_a_busy_machine_has_longer(busy):
    busy(5)
    assert within(5, 1)
    assert not within(5.01, 1)


def test_only_the_lateness_grows(busy):
    """Of three seconds, one is for work, and two are those of a timeout."""
    busy(5)
    assert within(7, 3, 1)
    assert not within(7.01, 3, 1)


def test_a_block(busy):
    with promptly():
        pass
    with pytest.raises(AssertionError), promptly(0):
        pass
