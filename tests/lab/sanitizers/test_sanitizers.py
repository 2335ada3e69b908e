"""The sanitizers of ``lab/sanitizers`` find planted mistakes; the references of every compiled function are counted."""

import sys
import textwrap
from importlib.util import find_spec

import pytest

from django_websocket.speedups import NAMES, load
from lab.sanitizers import build, references, run
from lab.sanitizers.__main__ import main
from lab.sanitizers.calls import MODULES, Call, calls
from tests.live.needs import missing, module

#: Enough to tell what grows in each run from what is allocated once.
RUNS = 60

PLANTED = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *
overflow(PyObject *module, PyObject *size)
{
    char *data = PyMem_Malloc(PyLong_AsSsize_t(size));
    volatile char last;

    memset(data, 1, PyLong_AsSsize_t(size));
    last = data[PyLong_AsSsize_t(size)];
    PyMem_Free(data);
    return PyLong_FromLong(last);
}

static PyObject *
add(PyObject *module, PyObject *number)
{
    return PyLong_FromLong(INT_MAX + (int)PyLong_AsLong(number));
}

static PyObject *
check(PyObject *module, PyObject *condition)
{
    assert(condition == Py_True);
    Py_RETURN_NONE;
}

/* Has variables on the stack while other greenlets run. */
static PyObject *
call(PyObject *module, PyObject *function)
{
    volatile unsigned char one[64], other[200];
    PyObject *result;

    memset((void *)one, 1, sizeof(one));
    memset((void *)other, 2, sizeof(other));
    result = PyObject_CallNoArgs(function);
    assert(one[63] == 1 && other[199] == 2);
    return result;
}

static PyMethodDef methods[] = {
    {"overflow", overflow, METH_O, NULL}, {"add", add, METH_O, NULL}, {"call", call, METH_O, NULL},
    {"check", check, METH_O, NULL}, {0}
};
static struct PyModuleDef planted = {PyModuleDef_HEAD_INIT, "planted", NULL, 0, methods};

PyMODINIT_FUNC
PyInit_planted(void)
{
    return PyModule_Create(&planted);
}
"""
SETUP = "from setuptools import Extension, setup; setup(ext_modules=[Extension('planted', ['planted.c'])])"
GREENLETS = """
import gevent, planted
def work(depth):
    for turn in range(20):
        planted.call(lambda: gevent.sleep(0) if depth == 0 else planted.call(lambda: gevent.sleep(0)))
        planted.call(lambda: planted.add(-1))
gevent.joinall([gevent.spawn(work, depth % 3) for depth in range(9)], raise_error=True)
"""


@pytest.fixture
def planted(monkeypatch):
    """Have the sanitizers build and run an extension with mistakes in place of the package."""
    try:
        build.find_compiler()
    except build.Unavailable as unavailable:
        missing(str(unavailable), "gcc")
    module("Cython", "cython")

    def write(tree):
        tree.mkdir(parents=True)
        (tree / "planted.c").write_text(textwrap.dedent(PLANTED))
        (tree / "setup.py").write_text(SETUP)

    monkeypatch.setattr(run, "copy_sources", write)
    monkeypatch.setattr(run, "PROBE", "import planted; print(planted.__file__)")


@pytest.mark.usefixtures("planted")
class TestMemory:
    def test_mistakes_are_found(self, capsys):
        found = run.run(
            [
                run.Step("an overflow", ("-c", "import planted; planted.overflow(11)")),
                run.Step("undefined behaviour", ("-c", "import planted; planted.add(1)")),
                run.Step("nothing", ("-c", "import planted; print(planted.add(-1))")),
                run.Step("a failure", ("-c", "raise SystemExit('planted failure')")),
            ]
        )
        statuses = [text for text in found if "exit status" in text]
        assert [text.partition(":")[0] for text in statuses] == ["an overflow", "undefined behaviour", "a failure"]
        assert "planted failure" in statuses[-1]
        reports = [text for text in found if text not in statuses]
        assert len(reports) == 2
        assert sum("heap-buffer-overflow" in text and "in overflow" in text for text in reports) == 1
        assert sum("ILL on" in text and "in add" in text for text in reports) == 1
        assert "== nothing" in capsys.readouterr().out

    def test_a_report_of_a_process_that_nobody_looks_at_is_found(self):
        code = (
            "import subprocess, sys; subprocess.run([sys.executable, '-c', "
            "'import faulthandler, planted; faulthandler.enable(); planted.add(2)'])"
        )
        (report,) = run.run([run.Step("a child", ("-c", code))])
        assert "ILL on" in report
        assert "in add" in report

    def test_what_fails_is_tried_again(self, tmp_path):
        once = (
            f"import sys, pathlib; mark = pathlib.Path({str(tmp_path / 'mark')!r}); seen = mark.exists(); mark.touch()"
        )
        late = run.Step("late", ("-c", f"{once}; sys.exit(not seen)"), again=("--again",))
        assert run.run([late]) == []
        (problem,) = run.run([run.Step("wrong", ("-c", "import sys; sys.exit(str(sys.argv))"), again=("--again",))])
        assert "'--again'" in problem

    def test_a_failed_assertion_is_found(self):
        code = "import faulthandler, planted; faulthandler.enable(); planted.check(False)"
        found = run.run([run.Step("an assertion", ("-c", code))])
        assert any("ABRT on" in text and "in check" in text for text in found)

    def test_greenlets_are_no_mistake(self):
        module("gevent", "gevent")
        steps = [run.Step(name, ("-c", GREENLETS), green) for name, green in (("marked", False), ("green", True))]
        found = run.run(steps[1:])
        assert found == []
        # This is why they are built in another way.
        assert any("stack-buffer" in text for text in run.run(steps[:1]))

    def test_modules_of_elsewhere_are_no_proof(self, monkeypatch):
        monkeypatch.setattr(run, "PROBE", "import json; print(json.__file__)")
        (problem,) = run.run([run.Step("nothing", ("-c", ""))])
        assert problem.startswith("the compiled modules cannot be loaded")


def test_without_a_compiler_it_is_skipped(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE_LIVE", raising=False)
    assert main(["memory"]) == 0
    assert capsys.readouterr().err.startswith("skipped: ")
    monkeypatch.setenv("REQUIRE_LIVE", "1")
    assert main(["memory"]) == 2
    assert capsys.readouterr().err.startswith("cannot run: ")


def test_without_a_library_it_is_skipped(tmp_path):
    gcc = tmp_path / "gcc"
    gcc.write_text('#!/bin/sh\necho "${1#*=}"\n')
    gcc.chmod(0o755)
    with pytest.raises(build.Unavailable, match=r"libasan.so is missing"):
        build.find_compiler(str(tmp_path))


def test_other_systems_are_skipped(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(build.Unavailable, match="Linux"):
        build.find_compiler()


def test_options_are_joined():
    assert build.join({"a": "1", "b": "2"}) == "a=1:b=2"


# References

compiled = pytest.mark.skipif(load("frames") is None, reason="nothing is compiled")


@compiled
@pytest.mark.parametrize("call", [pytest.param(call, id=call.name) for call in calls()])
def test_nothing_is_left_after_a_call(call):
    assert references.check(call, RUNS) == ""


def test_every_compiled_module_is_called():
    # The poller needs a hub, which would change this process.
    assert set(MODULES) == set(NAMES) - {"poller"}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda kept, thing: kept.append([thing]), "blocks of memory"),
        (lambda kept, thing: kept.append(thing), "references to its arguments"),
        (lambda kept, thing: kept.append(bytes(10_000)), "bytes more"),
    ],
)
def test_what_is_kept_is_found(function, expected):
    kept, thing = [], object()
    problem = references.check(Call("keep", lambda thing: function(kept, thing), (thing,)), RUNS)
    assert expected in problem
    assert "in each of" in problem


def test_a_call_that_does_not_fail_as_it_should():
    with pytest.raises(AssertionError, match="does not raise"):
        references.check(Call("good", lambda: None, (), ValueError), RUNS)
    with pytest.raises(ZeroDivisionError):
        references.check(Call("bad", lambda: 1 // 0), RUNS)


def test_the_command_counts_references(monkeypatch, capsys):
    kept = []
    found = [Call("keep", kept.append, (object(),)), Call("good", len, ("text",))]
    monkeypatch.setattr(references, "calls", lambda: iter(found))
    assert main(["references", "--runs", "60"]) == 1
    out = capsys.readouterr().out
    assert "FOUND: keep: " in out
    assert "1 problems" in out
    found.pop(0)
    assert main(["references", "--runs", "60"]) == 0
    assert "nothing found" in capsys.readouterr().out


def test_a_debug_build_counts_all_references(monkeypatch):
    counts = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(references, "_total_references", lambda: next(counts))
    assert "references more" in references.check(Call("nothing", lambda: None), RUNS)


def test_nothing_is_compiled(monkeypatch, capsys):
    monkeypatch.delenv("REQUIRE_LIVE", raising=False)
    monkeypatch.setattr(references, "calls", lambda: iter(()))
    assert main(["references"]) == 0
    assert capsys.readouterr().err == "skipped: nothing is compiled; python -m django_websocket says why\n"


def test_the_tests_and_targets_of_the_command_are_there():
    from lab.fuzzing.targets import NAMES as TARGETS
    from lab.sanitizers import __main__ as command

    assert set(command.TARGETS) <= set(TARGETS)
    paths = [path.removeprefix("--ignore=") for path in (*command.TESTS, *command.GREEN_TESTS)]
    assert all((build.ROOT / path).exists() for path in paths)
    assert find_spec("lab.fuzzing") is not None
