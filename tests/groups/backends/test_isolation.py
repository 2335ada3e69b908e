"""Groups of one test that the next one does not see, under each runner."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

import pytest

from django_websocket import Group
from django_websocket.groups.backends import forget_groups, get_backend, isolation
from django_websocket.groups.backends.isolation import RunningTest, in_tests

ROOT = Path(__file__).parents[3]
#: Seconds that an interpreter may take for a few tests.
PATIENCE = 60

room = Group("isolated", history=10)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_each_test_begins_with_the_first_message(turn):
    assert room.send("x").number == 1
    assert room.send("y").number == 2


@pytest.fixture
def _sent():
    room.send("in a fixture")


@pytest.mark.usefixtures("_sent")
def test_a_fixture_belongs_to_its_test():
    assert room.position().number == 1


def test_groups_are_forgotten_on_demand():
    backend = get_backend("default")
    room.send("x")
    forget_groups()
    assert room.position().number == 0
    assert get_backend("default") is not backend


def test_a_backend_that_reaches_other_processes_is_kept(monkeypatch):
    backend = get_backend("default")
    monkeypatch.setattr(backend, "crosses_processes", True)
    forget_groups()
    assert get_backend("default") is backend


def test_in_tests(monkeypatch):
    assert in_tests()
    monkeypatch.delattr("django.core.mail.outbox")
    assert not in_tests()
    monkeypatch.delitem(sys.modules, "django.core.mail")
    assert not in_tests()


@pytest.fixture
def running(monkeypatch):
    monkeypatch.setattr(unittest.TestCase, "run", unittest.TestCase.run)
    return RunningTest()


def test_the_phases_of_a_test_of_pytest(running, monkeypatch):
    for name in ("a.py::test[1 2]", "a.py::test[1 3]"):
        for phase in ("setup", "call", "teardown"):
            monkeypatch.setenv(isolation._PYTEST, f"{name} ({phase})")
            assert running.has_changed() is (phase == "setup")


def test_tests_of_unittest(running, monkeypatch):
    monkeypatch.delenv(isolation._PYTEST)
    changes = []

    class Case(unittest.TestCase):
        def setUp(self):
            changes.append(running.has_changed())

        def test(self):
            changes.append(running.has_changed())

    for _ in range(2):
        assert Case("test").run().wasSuccessful()
    assert changes == [True, False, True, False]


TESTS = """
from django.test import SimpleTestCase, TestCase
from django_websocket import Group

room = Group("room", history=10)

class Tests(SimpleTestCase):
    def setUp(self):
        room.send("set up")

    def check(self):
        self.assertEqual(room.send("x").number, 2)

    def test_1(self): self.check()
    def test_2(self): self.check()

class MoreTests(TestCase):
    test_1, test_2, setUp, check = Tests.test_1, Tests.test_2, Tests.setUp, Tests.check

def test_function():
    assert room.send("x").number == 1
"""


@pytest.mark.parametrize(
    "command", [["django", "test"], ["pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]]
)
def test_a_run_of_tests(tmp_path, command):
    (tmp_path / "test_isolated.py").write_text(TESTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    environment |= {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 tests" in done.stderr or "5 passed" in done.stdout
