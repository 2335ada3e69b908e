"""Autobahn's ``wstest``: find it, install it, run it.

It needs Python 2.7. The newest virtualenv that supports Python 2.7 is old itself, so it gets an environment of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

VERSION: Final = "25.10.1"
VIRTUALENV: Final = "virtualenv<20.22"
#: The folder for the installation and the reports; git ignores it.
BUILD: Final = Path(__file__).parent / "_build"
#: How often the installation is tried, and the seconds that each command of it may take.
ATTEMPTS: Final = 3
INSTALL_TIMEOUT: Final = 600

#: Autobahn's own number for each Sec-WebSocket-Version that it speaks as a client.
SPOKEN: Final = {13: 18, 8: 10}
AGENT: Final = "django-websocket"


class Unavailable(Exception):
    """There is no ``wstest``; the text says how to get it."""


class NoPython(Unavailable):
    """There is no Python 2.7 to run it."""


def find() -> str:
    """Return the path of ``wstest``: the one that ``WSTEST`` names, or our own, which is installed if it is missing.

    :raises Unavailable: there is none, and it cannot be installed.
    """
    if "WSTEST" in os.environ:
        path = shutil.which(os.environ["WSTEST"])
        if path is None:
            raise Unavailable(f"WSTEST is no program: {os.environ['WSTEST']}")
        return path
    environment = BUILD / f"autobahntestsuite-{VERSION}"
    # pip installs this program last, so if it exists the installation is complete.
    wstest = environment / "bin" / "wstest"
    if not wstest.exists():
        python = _find_python()
        BUILD.mkdir(exist_ok=True)
        with (BUILD / "lock").open("w") as lock:
            # Another process may be installing it at the moment; this waits for that.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not wstest.exists():
                _install(python, environment)
    return str(wstest)


def _find_python() -> str:
    """Return the path of a Python 2.7, from the PATH or from pyenv.

    :raises NoPython: there is none.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    names = ["python2.7", "python2", *map(str, sorted(pyenv.glob("versions/2.7*/bin/python2.7")))]
    for name in names:
        # A file of that name may be a shim of pyenv for a version that is not active; that shows only when it is run.
        path = shutil.which(name)
        if path and _run(path, "-c", "import sys; sys.exit(sys.version_info[:2] != (2, 7))").returncode == 0:
            return path
    raise NoPython(
        "the Autobahn test suite needs Python 2.7: pyenv install 2.7.18, or WSTEST=path of a wstest elsewhere"
    )


def _install(python: str, environment: Path) -> None:
    """Install Autobahn for a Python 2.7.

    :raises Unavailable: it cannot be installed.
    """
    tool = environment.with_name("virtualenv")
    for attempt in range(1, ATTEMPTS + 1):
        for command in (
            (sys.executable, "-m", "venv", "--clear", str(tool)),
            (str(tool / "bin" / "python"), "-m", "pip", "install", "-q", VIRTUALENV),
            (str(tool / "bin" / "python"), "-m", "virtualenv", "-q", "--clear", "-p", python, str(environment)),
            (str(environment / "bin" / "python"), "-m", "pip", "install", "-q", f"autobahntestsuite=={VERSION}"),
        ):
            run = _run(*command)
            if run.returncode:
                break
        else:
            return
        if attempt < ATTEMPTS:
            time.sleep(5 * attempt)
    raise Unavailable(
        f"the Autobahn test suite could not be installed, {ATTEMPTS} times; set WSTEST to a wstest elsewhere. "
        f"{' '.join(command)} said:\n{run.stdout[-2000:]}"
    )


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, f"nothing for {INSTALL_TIMEOUT} seconds")


def _environment() -> dict[str, str]:
    """Return the environment without the variables that are meant for the Python that runs this."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(wstest: str, url: str, cases: Sequence[str], reports: Path, *, version: int = 13, timeout: float) -> Any:
    """Run cases against the echo at ``url`` for at most ``timeout`` seconds, and return the results by case.

    The reports, and the output of the tool as ``log``, are written to the folder ``reports``, which has to be empty.

    :raises RuntimeError: the tool has written no reports.
    """
    spec = reports / "spec.json"
    options = {"failByDrop": False, "version": SPOKEN[version]}
    servers = [{"agent": AGENT, "url": url}]
    spec.write_text(
        json.dumps({"options": options, "outdir": str(reports), "servers": servers, "cases": [*cases]}),
        encoding="utf-8",
    )
    log = reports / "log"
    command = [wstest, "-m", "fuzzingclient", "-s", str(spec)]
    with log.open("wb") as output:
        try:
            subprocess.run(
                command,
                env=_environment(),
                cwd=reports,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            output.write(b"\nstopped: it has taken too long\n")
    try:
        return json.loads((reports / "index.json").read_text(encoding="utf-8")).get(AGENT, {})
    except FileNotFoundError:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"wstest has written no reports:\n{tail}") from None
