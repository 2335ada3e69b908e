"""Imports go down only.

The table below is the house rule; the tests read the imports of every module with ``ast``, those inside functions and
``if TYPE_CHECKING:`` too, and compare. Nothing is imported for it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "django_websocket"
ROOT = Path(__file__).parent.parent / PACKAGE

# What is outside the package and closed to a layer, by top-level name.
WORLD = {"socket", "ssl", "select", "selectors", "threading", "_thread", "queue", "signal", "subprocess"}
WORLD |= {"multiprocessing", "concurrent", "asyncio", "time", "logging"}
BACKENDS = {"eventlet", "gevent", "greenlet", "gunicorn", "redis"}
PURE = WORLD | BACKENDS | {"django"}  # bytes and nothing else
NO_DJANGO = {"django"}
ANYTHING: set[str] = set()

# Never imported when a module is, only where they are in use already, or inside a function that needs them: a worker
# must be able to monkey-patch first, and nobody has to install them all.
LAZY = {"eventlet", "gevent", "gunicorn", "redis"}
# What the worker itself is made of: gunicorn imports it, and it patches.
EAGER = {"eventlet_worker"}


class Layer(NamedTuple):
    own: set[str]  # modules of the package it may import
    banned: set[str]  # what it must not import from outside
    late: set[str] = set()  # modules above it that are imported for their types, or by a function when already in use


ERRORS = {"exceptions"}
VERSION = ERRORS | {"protocols.base", "protocols.http"}
SYSTEM = ERRORS | {"protocols.base"}
DJANGO = VERSION
BELOW_MIDDLEWARE = {
    "exceptions",
    "protocols",
    "protocols.base",
    "protocols.http",
    "transports",
    "green",
    "connection",
    "websocket",
    "servers",
    "registry",
    "lifetime",
    "workers",
    "conf",
    "origins",
    "requests",
    "responses",
    "upkeep",
}
TOP = BELOW_MIDDLEWARE | {"middleware"}

LAYERS = {
    "exceptions": Layer(set(), PURE),
    # Bytes. Siblings know only the contract, but for a version that extends another, and for parts of one.
    "protocols": Layer(VERSION | {"protocols.masking"}, PURE),
    "protocols.http": Layer(ERRORS, PURE),
    "protocols.base": Layer(ERRORS | {"protocols.http"}, PURE),
    "protocols._masking": Layer(set(), PURE),  # in C
    "protocols.masking": Layer({"protocols._masking"}, PURE),
    "protocols.deflate": Layer(VERSION, PURE),
    "protocols.frames": Layer(VERSION | {"protocols.masking"}, PURE),
    "protocols.partial": Layer(VERSION | {"protocols.masking", "protocols.deflate"}, PURE),
    "protocols.framed": Layer(
        VERSION | {"protocols.frames", "protocols.masking", "protocols.deflate", "protocols.partial"}, PURE
    ),
    "protocols.rfc6455": Layer(VERSION | {"protocols.deflate", "protocols.framed"}, PURE),
    "protocols.hixie75": Layer(VERSION, PURE),
    "protocols.hixie76": Layer(VERSION | {"protocols.hixie75"}, PURE),
    # The system. A WebSocket knows no server, and a server no WebSocket.
    "transports": Layer(SYSTEM, NO_DJANGO, late={"green"}),
    "readers": Layer(set(), NO_DJANGO),
    "green": Layer(SYSTEM | {"transports", "readers"}, NO_DJANGO),
    "native": Layer(set(), NO_DJANGO, late={"green"}),
    "registry": Layer(SYSTEM | {"native"}, NO_DJANGO, late={"sending"}),
    "reaper": Layer({"native"}, NO_DJANGO, late={"sending"}),
    "keepalive": Layer(set(), PURE),
    "rates": Layer(set(), PURE),
    "care": Layer(set(), PURE),
    "sending": Layer(SYSTEM | {"transports", "reaper"}, NO_DJANGO),
    "connection": Layer(SYSTEM | {"transports", "keepalive", "rates", "care", "registry", "sending"}, NO_DJANGO),
    "websocket": Layer(SYSTEM | {"transports", "connection", "reaper", "registry"}, NO_DJANGO),
    "lifetime": Layer({"native", "registry"}, NO_DJANGO),
    "servers": Layer(SYSTEM | {"lifetime"}, NO_DJANGO),
    # Django.
    "origins": Layer(ERRORS, ANYTHING),
    "conf": Layer(DJANGO | {"origins"}, ANYTHING),
    "workers": Layer({"conf", "lifetime"}, ANYTHING),
    "requests": Layer(DJANGO | {"protocols"}, ANYTHING),
    "responses": Layer(ERRORS | {"servers"}, ANYTHING),
    "databases": Layer(set(), ANYTHING),
    "sessions": Layer(set(), ANYTHING),
    "revalidation": Layer(set(), ANYTHING),
    "toolbar": Layer(set(), ANYTHING),
    "upkeep": Layer({"care", "databases", "sessions", "revalidation", "toolbar"}, ANYTHING),
    # Where all of it meets.
    "middleware": Layer(BELOW_MIDDLEWARE, ANYTHING),
    # What stands on top.
    "decorators": Layer(TOP, ANYTHING),
    "checks": Layer({"checks.settings", "checks.deployment"}, ANYTHING),
    "checks.settings": Layer(TOP, ANYTHING),
    "checks.deployment": Layer(TOP, ANYTHING),
    "apps": Layer(TOP | {"checks"}, ANYTHING),
    "memory": Layer(SYSTEM | {"transports", "databases"}, ANYTHING),
    "testing": Layer(TOP | {"memory"}, ANYTHING),
    # What gunicorn imports, before it has patched anything.
    "gunicorn": Layer(set(), NO_DJANGO, late={"eventlet_worker", "workers"}),
    "eventlet_worker": Layer(set(), NO_DJANGO),
    "management": Layer(set(), ANYTHING),
    "management.commands": Layer(set(), ANYTHING),
    "management.commands.runserver": Layer(TOP, ANYTHING),
    # The public names.
    "__init__": Layer({"exceptions", "websocket", "decorators"}, NO_DJANGO | BACKENDS),
}


class Import(NamedTuple):
    target: str  # dotted name; of the package's own modules relative to it
    own: bool
    line: int
    now: bool  # it happens when the module is imported


def modules() -> Iterator[tuple[str, Path]]:
    """Give the modules of the package, by the names they have in the table."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if len(parts) > 1 and parts[-1] == "__init__":
            parts = parts[:-1]
        yield ".".join(parts), path


def imports(source: str, module: str, *, package: bool) -> Iterator[Import]:
    """Give the imports of a module; ``package`` tells whether it is one's ``__init__``."""
    parts = [] if module == "__init__" else module.split(".")
    here = [PACKAGE, *(parts if package else parts[:-1])]

    def resolve(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            return
        base = here[: len(here) - node.level + 1] if node.level else []
        name = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            full = f"{name}.{alias.name}"
            yield full if full.removeprefix(f"{PACKAGE}.") in LAYERS else name

    def walk(node: ast.AST, *, now: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                for name in resolve(child):
                    top, _, rest = name.partition(".")
                    target = (rest or "__init__") if top == PACKAGE else name
                    yield Import(target, top == PACKAGE, child.lineno, now)
            elif isinstance(child, ast.If) and is_type_checking(child.test):
                for part, part_now in ((child.body, False), (child.orelse, now)):
                    yield from walk(ast.Module(part, []), now=part_now)
            else:
                function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, now=now and not function)

    yield from walk(ast.parse(source), now=True)


def is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in {getattr(test, "id", None), getattr(test, "attr", None)}


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    """Tell what a module of the table imports against it."""
    layer = LAYERS[module]
    found = []
    for target, own, line, now in imports(source, module, package=package):
        top = target.partition(".")[0]
        if own and target not in layer.own | (set() if now else layer.late):
            found.append(f"{module}:{line} must not know {PACKAGE}.{target}")
        elif not own and top in layer.banned:
            found.append(f"{module}:{line} must not know {target}")
        elif not own and top in LAZY and now and module not in EAGER:
            found.append(f"{module}:{line} must not import {target} before it is used")
    return found


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module):
    assert module in LAYERS, f"give {module} its place in LAYERS"
    path = MODULES[module]
    source = path.read_text(encoding="utf-8")
    assert violations(source, module, package=path.name == "__init__.py") == []


def test_the_layers_have_no_cycle():
    seen: set[str] = set()
    left = {module: layer.own & LAYERS.keys() for module, layer in LAYERS.items()}
    while left:
        free = {module for module, own in left.items() if own <= seen}
        assert free, f"a cycle among {sorted(left)}"
        seen |= free
        for module in free:
            del left[module]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("protocols.base", "import time"),
        ("protocols.base", "import concurrent.futures"),
        ("protocols.base", "from django.conf import settings"),
        ("protocols.base", "from .rfc6455 import RFC6455"),
        ("protocols.base", "from . import rfc6455"),
        ("protocols.base", "from .. import websocket"),
        ("protocols.base", "from django_websocket.transports import anything"),
        ("protocols.base", "import django_websocket.transports"),
        ("protocols.base", "def f():\n    import socket"),
        ("protocols.base", "if TYPE_CHECKING:\n    from ..websocket import WebSocket"),
        ("protocols.hixie75", "from .hixie76 import Hixie76"),
        ("websocket", "from .servers import find"),
        ("websocket", "from . import WebSocketError"),
        ("servers", "from .websocket import WebSocket"),
        ("registry", "import django"),
        ("registry", "from .connection import Connection"),
        ("middleware", "from .decorators import accept_websocket"),
        ("transports", "import eventlet"),
        ("transports", "from .green import find_transport"),
        ("transports", "try:\n    import gevent.socket\nexcept ImportError:\n    pass"),
        ("transports", "class Hub:\n    from eventlet import hubs"),
        ("transports", "if typing.TYPE_CHECKING:\n    pass\nelse:\n    import gevent"),
    ],
)
def test_a_violation_is_seen(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("protocols.base", "import hashlib, struct\nfrom ..exceptions import ProtocolError\nfrom .http import Request"),
        ("protocols.hixie76", "from .hixie75 import Hixie75"),
        ("transports", "import socket\ndef f():\n    import eventlet"),
        ("transports", "def f():\n    from .green import find_transport"),
        ("transports", "if TYPE_CHECKING:\n    from eventlet.greenio import GreenSocket"),
        ("transports", "f = lambda: __import__('eventlet')"),
        ("websocket", "from .protocols.base import Protocol\nfrom .protocols import base\nimport time"),
        ("middleware", "from . import servers, registry\nfrom django.http import HttpResponse"),
    ],
)
def test_what_is_allowed_is_not_seen(module, source):
    assert violations(source, module) == []


def test_a_package_resolves_its_own_names():
    assert violations("from .base import Protocol", "protocols", package=True) == []
    assert violations("from ..websocket import WebSocket", "protocols", package=True) == [
        "protocols:1 must not know django_websocket.websocket"
    ]
    assert violations("from .websocket import WebSocket", "__init__", package=True) == []
