"""What a test needs and pip cannot install."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from typing import NoReturn

import pytest

#: Seconds that Perl may take to load a module.
PATIENCE = 60


def missing(what: str, packages: str) -> NoReturn:
    """Skip the test; fail it where REQUIRE_LIVE=1 says that everything has to be there."""
    text = f"{what} is missing; on Debian: apt-get install {packages}"
    if os.environ.get("REQUIRE_LIVE") == "1":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def program(name: str, packages: str) -> str:
    """Give the path of a program."""
    return shutil.which(name) or missing(name, packages)


@cache
def perl_with(module: str, packages: str) -> str:
    """Give the path of a Perl that has a module."""
    perl = program("perl", "perl")
    found = subprocess.run([perl, f"-M{module}", "-e1"], capture_output=True, timeout=PATIENCE, check=False)
    return perl if found.returncode == 0 else missing(f"the Perl module {module}", packages)
