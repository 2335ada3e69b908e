"""The process's WebSockets: counting them, and closing them when the process is asked to end.

What a signal does is seen in processes of their own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from django_websocket import registry as module
from django_websocket.registry import GRACE, Registry

#: Seconds for what has to happen, and takes no time unless it is broken.
PATIENCE = 20

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")


class Fake:
    """A connection that takes note of its closing."""

    def __init__(self):
        self.codes = []

    def request_close(self, code):
        self.codes.append(code)


# In one process


def test_counting():
    registry = Registry()
    assert all(registry.enter(None) for _ in range(1000))
    for _ in range(998):
        registry.leave()
    assert registry.enter(3)
    assert not registry.enter(3)
    assert not registry.enter(2)
    assert registry.enter(4)
    assert not registry.enter(4)
    registry.leave()
    assert registry.enter(4)


def test_no_room_at_all():
    registry = Registry()
    assert not registry.enter(0)
    # What was refused has not been counted.
    assert registry.enter(1)


def test_counting_from_many_threads():
    registry = Registry()
    start = threading.Barrier(8, timeout=PATIENCE)
    entered = []

    def enter():
        start.wait()
        entered.extend(registry.enter(100) for _ in range(50))

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sum(entered) == 100
    assert len(entered) == 400


def test_the_open_ones():
    registry, one, two = Registry(), Fake(), Fake()
    assert not registry
    registry.add(one)
    registry.add(two)
    registry.add(two)
    assert len(registry) == 2
    registry.discard(one)
    registry.discard(one)
    assert len(registry) == 1
    assert one.codes == two.codes == []


def test_close_all():
    registry, one, gone = Registry(), Fake(), Fake()
    registry.add(one)
    registry.add(gone)
    registry.discard(gone)
    assert not registry.draining
    registry.close_all()
    assert registry.draining
    assert one.codes == [1012]
    assert gone.codes == []
    registry.close_all(1001)
    assert one.codes == [1012, 1001]


def test_who_comes_while_the_process_ends_is_closed_at_once():
    registry, late = Registry(), Fake()
    registry.close_all()
    registry.add(late)
    assert late.codes == [1012]
    assert len(registry) == 1


def test_close_all_in_the_midst_of_everything():
    """As in a signal handler, which may interrupt the thread that holds the lock."""
    registry, one = Registry(), Fake()
    registry.add(one)
    with registry._lock:
        registry.close_all()
    assert one.codes == [1012]


def test_a_connection_that_ends_while_all_are_closed():
    registry = Registry()
    fakes = [Fake() for _ in range(10)]
    for fake in fakes:
        registry.add(fake)
        fake.request_close = lambda code, fake=fake: (fake.codes.append(code), registry.discard(fake))
    registry.close_all()
    assert [fake.codes for fake in fakes] == [[1012]] * 10
    assert not registry


def test_wait_empty():
    registry, one = Registry(), Fake()
    registry.wait_empty(PATIENCE)  # at once
    registry.add(one)
    began = time.monotonic()
    registry.wait_empty(0.05)
    assert 0.05 <= time.monotonic() - began < PATIENCE
    timer = threading.Timer(0.05, registry.discard, [one])
    timer.start()
    began = time.monotonic()
    registry.wait_empty(PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    timer.join()


def test_forget():
    registry = Registry()
    registry.add(Fake())
    registry.enter(None)
    registry.close_all()
    held = registry._lock
    held.acquire()  # a thread of the parent had it when it forked
    registry.forget()
    assert not registry
    assert not registry.draining
    assert registry.enter(1)


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
        print("parent", len(registry), registry._views, flush=True)
        registry.discard(fake)
    """)
    assert output == ["child 0 True", "parent 1 1"]


def test_a_pause_where_the_system_has_no_sigtimedwait(monkeypatch):
    monkeypatch.delattr(signal, "sigtimedwait", raising=False)
    began = time.monotonic()
    module._pause(0.01)
    assert 0.01 <= time.monotonic() - began < PATIENCE


def test_not_in_the_main_thread(monkeypatch):
    """Only the interpreter's exit is left, once."""
    registered, before = [], (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    monkeypatch.setattr(module, "_watched", set())
    monkeypatch.setattr(module.atexit, "register", registered.append)
    thread = threading.Thread(target=lambda: (module.close_on_exit(), module.close_on_exit()))
    thread.start()
    thread.join(PATIENCE)
    assert registered == [module._close_at_exit]
    assert module._watched == {0}
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
    assert GRACE <= time.monotonic() - began < PATIENCE


@pytest.fixture
def handlers(monkeypatch):
    """Let a test have the process's signals, and our handlers a registry of its own."""
    monkeypatch.setattr(module, "_watched", {0})
    monkeypatch.setattr(module, "registry", Registry())
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
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
    assert module._watched == {0, signal.SIGTERM}
    signal.raise_signal(signal.SIGTERM)
    assert called == [(signal.SIGTERM, [1012])]
    assert module.registry.draining


def test_a_handler_that_python_does_not_know(handlers, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", lambda number: None)
        patch.setattr(signal, "signal", None)
        module.close_on_exit()
    assert module._watched == {0}


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
    assert time.monotonic() - began >= GRACE
    assert one.codes == [1012]
    assert killed == [(os.getpid(), signal.SIGTERM, signal.SIG_DFL)]


# In processes of their own

BEGINNING = """
import os, signal, socket, sys, threading
{first}
if "COVERAGE_PROCESS_START" in os.environ:
    import coverage
    coverage.process_startup()
from django_websocket.registry import close_on_exit, registry

class Fake:
    def request_close(self, code):
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
        cwd=Path(__file__).parent.parent,
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
    from django_websocket import registry as module

    module.GRACE = 3600
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
