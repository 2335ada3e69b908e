"""The parts of the worker that run without gunicorn's arbiter; ``tests/live/test_gunicorn.py`` has the rest.

eventlet changes the process that uses it, so that each test runs in a process of its own.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("eventlet", "gunicorn")), reason="needs eventlet, gunicorn"
)

#: The worker without the constructor, which opens files, and a log that keeps what it gets.
WORKER = """
import warnings
warnings.simplefilter("ignore")
import errno
from types import SimpleNamespace
import eventlet
from eventlet.semaphore import Semaphore
from django_websocket.gunicorn import eventlet_worker
from django_websocket.gunicorn.eventlet_worker import EventletWorker

messages = []

def log(message, *arguments):
    messages.append(message % arguments)

worker = EventletWorker.__new__(EventletWorker)
worker.log = SimpleNamespace(info=log, warning=log, debug=log)
worker.alive, worker.pid = True, 1
"""


def run(code):
    """Run ``code`` in a new process, which fails if an assertion does."""
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert result.returncode == 0, result.stderr


def test_importing_it_patches_nothing_and_loads_no_django():
    """A lock that is made before eventlet patches would block all greenlets."""
    run(
        WORKER + "import sys\n"
        "assert not eventlet.patcher.is_monkey_patched('thread')\n"
        "assert 'django' not in sys.modules\n"
        "assert 'django_websocket.process.registry' not in sys.modules\n"
    )


def test_it_is_loaded_by_its_public_name():
    run(WORKER + "from django_websocket import gunicorn\nassert gunicorn.EventletWorker is EventletWorker\n")


@pytest.mark.parametrize(("keepalive", "seconds"), [(5, 5), (0, None)])
def test_the_time_for_the_next_request_of_a_connection(keepalive, seconds):
    run(
        WORKER + f"worker.cfg = SimpleNamespace(keepalive={keepalive})\n"
        f"with worker.timeout_ctx() as timeout:\n    assert timeout.seconds == {seconds}\n"
    )


def test_it_ends_when_its_parent_has_changed():
    run(
        WORKER + "import os\n"
        "beats = []\n"
        "worker.notify = lambda: beats.append(True)\n"
        "worker.ppid = os.getppid()\n"
        "worker._send_heartbeat()\n"
        "assert worker.alive and beats == [True] and messages == []\n"
        "worker.ppid = 0\n"
        "worker._send_heartbeat()\n"
        "assert not worker.alive and beats == [True, True]\n"
        "assert messages[0].startswith('Parent changed')\n"
    )


ACCEPT = """
assert eventlet_worker._ACCEPT_PAUSE
eventlet_worker._ACCEPT_PAUSE = 0.01
results = [OSError(errno.ECONNABORTED, "aborted"), OSError(errno.EMFILE, "too many files"), ("sock", "address")]
served = []

class Listener:
    def accept(self):
        if not results:
            eventlet.sleep(60)
        result = results.pop(0)
        if isinstance(result, OSError):
            raise result
        return result

def serve(listener, sock, address, room):
    served.append((sock, address, room.balance))
    room.release()

worker._serve = serve
room, pool = Semaphore(2), eventlet.GreenPool(2)
acceptor = eventlet.spawn(worker._accept, Listener(), pool, room)
with eventlet.Timeout(10):
    while not served:
        eventlet.sleep(0.01)
    pool.waitall()
assert served == [("sock", "address", 0)], served
assert messages == ["Cannot accept a connection: [Errno %d] too many files" % errno.EMFILE], messages
"""


def test_it_goes_on_accepting_after_errors():
    """Only the connection being served and the wait for the next one take room: no error has lost a place."""
    run(WORKER + ACCEPT)


def test_a_connection_makes_room_whatever_its_end():
    run(
        WORKER + "worker.cfg = SimpleNamespace(is_ssl=False)\n"
        "def handle(listener, sock, address):\n    raise ZeroDivisionError\n"
        "worker.handle = handle\n"
        "room = Semaphore(0)\n"
        "try:\n    worker._serve(None, None, None, room)\nexcept ZeroDivisionError:\n    pass\n"
        "assert room.balance == 1\n"
    )


def test_a_failed_tls_handshake_closes_the_connection():
    run(
        WORKER + "def wrap(sock, cfg):\n    raise OSError('no TLS')\n"
        "eventlet_worker.ssl_wrap_socket = wrap\n"
        "worker.cfg = SimpleNamespace(is_ssl=True)\n"
        "closed = []\n"
        "room = Semaphore(0)\n"
        "worker._serve(None, SimpleNamespace(close=lambda: closed.append(True)), None, room)\n"
        "assert closed == [True] and room.balance == 1\n"
        "assert messages == ['TLS handshake failed: no TLS']\n"
    )
