"""The versions in use, and which parts of the package are compiled: ``python -m django_websocket``.

Neither Django nor a hub is imported for it, so that it works without settings, and where they are broken.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap
from typing import Final, NamedTuple

from . import speedups
from .speedups import VARIABLE, load

#: The distributions whose versions matter, this package first.
DISTRIBUTIONS: Final = ("django-websocket", "Django", "eventlet", "gevent", "greenlet", "gunicorn", "redis")
#: What each compiled module does.
PARTS: Final = {"frames": "masking and parsing", "lock": "locks", "core": "the core", "poller": "the poller of hubs"}
#: The remedy where something was missing at the installation. The command is in a line of its own.
REINSTALL: Final = (
    "install gcc and Python's headers (on Debian: apt-get install gcc python3-dev), then install the package again "
    "from a clone of its repository:\n"
    "python -m pip install --force-reinstall --no-cache-dir --no-deps ."
)
WIDTH: Final = 22
#: Characters of a line behind the titles.
MAX_TEXT: Final = 78


class Reason(NamedTuple):
    """The reason why a part is not compiled."""

    cause: str
    #: ``""``: nothing can be done about it.
    remedy: str = ""


def main() -> int:
    """Print the versions and the parts, and return the exit status, which is 0."""
    for line in report():
        print(line)  # noqa: T201 - the output is what the command is for
    return 0


def report() -> Iterator[str]:
    """Return the lines of the report."""
    for name in DISTRIBUTIONS:
        yield f"{name:{WIDTH}}{_version_of(name)}"
    yield f"{'Python':{WIDTH}}{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    yield f"{'Platform':{WIDTH}}{platform.platform()}"
    yield ""
    reasons: dict[Reason, list[str]] = {}
    for name, part in PARTS.items():
        reason = why_not(name)
        yield f"{part:{WIDTH}}{'compiled' if reason is None else 'in Python'}"
        if reason is not None:
            reasons.setdefault(reason, []).append(part)
    for reason, parts in reasons.items():
        yield ""
        yield f"Not compiled: {', '.join(parts)}"
        yield from _aligned("  because", reason.cause)
        yield from _aligned("  what to do", reason.remedy)


def _aligned(title: str, text: str) -> Iterator[str]:
    """Return lines with a title and a text beside it; no line of the text, no lines."""
    for line in text.splitlines():
        for part in wrap(line, MAX_TEXT, break_long_words=False, break_on_hyphens=False):
            yield f"{title:{WIDTH}}{part}"
            title = ""


def _version_of(name: str) -> str:
    """Return the version of an installed distribution."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _hidden_by() -> tuple[Path, Path] | None:
    """Return where the package is installed, and where the copy is that hides it; ``None``: nothing hides it."""
    used = Path(speedups.__file__).parents[1]
    # In a clone there may be the metadata of an earlier build.
    for found in distributions(name=DISTRIBUTIONS[0]):
        installed = Path(str(found.locate_file(used.name)))
        if installed.is_dir() and installed.resolve() != used.resolve():
            return installed.parent, used.parent
    return None


def why_not(name: str) -> Reason | None:
    """Return why a module of :data:`PARTS` is not in use; ``None``: it is."""
    if load(name) is not None:
        return None
    if os.environ.get(VARIABLE) == "0":
        return Reason(
            f"the environment variable {VARIABLE} is 0", f"remove {VARIABLE} from the environment of the server"
        )
    if platform.python_implementation() != "CPython":
        return Reason("the compiled code is for CPython only")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return Reason(
            "this is a free-threaded build of Python, and the compiled code relies on the GIL",
            "use a build with the GIL",
        )
    module = f"{speedups.__name__}._{name}"
    if find_spec(module) is not None:
        try:
            import_module(module)
        except ImportError as error:
            return Reason(f"it cannot be loaded: {error}", REINSTALL)
    if (folders := _hidden_by()) is not None:
        return Reason(
            f"Python has imported the copy in {folders[1]}, and not what is installed in {folders[0]}",
            "run the command, and the server, in another directory than the clone",
        )
    if name == "poller" and sys.platform != "linux":
        return Reason("it needs epoll, which only Linux has")
    if name == "poller" and load("frames") is not None:
        return Reason("the header of greenlet was missing when the package was built", REINSTALL)
    return Reason(
        f"it was not built for this Python ({EXTENSION_SUFFIXES[0]}): there was no C compiler or no header of Python, "
        f"{VARIABLE} was 0 at the installation, or the wheel without compiled code was installed",
        REINSTALL,
    )


if __name__ == "__main__":
    sys.exit(main())
