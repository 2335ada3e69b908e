"""The checks of ``green_checks.py`` in processes with gevent, patched and unpatched."""

import importlib.util

import pytest

from .green_checks import CHECKS
from .green_process import IN_PYTHON, LIMIT, outcomes_of

PROCESSES = {
    "gevent": "import gevent",
    "gevent-in-python": f"{IN_PYTHON}import gevent",
    "gevent-patched": "from gevent import monkey; monkey.patch_all()",
}

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="needs gevent"),
    pytest.mark.timeout(3 * LIMIT),
]


@pytest.fixture(scope="module")
def outcomes(certificate, folder_of_run):
    return outcomes_of(CHECKS, PROCESSES, certificate, folder_of_run / "outcomes-gevent.json")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("process", PROCESSES)
def test_check(process, check, outcomes):
    failure = outcomes[process].get(check, "an earlier check has ended the process")
    assert not failure, f"\n{failure}"
