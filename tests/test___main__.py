"""``python -m django_websocket``: the versions, and what is compiled."""

import os
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import version

import pytest

from django_websocket import __main__ as command
from django_websocket.speedups import NAMES, VARIABLE, load

HEADING = "Not compiled: "


@pytest.fixture
def nothing_compiled(monkeypatch):
    """Have no compiled module, as where the package was installed without a compiler."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(command, "load", lambda name: None)
    monkeypatch.setattr(command, "find_spec", lambda name: None)


def run(**environment):
    """Run the command in a process of its own, and return the lines of its output."""
    variables = {name: value for name, value in os.environ.items() if name != VARIABLE} | environment
    code = "from runpy import run_module; run_module('django_websocket', run_name='__main__')"
    lines = ["import sys", "sys.modules.update(django=None, eventlet=None, gevent=None, greenlet=None)", code]
    program = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(program, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def reason(name):
    """Return the cause and the remedy that are given for a module, each as one line."""
    found = command.why_not(name)
    return found.cause, found.remedy


def test_every_compiled_module_is_reported():
    assert tuple(command.PARTS) == NAMES


def test_it_works_where_nothing_else_can_be_imported():
    lines = run()
    assert lines[0].split() == ["django-websocket", version("django-websocket")]
    versions = dict(line.split(maxsplit=1) for line in lines[1 : lines.index("")])
    assert versions["Python"].endswith(sys.executable)
    assert versions["Django"] == version("django")
    assert versions["eventlet"] == version("eventlet")
    # All is aligned.
    assert {len(re.match(r"\S+ +", line)[0]) for line in lines[: lines.index("")]} == {command.WIDTH}


def test_what_is_compiled_is_reported_as_it_is_in_this_environment():
    lines = list(command.report())
    start = lines.index("") + 1
    parts = {line[: command.WIDTH].strip(): line[command.WIDTH :] for line in lines[start : start + len(NAMES)]}
    assert parts == {part: "in Python" if load(name) is None else "compiled" for name, part in command.PARTS.items()}
    reported = {part for line in lines if line.startswith(HEADING) for part in line.removeprefix(HEADING).split(", ")}
    assert reported == {part for name, part in command.PARTS.items() if load(name) is None}


def test_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(command, "DISTRIBUTIONS", ("no-such-distribution",))
    assert "no-such-distribution  not installed" in list(command.report())


def test_it_is_switched_off():
    lines = run(**{VARIABLE: "0"})
    assert lines[-3:] == [
        f"{HEADING}{', '.join(command.PARTS.values())}",
        f"  because             the environment variable {VARIABLE} is 0",
        f"  what to do          remove {VARIABLE} from the environment of the server",
    ]


@pytest.mark.usefixtures("nothing_compiled")
class TestReasons:
    def test_there_was_no_compiler(self):
        cause, remedy = reason("core")
        assert "there was no C compiler or no header of Python" in cause
        assert remedy == command.REINSTALL
        lines = list(command.report())
        # One reason for all parts, and a command that can be copied.
        assert [line for line in lines if line.startswith(HEADING)] == [HEADING + ", ".join(command.PARTS.values())]
        assert lines[-1].strip() == "python -m pip install --force-reinstall --no-cache-dir --no-deps ."
        assert max(map(len, lines[2:])) <= 100

    def test_a_clone_hides_the_installed_package(self, monkeypatch, tmp_path):
        """The command is run in a clone, whose modules Python imports first; only the installed ones are compiled."""
        (tmp_path / "django_websocket").mkdir()
        metadata = tmp_path / "django_websocket-1.0.0.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text("Metadata-Version: 2.1\nName: django-websocket\nVersion: 1.0.0\n", encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        cause, remedy = reason("core")
        assert cause.endswith(f", and not what is installed in {tmp_path}")
        assert "in another directory" in remedy

    def test_a_package_that_is_not_installed(self, monkeypatch):
        """It is only on the path."""
        monkeypatch.setattr(command, "DISTRIBUTIONS", ("no-such-distribution",))
        assert "there was no C compiler" in reason("core")[0]

    def test_a_free_threaded_python(self, monkeypatch):
        monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
        assert reason("lock")[0].startswith("this is a free-threaded build of Python")

    def test_another_implementation(self, monkeypatch):
        monkeypatch.setattr(command.platform, "python_implementation", lambda: "PyPy")
        assert reason("frames") == ("the compiled code is for CPython only", "")

    def test_a_module_that_cannot_be_loaded(self, monkeypatch):
        def fail(name):
            raise ImportError(f"{name}: undefined symbol: PyLong_Planted")

        # A module that is there, whatever was compiled.
        monkeypatch.setattr(command, "find_spec", lambda name: object())
        monkeypatch.setattr(command, "import_module", fail)
        cause, remedy = reason("core")
        assert cause == "it cannot be loaded: django_websocket.speedups._core: undefined symbol: PyLong_Planted"
        assert remedy == command.REINSTALL

    def test_another_system_than_linux(self, monkeypatch):
        monkeypatch.setattr(command.sys, "platform", "darwin")
        assert reason("poller") == ("it needs epoll, which only Linux has", "")
        assert "no C compiler" in reason("lock")[0]

    def test_the_header_of_greenlet_was_missing(self, monkeypatch):
        monkeypatch.setattr(command, "load", lambda name: None if name == "poller" else object())
        monkeypatch.setattr(command.sys, "platform", "linux")
        assert reason("poller") == (
            "the header of greenlet was missing when the package was built",
            command.REINSTALL,
        )
        assert [line for line in command.report() if line.startswith(HEADING)] == [HEADING + command.PARTS["poller"]]
