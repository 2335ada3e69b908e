"""The instruments hang neither on the tests nor on each other, and the package does not know them.

The imports of every module are read with ``ast``, those inside functions too. Nothing is imported for it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTRUMENTS = {"benchmarks", "compliance", "fuzzing", "groups", "sanitizers", "soak"}

#: Imports of one instrument by another, each with its reason.
BETWEEN_INSTRUMENTS: dict[tuple[str | None, str | None], str] = {}


def modules(folder: str) -> list[str]:
    """Return the paths of the modules in a folder, without what the instruments install in ``_build``."""
    paths = [path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.as_posix() for path in paths if "_build" not in path.parts]


def imports(source: str, path: str) -> Iterator[str]:
    """Return the dotted names that a module imports, and those of module in ``from module import name``."""
    parts = Path(path).with_suffix("").parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*(parts[: -node.level] if node.level else ()), *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def instrument_of(name: str) -> str | None:
    """Return the instrument that a dotted name is in, or ``None`` if it is in none."""
    top, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    return part if top == "lab" and part in INSTRUMENTS else None


def violations(source: str, path: str) -> list[str]:
    """Return the imports of a module that are not allowed."""
    here = Path(path).parts[0]
    closed = {"lab": {"tests"}, "django_websocket": {"lab", "tests"}}[here]
    own = instrument_of(".".join(Path(path).with_suffix("").parts))
    names = set(imports(source, path))
    found = {name for name in names if name.partition(".")[0] in closed}
    if here == "lab":
        others = {name: instrument_of(name) for name in names}
        found |= {
            name
            for name, other in others.items()
            if other not in {None, own} and (own, other) not in BETWEEN_INSTRUMENTS
        }
    return sorted(found)


@pytest.mark.parametrize("path", [*modules("lab"), *modules("django_websocket")])
def test_imports(path):
    assert violations((ROOT / path).read_text(encoding="utf-8"), path) == []


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_every_instrument_has_a_command_and_a_page(name):
    assert (ROOT / "lab" / name / "__main__.py").exists()
    page = (ROOT / "lab" / name / "README.rst").read_text(encoding="utf-8")
    assert f"python -m lab.{name}" in page
    assert f"``python -m lab.{name}``" in (ROOT / "lab" / "README.rst").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("lab/servers.py", "import tests.settings"),
        ("lab/servers.py", "from tests import settings"),
        ("lab/servers.py", "def f():\n    import tests"),
        ("lab/servers.py", "from .soak import run"),
        ("lab/soak/run.py", "from ..compliance import run"),
        ("lab/soak/run.py", "import lab.benchmarks.usage"),
        ("lab/benchmarks/apps/raw.py", "from ...fuzzing.frames import frame"),
        ("django_websocket/websocket.py", "from lab.servers import HOST"),
        ("django_websocket/websocket.py", "import tests"),
    ],
)
def test_a_forbidden_import_is_seen(path, source):
    assert violations(source, path)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("lab/soak/run.py", "from ..servers import HOST\nfrom . import clients\nfrom lab.soak.figures import slope"),
        ("lab/fuzzing/targets/origins.py", "from ..timing import check_linear\nfrom django_websocket import protocols"),
        ("django_websocket/testing/client.py", "from . import tests\nfrom .lab import servers"),
    ],
)
def test_an_allowed_import_is_not_seen(path, source):
    assert violations(source, path) == []
