"""The checks of ``green_checks.py`` in processes with eventlet, with each of its hubs, patched and unpatched."""

import importlib.util

import pytest

from .green_checks import CHECKS
from .green_process import IN_PYTHON, LIMIT, outcomes_of

PROCESSES = {
    "eventlet": "import eventlet",
    "eventlet-in-python": f"{IN_PYTHON}import eventlet",
    "eventlet-patched": "import eventlet; eventlet.monkey_patch()",
    "eventlet-asyncio": "import eventlet; eventlet.hubs.use_hub('eventlet.hubs.asyncio')",
    "eventlet-asyncio-patched": "import eventlet; eventlet.hubs.use_hub('eventlet.hubs.asyncio'); "
    "eventlet.monkey_patch()",
}

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("eventlet") is None, reason="needs eventlet"),
    pytest.mark.timeout(3 * LIMIT),
]


@pytest.fixture(scope="module")
def outcomes(certificate, folder_of_run):
    return outcomes_of(CHECKS, PROCESSES, certificate, folder_of_run / "outcomes-eventlet.json")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("process", PROCESSES)
def test_check(process, check, outcomes):
    failure = outcomes[process].get(check, "an earlier check has ended the process")
    assert not failure, f"\n{failure}"
