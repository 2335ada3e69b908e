"""Which test is running: what one test has left in groups in memory must not reach the next one."""

from __future__ import annotations

import os
import sys
import unittest
from functools import wraps
from typing import Any, Final

#: The variable in which pytest names the running test and its phase.
_PYTEST: Final = "PYTEST_CURRENT_TEST"


def in_tests() -> bool:
    """Return whether Django's ``setup_test_environment()`` was called, as by its test runner and by pytest-django."""
    return hasattr(sys.modules.get("django.core.mail"), "outbox")


class RunningTest:
    """Notices that another test is running than before.

    pytest names the running test in the environment. Under other runners each call of ``TestCase.run()`` of
    :mod:`unittest` is a test; the method is replaced, because nothing else reports the calls. A test that is run again
    counts as another one there, but not under pytest.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._last = self._name()
        run = unittest.TestCase.run

        @wraps(run)
        def count_and_run(case: unittest.TestCase, *args: Any, **kwargs: Any) -> Any:
            self._begun += 1
            return run(case, *args, **kwargs)

        unittest.TestCase.run = count_and_run  # type: ignore[assignment, method-assign]

    def _name(self) -> object:
        """Return what only the running test has."""
        name, _, _phase = os.environ.get(_PYTEST, "").rpartition(" ")
        return name or self._begun

    def has_changed(self) -> bool:
        """Return whether another test is running than at the last call, or when the object was made."""
        last, self._last = self._last, self._name()
        return last != self._last
