"""Tests stand where their subjects stand.

The tests of a module ``a/b.py`` of the package are in ``tests/a/test_b.py``. Those of the ``__init__.py`` of a folder
``a`` are in ``tests/a/test_a.py``, if it defines functions or classes. A module may have further test modules, whose
names begin like that one: ``test_b_closing.py``. The rule reads the names of files, and the source of each
``__init__.py``; nothing is imported for it.
"""

import ast
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "django_websocket"

#: Modules without a test module of their own, and why.
WITHOUT_TESTS = {"__init__.py": "tests/test_packaging.py and tests/test_exceptions.py hold its names"}
#: Test modules of no single module, and their subjects.
WITHOUT_MODULE = {
    "test_deploy.py": "the files of the deployment page",
    "test_deploy_containers.py": "the files of the page on Docker",
    "test_docs.py": "the documentation",
    "test_docs_browser.py": "the page of the documentation on browsers",
    "test_docs_faq.py": "the page of the documentation with questions",
    "test_docs_groups.py": "the page of the documentation on groups",
    "test_docs_htmx.py": "the page of the documentation on htmx and Turbo",
    "test_docs_messages.py": "the texts by which the package says what is wrong, and their anchors",
    "test_docs_migrating.py": "the page of the documentation on coming from other packages",
    "test_docs_prometheus.py": "the page of the documentation on Prometheus",
    "test_docs_reference.py": "the reference in the documentation",
    "test_docs_rest.py": "the page of the documentation on Django REST framework and django-ninja",
    "test_docs_seeing.py": "the page of the documentation on seeing what happens",
    "test_readme.py": "what README.rst claims about others, and about speed",
    "test_docs_views.py": "the page of the documentation on views",
    "test_example_project.py": "the example project",
    "test_faults.py": "whole conversations on sockets that fail",
    "test_promptness.py": "bounds of time on a busy machine",
    "test_hosting.py": "the workflows, the forms, and what builds the documentation",
    "test_layers.py": "the imports of all modules",
    "test_mirror.py": "the places of the tests",
    "test_packaging.py": "what is installed, and the public names",
    "test_troubleshooting.py": "the page of that name",
}
#: Folders of tests that mirror no folder of the package, and their subjects.
WITHOUT_FOLDER = {
    "browser": "the package in a real browser",
    "lab": "the instruments, which are no part of the package",
    "live": "the package on real servers",
    "typing": "the package under type checkers",
}


def defines_something(source: str) -> bool:
    """Return whether the source of a module defines a function or a class at its top."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) for node in ast.parse(source).body)


def find_modules(folder: Path) -> list[str]:
    """Return the modules below a folder, without each ``__init__.py`` that defines nothing."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*.py"))
        if path.name != "__init__.py" or defines_something(path.read_text(encoding="utf-8"))
    ]


def find_tests(folder: Path) -> list[str]:
    """Return the test modules below a folder."""
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("test_*.py"))]


def place_of(module: str) -> str:
    """Return where the tests of a module stand."""
    path = PurePosixPath(module)
    name = path.parent.name if path.stem == "__init__" else path.stem
    return str(path.with_name(f"test_{name}.py"))


def missing(modules: Iterable[str], tests: Iterable[str]) -> list[str]:
    """Return the modules that have no tests, a sentence each."""
    tests = set(tests)
    return [
        f"django_websocket/{module} has no tests: tests/{place_of(module)} is missing"
        for module in modules
        if module not in WITHOUT_TESTS and place_of(module) not in tests
    ]


def stray(modules: Iterable[str], tests: Iterable[str]) -> list[str]:
    """Return the test modules that belong to no module, a sentence each."""
    stems = [place_of(module).removesuffix(".py") for module in modules]
    return [
        f"tests/{test} belongs to no module of django_websocket/{'/'.join(PurePosixPath(test).parts[:-1])}"
        for test in tests
        if test not in WITHOUT_MODULE
        and PurePosixPath(test).parts[0] not in WITHOUT_FOLDER
        and not any(test == f"{stem}.py" or test.startswith(f"{stem}_") for stem in stems)
    ]


def test_every_module_has_its_tests():
    assert missing(find_modules(PACKAGE), find_tests(TESTS)) == []


def test_every_test_module_has_its_module():
    assert stray(find_modules(PACKAGE), find_tests(TESTS)) == []


def test_no_two_modules_share_a_test_module():
    places = [place_of(module) for module in find_modules(PACKAGE)]
    assert len(places) == len(set(places))


def test_every_exception_is_needed():
    modules, tests = find_modules(PACKAGE), find_tests(TESTS)
    places = {place_of(module) for module in modules}
    assert [module for module in WITHOUT_TESTS if module not in modules or place_of(module) in tests] == []
    assert [test for test in WITHOUT_MODULE if test not in tests or test in places] == []
    assert [folder for folder in WITHOUT_FOLDER if not (TESTS / folder).is_dir() or (PACKAGE / folder).is_dir()] == []


@pytest.mark.parametrize(
    ("module", "place"),
    [
        ("websocket.py", "test_websocket.py"),
        ("process/closer.py", "process/test_closer.py"),
        ("transports/__init__.py", "transports/test_transports.py"),
        ("protocols/rfc6455/frames.py", "protocols/rfc6455/test_frames.py"),
        ("management/commands/runserver.py", "management/commands/test_runserver.py"),
    ],
)
def test_the_place_of_tests(module, place):
    assert place_of(module) == place
    assert missing([module], [place]) == []
    assert stray([module], [place]) == []
    assert stray([module], [place.replace(".py", "_further.py")]) == []


@pytest.mark.parametrize(
    "tests", [[], ["test_closer.py"], ["process/test_closer_further.py"], ["process/closer.py"], ["lab/test_closer.py"]]
)
def test_a_module_without_tests_is_found(tests):
    assert missing(["process/closer.py"], tests) == [
        "django_websocket/process/closer.py has no tests: tests/process/test_closer.py is missing"
    ]


@pytest.mark.parametrize("test", ["process/test_closing.py", "process/test_closerness.py", "process/test_process.py"])
def test_a_test_module_without_a_module_is_found(test):
    assert stray(["process/closer.py", "closing.py"], [test]) == [
        f"tests/{test} belongs to no module of django_websocket/process"
    ]


def test_a_test_module_in_a_folder_that_mirrors_none_is_found():
    assert stray(["websocket.py"], ["sockets/test_websocket.py"]) == [
        "tests/sockets/test_websocket.py belongs to no module of django_websocket/sockets"
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", False),
        ('"""What it is for."""\nfrom .base import Transport\n__all__ = ["Transport"]', False),
        ("def choose(): ...", True),
        ("async def choose(): ...", True),
        ("class Chooser: ...", True),
    ],
)
def test_an_init_module_that_defines_something(source, expected):
    assert defines_something(source) is expected
