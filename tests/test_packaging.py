"""What is installed, and what importing it does."""

import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import django_websocket
from django_websocket.protocols import MASKING

ROOT = Path(__file__).parent.parent
#: What whoever has the sources reads first.
DOCUMENTS = {"README.rst", "CHANGES.rst", "CONTRIBUTING.rst", "SECURITY.rst"}

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


#: A process that serves one WebSocket, which echoes a message, and then reports its modules and threads.
ECHO = """
import json, os, socket, sys, threading
from io import BytesIO
from django.conf import settings
settings.configure(ROOT_URLCONF="__main__", SECRET_KEY="s", INSTALLED_APPS=["django_websocket"], ALLOWED_HOSTS=["h"],
    MIDDLEWARE=["django_websocket.middleware.WebSocketMiddleware"], LOGGING_CONFIG=None)
import django
django.setup()
from django.core.wsgi import get_wsgi_application
from django.urls import path
from django_websocket import require_websocket
from django_websocket.servers import ENVIRON_KEY
from django_websocket.servers.base import ClientConnection
from lab.benchmarks import frames

@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)

urlpatterns = [path("echo", echo)]
server, client = socket.socketpair()
client.settimeout(20)
client.sendall(frames.client_frame(b"hello") + frames.CLOSE_FRAME)
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/echo", "SERVER_NAME": "h", "SERVER_PORT": "80", "HTTP_HOST": "h",
    "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13", "HTTP_SEC_WEBSOCKET_KEY": frames.KEY.decode(), "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http", "wsgi.input": BytesIO(), ENVIRON_KEY: ClientConnection(server)}
response = get_wsgi_application()(environ, lambda *_: None)
assert list(response) == []
response.close()
rest = frames.after_handshake(client.recv(4096, socket.MSG_WAITALL))
assert rest.startswith(frames.server_frame(b"hello")), rest
tasks = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
print(json.dumps([sorted(sys.modules), threading.active_count(), tasks]))
"""


def test_who_does_not_use_groups_does_not_pay_for_them():
    """No module of theirs is loaded, no redis-py, and no thread is started, by Python or by the system."""
    run = subprocess.run([sys.executable, "-c", ECHO], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    modules, threads, tasks = json.loads(run.stdout)
    assert (threads, tasks) == (1, 1)
    assert "django_websocket.connection.connection" in modules
    assert [name for name in modules if name.partition(".")[0] == "redis"] == []
    assert [name for name in modules if name.startswith("django_websocket.groups")] == []


def test_every_public_name_is_there():
    assert sorted(django_websocket.__all__) == list(django_websocket.__all__)
    for name in django_websocket.__all__:
        assert getattr(django_websocket, name).__module__.startswith("django_websocket.")


def test_there_are_no_other_names():
    with pytest.raises(AttributeError, match="accept_websockets"):
        _ = django_websocket.accept_websockets


def build(kind, tree, **environment):
    """Build a package of a ``kind`` in a copy of the sources, away from the working tree and from the network."""
    pytest.importorskip("setuptools", minversion="77")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "MANIFEST.in", *DOCUMENTS):
        shutil.copy(ROOT / name, tree)
    ignored = shutil.ignore_patterns("__pycache__", *(f"*{suffix}" for suffix in EXTENSION_SUFFIXES))
    shutil.copytree(ROOT / "django_websocket", tree / "django_websocket", ignore=ignored)
    for other in ("lab", "tests"):
        (tree / other).mkdir()
        (tree / other / "__init__.py").touch()
    code = f"from setuptools import build_meta; build_meta.build_{kind}('dist')"
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=tree, env=os.environ | environment, capture_output=True, text=True, check=True)
    (path,) = (tree / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    with zipfile.ZipFile(build("wheel", tmp_path_factory.mktemp("tree"))) as archive:
        yield archive


@pytest.fixture(scope="module")
def wheel_without_compiler(tmp_path_factory):
    with zipfile.ZipFile(build("wheel", tmp_path_factory.mktemp("tree"), CC="false")) as archive:
        yield archive


def sources():
    found = {path for suffix in ("py", "pyi") for path in (ROOT / "django_websocket").rglob(f"*.{suffix}")}
    return {path.relative_to(ROOT).as_posix() for path in found} | {"django_websocket/py.typed"}


def contents(wheel):
    """Return the names of the sources in a wheel, and those of the extensions."""
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    extensions = {name for name in names if name.endswith(tuple(EXTENSION_SUFFIXES))}
    return names - extensions, extensions


def masking_of(wheel, directory):
    """Return the name of the masking that a wheel has, and what it makes of some bytes."""
    wheel.extractall(directory)
    code = (
        "from django_websocket.protocols import MASKING; from django_websocket.protocols.rfc6455 import masking;"
        "print(MASKING, masking.apply_mask(bytes(6), b'mask').decode())"
    )
    # Without the installed packages, and so without the installed package.
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout.split()


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names, extensions = contents(wheel)
    assert names == sources()
    assert {name.partition(".")[0] for name in extensions} <= {"django_websocket/protocols/rfc6455/_masking"}


def test_the_wheel_masks_in_c_where_there_is_a_compiler(wheel, tmp_path):
    extensions = contents(wheel)[1]
    assert extensions or MASKING == "python"
    assert masking_of(wheel, tmp_path) == ["c" if extensions else "python", "maskma"]


def test_without_a_compiler_the_wheel_masks_in_python(wheel_without_compiler, tmp_path):
    assert contents(wheel_without_compiler) == (sources(), set())
    assert masking_of(wheel_without_compiler, tmp_path) == ["python", "maskma"]


def test_the_source_distribution_has_all_to_build_it(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= sources() | DOCUMENTS | {
        "django_websocket/protocols/rfc6455/_masking.c",
        "setup.py",
        "pyproject.toml",
    }
    assert not [name for name in names if name.startswith(("lab/", "tests/"))]


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
