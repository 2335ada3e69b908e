import os
import platform
import re
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent

# "0": nothing is compiled, so that the wheel is one for every Python. "1": a build that cannot compile fails. Otherwise
# the package is installed all the same, and does everything in Python: without a compiler, Cython or Python's headers.
SWITCH = os.environ.get("DJANGO_WEBSOCKET_SPEEDUPS")

# The web address of the repository, which only whoever publishes a release knows: a fork has the same sources. The name
# is the package's own, because the variables of a site are set for every package that is built there.
REPOSITORY = os.environ.get("DJANGO_WEBSOCKET_REPOSITORY", "").rstrip("/")


def read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def version() -> str:
    match = re.search(r'^__version__ = "([^"]+)"$', read("django_websocket/__init__.py"), re.MULTILINE)
    if match is None:
        raise RuntimeError("django_websocket/__init__.py has no __version__")
    return match[1]


def compiled(name: str, **options: list[str]) -> Extension:
    """Return one compiled module."""
    return Extension(
        f"django_websocket.speedups._{name}",
        [f"django_websocket/speedups/_{name}.pyx"],
        depends=["django_websocket/speedups/frames.h"],
        optional=SWITCH != "1",
        **options,
    )


def poller() -> list[Extension]:
    """Return the poller, if there are epoll, which only Linux has, and the header by which it switches greenlets."""
    greenlet = find_spec("greenlet") if sys.platform == "linux" else None
    directories = [] if greenlet is None else list(greenlet.submodule_search_locations or ())
    headers = [directory for directory in directories if Path(directory, "greenlet.h").exists()]
    return [compiled("poller", include_dirs=headers)] if headers else []


def extensions() -> list[Extension]:
    """Return everything that is compiled."""
    # The compiled code relies on the GIL: a Python without it would turn it on to load such an extension.
    if SWITCH == "0" or platform.python_implementation() != "CPython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return []
    return [compiled("frames"), compiled("lock"), compiled("core"), *poller()]


def project_urls() -> dict[str, str]:
    """Return the addresses of the project: none where that of its repository is unknown."""
    if not REPOSITORY:
        return {}
    if not re.fullmatch(r"https://[^\s/]+/\S+", REPOSITORY):
        raise RuntimeError(
            f"DJANGO_WEBSOCKET_REPOSITORY is {REPOSITORY!r}, but has to be the https address of a repository"
        )
    return {
        "Documentation": f"{REPOSITORY}/tree/HEAD/docs",
        "Changelog": f"{REPOSITORY}/blob/HEAD/CHANGES.rst",
        "Source": REPOSITORY,
        "Issues": f"{REPOSITORY}/issues",
        "Security": f"{REPOSITORY}/blob/HEAD/SECURITY.rst",
    }


# Where bjoern and uWSGI need not be compiled.
WHEELS = "sys_platform == 'linux'"

# What groups on Redis or Valkey need.
REDIS = ["redis>=5"]

# What the metrics for Prometheus need.
PROMETHEUS = ["prometheus-client>=0.16"]

# What the test suite imports and starts; build, Cython, setuptools and twine because it builds what is released.
TEST = [
    f"bjoern-binary>=3.2; {WHEELS}",
    "build>=1.2",
    "channels>=4.2",
    "cheroot>=10.0",
    "coverage>=7.10",
    "cython>=3.1",
    "django-debug-toolbar>=6",
    "django-extensions>=4.1",
    "django-ninja>=1.4",
    "django-prometheus>=2.4",
    "djangorestframework>=3.16",
    "flask-sock>=0.7",
    "freezegun>=1.5",
    "gevent>=24.10",
    "granian>=2.0",
    "gunicorn>=26",
    # For gunicorn's HTTP/2, and to speak it.
    "h2>=4.4",
    "hypothesis>=6.100",
    "opentelemetry-instrumentation-django>=0.52b0",
    "opentelemetry-sdk>=1.31",
    # gunicorn's worker on gevent imports it, and does not ask for it.
    "packaging",
    *PROMETHEUS,
    "psycopg[binary,pool]>=3.2",
    "pytest>=8.4",
    "pytest-cov>=6",
    "pytest-django>=4.11",
    "pytest-randomly>=3.16",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    f"pyuwsgi>=2.0.27; {WHEELS}",
    "pyyaml>=6.0.2",
    *REDIS,
    "selenium>=4.30",
    "sentry-sdk>=2.20",
    "setuptools>=77",
    "twine>=6.1",
    "uvicorn>=0.34",
    "waitress>=3.0",
    "websocket-client>=1.8",
    "websockets>=15",
    "werkzeug>=3.0",
    "wsproto>=1.2",
]
DOCS = ["furo", "sphinx>=8.1"]
# The linter is pinned to its minor version: a new one brings new rules, and those are a change of their own.
LINT = ["ruff~=0.17.0"]
# What the package is compared with, and what measures its protocols.
BENCHMARKS = [
    "channels>=4.2",
    "channels-redis>=4.2",
    "flask-sock>=0.7",
    "gevent>=24.10",
    "gevent-websocket>=0.10",
    "gunicorn>=26",
    "packaging",
    "picows>=1.8",
    "pyperf>=2.8",
    "uvicorn>=0.35",
    "uvloop>=0.21",
    "websockets>=15",
    "wsaccel>=0.6.7",
]
# What fuzzes with coverage; it is compiled for Linux.
FUZZING = ["atheris>=3; sys_platform == 'linux'"]
# With redis and websockets, whose types instruments in lab/ use. Earlier wheels of pyright download it when it runs,
# and all of them download Node.js without the extra.
TYPES = ["django-stubs>=5.2", "mypy>=1.15", *PROMETHEUS, "pyright[nodejs]>=1.1.400", *REDIS, "websockets>=15"]

setup(
    name="django-websocket",
    version=version(),
    description="WebSockets in plain, synchronous Django views",
    long_description=read("README.rst"),
    long_description_content_type="text/x-rst",
    project_urls=project_urls(),
    author="The django-websocket contributors",
    license_expression="BSD-3-Clause",
    license_files=["LICENSE"],
    packages=find_packages(include=["django_websocket", "django_websocket.*"]),
    # The sources of the extensions are for the source distribution only; see MANIFEST.in.
    package_data={"django_websocket": ["py.typed", "static/**", "templates/**"]},
    ext_modules=extensions(),
    zip_safe=False,
    python_requires=">=3.10",
    install_requires=[
        "Django>=5.2",
        # 0.40.3 is the first release with the fix of CVE-2025-58068, a way to smuggle requests past eventlet.wsgi.
        "eventlet>=0.40.3",
    ],
    extras_require={
        "prometheus": PROMETHEUS,
        "redis": REDIS,
        "test": TEST,
        "docs": DOCS,
        "lint": LINT,
        "types": TYPES,
        "benchmarks": BENCHMARKS,
        "fuzzing": FUZZING,
        "dev": [*TEST, *DOCS, *LINT, *TYPES, "tox>=4.30", "tox-uv>=1.20"],
    },
    keywords=["django", "websocket", "websockets", "wsgi", "rfc6455", "hixie-76", "eventlet"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Web Environment",
        "Framework :: Django",
        "Framework :: Django :: 5.2",
        "Framework :: Django :: 6.0",
        "Framework :: Django :: 6.1",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Internet :: WWW/HTTP",
        "Topic :: Internet :: WWW/HTTP :: WSGI",
        "Topic :: Software Development :: Libraries :: Python Modules",
        "Typing :: Typed",
    ],
)
