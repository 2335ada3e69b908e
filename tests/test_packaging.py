"""What is installed, and what importing it does."""

import email
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import django_websocket

ROOT = Path(__file__).parent.parent

REPORT = """
import json, sys
before = set(sys.modules)
import django_websocket
print(json.dumps(sorted(name for name in set(sys.modules) - before if "." not in name)))
"""


def test_importing_the_package_imports_no_framework():
    run = subprocess.run([sys.executable, "-c", REPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = set(json.loads(run.stdout))
    assert "django_websocket" in imported
    assert not imported & {"django", "asgiref", "eventlet", "gevent", "greenlet", "gunicorn", "redis", "socket"}


def test_every_public_name_is_there():
    assert sorted(django_websocket.__all__) == list(django_websocket.__all__)
    for name in django_websocket.__all__:
        assert getattr(django_websocket, name).__module__.startswith("django_websocket.")


def test_there_are_no_other_names():
    with pytest.raises(AttributeError, match="accept_websockets"):
        _ = django_websocket.accept_websockets


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build a wheel, away from the working tree and from the network."""
    pytest.importorskip("setuptools", minversion="77")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("setup.py", "pyproject.toml", "README.rst", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "django_websocket", tree / "django_websocket", ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "tests").mkdir()
    (tree / "tests" / "__init__.py").touch()
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tree, capture_output=True, text=True, check=True)
    (path,) = (tree / "dist").iterdir()
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "django_websocket").rglob("*.py")}
    assert names == sources | {"django_websocket/py.typed"}


def test_the_metadata_of_the_wheel(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(name))
    assert metadata["Name"] == "django-websocket"
    assert metadata["Version"] == django_websocket.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.10"
    required = {line.partition(">")[0] for line in metadata.get_all("Requires-Dist") if "extra ==" not in line}
    assert required == {"Django", "eventlet"}
    assert "django-websocket\n====" in metadata.get_payload()
