"""Processes in which eventlet or gevent is in use, patched or not, and the checks that run in them.

The libraries change the process that uses them, so that the tests start one of its own for each way of using them. It
runs every check and prints the outcomes, which the tests read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django_websocket.transports import open_transport

from .pairs import DEFAULT_TIMEOUT

#: Seconds of timeouts that have to expire.
SHORT = 0.1
#: Seconds that all checks of a process may take, under the sanitizers of lab/sanitizers too.
LIMIT = 100
#: More bytes than the buffers of a connection take.
BIG = 30_000_000
#: The first statements of a process that uses nothing compiled.
IN_PYTHON = "import os; os.environ['DJANGO_WEBSOCKET_SPEEDUPS'] = '0'; "
ROOT = Path(__file__).parent.parent.parent


class GreenProcess:
    """This process, in which eventlet or gevent is in use: the same functions for both libraries."""

    def __init__(self, name, certificate):
        self.name, self.certificate = name, certificate
        if name.startswith("eventlet"):
            import eventlet
            from eventlet.green import socket, ssl

            self.spawn, self.sleep, self.getcurrent = eventlet.spawn, eventlet.sleep, eventlet.getcurrent
            self.kill = eventlet.kill
            self.spawn_raw, self.fork = eventlet.spawn_n, os.fork
            thread = eventlet.patcher.original("_thread")
            self.start_new_thread, self.allocate_lock = thread.start_new_thread, thread.allocate_lock
            self.Timeout = eventlet.Timeout
        else:
            import gevent
            from gevent import monkey, socket, ssl
            from gevent.os import fork_gevent

            self.spawn, self.sleep, self.getcurrent = gevent.spawn, gevent.sleep, gevent.getcurrent
            self.kill = gevent.kill
            self.spawn_raw, self.fork = gevent.spawn_raw, fork_gevent
            self.start_new_thread, self.allocate_lock = monkey.get_original(
                "_thread", ["start_new_thread", "allocate_lock"]
            )
            self.Timeout = gevent.Timeout
        self.socket, self.ssl = socket, ssl
        self.opened = []

    def pair(self):
        """Return both sockets of a green connection."""
        listener = self.socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        theirs = self.socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        listener.close()
        self.opened += ours, theirs
        return ours, theirs

    def open(self, default_timeout=DEFAULT_TIMEOUT):
        """Return a transport and the socket of its peer."""
        ours, theirs = self.pair()
        return open_transport(ours, default_timeout), theirs

    def open_tls(self, default_timeout=DEFAULT_TIMEOUT):
        """Return a transport over TLS and the socket of its peer."""
        ours, theirs = self.pair()
        server = self.ssl.SSLContext(self.ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(self.certificate)
        client = self.ssl.SSLContext(self.ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(self.certificate)
        shaking = self.run(server.wrap_socket, ours, server_side=True)
        theirs = client.wrap_socket(theirs, server_hostname="localhost")
        ours = shaking.result()
        self.opened += ours, theirs
        return open_transport(ours, default_timeout), theirs

    def replace_hub(self):
        """End the hub of this thread, and make a new one."""
        if self.name.startswith("eventlet"):
            from eventlet import hubs

            hubs.use_hub(type(hubs.get_hub()).__module__)
        else:
            import gevent

            gevent.get_hub().destroy(destroy_loop=True)

    def run(self, call, *args, **kwargs):
        """Start a call in a greenlet."""
        running = Running(self, lambda: call(*args, **kwargs))
        running.greenlet = self.spawn(running.go)
        return running

    def run_native(self, call, *args, **kwargs):
        """Start a call in a thread of the system, also in a patched process."""
        running = Running(self, lambda: call(*args, **kwargs))
        self.start_new_thread(running.go, ())
        return running

    def wait_until(self, condition):
        """Run other greenlets until a condition is true."""
        deadline = time.monotonic() + DEFAULT_TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, "did not happen"
            self.sleep(0.001)

    def let_run(self):
        """Run the other greenlets until they wait."""
        for _ in range(5):
            self.sleep(0)
        self.sleep(0.01)

    @contextlib.contextmanager
    def others_run(self):
        """Check that other greenlets run during a block."""
        ticks, stop = [], []

        def tick():
            while not stop:
                ticks.append(1)
                self.sleep(0.005)

        ticking = self.run(tick)
        self.sleep(0)
        before = len(ticks)
        yield
        # A wait that blocked the thread would have run none of them.
        assert len(ticks) - before >= 2
        stop.append(True)
        ticking.result()

    def close(self):
        for sock in self.opened:
            sock.close()
        self.opened.clear()


class Running:
    """A call in a greenlet or a thread."""

    def __init__(self, green, call):
        self.green, self.call = green, call
        self.over = False
        self.value = self.error = None
        self.greenlet = None

    def go(self):
        try:
            self.value = self.call()
        except BaseException as error:  # noqa: BLE001 - result() raises it
            self.error = error
        self.over = True

    def result(self):
        self.green.wait_until(lambda: self.over)
        if self.error is not None:
            raise self.error
        return self.value


def run_checks(checks, name, certificate):
    """Run the checks in this process; print the name of each and its traceback, or nothing, as JSON."""
    for title, function in checks.items():
        green = GreenProcess(name, certificate)
        failure = ""
        try:
            function(green)
        except BaseException:  # noqa: BLE001 - the tests show it
            failure = traceback.format_exc()
        green.close()
        print(json.dumps({"title": title, "failure": failure}), flush=True)
    print(json.dumps({"title": "", "failure": ""}), flush=True)


def outcomes_of(checks, processes, certificate, shared, module="green_checks"):
    """Run the checks in each process; return by its name the failures, which are empty for checks that passed.

    ``checks`` is the table of the ``module`` of that name. ``processes`` maps names to the first statements of
    processes, which import the library and may patch. Three processes run at once, as they wait most of the time.

    The workers of a parallel run share the outcomes in the file ``shared``: the first one runs the checks, and the
    others wait for it.
    """
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            found = run_processes(checks, processes, certificate, module)
            shared.write_text(json.dumps(found), encoding="utf-8")
        return json.loads(shared.read_text(encoding="utf-8"))


def run_processes(checks, processes, certificate, module):
    """Run the checks in each process; the rest is as for :func:`outcomes_of`."""
    with ThreadPoolExecutor(3) as pool:
        running = {
            name: pool.submit(run_process, checks, name, first, certificate, module)
            for name, first in processes.items()
        }
        return {name: process.result() for name, process in running.items()}


def run_process(checks, name, first, certificate, module):
    """Run the checks in a process of its own, and return their failures by the name of the check."""
    # The order matters: the library has to patch before anything else is imported.
    lines = [
        "import os, warnings",
        "warnings.filterwarnings('ignore', module='__main__')",
        "if 'COVERAGE_PROCESS_START' in os.environ: import coverage; coverage.process_startup()",
        "warnings.simplefilter('ignore', DeprecationWarning)",
        first,
        f"from tests.transports import {module}, green_process",
        f"green_process.run_checks({module}.CHECKS, {name!r}, {os.fspath(certificate)!r})",
    ]
    try:
        result = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            cwd=ROOT,
            env=os.environ | coverage_environment(),
        )
    except subprocess.TimeoutExpired as error:
        output, errors = (text.decode() if text else "" for text in (error.stdout, error.stderr))
    else:
        output, errors = result.stdout, result.stderr
    outcomes = [json.loads(line) for line in output.splitlines()]
    outcomes = {outcome["title"]: outcome["failure"] for outcome in outcomes}
    if "" not in outcomes:
        hanging = next((title for title in checks if title not in outcomes), "")
        outcomes[hanging] = f"it hangs, or the process died in it\n{errors}"
    return outcomes


def coverage_environment():
    """Return the environment in which coverage measures a process, if it measures this one."""
    with contextlib.suppress(ImportError):
        import coverage

        if current := coverage.Coverage.current():
            return {
                "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"),
                "COVERAGE_FILE": str(Path(current.config.data_file).absolute()),
            }
    return {}
