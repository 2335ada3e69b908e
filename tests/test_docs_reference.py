"""The reference is complete: each public name is described, and each name that is described or used is there."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
from django.dispatch import Signal

import django_websocket

from .test_docs import BLOCKS, PAGES, ROOT

PACKAGE = Path(django_websocket.__file__).parent
NAMES = (ROOT / "docs" / "names.rst").read_text(encoding="utf-8")

#: The modules of which everything is public that has no underscore.
MODULES = [
    "django_websocket",
    "django_websocket.admin",
    "django_websocket.exceptions",
    "django_websocket.gunicorn",
    "django_websocket.htmx",
    "django_websocket.middleware",
    "django_websocket.signals",
    "django_websocket.testing",
    "django_websocket.views",
]
#: What describes an object in a page.
DIRECTIVE = re.compile(r"^\.\. (?:auto)?(?:class|data|function)(?: ?)::? *(\S+)$", re.MULTILINE)
#: Modules whose members are described all at once.
AUTOMODULE = re.compile(r"^\.\. automodule:: (\S+)\n    :members:", re.MULTILINE)
#: A link to an object.
ROLE = re.compile(r":(?:class|data|exc|func):`~([\w.]+)`")
#: Its module imports eventlet, which this process may not need.
NOT_LOADED = {"django_websocket.gunicorn.EventletWorker"}
#: What public functions and methods return, and what follows from that.
RETURNED = {
    "django_websocket.groups.listening.Listening",
    "django_websocket.groups.listing.AllConnections",
    "django_websocket.groups.mailbox.Event",
    "django_websocket.groups.payload.Envelope",
    "django_websocket.groups.snapshot.Snapshot",
    "django_websocket.groups.snapshot.Totals",
}


def names_of(module):
    """Return the public names of a module."""
    found = import_module(module)
    if hasattr(found, "__all__"):
        return set(found.__all__)
    return {name for name, value in vars(found).items() if name[0] != "_" and is_of(value, module)} | aliases(module)


def is_of(value, module):
    return isinstance(value, Signal) or (isinstance(value, type) and value.__module__ == module)


def aliases(module):
    """Return the second names of what a module defines."""
    return {"MalformedWebSocket"} if module == "django_websocket.exceptions" else set()


def load(path):
    """Return the object of a dotted path."""
    module, _, name = path.rpartition(".")
    if path in NOT_LOADED:
        assert name in import_module(module).__all__
        return sys.intern(path)
    return getattr(import_module(module), name)


def described():
    """Return the dotted path of everything that the pages describe."""
    paths = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        paths.update(path if "." in path else f"django_websocket.exceptions.{path}" for path in DIRECTIVE.findall(text))
        for module in AUTOMODULE.findall(text):
            paths.update(f"{module}.{name}" for name in names_of(module))
    return paths


DESCRIBED = described()


@pytest.mark.parametrize("path", sorted(DESCRIBED))
def test_what_is_described_is_there(path):
    assert load(path) is not None


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_described(module):
    objects = [load(path) for path in DESCRIBED]
    missing = {name for name in names_of(module) if not any(load(f"{module}.{name}") is found for found in objects)}
    assert missing == set()


def listed():
    """Return the dotted paths on the page with all names, by the module under which they are."""
    parts = re.split(r"^``(django_websocket[\w.]*)``$", NAMES, flags=re.MULTILINE)
    return {module: ROLE.findall(text) for module, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_the_page_with_all_names_has_each_once():
    paths = [path for found in listed().values() for path in found]
    assert len(paths) == len(set(paths))
    assert set(paths) <= DESCRIBED
    assert {id(load(path)) for path in DESCRIBED - RETURNED} == {id(load(path)) for path in paths}


def test_each_name_is_listed_under_its_module():
    by_module = {module: {path.rpartition(".")[2] for path in paths} for module, paths in listed().items()}
    assert list(by_module) == sorted(by_module)
    for module in MODULES:
        if module != "django_websocket.exceptions":
            assert by_module[module] == names_of(module), module
    for module, names in by_module.items():
        assert all(load(f"{module}.{name}") for name in names)


def imported():
    """Return what the code of the pages imports from the package: pairs of a module and a name."""
    for parameter in BLOCKS:
        (block,) = parameter.values
        for node in ast.walk(ast.parse(block.source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django_websocket"):
                yield from ((node.module, alias.name) for alias in node.names)


def test_the_code_of_the_pages_uses_public_names_only():
    names = {(module, path.rpartition(".")[2]) for module, paths in listed().items() for path in paths}
    modules = {module.rpartition(".")[2] for module in listed()}
    assert {
        (module, name) for module, name in imported() if (module, name) not in names and name not in modules
    } == set()


def test_every_logger_is_documented():
    section = (ROOT / "docs" / "settings.rst").read_text(encoding="utf-8").partition("\nLogging\n=======\n")[2]
    sources = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    loggers = set(re.findall(r'getLogger\("(django_websocket[\w.]*)"\)', sources))
    assert set(re.findall(r"^``(django_websocket[\w.]*)``$", section, re.MULTILINE)) == loggers
