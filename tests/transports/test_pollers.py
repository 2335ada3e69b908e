"""The checks of ``green_poller_checks.py`` in processes with eventlet and gevent, and the end of such processes."""

import importlib.util
import subprocess
import sys

import pytest

from .green_poller_checks import CHECKS
from .green_process import IN_PYTHON, LIMIT, ROOT, outcomes_of

PROCESSES = {
    "eventlet": "import eventlet",
    "eventlet-asyncio": "import eventlet; eventlet.hubs.use_hub('eventlet.hubs.asyncio')",
    "eventlet-patched": "import eventlet; eventlet.monkey_patch()",
    "eventlet-in-python": f"{IN_PYTHON}import eventlet",
    "gevent": "import gevent",
    "gevent-patched": "from gevent import monkey; monkey.patch_all()",
    "gevent-in-python": f"{IN_PYTHON}import gevent",
}
NEEDED = {library: importlib.util.find_spec(library) is not None for library in ("eventlet", "gevent")}
PROCESSES = {name: first for name, first in PROCESSES.items() if NEEDED[name.partition("-")[0]]}

pytestmark = pytest.mark.timeout(3 * LIMIT)


@pytest.fixture(scope="module")
def outcomes(certificate, folder_of_run):
    return outcomes_of(CHECKS, PROCESSES, certificate, folder_of_run / "outcomes-pollers.json", "green_poller_checks")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("process", PROCESSES)
def test_check(process, check, outcomes):
    failure = outcomes[process].get(check, "an earlier check has ended the process")
    assert not failure, f"\n{failure}"


#: A process that ends while a greenlet waits and another one, which has waited, is busy.
ENDING = """
import gc
from django_websocket.transports import open_transport
from tests.transports.green_process import GreenProcess
green = GreenProcess({name!r}, "")
opened = [green.open(None) for _ in range(3)]
waiting = [green.run(transport.receive) for transport, _ in opened]
green.let_run()
opened[0][1].sendall(b"x")
green.let_run()
assert waiting[0].over
print("the end")
"""


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_ends_while_greenlets_wait(process):
    code = f"import warnings\nwarnings.simplefilter('ignore')\n{PROCESSES[process]}\n{ENDING.format(name=process)}"
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert (run.returncode, run.stdout, run.stderr) == (0, "the end\n", "")
