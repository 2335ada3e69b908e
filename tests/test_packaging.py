"""What is installed, and what importing it does."""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import pytest

import django_websocket
from django_websocket.speedups import VARIABLE

ROOT = Path(__file__).parent.parent
#: What whoever has the sources reads first.
DOCUMENTS = {"README.rst", "CHANGES.rst", "CODE_OF_CONDUCT.rst", "CONTRIBUTING.rst", "SECURITY.rst"}

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


#: The sources of the extensions, which the source distribution has and the wheel has not.
SPEEDUPS = {
    path.relative_to(ROOT).as_posix()
    for suffix in ("pyx", "pxd", "h")
    for path in ROOT.glob(f"django_websocket/speedups/*.{suffix}")
}
#: Makes a build believe that it runs on a free-threaded Python.
FREE_THREADED = "import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1"


#: The variable that names the repository, and an address that no project has.
REPOSITORY = "DJANGO_WEBSOCKET_REPOSITORY"
ADDRESS = "https://code.example/people/project"


def copy_sources(tree):
    """Copy what a distribution is built of, away from the working tree, and folders that must not get into it."""
    pytest.importorskip("setuptools", minversion="77")
    pytest.importorskip("Cython", minversion="3.1")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "MANIFEST.in", *DOCUMENTS):
        shutil.copy(ROOT / name, tree)
    ignored = shutil.ignore_patterns("__pycache__", "*.c", *(f"*{suffix}" for suffix in EXTENSION_SUFFIXES))
    shutil.copytree(ROOT / "django_websocket", tree / "django_websocket", ignore=ignored)
    for other in ("lab", "tests"):
        (tree / other).mkdir()
        for name in ("__init__.py", "test_something.py"):
            (tree / other / name).touch()


def build(command, tree, **environment):
    """Run a command of Python that builds something in ``tree``, without the network."""
    variables = {name: value for name, value in os.environ.items() if name not in {VARIABLE, REPOSITORY}} | environment
    subprocess.run(
        [sys.executable, *command], cwd=tree, env=variables, capture_output=True, text=True, check=True, timeout=110
    )


def build_wheel(tree, first="", **environment):
    """Build a wheel of a copy of the sources.

    ``first`` is a statement that the process begins with.
    """
    copy_sources(tree)
    build(["-c", f"{first}\nfrom setuptools import build_meta; build_meta.build_wheel('dist')"], tree, **environment)
    (path,) = (tree / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Build the source distribution and, of nothing but that, a wheel, as ``python -m build`` does."""
    tree = tmp_path_factory.mktemp("tree")
    copy_sources(tree)
    build(["-m", "build", "--no-isolation"], tree, **{REPOSITORY: f"{ADDRESS}/"})
    wheel, source = sorted((tree / "dist").iterdir(), key=lambda path: path.suffix != ".whl")
    return source, wheel


@pytest.fixture(scope="module")
def wheel_path(distributions):
    return distributions[1]


@pytest.fixture(scope="module")
def wheel(wheel_path):
    with zipfile.ZipFile(wheel_path) as archive:
        yield archive


def sources():
    """Return the files of the package that an installation has besides what is compiled.

    All of them are: modules, ``py.typed``, templates, style sheets, scripts.
    """
    compiled = ("*.c", *(f"*{suffix}" for suffix in EXTENSION_SUFFIXES))
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "django_websocket").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__" and not any(map(path.match, compiled))
    }
    return found - SPEEDUPS


def contents(wheel):
    """Return the names of the sources in a wheel, and those of the extensions."""
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    extensions = {name for name in names if name.endswith(tuple(EXTENSION_SUFFIXES))}
    return names - extensions, {name.rpartition("/")[2].partition(".")[0] for name in extensions}


def compiled_in(wheel, directory):
    """Return the compiled modules that a wheel has once it is installed, and check that it works."""
    wheel.extractall(directory)
    code = (
        "from django_websocket.speedups import NAMES, load; from django_websocket.protocols.rfc6455 import masking;"
        "print(masking.apply_mask(bytes(6), b'mask').decode(), *[f'_{name}' for name in NAMES if load(name)])"
    )
    # Without the installed packages, and so without the installed package.
    command = [sys.executable, "-S", "-c", code]
    variables = {name: value for name, value in os.environ.items() if name != VARIABLE}
    run = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, check=True)
    masked, *names = run.stdout.split()
    assert masked == "maskma"
    return set(names)


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names, extensions = contents(wheel)
    assert names == sources()
    assert extensions <= {Path(name).stem for name in SPEEDUPS if name.endswith(".pyx")}


def test_the_wheel_holds_the_browser_module(wheel):
    names, _ = contents(wheel)
    assert {f"django_websocket/static/django_websocket/websocket{suffix}" for suffix in (".js", ".d.ts")} <= names


def test_the_wheel_is_compiled_where_there_is_a_compiler(wheel, tmp_path):
    extensions = contents(wheel)[1]
    # The poller imports greenlet, which is not installed there.
    assert compiled_in(wheel, tmp_path) == extensions - {"_poller"}
    # Where this environment has them, they can be built.
    assert extensions >= {"_frames", "_lock", "_core"} or find_spec("django_websocket.speedups._frames") is None


@pytest.mark.parametrize("obstacle", ["no compiler", "no Cython"])
def test_what_cannot_be_compiled_is_left_out(obstacle, tmp_path):
    environment = {"CC": "false"}
    if obstacle == "no Cython":
        (tmp_path / "hiding/Cython").mkdir(parents=True)
        (tmp_path / "hiding/Cython/__init__.py").write_text("raise ImportError")
        environment = {"PYTHONPATH": str(tmp_path / "hiding")}
    (tree := tmp_path / "tree").mkdir()
    with zipfile.ZipFile(build_wheel(tree, **environment)) as archive:
        assert contents(archive) == (sources(), set())
        assert compiled_in(archive, tmp_path / "installed") == set()


def test_a_build_whose_wheel_has_to_be_compiled_fails_without_a_compiler(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        build_wheel(tmp_path, CC="false", **{VARIABLE: "1"})


@pytest.mark.parametrize(
    ("first", "environment"), [("", {VARIABLE: "0"}), (FREE_THREADED, {}), (FREE_THREADED, {VARIABLE: "1"})]
)
def test_the_pure_wheel(first, environment, tmp_path):
    """A free-threaded Python gets it too: to load an extension that relies on the GIL turns the GIL on."""
    (tree := tmp_path / "tree").mkdir()
    path = build_wheel(tree, first, **environment)
    assert path.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(path) as archive:
        assert contents(archive) == (sources(), set())
        assert compiled_in(archive, tmp_path / "installed") == set()


def test_the_wheel_with_compiled_code_is_for_one_python(wheel_path):
    assert "none" not in wheel_path.name


def test_sources_are_of_every_kind_that_a_package_has():
    assert {"django_websocket/py.typed", "django_websocket/templatetags/django_websocket.py"} < sources()
    assert {Path(name).suffix for name in sources()} <= {".py", ".typed", ".html", ".css", ".js", ".ts"}


def test_the_source_distribution_has_all_to_build_it(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert SPEEDUPS
    assert names >= sources() | DOCUMENTS | SPEEDUPS | {"setup.py", "pyproject.toml"}
    assert not [name for name in names if name.startswith(("lab/", "tests/")) or name.endswith(".c")]


def test_an_index_takes_the_distributions(distributions):
    """It renders the README and reads the metadata, and refuses what it cannot."""
    run = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, distributions)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("PASSED") == 2


def test_wheels_are_built_for_every_python_that_the_metadata_names(wheel):
    """The configuration of cibuildwheel has the Pythons of the classifiers."""
    classifiers = metadata_of(wheel).get_all("Classifier")
    supported = {
        found[1] for line in classifiers if (found := re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", line))
    }
    configuration = re.search(
        r'^\[tool\.cibuildwheel\]\nbuild = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert configuration[1].split() == [f"cp3{minor}-*" for minor in sorted(supported, key=int)]


def metadata_of(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_the_metadata_of_the_wheel(wheel):
    metadata = metadata_of(wheel)
    assert metadata["Name"] == "django-websocket"
    assert metadata["Version"] == django_websocket.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.10"
    required = {line.partition(">")[0] for line in metadata.get_all("Requires-Dist") if "extra ==" not in line}
    assert required == {"Django", "eventlet"}
    assert "django-websocket\n====" in metadata.get_payload()


def test_the_addresses_of_the_project_begin_with_that_of_its_repository(wheel):
    addresses = dict(line.split(", ") for line in metadata_of(wheel).get_all("Project-URL"))
    assert set(addresses) == {"Documentation", "Changelog", "Source", "Issues", "Security"}
    assert addresses.pop("Source") == ADDRESS
    assert all(address.startswith(f"{ADDRESS}/") for address in addresses.values())
    named = {address.partition("/HEAD/")[2] for address in addresses.values()} - {""}
    assert named == {"docs", "CHANGES.rst", "SECURITY.rst"}
    assert all((ROOT / name).exists() for name in named)


#: Writes the metadata of the wheel, without what compiles.
METADATA = "from setuptools import build_meta; build_meta.prepare_metadata_for_build_wheel('dist')"


def test_no_address_is_invented_where_that_of_the_repository_is_unknown(tmp_path):
    copy_sources(tmp_path)
    (tmp_path / "dist").mkdir()
    build(["-c", METADATA], tmp_path)
    (path,) = (tmp_path / "dist").glob("*.dist-info/METADATA")
    metadata = email.message_from_string(path.read_text(encoding="utf-8"))
    assert metadata["Name"] == "django-websocket"
    assert metadata.get_all("Project-URL") is None


@pytest.mark.parametrize("address", ["people/project", "http://code.example/people/project", "https://code.example"])
def test_an_address_that_is_none_of_a_repository_fails_the_build(address, tmp_path):
    copy_sources(tmp_path)
    with pytest.raises(subprocess.CalledProcessError) as failure:
        build(["-c", METADATA], tmp_path, **{REPOSITORY: address})
    assert f"DJANGO_WEBSOCKET_REPOSITORY is {address!r}, but has to be" in failure.value.stderr
