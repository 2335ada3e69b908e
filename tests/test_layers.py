"""Imports go down only.

The package is a house: each file or folder at its top is a room, and each room has a floor. A module may import from
its own room and from the floors below. The tests read the imports of every module with ``ast``, those inside functions
and behind ``TYPE_CHECKING`` too, and compare them with the table. Nothing is imported for it.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "django_websocket"
ROOT = Path(__file__).parent.parent / PACKAGE

# What is outside the package and closed to a room, by top-level name.
WORLD = {"socket", "ssl", "select", "selectors", "threading", "_thread", "queue", "signal", "subprocess"}
WORLD |= {"multiprocessing", "concurrent", "asyncio", "time", "logging"}
BACKENDS = {"eventlet", "gevent", "greenlet", "gunicorn", "prometheus_client", "redis"}
PURE = WORLD | BACKENDS | {"django"}  # bytes and nothing else
NO_DJANGO = {"django"}
ANYTHING: set[str] = set()

# Imported only where they are in use already, or inside a function that needs them: a worker must be able to
# monkey-patch first, and nobody has to install them all.
LAZY = {"eventlet", "gevent", "gunicorn", "prometheus_client", "redis"}
# Modules that are imported by what they import eagerly: the worker is loaded by gunicorn, and patches. The metrics are
# loaded by their application alone.
EAGER = {"gunicorn.eventlet_worker"}
EAGER |= {f"prometheus.{name}" for name in ("collector", "connection_metrics", "group_metrics", "installation")}
EAGER |= {"prometheus.route_metrics"}

MAX_FLOORS = 10
MAX_ROOMS = 32


class Room(NamedTuple):
    floor: int
    banned: set[str]  # what it must not import from outside the package
    unknown: set[str] = set()  # rooms on lower floors that it must not know


ROOMS = {
    # Bytes and the system.
    "exceptions": Room(1, PURE),
    "speedups": Room(1, PURE),
    "signals": Room(1, WORLD | BACKENDS),
    "htmx": Room(1, PURE),
    "models": Room(1, WORLD | BACKENDS),
    # The command that reports what is compiled; it has to run where nothing else does.
    "__main__": Room(2, PURE),
    "transports": Room(2, NO_DJANGO),
    "protocols": Room(2, PURE, {"transports"}),
    # Once per process, and from a request to a yes or no.
    "process": Room(3, NO_DJANGO, {"transports"}),
    "handshake": Room(3, ANYTHING, {"transports"}),
    "options": Room(3, PURE, {"transports"}),
    # Messages and time; the settings.
    "connection": Room(4, NO_DJANGO, {"handshake"}),
    "conf": Room(4, ANYTHING, {"transports", "process"}),
    # What a view holds, and what surrounds it. A WebSocket knows no server, and a server no WebSocket.
    "websocket": Room(5, ANYTHING, {"handshake"}),
    "housekeeping": Room(5, ANYTHING, {"protocols", "transports", "process", "handshake", "conf"}),
    "gunicorn": Room(5, NO_DJANGO, {"protocols", "transports", "handshake", "connection"}),
    "servers": Room(6, NO_DJANGO, {"connection", "websocket", "handshake", "conf", "housekeeping"}),
    # Many members at once: a member is something that frames are delivered to.
    "groups": Room(6, ANYTHING, {"transports", "handshake"}),
    # The types of requests, which name what stands below; nothing of it runs.
    "requests": Room(6, WORLD | BACKENDS, {"transports", "handshake", "connection", "conf"}),
    # Where all of it meets.
    "middleware": Room(7, ANYTHING),
    "admin": Room(7, ANYTHING, {"transports", "protocols", "handshake"}),
    "testing": Room(7, ANYTHING),
    "checks": Room(7, ANYTHING),
    # What stands on top.
    "decorators": Room(8, ANYTHING),
    "apps": Room(8, ANYTHING),
    "templatetags": Room(8, ANYTHING),
    "doctor": Room(8, ANYTHING, {"transports"}),
    # What is made of the decorators, and the commands.
    "access": Room(9, ANYTHING),
    "views": Room(9, ANYTHING),
    "management": Room(9, ANYTHING),
    # The public names.
    "__init__": Room(10, NO_DJANGO | BACKENDS),
    # An application that a project adds, and that nothing imports.
    "prometheus": Room(10, BACKENDS - {"prometheus_client"}, {"transports", "protocols", "handshake", "servers"}),
}

# Inside a room some modules know less than the room may. Siblings among the protocols know only the contract, but for a
# version that extends another.
CONTRACT = {"exceptions", "protocols.base", "protocols.close_codes", "protocols.http"}
INSIDE = {
    "protocols.close_codes": set(),
    "protocols.http": {"exceptions"},
    "protocols.base": {"exceptions", "protocols.close_codes", "protocols.http"},
    "protocols.hixie75": CONTRACT,
    "protocols.hixie76": CONTRACT | {"protocols.hixie75"},
    "protocols.rfc6455": CONTRACT | {"protocols.rfc6455", "speedups"},
    "options": {"protocols.base"},
    # What gunicorn loads before it patches: a lock that is made then would be a native one.
    "gunicorn.eventlet_worker": set(),
}


class Import(NamedTuple):
    target: str  # dotted name; of the package's own modules relative to it
    own: bool
    line: int
    now: bool  # it happens when the module is imported


def modules() -> Iterator[tuple[str, Path]]:
    """Return the modules of the package by their dotted names."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if len(parts) > 1 and parts[-1] == "__init__":
            parts = parts[:-1]
        yield ".".join(parts), path


MODULES = dict(modules())


def imports(source: str, module: str, *, package: bool) -> Iterator[Import]:
    """Return the imports of a module; ``package`` tells whether it is one's ``__init__``."""
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
            yield full if full.removeprefix(f"{PACKAGE}.") in MODULES else name

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


def room_of(module: str) -> str:
    return module.partition(".")[0]


def within(module: str, names: Iterable[str]) -> bool:
    """Return whether a module is one of ``names``, or below one of them."""
    return any(module == name or module.startswith(f"{name}.") for name in names)


def is_allowed(module: str, target: str) -> bool:
    """Return whether a module may import another one of the package."""
    here, there = ROOMS[room_of(module)], ROOMS[room_of(target)]
    if room_of(target) in here.unknown:
        return False
    if room_of(module) != room_of(target) and here.floor <= there.floor:
        return False
    return all(within(target, known) for name, known in INSIDE.items() if within(module, [name]))


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    """Return what a module imports against the table, a sentence each."""
    banned = ROOMS[room_of(module)].banned
    found = []
    for target, own, line, now in imports(source, module, package=package):
        top = room_of(target)
        if own and not is_allowed(module, target):
            found.append(f"{module}:{line} must not know {PACKAGE}.{target}")
        elif not own and top in banned:
            found.append(f"{module}:{line} must not know {target}")
        elif not own and top in LAZY and now and module not in EAGER:
            found.append(f"{module}:{line} must not import {target} before it is used")
    return found


def arrows() -> dict[str, set[str]]:
    """Return for each module the modules of the package that it imports, for their types too."""
    return {
        module: {
            target
            for target, own, _, _ in imports(path.read_text(encoding="utf-8"), module, package=is_package(path))
            if own and target != module and target in MODULES
        }
        for module, path in MODULES.items()
    }


def is_package(path: Path) -> bool:
    return path.name == "__init__.py"


def floors(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Return what stands on each floor, from the ground up, where each thing stands as low as it can.

    :raises AssertionError: there is a circle.
    """
    built: list[set[str]] = []
    seen: set[str] = set()
    left = dict(graph)
    while left:
        floor = {name for name, below in left.items() if below <= seen}
        assert floor, f"a circle among {sorted(left)}"
        built.append(floor)
        seen |= floor
        for name in floor:
            del left[name]
    return built


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module):
    assert room_of(module) in ROOMS, f"give {module} its floor in ROOMS"
    path = MODULES[module]
    assert violations(path.read_text(encoding="utf-8"), module, package=is_package(path)) == []


def test_there_is_no_circle_of_files():
    assert floors(arrows())


def test_the_house_has_few_floors_and_few_rooms():
    graph: dict[str, set[str]] = {room_of(module): set() for module in MODULES}
    for module, targets in arrows().items():
        graph[room_of(module)] |= {room_of(target) for target in targets} - {room_of(module)}
    assert len(floors(graph)) <= MAX_FLOORS
    assert len(graph) <= MAX_ROOMS
    assert graph.keys() == ROOMS.keys()


def test_contributors_see_each_room_with_its_floor():
    page = (ROOT.parent / "CONTRIBUTING.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^(\d+) +``(\w+)(?:\.py|/)`` ", page, re.MULTILINE)
    found = sorted((name, int(floor)) for floor, name in rows)
    assert found == sorted((name, room.floor) for name, room in ROOMS.items())


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
        ("protocols.rfc6455.frames", "from ..hixie75 import Hixie75"),
        ("websocket", "from .servers import find"),
        ("websocket", "from . import WebSocketError"),
        ("servers.base", "from ..websocket import WebSocket"),
        ("process.registry", "import django"),
        ("process.registry", "from ..connection.connection import Connection"),
        ("gunicorn.eventlet_worker", "from ..process import registry"),
        ("middleware", "from .decorators import accept_websocket"),
        ("transports", "import eventlet"),
        ("transports.sockets", "from ..protocols import base"),
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
        ("protocols.rfc6455.handshake", "from .frames import Opcode\nfrom ..http import Request"),
        ("transports", "import socket\ndef f():\n    import eventlet"),
        ("transports", "if TYPE_CHECKING:\n    from eventlet.greenio import GreenSocket"),
        ("transports", "f = lambda: __import__('eventlet')"),
        ("websocket", "from .protocols.base import Protocol\nfrom .protocols import base\nimport time"),
        ("middleware", "from . import servers, conf\nfrom django.http import HttpResponse"),
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


def test_a_circle_is_seen():
    with pytest.raises(AssertionError, match="a circle among"):
        floors({"a": {"b"}, "b": {"a"}, "c": set()})
