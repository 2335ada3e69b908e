"""A copy of the sources with the extensions built for the sanitizers, and the environment in which it can be loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ..servers import ROOT

#: What is copied: the package, and what its tests need.
COPIED: Final = ("django_websocket", "lab", "tests")
FILES: Final = ("setup.py", "pyproject.toml", "README.rst", "LICENSE")
IGNORED: Final = ("__pycache__", "_build", "findings", "*.so", "*.c", "*.log")

#: ``-fno-sanitize-recover`` ends the process at the first report, and ``-UNDEBUG`` turns on what ``assert`` checks.
#: Undefined behaviour is a trap, which AddressSanitizer reports. The library of UndefinedBehaviorSanitizer would write
#: to the standard error only, where tests capture it.
FLAGS: Final = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fsanitize-undefined-trap-on-error",
    "-fno-omit-frame-pointer",
    "-UNDEBUG",
    "-g",
    "-O1",
)
#: greenlet moves parts of the stack by ``memcpy``. AddressSanitizer, which marks the gaps between the variables of a
#: function, does not learn of it: after a switch it would go by the marks of another greenlet. So what runs greenlets
#: is built without marks on the stack; the heap is checked there all the same.
WITHOUT_STACK: Final = ("--param", "asan-stack=0")

#: ``detect_leaks=0``: Python itself ends without freeing everything, and what leaks is found by ``references.py``.
#: ``detect_stack_use_after_return=0``: with it local variables are not on the stack, which greenlet relies on.
#: ``handle_sigill=2``, ``handle_abort=2``: the trap is reported, and what ``assert`` finds, whatever pytest or
#: faulthandler do with these signals.
ASAN_OPTIONS: Final = {
    "detect_leaks": "0",
    "detect_stack_use_after_return": "0",
    "strict_string_checks": "1",
    "allocator_may_return_null": "1",
    "handle_sigill": "2",
    "handle_abort": "2",
}

#: The libraries that have to be loaded before all others. libstdc++ is one of them because greenlet throws C++
#: exceptions, which AddressSanitizer watches from its start on.
PRELOADED: Final = ("libasan.so", "libstdc++.so.6")


class Unavailable(Exception):
    """What the sanitizers need is missing; the text names it and the remedy."""


@dataclass(frozen=True)
class Compiler:
    """A compiler with its runtime libraries of the sanitizers."""

    path: str
    libraries: tuple[str, ...]


def find_compiler(search: str | None = None) -> Compiler:
    """Return gcc with its libraries; ``search`` is a PATH, ``None``: that of this process.

    :raises Unavailable: gcc, a library of it, or another system than Linux.
    """
    if sys.platform != "linux":
        raise Unavailable("the sanitizers are run on Linux only")
    path = shutil.which("gcc", path=search)
    if path is None:
        raise Unavailable("gcc is missing; on Debian: apt-get install gcc libc6-dev")
    libraries = []
    for name in PRELOADED:
        found = subprocess.run([path, f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        # gcc repeats the name of a file that it does not find.
        if not Path(found.strip()).is_absolute():
            raise Unavailable(f"{name} is missing, which comes with gcc; on Debian: apt-get install gcc")
        libraries.append(found.strip())
    return Compiler(path, tuple(libraries))


def copy_sources(tree: Path) -> None:
    """Copy the sources into ``tree``, which must not exist, without what was built of them."""
    ignore = shutil.ignore_patterns(*IGNORED)
    tree.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, tree / name, ignore=ignore)
    for name in FILES:
        shutil.copy(ROOT / name, tree)


def build(compiler: Compiler, tree: Path, *flags: str) -> None:
    """Build the extensions in a copy of the sources, for the sanitizers and with further ``flags``.

    :raises Unavailable: Python's headers or Cython are missing.
    :raises subprocess.CalledProcessError: the sources cannot be compiled.
    """
    if find_spec("Cython") is None:
        raise Unavailable("Cython is missing; python -m pip install cython")
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.exists():
        raise Unavailable(f"{header} is missing; on Debian: apt-get install python3-dev")
    environment = os.environ | {
        "CC": compiler.path,
        "CFLAGS": " ".join((*FLAGS, *flags)),
        # The extensions are not optional then: a mistake in the sources ends the build.
        "DJANGO_WEBSOCKET_SPEEDUPS": "1",
    }
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=tree, env=environment, check=True)


def environment(compiler: Compiler, tree: Path, reports: Path) -> Mapping[str, str]:
    """Return the environment of processes that load the extensions; what is found is written into ``reports``."""
    return os.environ | {
        "LD_PRELOAD": " ".join(compiler.libraries),
        # Python's own allocator takes memory in arenas, within which no overflow would be seen.
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(tree),
        "DJANGO_WEBSOCKET_SPEEDUPS": "1",
        "ASAN_OPTIONS": join(ASAN_OPTIONS | {"log_path": str(reports / "report")}),
    }


def join(options: Mapping[str, str]) -> str:
    """Return options as the runtime libraries read them."""
    return ":".join(f"{name}={value}" for name, value in options.items())
