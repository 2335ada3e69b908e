"""The end of a process. What a signal does is seen in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_websocket.process import registry as registry_module
from django_websocket.process import shutdown as module
from django_websocket.process.registry import Registry
from django_websocket.process.shutdown import GRACE_PERIOD

#: Seconds for what has to happen, and takes no time unless it is broken.
PATIENCE = 20

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")


class Fake:
    """A connection that takes note of its closing."""

    def __init__(self):
        self.codes = []

    def request_close(self, code, *, cause):
        self.codes.append(code)


def test_not_in_the_main_thread(monkeypatch):
    """Only the interpreter's exit is left, once."""
    registered, before = [], (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    monkeypatch.setattr(module, "_shutdown", module._Shutdown())
    monkeypatch.setattr(module.atexit, "register", registered.append)
    thread = threading.Thread(target=lambda: (module.close_on_exit(), module.close_on_exit()))
    thread.start()
    thread.join(PATIENCE)
    assert registered == [module._close_at_exit]
    assert module._shutdown.at_exit
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_exit_of_a_process_without_connections(monkeypatch):
    registry = Registry()
    monkeypatch.setattr(module, "registry", registry)
    module._close_at_exit()
    assert not registry.draining
    one = Fake()
    registry.add(one)
    began = time.monotonic()
    module._close_at_exit()
    assert one.codes == [1012]
    assert GRACE_PERIOD <= time.monotonic() - began < PATIENCE


@pytest.fixture
def handlers(monkeypatch):
    """Restore the process's signals after the test, and put a registry of its own under our handlers."""
    monkeypatch.setattr(module, "_shutdown", module._Shutdown())
    module._shutdown.at_exit = True
    monkeypatch.setattr(module, "registry", Registry())
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_handlers_are_chained_once(handlers):
    called, one = [], Fake()
    module.registry.add(one)
    signal.signal(signal.SIGTERM, lambda number, frame: called.append((number, one.codes[:])))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module.close_on_exit()
    ours = signal.getsignal(signal.SIGTERM)
    module.close_on_exit()
    assert signal.getsignal(signal.SIGTERM) is ours
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    signal.raise_signal(signal.SIGTERM)
    assert called == [(signal.SIGTERM, [1012])]
    assert module.registry.draining


def test_a_server_replaces_our_handler(handlers):
    """Before each WebSocket, ours are set again where the server has set its own."""
    for _ in range(2):
        called, one = [], Fake()
        module.registry.draining = False
        module.registry.add(one)
        signal.signal(signal.SIGTERM, lambda number, frame, called=called: called.append(number))
        module.close_on_exit()
        ours = signal.getsignal(signal.SIGTERM)
        module.close_on_exit()
        assert signal.getsignal(signal.SIGTERM) is ours
        ours(signal.SIGTERM, None)
        assert (called, one.codes) == ([signal.SIGTERM], [1012])


def test_a_thread_has_tried_in_vain_before(handlers):
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    thread = threading.Thread(target=module.close_on_exit)
    thread.start()
    thread.join(PATIENCE)
    assert not hasattr(signal.getsignal(signal.SIGTERM), "server_handler")
    module.close_on_exit()
    assert hasattr(signal.getsignal(signal.SIGTERM), "server_handler")


def test_a_handler_that_python_does_not_know(handlers, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "_get_handler", lambda number: None)
        patch.setattr(signal, "signal", None)
        module.close_on_exit()


def test_uwsgi_keeps_its_signals(handlers, monkeypatch):
    """Its handlers are not Python's: what Python believes to be set there is not what would be replaced."""
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace())
    before = signal.getsignal(signal.SIGTERM)
    module.close_on_exit()
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_default_is_restored_and_obeyed(handlers, monkeypatch):
    killed, over = [], threading.Event()

    def kill(pid, number):
        killed.append((pid, number, signal.getsignal(number)))
        over.set()

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module.close_on_exit()
    one = Fake()
    module.registry.add(one)
    monkeypatch.setattr(os, "kill", kill)
    began = time.monotonic()
    signal.raise_signal(signal.SIGTERM)
    assert killed == [], "the thread that was interrupted goes on"
    assert over.wait(30)
    assert time.monotonic() - began >= GRACE_PERIOD
    assert one.codes == [1012]
    assert killed == [(os.getpid(), signal.SIGTERM, signal.SIG_DFL)]


def test_a_default_action_for_which_no_thread_can_be_started(handlers, monkeypatch):
    """The signal ends the process at once."""
    killed = []
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    module.close_on_exit()
    monkeypatch.setattr(module, "start_thread", lambda *_: False)
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number, signal.getsignal(number))))
    signal.raise_signal(signal.SIGTERM)
    assert killed == [(os.getpid(), signal.SIGTERM, signal.SIG_DFL)]


def test_quitting_is_for_a_core_dump_unless_somebody_knows_better(handlers):
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    module.close_on_exit()
    assert signal.getsignal(signal.SIGQUIT) == signal.SIG_DFL


def test_quitting_a_process_that_lives_on(handlers):
    """A project writes the stacks of its threads on that signal, and nothing else happens."""
    called, one = [], Fake()
    signal.signal(signal.SIGQUIT, lambda number, frame: called.append(number))
    module.close_on_exit()
    module.registry.add(one)
    signal.raise_signal(signal.SIGQUIT)
    assert called == [signal.SIGQUIT]
    assert one.codes == []
    assert not module.registry.draining


def test_quitting_a_server(handlers):
    """The handler of a server ends the process by an exception."""

    def leave(number, frame):
        raise SystemExit(3)

    one = Fake()
    signal.signal(signal.SIGQUIT, leave)
    module.close_on_exit()
    module.registry.add(one)
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGQUIT)
    assert one.codes == [1012]
    assert module.registry.draining


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_that_the_process_survives(handlers, monkeypatch, name):
    """The process refuses new WebSockets at first, because it may be about to end, and later takes them again."""
    one, now = Fake(), [100.0]
    monkeypatch.setattr(registry_module.time, "monotonic", lambda: now[0])
    number = getattr(signal, name)
    signal.signal(number, lambda *_: None)
    module.close_on_exit()
    module.registry.add(one)
    signal.raise_signal(number)
    assert one.codes == [1012]
    assert module.registry.draining
    now[0] += module.DRAIN_TIME
    assert not module.registry.draining


def test_signals_that_come_while_all_are_being_closed(handlers):
    """Their handlers run afterwards: an exception of theirs would leave a Close of which nobody knows how much is sent.

    A terminal's Ctrl-C reaches gunicorn's worker twice: as its own SIGINT, and as the SIGQUIT of its master.
    """
    done = []

    class Closing(Fake):
        def request_close(self, code, *, cause):
            if not self.codes:
                signal.raise_signal(signal.SIGQUIT)
                signal.raise_signal(signal.SIGTERM)
            super().request_close(code, cause=cause)
            done.append("closed")

    def handle(number, frame):
        done.append(number)
        raise SystemExit

    module.registry.add(Closing())
    module.registry.add(Closing())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, handle)
    module.close_on_exit()
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGINT)
    assert done[:2] == ["closed", "closed"]
    assert set(done[2:]) >= {signal.SIGQUIT, signal.SIGTERM}


# In processes of their own

BEGINNING = """
import os, signal, socket, sys, threading
{first}
if "COVERAGE_PROCESS_START" in os.environ:
    import coverage
    coverage.process_startup()
from django_websocket.process.shutdown import close_on_exit
from django_websocket.process.registry import registry

class Fake:
    def request_close(self, code, *, cause):
        print(f"closed {{code:d}}", flush=True)

fake = Fake()

def kill(number):
    '''Let the process be killed from outside, while it waits as a server does.'''
    command = f"import os; os.kill({{os.getpid()}}, {{int(number)}})"
    os.posix_spawn(sys.executable, [sys.executable, "-c", command], os.environ)
    left, right = socket.socketpair()
    left.settimeout(10)
    left.recv(1)
"""

PATCHES = {
    "threads": "",
    "eventlet": "import warnings; warnings.simplefilter('ignore'); import eventlet; eventlet.monkey_patch()",
    "gevent": "from gevent import monkey; monkey.patch_all()",
}


def run(body, *, code=0, world="threads"):
    """Run a program, and give the lines it prints; ``code`` is what it has to end with."""
    if world != "threads":
        pytest.importorskip(world)
    result = subprocess.run(
        [sys.executable, "-c", BEGINNING.format(first=PATCHES[world]) + textwrap.dedent(body)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=Path(__file__).parents[2],
    )
    assert result.returncode == code, result.stderr
    return result.stdout.splitlines()


@unix
@pytest.mark.parametrize("world", PATCHES)
def test_the_default_is_to_die_of_it(world):
    output = run(
        """
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        close_on_exit()
        registry.add(fake)
        kill(signal.SIGTERM)
        print("survived")
        """,
        code=-signal.SIGTERM,
        world=world,
    )
    assert output == ["closed 1012"]


@unix
def test_dying_takes_no_time_without_connections():
    program = """
    from django_websocket.process import shutdown as module

    module.GRACE_PERIOD = 3600
    close_on_exit()
    kill(signal.SIGTERM)
    """
    assert run(program, code=-signal.SIGTERM) == []


@unix
@pytest.mark.parametrize("world", PATCHES)
def test_a_handler_of_the_servers_own(world):
    output = run(
        """
        def handle(number, frame):
            print("asked", number, flush=True)
            registry.discard(fake)
            raise SystemExit(3)

        signal.signal(signal.SIGTERM, handle)
        close_on_exit()
        close_on_exit()
        registry.add(fake)
        kill(signal.SIGTERM)
        """,
        code=3,
        world=world,
    )
    assert output == ["closed 1012", f"asked {signal.SIGTERM:d}"]


@unix
def test_the_handler_of_ctrl_c():
    output = run(
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        close_on_exit()
        registry.add(fake)
        try:
            kill(signal.SIGINT)
        except KeyboardInterrupt:
            print("interrupted")
            registry.discard(fake)
        """
    )
    assert output == ["closed 1012", "interrupted"]


@unix
def test_ignored_signals_stay_ignored():
    output = run(
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        close_on_exit()
        registry.add(fake)
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, registry.draining)
        registry.discard(fake)
        """
    )
    assert output == ["True False"]


@unix
def test_not_in_the_main_thread_of_a_process():
    """The signals stay as they are, but the end of the interpreter is seen."""
    output = run(
        """
        before = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=close_on_exit)
        thread.start()
        thread.join()
        print(signal.getsignal(signal.SIGTERM) is before, flush=True)
        registry.add(fake)
        """
    )
    assert output == ["True", "closed 1012"]


@unix
@pytest.mark.parametrize("world", PATCHES)
def test_the_end_of_the_interpreter(world):
    assert run("close_on_exit(); registry.add(fake); sys.exit(4)", code=4, world=world) == ["closed 1012"]


@unix
def test_a_forked_child_starts_empty():
    output = run("""
        registry.add(fake)
        registry.enter(None)
        registry._lock.acquire()
        child = os.fork()
        if not child:
            print("child", len(registry), registry.enter(1), flush=True)
            registry.close_all()
            os._exit(0)
        os.waitpid(child, 0)
        print("parent", len(registry), registry._view_count, flush=True)
        registry.discard(fake)
    """)
    assert output == ["child 0 True", "parent 1 1"]
