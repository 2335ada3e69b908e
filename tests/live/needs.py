"""Programs and modules that a test needs, which pip cannot install, or not everywhere.

Fixtures ask for them, before a test has begun: a test that skips itself while it runs may leave other fixtures waiting
for what it has announced.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from importlib.util import find_spec
from typing import NoReturn

import pytest

from lab.kinds import Kind
from lab.servers import find_program

#: Seconds that Perl may take to load a module.
PATIENCE = 60


def missing(what: str, packages: str, how: str = "on Debian: apt-get install") -> NoReturn:
    """Skip the test; fail it if REQUIRE_LIVE=1 says that nothing may be missing."""
    text = f"{what} is missing; {how} {packages}"
    if os.environ.get("REQUIRE_LIVE") == "1":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def program(name: str, packages: str) -> str:
    """Return the path of a program; skip the test if there is none."""
    return find_program(name) or missing(name, packages)


def module(name: str, package: str) -> None:
    """Skip the test if the module of a server is missing, for which not every platform has a wheel."""
    if find_spec(name) is None:
        missing(f"the module {name}", package, "where there is a wheel: pip install")


def of_kind(kind: Kind) -> None:
    """Skip the test if a program or a module is missing that a kind of server needs."""
    if kind.tls:
        program("openssl", "openssl")
    if kind.green == "gevent":
        module("gevent", "gevent")


@cache
def perl_with(module: str, packages: str) -> str:
    """Return the path of a Perl that has a module; skip the test if there is none."""
    perl = program("perl", "perl")
    found = subprocess.run([perl, f"-M{module}", "-e1"], capture_output=True, timeout=PATIENCE, check=False)
    return perl if found.returncode == 0 else missing(f"the Perl module {module}", packages)
