"""The type checkers report what the cases say, and nothing in the code of the documentation."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ..live import needs
from .annotating import PREAMBLE, annotate, write_documentation
from .checkers import PATIENCE, Report, make_environment_without_stubs, run_mypy, run_pyright

pytestmark = pytest.mark.timeout(PATIENCE + 60)

CASES = Path(__file__).parent / "cases"
#: The directories of the documentation's files.
DOCUMENTATION = ("documented/", "chat/")
#: A file among these with a mistake that has to be found, to see that they are checked.
MISTAKE = "mistake.py"

#: What mypy and pyright say where only django-stubs' plugin knows the models of a project, which pyright has not.
OF_MODELS = re.compile(r"for class \"_User\"|attribute \"(documents|message_set)\"")

STUBS = """
[mypy]
python_version = 3.10
warn_unreachable = true
"""
PLUGIN = """
[mypy]
python_version = 3.10
warn_unreachable = true
plugins = mypy_django_plugin.main
[mypy.plugins.django-stubs]
django_settings_module = documented_settings
# What is said of Any, which is ours, and of annotations that the pages leave out; a view that ends without "return", as
# mypy wants it to say "return None"; bytes in f-strings, as the clients of these pages send text.
[mypy-documented.*,chat.*]
disable_error_code = no-any-return, return, str-bytes-safe, type-arg, var-annotated
"""
BARE = """
[mypy]
python_version = 3.10
warn_unreachable = true
[mypy-django.*]
ignore_missing_imports = true
# As above; and classes and decorators of Django have no types.
[mypy-documented.*,chat.*]
disable_error_code = no-any-return, return, str-bytes-safe, type-arg, var-annotated, misc, untyped-decorator
"""


def expected(checker: str) -> set[Report]:
    """Return what the comments of the cases say about a checker."""
    found = set()
    names = {checker, "both"} if checker in {"mypy", "bare"} else {checker}
    for path in CASES.glob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for reported in line.partition("  # reported: ")[2].split("; "):
                name, _, codes = reported.partition(" ")
                if name in names:
                    found |= {Report(f"cases/{path.name}", number, code) for code in codes.split(", ")}
    return found


def compare(reports: dict[Report, str], checker: str, mistake: str = "") -> None:
    """Compare what a checker has reported with what it should; ``mistake`` is the code of that in the documentation."""
    wanted = expected(checker)
    assert wanted, f"no case says anything about {checker}"
    if mistake:
        wanted |= {Report(f"{directory}{MISTAKE}", 1, mistake) for directory in DOCUMENTATION}
    unexpected = [
        f"{report}: {text}"
        for report, text in reports.items()
        if report not in wanted and not (report.file.startswith(DOCUMENTATION) and OF_MODELS.search(text))
    ]
    assert (unexpected, sorted(wanted - reports.keys())) == ([], [])


@pytest.fixture
def project(tmp_path):
    """Return a directory with the cases and the documentation."""
    project = tmp_path / "project"
    shutil.copytree(CASES, project / "cases")
    write_documentation(project)
    for directory in DOCUMENTATION:
        (project / directory / MISTAKE).write_text('number: int = "one"\n', encoding="utf-8")
    return project


@pytest.fixture
def cache(pytestconfig):
    """Return a directory in which mypy keeps what it knows of Django from one run to the next."""
    for name, package in (("mypy", "mypy"), ("mypy_django_plugin", "django-stubs")):
        needs.module(name, package)
    return pytestconfig.cache.mkdir("mypy")


def test_mypy_with_the_plugin(project, cache):
    compare(run_mypy(project, PLUGIN, cache / "plugin", "."), "mypy", "assignment")


def test_mypy_without_the_plugin(project, cache):
    """The plugin knows the models of a project; without it the tutorial has no types."""
    compare(run_mypy(project, STUBS, cache / "stubs", "cases"), "mypy")


def test_mypy_without_django_stubs(project, cache, tmp_path):
    python = make_environment_without_stubs(tmp_path / "environment")
    reports = run_mypy(project, BARE, cache / "bare", ".", "--python-executable", str(python))
    compare(reports, "bare", "assignment")


def test_pyright(project):
    needs.module("pyright", "pyright[nodejs]")
    compare(run_pyright(project), "pyright", "reportAssignmentType")


def test_what_is_reported_for_nothing_or_not_reported_is_found():
    reports = dict.fromkeys(expected("bare"), "as expected")
    compare(reports, "bare")
    with pytest.raises(AssertionError, match="without cause"):
        compare({**reports, Report("cases/options.py", 1, "misc"): "without cause"}, "bare")
    reports.popitem()
    with pytest.raises(AssertionError):
        compare(reports, "bare")


def test_the_annotations_of_a_block():
    source = """

@accept_websocket(require_origin=True)
def one(request, name: str):
    return None if name else HttpResponse()

@method_decorator(require_websocket, name="dispatch")
class Two(View):
    def get(self, request, *args):
        def inner(request):
            yield 1
"""
    assert annotate(source).split("\n") == [
        PREAMBLE,
        "",
        "@accept_websocket(require_origin=True)",
        "def one(request: django_websocket.MaybeWebSocketRequest, name: str) -> django.http.HttpResponseBase | None:",
        "    return None if name else HttpResponse()",
        "",
        '@method_decorator(require_websocket, name="dispatch")',
        "class Two(View):",
        "    def get(self, request: django_websocket.WebSocketRequest, *args: typing.Any) -> None:",
        "        def inner(request: django.http.HttpRequest) -> typing.Any:",
        "            yield 1",
        "",
    ]
